//! Pages whose commands are run from top to bottom, as the README's are.

use super::blocks::{Block, blocks};
use super::read;
use super::shell::Shell;

/// Runs the page; `least`: as many commands with outputs it must have.
fn works(page: &str, least: usize) {
    let mut shell = Shell::new();
    let mut console = 0;
    for block in blocks(&read(page)) {
        match block {
            Block::File { name, text } => shell.write(&name, &text),
            Block::Commands(commands) => commands.iter().for_each(|command| match command.strip_suffix(" &") {
                Some(background) => shell.start(background),
                None => shell.must(command),
            }),
            Block::Console(commands) => {
                console += commands.len();
                commands.iter().for_each(|(command, expected)| shell.compare(command, expected));
            }
            Block::Records { name, .. } => panic!("{page}: {name}: nothing is recorded here"),
        }
    }
    assert!(console >= least, "{page}: only {console} commands with outputs were found");
}

#[test]
fn the_afternoon_is_as_it_is_told() {
    works("docs/policy-afternoon.md", 8);
}

#[test]
fn the_import_is_as_it_is_told() {
    works("docs/policy-import.md", 3);
}
