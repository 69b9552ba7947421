//! docs/policy.md does what it says, as the README does.

use super::blocks::{Block, blocks};
use super::read;
use super::shell::Shell;

/// The decision's id on the page; each run has its own.
const ID: &str = "01M81P13SVYM3DWEDH00000001";

#[test]
fn the_pages_commands_work() {
    let mut shell = Shell::new();
    let mut console = 0;
    for block in blocks(&read("docs/policy.md")) {
        match block {
            Block::File { name, text } => shell.write(&name, &text),
            Block::Commands(commands) => commands.iter().for_each(|command| match command.strip_suffix(" &") {
                Some(background) => shell.start(background),
                None => shell.must(command),
            }),
            Block::Console(commands) => {
                for (command, expected) in commands {
                    console += 1;
                    if command.contains(ID) {
                        shell.eventually("grep -rq $(cat id) certs-dev/log");
                    }
                    let expected: Vec<String> = expected.iter().map(|line| line.replace(ID, "…")).collect();
                    shell.compare(&command.replace(ID, "$(cat id)"), &expected);
                    if command.starts_with("curl ") {
                        shell.must("sed -n 's/^x-countersign-decision: //p' head.txt | tr -d '\\r' > id");
                    }
                }
            }
            Block::Records { name, .. } => panic!("{name}: there is no log here"),
        }
    }
    assert!(console >= 8, "only {console} commands with outputs were found");
}
