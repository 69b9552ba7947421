//! The members of a rule's lists, and which of them decided.

use super::super::methods::Methods;
use super::super::rule::{PrincipalSet, Rule, Whom};
use super::tally::Marks;
use crate::identity::Principal;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::iter::empty;

/// A list of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dimension {
    /// Whom it is about: patterns and `@sets`.
    From,
    /// `methods`.
    Methods,
    /// `paths`.
    Paths,
    /// `grpc`.
    Grpc,
    /// `hosts`.
    Hosts,
}

impl Dimension {
    pub(super) const ALL: [Self; 5] = [Self::From, Self::Methods, Self::Paths, Self::Grpc, Self::Hosts];

    /// The key of a rule.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::Methods => "methods",
            Self::Paths => "paths",
            Self::Grpc => "grpc",
            Self::Hosts => "hosts",
        }
    }
}

/// The members of a list, as written; of a list with fewer than two none: it is the rule itself.
pub(super) fn members(rule: &Rule, dimension: Dimension) -> Box<dyn Iterator<Item = Cow<'_, str>> + '_> {
    match dimension {
        // Everybody is in it already.
        Dimension::From if rule.from.any_authenticated || rule.from.whom.len() < 2 => Box::new(empty()),
        Dimension::From => Box::new(rule.from.whom.iter().map(|whom| match whom {
            Whom::Pattern(pattern) => Cow::Borrowed(pattern.as_str()),
            Whom::Set(set) => Cow::Owned(format!("@{}", set.name)),
        })),
        Dimension::Methods => match &rule.methods {
            Methods::Of(written) if written.all.len() > 1 => Box::new(written.all.iter().map(|method| method.as_str().into())),
            _ => Box::new(empty()),
        },
        Dimension::Paths if !rule.is_grpc() && rule.facts.templates().nth(1).is_some() => {
            Box::new(rule.facts.templates().map(Cow::Borrowed))
        }
        Dimension::Grpc if rule.grpc.len() > 1 => Box::new(rule.grpc.iter().map(|method| Cow::Borrowed(&**method))),
        Dimension::Hosts if rule.hosts.len() > 1 => Box::new(rule.hosts.iter().map(|host| host.as_str().into())),
        Dimension::Paths | Dimension::Grpc | Dimension::Hosts => Box::new(empty()),
    }
}

/// The member that a decision hangs on.
pub(super) fn decided_by<'r>(rule: &'r Rule, dimension: Dimension, marks: Marks, whom: Option<u32>) -> Option<Cow<'r, str>> {
    let place = match dimension {
        Dimension::From => whom?,
        Dimension::Methods => marks.method,
        Dimension::Paths | Dimension::Grpc => marks.path,
        Dimension::Hosts => marks.host,
    };
    members(rule, dimension).nth(usize::try_from(place).ok()?)
}

/// The first entry of `from` that is about `principal`, by its place, and where that is a set, the first of its members that is.
pub(super) fn whom<'r>(rule: &'r Rule, principal: &Principal) -> Option<(u32, Option<(&'r PrincipalSet, &'r str)>)> {
    if rule.from.any_authenticated {
        return None;
    }
    (0..).zip(&rule.from.whom).find_map(|(place, whom)| {
        let member = whom.patterns().iter().find(|pattern| pattern.matches(principal))?;
        let in_set = if let Whom::Set(set) = whom { Some((&**set, member.as_str())) } else { None };
        Some((place, in_set))
    })
}

/// The place of the first that fits; [`u32::MAX`]: none does.
pub(super) fn position<T>(mut all: impl Iterator<Item = T>, fits: impl FnMut(T) -> bool) -> u32 {
    all.position(fits).and_then(|place| u32::try_from(place).ok()).unwrap_or(u32::MAX)
}
