//! Finds what a source file names outside its own module: no compiler, but tokens, module nesting and `use` trees.

use std::path::{Component, Path};

/// One thing that a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where, from 1.
    pub line: usize,
    /// What.
    pub target: Target,
}

/// What is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A module of the crate's root, or an item that the root re-exports.
    Room(String),
    /// Something that this scanner could not follow further on.
    Hidden(String),
}

/// The room that a file of `src/` belongs to.
pub fn room(path: &Path) -> String {
    let first = path.components().next().unwrap();
    let Component::Normal(name) = first else { panic!("{}", path.display()) };
    name.to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// Everything that the file names by a path from the root, by `super`, or in a way that hides it. Unit tests are left out.
pub fn findings(path: &Path, text: &str) -> Vec<Finding> {
    if is_test_file(path) {
        return Vec::new();
    }
    let tokens = tokens(text);
    let scanner = Scanner { tokens: &tokens, at: 0, module: module(path), inner: Vec::new(), found: Vec::new() };
    scanner.run()
}

fn is_test_file(path: &Path) -> bool {
    let names: Vec<&str> = path.iter().map(|name| name.to_str().unwrap()).collect();
    let file = path.file_stem().unwrap().to_str().unwrap();
    file == "tests" || file.ends_with("_tests") || names.contains(&"tests")
}

/// The module path of a file: `identity/x509/name.rs` is `identity::x509::name`.
fn module(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = path.with_extension("").iter().map(|name| name.to_str().unwrap().to_owned()).collect();
    if matches!(names.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        names.pop();
    }
    names
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    text: String,
    line: usize,
}

struct Scanner<'t> {
    tokens: &'t [Token],
    at: usize,
    /// Of the file.
    module: Vec<String>,
    /// Modules inside the file, each with the depth of braces at which it ends.
    inner: Vec<(String, usize)>,
    found: Vec<Finding>,
}

impl Scanner<'_> {
    fn run(mut self) -> Vec<Finding> {
        let mut depth = 0;
        while let Some(text) = self.text(0) {
            match text {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    self.inner.retain(|(_, ends)| *ends <= depth);
                }
                "#" => {
                    if self.test_module() {
                        continue;
                    }
                    // A file beside this one belongs to this room; one elsewhere does not.
                    let elsewhere = |text: &str| text.contains(['/', '\\']);
                    if self.matches(1, &["[", "path", "="]) && self.text(4).is_none_or(elsewhere) {
                        self.hidden(0, "#[path] into another directory");
                    }
                }
                "mod" if self.text(2) == Some("{") => {
                    let name = self.text(1).unwrap_or_default().to_owned();
                    self.inner.push((name, depth + 1));
                }
                "include" if self.text(1) == Some("!") => self.hidden(0, "include!"),
                "extern" if self.matches(1, &["crate", "self"]) => self.hidden(0, "extern crate self"),
                "use" => {
                    self.use_tree();
                    continue;
                }
                "crate" | "super" | "self" if self.text(1) == Some("::") && !self.follows_path() => {
                    let prefix = self.here();
                    self.path(prefix);
                    continue;
                }
                "countersign" if self.text(1) == Some("::") && !self.follows_path() => self.hidden(0, "the crate by its own name"),
                _ => {}
            }
            self.at += 1;
        }
        self.found
    }

    fn text(&self, ahead: usize) -> Option<&str> {
        self.tokens.get(self.at + ahead).map(|token| token.text.as_str())
    }

    fn matches(&self, ahead: usize, texts: &[&str]) -> bool {
        texts.iter().zip(ahead..).all(|(text, ahead)| self.text(ahead) == Some(text))
    }

    fn follows_path(&self) -> bool {
        self.at.checked_sub(1).is_some_and(|before| self.tokens[before].text == "::")
    }

    fn here(&self) -> Vec<String> {
        self.module.iter().cloned().chain(self.inner.iter().map(|(name, _)| name.clone())).collect()
    }

    fn report(&mut self, ahead: usize, target: Target) {
        let line = self.tokens.get(self.at + ahead).or(self.tokens.last()).map_or(0, |token| token.line);
        self.found.push(Finding { line, target });
    }

    fn hidden(&mut self, ahead: usize, how: &str) {
        self.report(ahead, Target::Hidden(how.to_owned()));
    }

    /// Passes over `#[cfg(test)] mod … { … }`, also with more conditions beside `test`.
    fn test_module(&mut self) -> bool {
        let plain = self.matches(1, &["[", "cfg", "(", "test", ")", "]"]).then_some(7);
        let all = self.matches(1, &["[", "cfg", "(", "all", "(", "test", ","]).then(|| {
            let end = (8..).find(|ahead| self.text(*ahead).is_none_or(|text| text == "]")).unwrap_or(8);
            end + 1
        });
        let Some(mut ahead) = plain.or(all) else { return false };
        if self.text(ahead) != Some("mod") || self.text(ahead + 2) != Some("{") {
            return false;
        }
        let mut depth = 0;
        ahead += 2;
        loop {
            match self.text(ahead) {
                Some("{") => depth += 1,
                Some("}") => depth -= 1,
                None => break,
                Some(_) => {}
            }
            ahead += 1;
            if depth == 0 {
                break;
            }
        }
        self.at += ahead;
        true
    }

    /// `use …;`
    fn use_tree(&mut self) {
        self.at += 1;
        if self.text(0) == Some("::") {
            self.at += 1;
        }
        self.branch(None);
    }

    /// One branch of a `use` tree; `prefix` is the module that it begins in, where that is one of ours.
    fn branch(&mut self, prefix: Option<Vec<String>>) {
        match self.text(0) {
            Some("{") => {
                self.at += 1;
                while let Some(text) = self.text(0) {
                    match text {
                        "}" => {
                            self.at += 1;
                            return;
                        }
                        "," => self.at += 1,
                        _ => self.branch(prefix.clone()),
                    }
                }
            }
            Some("crate" | "super" | "self") => {
                let prefix = prefix.unwrap_or_else(|| self.here());
                self.path(prefix);
            }
            Some("countersign") if prefix.is_none() => {
                self.hidden(0, "the crate by its own name");
                self.rest_of_branch();
            }
            // In Rust 2024 a bare name is a crate or an item of this module; in the root such an item is a room.
            Some(name) if prefix.is_none() => {
                if self.here().is_empty() && self.text(1) == Some("::") && !["std", "core", "alloc"].contains(&name) {
                    let name = name.to_owned();
                    self.report(0, Target::Room(name));
                }
                self.rest_of_branch();
            }
            Some(_) => self.path_from(prefix.unwrap_or_default()),
            None => {}
        }
    }

    /// A path that begins with `crate`, `super` or `self`, standing in `module`.
    fn path(&mut self, module: Vec<String>) {
        let mut module = module;
        loop {
            match self.text(0) {
                Some("crate") => module.clear(),
                Some("super") => {
                    module.pop();
                }
                Some("self") => {}
                _ => break,
            }
            if self.text(1) != Some("::") {
                if module.is_empty() {
                    self.hidden(0, "the root itself");
                }
                self.at += 1;
                return;
            }
            self.at += 2;
        }
        self.path_from(module);
    }

    /// What follows a prefix of ours: a name, a group, or everything.
    fn path_from(&mut self, module: Vec<String>) {
        match self.text(0) {
            Some("{") => self.branch(Some(module)),
            Some("*") => {
                if module.is_empty() {
                    self.hidden(0, "everything of the root");
                }
                self.at += 1;
            }
            Some("crate" | "super" | "self") => self.path(module),
            Some(name) => {
                let room = module.first().map_or(name, String::as_str).to_owned();
                self.report(0, Target::Room(room));
                self.at += 1;
                // `super::other::super` does not exist: the rest of the path stays inside what was named.
                self.rest_of_branch();
            }
            None => {}
        }
    }

    /// Passes over the rest of one branch of a `use` tree, or of a path in code.
    fn rest_of_branch(&mut self) {
        while let Some(text) = self.text(0) {
            match text {
                "::" if self.text(1) == Some("{") => {
                    self.at += 1;
                    self.group();
                }
                "::" | "as" | "*" => self.at += 1,
                "{" | "}" | "," | ";" => return,
                _ if self.at > 0 && matches!(self.tokens[self.at - 1].text.as_str(), "::" | "as" | "use" | "{" | ",") => self.at += 1,
                _ => return,
            }
        }
    }

    fn group(&mut self) {
        let mut depth = 0;
        while let Some(text) = self.text(0) {
            match text {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }
}

/// Names, `::`, plain strings, and single characters; no comments, no other literals.
fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let (mut at, mut line) = (0, 1);
    let mut found: Vec<Token> = Vec::new();
    while at < bytes.len() {
        let rest = &text[at..];
        let length = match bytes[at] {
            byte if byte.is_ascii_whitespace() => 1,
            b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => comment(rest),
            b'"' => {
                let length = 1 + quoted(&rest[1..]);
                found.push(Token { text: rest[..length].to_owned(), line });
                length
            }
            b'r' if raw(rest).is_some() => raw(rest).unwrap(),
            b'b' if rest.starts_with("b\"") => 2 + quoted(&rest[2..]),
            b'\'' => character(rest),
            byte if byte.is_ascii_alphabetic() || byte == b'_' => {
                let name = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                found.push(Token { text: rest[..name].to_owned(), line });
                name
            }
            b':' if rest.starts_with("::") => {
                found.push(Token { text: "::".into(), line });
                2
            }
            _ => {
                let length = rest.chars().next().map_or(1, char::len_utf8);
                found.push(Token { text: rest[..length].to_owned(), line });
                length
            }
        };
        line += text[at..at + length].matches('\n').count();
        at += length;
    }
    found
}

/// Block comments nest.
fn comment(rest: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// To the closing quote, which is included.
fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A raw string, or the `r#` before a name.
fn raw(rest: &str) -> Option<usize> {
    let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
    let body = &rest[1 + hashes..];
    if !body.starts_with('"') {
        return (hashes == 1).then_some(2);
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body[1..].find(&end).map_or(body.len() - 1, |at| at + end.len());
    Some(1 + hashes + 1 + length)
}

/// A character, or the quote of a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_), _) => rest[3..].find('\'').map_or(1, |at| at + 4),
        (Some(_), Some((at, '\'')), _) => at + 1,
        _ => 1,
    }
}
