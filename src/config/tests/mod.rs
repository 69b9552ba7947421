//! Tests of the whole reader.

mod examples;
mod keys;
mod mistakes;
mod reloads;
mod robust;

use super::{Environment, Loaded, parse};

/// The least that is valid.
const LEAST: &str = r#"
[workload]
id = "spiffe://d/app"
[credentials]
source = "dev"
[[trust]]
domain = "d"
[inbound]
[policy]
file = "policy.toml"
"#;

/// `LEAST` with `section` replaced or added, line numbers as they come.
fn with(sections: &str) -> String {
    let mut text = String::new();
    for block in blocks(LEAST) {
        let head = block.lines().next().unwrap_or_default();
        if !blocks(sections).iter().any(|other| other.lines().next() == Some(head)) {
            text.push_str(&block);
        }
    }
    text + sections
}

fn blocks(text: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if line.starts_with('[') {
            blocks.push(String::new());
        }
        if let Some(block) = blocks.last_mut() {
            block.push_str(line);
            block.push('\n');
        }
    }
    blocks
}

fn load(sections: &str) -> Result<Loaded, Vec<String>> {
    let environment = Environment::fixed(&[("NAME", "one"), ("HOST", "payments")]);
    let loaded = parse("c", &with(sections), &environment);
    loaded.map_err(|problems| problems.iter().map(|problem| strip_line(&problem.to_string())).collect())
}

/// `c:3:1: key: …` without file and place.
fn strip_line(problem: &str) -> String {
    let rest = problem.trim_start_matches("c:");
    rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':').trim_start().to_owned()
}
