//! Patterns over canonical paths.

use super::{Affix, Shape, Step};
use crate::request::{Escapes, PathParams, Strictness, canonical_path};

/// A listener may accept all of these, so a pattern may name them.
const WIDEST: Strictness = Strictness { path_params: PathParams::Allow, escapes: Escapes::Opaque, head_fields: 0 };

/// The target of an OPTIONS about the server as a whole (RFC 9112, section 3.2.4). No path begins like it, and only this pattern matches it.
const ASTERISK: &str = "*";

/// A pattern: literal segments, `{name}` for one non-empty segment, `before{name}after` inside one, a last `**` for one or more; or [`ASTERISK`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathPattern {
    /// The canonical text up to and with the slash before the first segment that is no literal; the whole path if all are.
    head: Box<str>,
    /// The segments from there on, without a last `**`.
    tail: Box<[Step]>,
    /// Whether it ends with `**`.
    rest: bool,
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, (String, String)> {
        if text == ASTERISK {
            return Ok(Self { head: ASTERISK.into(), tail: Box::default(), rest: false });
        }
        let path = text
            .strip_prefix('/')
            .ok_or_else(|| wrong("does not begin with /", "write \"/…\"; \"/**\" is every path, and \"*\" the target of OPTIONS *"))?;
        let (path, rest) = match path.strip_suffix("**") {
            Some(before) if before.is_empty() || before.ends_with('/') => (before, true),
            _ => (path, false),
        };
        let mut parts: Vec<&str> = path.split('/').collect();
        if rest {
            // What stands after the slash before `**`.
            parts.pop();
        }
        let last = if rest { parts.len() } else { parts.len().saturating_sub(1) };
        if parts.iter().take(last).any(|part| part.is_empty()) {
            return Err(wrong("has an empty segment", "write one slash between segments"));
        }
        let segments = parts.iter().map(|part| step(part)).collect::<Result<Vec<_>, _>>()?;
        let literals = segments.iter().take_while(|segment| matches!(segment, Step::Literal(_))).count();
        let whole = literals == segments.len();
        let mut head = String::from("/");
        for part in parts.iter().take(literals) {
            head.push_str(part);
            head.push('/');
        }
        if whole && !rest {
            head.pop();
        }
        let head = canonical(&head)?.into();
        Ok(Self { head, tail: segments.into_iter().skip(literals).collect(), rest })
    }

    /// Whether a canonical path matches.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let Some(mut left) = path.strip_prefix(&*self.head) else { return false };
        let Some((last, before)) = self.tail.split_last() else { return self.rest || left.is_empty() };
        for segment in before {
            match left.split_once('/') {
                Some((actual, after)) if segment.fits(actual) => left = after,
                _ => return false,
            }
        }
        match left.split_once('/') {
            Some((actual, _)) => self.rest && last.fits(actual),
            None => !self.rest && last.fits(left),
        }
    }

    /// Its segments as the automaton reads them: those of [`segments`].
    pub(crate) fn shape(&self) -> Shape {
        let whole = self.tail.is_empty() && !self.rest;
        let head = if whole { &*self.head } else { self.head.strip_suffix('/').unwrap_or(&self.head) };
        let literals = segments(head).map(|segment| Step::Literal(segment.into()));
        Shape { steps: literals.chain(self.tail.iter().cloned()).collect(), rest: self.rest }
    }

    /// Whether it is the target of `OPTIONS *`, which no other method has.
    pub(crate) fn is_asterisk(&self) -> bool {
        *self.head == *ASTERISK
    }

    /// Whether it ends with `**`.
    pub(crate) fn is_wild(&self) -> bool {
        self.rest
    }
}

/// The segments of a canonical path. The first one is what stands before the first slash: nothing, or the [`ASTERISK`].
pub(crate) fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
}

/// Reads one segment.
fn step(text: &str) -> Result<Step, (String, String)> {
    if text.contains('*') {
        return Err(wrong("has a * inside", "write {name} for one segment, a last ** for the rest, %2A for the character itself"));
    }
    let Some((before, after)) = text.split_once('{') else {
        if text.contains('}') {
            return Err(wrong("has a } without {", "write {name} for one segment"));
        }
        return literal(text).map(Step::Literal);
    };
    let (name, after) = after.split_once('}').ok_or_else(|| wrong("has a { without }", "write {name} for one segment"))?;
    let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if !named || after.contains(['{', '}']) {
        return Err(wrong("has braces without one plain name in them", "write one {name} a segment, of letters, digits, _ and -"));
    }
    if before.is_empty() && after.is_empty() {
        return Ok(Step::Any);
    }
    let before = canonical(&format!("/{before}x"))?;
    let after = canonical(&format!("/x{after}"))?;
    let before = before.strip_prefix('/').and_then(|text| text.strip_suffix('x')).unwrap_or_default().into();
    let after = after.strip_prefix("/x").unwrap_or_default().into();
    Ok(Step::Between(Affix { before, after }))
}

/// A literal segment; the empty one is a slash at the end.
fn literal(text: &str) -> Result<Box<str>, (String, String)> {
    let path = canonical(&format!("/{text}"))?;
    Ok(path.strip_prefix('/').unwrap_or_default().into())
}

fn canonical(path: &str) -> Result<String, (String, String)> {
    match canonical_path(path, &WIDEST) {
        Ok(path) => Ok(path.into_owned()),
        Err(error) => Err(wrong(&error.to_string(), "write the path as a request would have it, without query and fragment")),
    }
}

fn wrong(what: &str, instead: &str) -> (String, String) {
    (what.to_owned(), instead.to_owned())
}
