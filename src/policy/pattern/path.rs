//! Patterns over canonical paths.

use super::{Affix, Shape, Step};
use crate::request::{Escapes, PathParams, Strictness, canonical_path};
use std::borrow::Cow;

/// A listener may accept all of these, so a pattern may name them.
const WIDEST: Strictness = Strictness { path_params: PathParams::Allow, escapes: Escapes::Opaque, head_fields: 0 };

/// The target of an OPTIONS about the server as a whole (RFC 9112, section 3.2.4). No path begins like it, and only this pattern matches it.
const ASTERISK: &str = "*";

/// What ends a pattern that matches one or more segments of any kind after the others.
const REST: &str = "/**";

/// What ends a pattern whose last segment is literally `**`, which escapes can write: no name is empty.
const END: &str = "{}";

/// A pattern: literal segments, `{name}` for one non-empty segment, `before{name}after` inside one, a last `**` for one or more; or [`ASTERISK`].
///
/// Its text says all of it, with literals as canonical paths have them, where no brace stands for itself: a table of a hundred thousand keeps nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathPattern<'p>(Cow<'p, str>);

type Wrong = (String, String);

impl<'p> PathPattern<'p> {
    /// Reads a pattern as an author writes it.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        if text == ASTERISK {
            return Ok(Self(Cow::Borrowed(ASTERISK)));
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
        let mut canonical = String::with_capacity(text.len());
        for part in parts {
            canonical.push('/');
            segment(part, &mut canonical)?;
        }
        if rest {
            canonical.push_str(REST);
        } else if canonical.ends_with(REST) {
            canonical.push_str(END);
        }
        Ok(Self(canonical.into()))
    }

    /// The pattern that [`as_str`](Self::as_str) gave.
    pub(crate) fn of(canonical: &'p str) -> Self {
        Self(Cow::Borrowed(canonical))
    }

    /// Its text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a canonical path matches.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let (head, rest) = self.halves();
        let literal = head.find('{').map_or(head.len(), |brace| head.get(..brace).and_then(|text| text.rfind('/')).map_or(0, |at| at + 1));
        // What comes before the first segment with a brace is the same, byte by byte; most patterns end here.
        let (Some(left), Some(wanted)) = (head.get(..literal).and_then(|same| path.strip_prefix(same)), head.get(literal..)) else {
            return false;
        };
        if wanted.is_empty() {
            return if rest { left.starts_with('/') } else { left.is_empty() };
        }
        let mut actual = segments(left);
        let fits = segments(wanted).all(|wanted| actual.next().is_some_and(|segment| step(wanted).fits(segment)));
        fits && actual.next().is_some() == rest
    }

    /// Its segments as the automaton reads them: those of [`segments`].
    pub(crate) fn shape(&self) -> Shape<'_> {
        Shape::of_path(&self.0)
    }

    /// Whether it is the target of `OPTIONS *`, which no other method has.
    pub(crate) fn is_asterisk(&self) -> bool {
        self.0 == ASTERISK
    }

    /// Whether it ends with `**`.
    pub(crate) fn is_wild(&self) -> bool {
        self.halves().1
    }

    /// What stands before a last `**`, and whether there is one.
    fn halves(&self) -> (&str, bool) {
        halves(&self.0)
    }
}

impl<'p> Shape<'p> {
    /// The segments of a path pattern's own text.
    pub(in crate::policy) fn of_path(canonical: &'p str) -> Self {
        let (head, rest) = halves(canonical);
        Self { steps: segments(head).map(step).collect(), rest }
    }
}

fn halves(canonical: &str) -> (&str, bool) {
    canonical.strip_suffix(REST).map_or((canonical, false), |head| (head, true))
}

/// The segments of a canonical path. The first one is what stands before the first slash: nothing, or the [`ASTERISK`].
pub(crate) fn segments(path: &str) -> Segments<'_> {
    Segments(Some(path))
}

/// What is left of a path. Segments are short, and looking at byte after byte is twice as fast as what finds a character in a long text.
#[derive(Debug, Clone)]
pub(crate) struct Segments<'p>(Option<&'p str>);

impl<'p> Iterator for Segments<'p> {
    type Item = &'p str;

    fn next(&mut self) -> Option<&'p str> {
        let left = self.0?;
        let Some(slash) = left.bytes().position(|byte| byte == b'/') else { return self.0.take() };
        self.0 = left.get(slash + 1..);
        left.get(..slash)
    }
}

/// What a segment of a pattern's own text asks for.
fn step(segment: &str) -> Step<'_> {
    let braces = segment.split_once('{').and_then(|(before, after)| after.split_once('}').map(|(name, after)| (before, name, after)));
    match braces {
        None => Step::Literal(segment),
        Some((before, "", _)) => Step::Literal(before),
        Some(("", _, "")) => Step::Any,
        Some((before, _, after)) => Step::Between(Affix { before, after }),
    }
}

/// Adds one segment, as an author writes it, to a pattern's own text.
fn segment(text: &str, canonical: &mut String) -> Result<(), Wrong> {
    if text.contains('*') {
        return Err(wrong("has a * inside", "write {name} for one segment, a last ** for the rest, %2A for the character itself"));
    }
    let Some((before, after)) = text.split_once('{') else {
        if text.contains('}') {
            return Err(wrong("has a } without {", "write {name} for one segment"));
        }
        return literal("", text, "", canonical);
    };
    let (name, after) = after.split_once('}').ok_or_else(|| wrong("has a { without }", "write {name} for one segment"))?;
    let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if !named || after.contains(['{', '}']) {
        return Err(wrong("has braces without one plain name in them", "write one {name} a segment, of letters, digits, _ and -"));
    }
    literal("", before, if before.is_empty() && after.is_empty() { "" } else { "x" }, canonical)?;
    canonical.extend(["{", name, "}"]);
    literal(if after.is_empty() { "" } else { "x" }, after, "", canonical)
}

/// Adds the canonical form of what stands literally in a segment, between these two, as which something else stands there.
fn literal(before: &str, text: &str, after: &str, canonical: &mut String) -> Result<(), Wrong> {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        canonical.push_str(text);
        return Ok(());
    }
    let path = match canonical_path(&format!("/{before}{text}{after}"), &WIDEST) {
        Ok(path) => path.into_owned(),
        Err(error) => return Err(wrong(&error.to_string(), "write the path as a request would have it, without query and fragment")),
    };
    let same = path.strip_prefix('/').and_then(|text| text.strip_prefix(before)).and_then(|text| text.strip_suffix(after));
    canonical.push_str(same.unwrap_or_default());
    Ok(())
}

fn wrong(what: &str, instead: &str) -> Wrong {
    (what.to_owned(), instead.to_owned())
}
