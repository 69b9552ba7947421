//! Patterns segment by segment: what the automaton is made of.

/// A pattern over segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct Shape<'p> {
    /// One for each segment.
    pub(in crate::policy) steps: Vec<Step<'p>>,
    /// Whether one or more segments of any kind follow.
    pub(in crate::policy) rest: bool,
}

/// What one segment must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Step<'p> {
    /// Exactly this.
    Literal(&'p str),
    /// Anything that is not empty.
    Any,
    /// Something, not empty, between two texts.
    Between(Affix<'p>),
}

/// How a segment begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::policy) struct Affix<'p> {
    pub(in crate::policy) before: &'p str,
    pub(in crate::policy) after: &'p str,
}

impl Shape<'_> {
    /// How many of these segments it goes along with before one does not fit.
    pub(in crate::policy) fn shared<'s>(&self, segments: impl Iterator<Item = &'s str>) -> usize {
        self.steps.iter().zip(segments).take_while(|(step, segment)| step.fits(segment)).count()
    }
}

impl Step<'_> {
    /// Whether a segment is like this.
    pub(in crate::policy) fn fits(self, segment: &str) -> bool {
        match self {
            Self::Literal(wanted) => wanted == segment,
            Self::Any => !segment.is_empty(),
            Self::Between(affix) => affix.fits(segment),
        }
    }
}

impl Affix<'_> {
    /// Whether a segment begins and ends like this, with something between.
    pub(in crate::policy) fn fits(self, segment: &str) -> bool {
        let inner = segment.strip_prefix(self.before).and_then(|text| text.strip_suffix(self.after));
        inner.is_some_and(|inner| !inner.is_empty() && !cuts_escape(inner))
    }

    /// Whether some segment may fit both.
    pub(in crate::policy) fn may_meet(self, other: Self) -> bool {
        let begins = self.before.starts_with(other.before) || other.before.starts_with(self.before);
        begins && (self.after.ends_with(other.after) || other.after.ends_with(self.after))
    }
}

/// Whether the text ends inside a `%XX`, so that what follows is a part of an escape and no character of its own.
fn cuts_escape(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.last() == Some(&b'%') || bytes.len().checked_sub(2).and_then(|at| bytes.get(at)) == Some(&b'%')
}
