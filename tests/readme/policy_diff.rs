//! docs/policy-diff.md does what it says, as the README does.

use super::blocks::{Block, blocks};
use super::read;
use super::shell::Shell;

#[test]
fn the_pages_comparisons_come_out() {
    let mut shell = Shell::new();
    let mut console = 0;
    for block in blocks(&read("docs/policy-diff.md")) {
        match block {
            Block::File { name, text } => shell.write(&name, &text),
            Block::Commands(commands) => commands.iter().for_each(|command| shell.must(command)),
            Block::Console(commands) => {
                console += commands.len();
                commands.iter().for_each(|(command, expected)| shell.compare(command, expected));
            }
            Block::Records { name, .. } => panic!("{name}: there is no log here"),
        }
    }
    assert!(console >= 2, "only {console} commands with outputs were found");
}
