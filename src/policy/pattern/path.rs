//! Patterns over canonical paths.

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
    tail: Box<[Segment]>,
    /// Whether it ends with `**`.
    rest: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// Exactly this.
    Literal(Box<str>),
    /// Something, not empty, between these two.
    Some { before: Box<str>, after: Box<str> },
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
        let segments = parts.iter().map(|part| Segment::parse(part)).collect::<Result<Vec<_>, _>>()?;
        let literals = segments.iter().take_while(|segment| matches!(segment, Segment::Literal(_))).count();
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

    /// What every path begins with that matches: up to and with a slash, or a whole path.
    pub(crate) fn head(&self) -> &str {
        &self.head
    }

    /// Whether a canonical path matches.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let Some(mut left) = path.strip_prefix(&*self.head) else { return false };
        let Some((last, before)) = self.tail.split_last() else { return self.rest || left.is_empty() };
        for segment in before {
            match left.split_once('/') {
                Some((actual, after)) if segment.matches(actual) => left = after,
                _ => return false,
            }
        }
        match left.split_once('/') {
            Some((actual, _)) => self.rest && last.matches(actual),
            None => !self.rest && last.matches(left),
        }
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

impl Segment {
    fn parse(text: &str) -> Result<Self, (String, String)> {
        if text.contains('*') {
            return Err(wrong("has a * inside", "write {name} for one segment, a last ** for the rest, %2A for the character itself"));
        }
        let Some((before, after)) = text.split_once('{') else {
            if text.contains('}') {
                return Err(wrong("has a } without {", "write {name} for one segment"));
            }
            return literal(text).map(Self::Literal);
        };
        let (name, after) = after.split_once('}').ok_or_else(|| wrong("has a { without }", "write {name} for one segment"))?;
        let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if !named || after.contains(['{', '}']) {
            return Err(wrong("has braces without one plain name in them", "write one {name} a segment, of letters, digits, _ and -"));
        }
        let before = canonical(&format!("/{before}x"))?;
        let after = canonical(&format!("/x{after}"))?;
        let before = before.strip_prefix('/').and_then(|text| text.strip_suffix('x')).unwrap_or_default().into();
        let after = after.strip_prefix("/x").unwrap_or_default().into();
        Ok(Self::Some { before, after })
    }

    fn matches(&self, actual: &str) -> bool {
        match self {
            Self::Literal(wanted) => **wanted == *actual,
            Self::Some { before, after } => {
                let inner = actual.strip_prefix(&**before).and_then(|text| text.strip_suffix(&**after));
                inner.is_some_and(|inner| !inner.is_empty() && !cuts_escape(inner))
            }
        }
    }
}

/// Whether the text ends inside a `%XX`, so that what follows is a part of an escape and no character of its own.
fn cuts_escape(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.last() == Some(&b'%') || bytes.len().checked_sub(2).and_then(|at| bytes.get(at)) == Some(&b'%')
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
