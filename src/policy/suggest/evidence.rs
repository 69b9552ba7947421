//! What a rule is suggested for.

use std::time::SystemTime;

/// Requests that were allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Evidence {
    pub(super) count: u64,
    pub(super) first: SystemTime,
    pub(super) last: SystemTime,
    /// The path of one of them: the first in the order of letters, whatever the order of the log.
    pub(super) example: Box<str>,
}

impl Evidence {
    /// Adds one request to what is known.
    pub(super) fn add(known: &mut Option<Self>, at: SystemTime, path: &str) {
        let Some(known) = known else {
            *known = Some(Self { count: 1, first: at, last: at, example: path.into() });
            return;
        };
        known.count += 1;
        known.first = known.first.min(at);
        known.last = known.last.max(at);
        if path < &*known.example {
            known.example = path.into();
        }
    }

    /// Adds what is known elsewhere.
    pub(super) fn unite(known: &mut Option<Self>, other: Self) {
        let Some(known) = known else {
            *known = Some(other);
            return;
        };
        known.count += other.count;
        known.first = known.first.min(other.first);
        known.last = known.last.max(other.last);
        if other.example < known.example {
            known.example = other.example;
        }
    }
}
