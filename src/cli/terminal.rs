//! What a person reads on a terminal: colours, and nothing that a stranger steers it with.

use std::io::IsTerminal as _;

/// Whether words have colours.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    colour: bool,
}

impl Style {
    /// Without colours.
    pub const PLAIN: Self = Self { colour: false };

    /// Colours on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
    pub fn of_stdout() -> Self {
        let asked = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { colour: asked && std::io::stdout().is_terminal() }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// What begins a part.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What may be passed over.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// What is good.
    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// What is not.
    pub fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// What should be looked at.
    pub fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }
}

/// What a caller chose does not steer the terminal: control characters and those that turn the direction of writing are replaced.
pub fn printable(text: &str) -> String {
    let steers = |c: char| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_can_be_off() {
        assert_eq!(Style { colour: false }.bold("x"), "x");
        assert_eq!(Style { colour: true }.red("x"), "\u{1b}[31mx\u{1b}[0m");
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(printable("a\u{1b}[2J\u{9b}1m\u{7f}\r\n\u{202e}b ü"), "a\u{fffd}[2J\u{fffd}1m\u{fffd}\u{fffd}\u{fffd}\u{fffd}b ü");
    }
}
