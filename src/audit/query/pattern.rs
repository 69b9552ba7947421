//! What stands after `~`: by segment for an identity, as a network for an address, as a glob for any other text.

use super::field::Kind;
use crate::identity::pattern::{Part, PrincipalPattern};
use ipnet::IpNet;
use std::net::IpAddr;

/// What a SPIFFE id begins with.
const SPIFFE: &str = "spiffe://";

/// A pattern, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    text: String,
    shape: Shape,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// Segments after `spiffe://`, of which the first one is the trust domain.
    Spiffe,
    /// Labels, in lower case.
    Dns(PrincipalPattern),
    Network(IpNet),
    Glob,
}

impl Pattern {
    /// Reads a pattern for a field of this kind.
    ///
    /// # Errors
    /// A clause that says what is wrong.
    pub(super) fn parse(kind: Kind, text: &str) -> Result<Self, String> {
        let shape = match kind {
            Kind::Id if text.starts_with(SPIFFE) => {
                spiffe(text)?;
                Shape::Spiffe
            }
            Kind::Id => Shape::Dns(PrincipalPattern::dns(text).map_err(|_| {
                "is about an identity: write spiffe://, where * stands for one segment and a last ** for the rest, or a DNS name".to_owned()
            })?),
            Kind::Address if text.contains('/') => {
                Shape::Network(text.parse().map_err(|_| "is no network; write one as in 10.0.0.0/8".to_owned())?)
            }
            _ => Shape::Glob,
        };
        Ok(Self { text: text.to_owned(), shape })
    }

    /// As it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a value matches.
    pub(super) fn matches(&self, value: &str) -> bool {
        match &self.shape {
            Shape::Spiffe => segments(&self.text, value),
            Shape::Dns(pattern) => labels(pattern, value),
            Shape::Network(network) => value.parse::<IpAddr>().is_ok_and(|address| network.contains(&address)),
            Shape::Glob => glob(self.text.as_bytes(), value.as_bytes()),
        }
    }

    /// The longest text that every match has in it; empty where there is none.
    pub(super) fn literal(&self) -> &str {
        let text = match &self.shape {
            Shape::Network(_) => return "",
            Shape::Dns(pattern) => pattern.as_str(),
            Shape::Spiffe | Shape::Glob => &self.text,
        };
        text.split('*').max_by_key(|piece| piece.len()).unwrap_or_default()
    }
}

fn spiffe(text: &str) -> Result<(), String> {
    let mut segments = text.trim_start_matches(SPIFFE).split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "" => return Err("has an empty segment".to_owned()),
            "**" if segments.peek().is_some() => {
                return Err("has ** before its end; ** stands for the rest and is the last segment".to_owned());
            }
            "*" | "**" => {}
            segment if segment.contains('*') => return Err(format!("has a * inside the segment {segment}; a * is a whole segment")),
            _ => {}
        }
    }
    Ok(())
}

/// By segment, as patterns of rules are; here the trust domain may be `*` as well.
fn segments(pattern: &str, value: &str) -> bool {
    let Some(value) = value.strip_prefix(SPIFFE) else { return false };
    let mut found = value.split('/');
    for wanted in pattern.strip_prefix(SPIFFE).unwrap_or_default().split('/') {
        match (wanted, found.next()) {
            ("**", Some(_)) => return true,
            ("*", Some(segment)) if !segment.is_empty() => {}
            (wanted, Some(segment)) if wanted == segment => {}
            _ => return false,
        }
    }
    found.next().is_none()
}

fn labels(pattern: &PrincipalPattern, value: &str) -> bool {
    let mut found = value.split('.');
    // The first part says that it is about DNS names.
    for wanted in pattern.parts().skip(1) {
        match (wanted, found.next()) {
            (Part::Literal(wanted), Some(label)) if wanted == label => {}
            (Part::Any, Some(label)) if !label.is_empty() => {}
            _ => return false,
        }
    }
    found.next().is_none()
}

/// `*` is anything without a slash, `**` is anything. Linear in the product of both lengths at worst, whatever is written.
fn glob(pattern: &[u8], value: &[u8]) -> bool {
    // Which beginnings of the value the pattern so far matches.
    let mut reached = vec![false; value.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    let mut rest = pattern;
    while let Some((letter, after)) = rest.split_first() {
        let any = if *letter == b'*' { Some(after.first() == Some(&b'*')) } else { None };
        rest = match any {
            Some(true) => after.get(1..).unwrap_or_default(),
            _ => after,
        };
        let mut before = false;
        for (index, cell) in reached.iter_mut().enumerate() {
            let passed = index.checked_sub(1).and_then(|index| value.get(index));
            let now = match any {
                Some(deep) => *cell || (before && (deep || passed != Some(&b'/'))),
                None => before && passed == Some(letter),
            };
            // A star goes on from where it is now, a letter from where the pattern was before it.
            before = if any.is_some() { now } else { *cell };
            *cell = now;
        }
    }
    reached.last() == Some(&true)
}
