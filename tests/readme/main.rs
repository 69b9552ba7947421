//! The README does what it says: its files are written, its commands run, and their outputs compared.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod blocks;
mod pages;
mod policy;
mod policy_diff;
mod shell;

use blocks::{Block, blocks};
use shell::Shell;
use std::path::Path;

/// What is not run here: it builds what this test was given already, or runs this test.
const SKIPPED: [&str; 3] = ["make test", "cargo build --release", "export PATH=\"$PWD/target/release:$PATH\""];

#[test]
fn readme_commands_work() {
    let mut shell = Shell::new();
    let mut console = 0;
    for block in blocks(&read("README.md")) {
        match block {
            Block::File { name, text } => shell.write(&name, &text),
            Block::Commands(commands) => {
                for command in commands.iter().filter(|command| !SKIPPED.contains(&command.as_str())) {
                    match command.strip_suffix(" &") {
                        Some(background) => shell.start(background),
                        None => shell.must(command),
                    }
                }
            }
            Block::Console(commands) => {
                console += commands.len();
                commands.iter().for_each(|(command, expected)| shell.compare(command, expected));
            }
            Block::Records { name, lines } => shell.wait_for_records(&name, &lines),
        }
    }
    assert!(console >= 7, "only {console} commands with outputs were found");
    assert!(shell.has("page.html"));
}

#[test]
fn the_ten_lines_are_the_example() {
    let text = read("README.md");
    let shown = blocks(&text).into_iter().find_map(|block| match block {
        Block::File { name, text } if name == "countersign.toml" => Some(text),
        _ => None,
    });
    assert_eq!(shown.unwrap(), read("config/examples/quickstart.toml"));
}

#[test]
fn a_proxy_is_never_shown_without_its_exceptions() {
    let exceptions = "NO_PROXY=169.254.170.2,169.254.170.23,169.254.169.254,localhost";
    for name in ["README.md", "docs/security.md", "CONTRIBUTING.md"] {
        for line in read(name).lines().filter(|line| line.contains("HTTP_PROXY=")) {
            assert!(line.contains(exceptions), "{name}: {line}");
        }
    }
}

#[test]
fn links_lead_somewhere() {
    for name in [
        "README.md",
        "docs/security.md",
        "docs/requests.md",
        "docs/performance.md",
        "docs/policy.md",
        "docs/policy-diff.md",
        "CONTRIBUTING.md",
    ] {
        let text = read(name);
        // As whoever reads the file there follows them.
        let folder = home().join(name).parent().map(Path::to_path_buf).unwrap_or_default();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("https://")) {
            let file = target.split('#').next().unwrap_or_default();
            assert!(file.is_empty() || folder.join(file).exists(), "{name}: {target}");
        }
    }
}

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(home().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
