//! The segments that patterns tell apart.

use super::{At, Exhausted, Half};
use crate::policy::pattern::{Affix, Shape, Step};
use crate::request::{Escapes, PathParams, Strictness, canonical_path};
use std::collections::BTreeSet;

/// A listener may accept all of these.
const WIDEST: Strictness = Strictness { path_params: PathParams::Allow, escapes: Escapes::Opaque, head_fields: 0 };

/// What stands for a segment that no pattern names; the first that none does.
const FRESH: &str = "xyzwvutsrqponmlkjihgfedcba9876543210";

/// The most different segments that are followed from one place.
const MOST: usize = 65_536;

/// What segments are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Alphabet {
    /// Parts of an identity: none is empty.
    Identity,
    /// Segments of a path: the last one may be empty, and the first one is what stands before the first slash.
    Path,
    /// Labels of a host, or a whole address in brackets, which is no label.
    Host,
}

impl Alphabet {
    /// Whether nothing follows these segments.
    pub(super) fn is_closed(self, example: &[String]) -> bool {
        match self {
            Self::Identity => false,
            Self::Path => example.first().is_some_and(|first| first == "*"),
            Self::Host => example.first().is_some_and(|first| first.starts_with('[')),
        }
    }

    /// Whether a placeholder takes this segment.
    pub(super) fn is_any(self, segment: &str) -> bool {
        !(segment.is_empty() || self == Self::Host && segment.starts_with('['))
    }

    /// What may follow: every segment that some pattern names here, and some that stand for all others.
    pub(super) fn segments(
        self,
        target: &Shape<'_>,
        at: At,
        others: &[&Shape<'_>],
        halves: &[Half],
        before: usize,
    ) -> Result<Vec<String>, Exhausted> {
        if let Some(Step::Literal(only)) = target.steps.get(at) {
            return Ok(vec![only.to_string()]);
        }
        let steps = halves.iter().filter_map(|(other, at)| others.get(*other)?.steps.get(*at));
        let steps: Vec<&Step<'_>> = target.steps.get(at).into_iter().chain(steps).collect();
        let mut segments: BTreeSet<String> = steps.iter().filter_map(|step| literal(step)).collect();
        let affixes: BTreeSet<(&str, &str)> =
            steps.iter().filter_map(|step| affix(step)).map(|affix| (affix.before, affix.after)).collect();
        let fresh = fresh(&segments, &affixes)?;
        segments.extend(meetings(&affixes, &fresh)?);
        segments.insert(fresh);
        if self == Self::Path {
            segments.insert(String::new());
        }
        Ok(segments.into_iter().filter(|segment| self.takes(segment, before)).collect())
    }

    /// Whether a canonical sequence may have this segment here.
    fn takes(self, segment: &str, before: usize) -> bool {
        match self {
            Self::Identity | Self::Host => !segment.is_empty(),
            Self::Path if before == 0 => segment.is_empty() || segment == "*",
            Self::Path => canonical_path(&format!("/{segment}"), &WIDEST).is_ok_and(|path| path.strip_prefix('/') == Some(segment)),
        }
    }
}

fn literal(step: &Step<'_>) -> Option<String> {
    match step {
        Step::Literal(text) => Some(text.to_string()),
        Step::Any | Step::Between(_) => None,
    }
}

fn affix<'p>(step: &Step<'p>) -> Option<Affix<'p>> {
    match step {
        Step::Between(affix) => Some(*affix),
        Step::Any | Step::Literal(_) => None,
    }
}

/// A segment without a character that any affix has, and that is no literal: of those, a shortest one.
fn fresh(literals: &BTreeSet<String>, affixes: &BTreeSet<(&str, &str)>) -> Result<String, Exhausted> {
    let is_free = |letter: &char| !affixes.iter().any(|(before, after)| before.contains(*letter) || after.contains(*letter));
    let letters: Vec<char> = FRESH.chars().filter(is_free).collect();
    let repeated = (1..=literals.len() + 1).flat_map(|length| letters.iter().map(move |letter| letter.to_string().repeat(length)));
    repeated.into_iter().find(|text| !literals.contains(text)).ok_or(Exhausted)
}

/// For every set of affixes that some segment fits, and it alone, such a segment: it begins with the longest beginning of the set and ends with
/// the longest end, with something between, with nothing, or with both sharing what is the same.
fn meetings(affixes: &BTreeSet<(&str, &str)>, fresh: &str) -> Result<Vec<String>, Exhausted> {
    if affixes.is_empty() {
        return Ok(Vec::new());
    }
    let befores: BTreeSet<&str> = affixes.iter().map(|(before, _)| *before).chain([""]).collect();
    let afters: BTreeSet<&str> = affixes.iter().map(|(_, after)| *after).chain([""]).collect();
    let mut found = Vec::new();
    for before in &befores {
        for after in &afters {
            found.push(format!("{before}{fresh}{after}"));
            let shared = (0..=before.len().min(after.len())).filter(|length| {
                let (begin, end) = (after.get(..*length), before.get(before.len() - length..));
                begin.is_some() && begin == end
            });
            found.extend(shared.filter_map(|length| Some(format!("{before}{}", after.get(length..)?))));
            if found.len() > MOST {
                return Err(Exhausted);
            }
        }
    }
    Ok(found)
}
