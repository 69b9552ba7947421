//! Patterns over identities: by segment or label, never by string prefix.

use super::Principal;
use super::spiffe::{check_domain, check_segment};

/// A pattern over principals. Over SPIFFE ids: `*` is exactly one segment, a last `**` is one or more. Over DNS names: a first `*` is exactly one label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PrincipalPattern(Box<str>);

/// What every SPIFFE id begins with, and every pattern over them.
const SPIFFE_SCHEME: &str = "spiffe://";

/// The first part of every SPIFFE id, and of every pattern over them.
pub(super) const SPIFFE: &str = "spiffe";

/// The first part of every DNS name, and of every pattern over them.
pub(super) const DNS: &str = "dns";

/// A part of a pattern, beside [`Principal::parts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'p> {
    /// Exactly this.
    Literal(&'p str),
    /// Any one part.
    Any,
    /// One or more parts of any kind; the last one.
    Rest,
}

impl PrincipalPattern {
    /// Parses a SPIFFE id pattern; the trust domain is always literal.
    ///
    /// # Errors
    /// A clause that says what is wrong.
    pub fn spiffe(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix(SPIFFE_SCHEME).ok_or("does not begin with spiffe://")?;
        let (domain, path) = rest.split_once('/').ok_or("has no path, so it names a trust domain and not a workload")?;
        check_domain(domain).map_err(|error| error.to_string())?;
        let mut parts: Vec<&str> = path.split('/').collect();
        if parts.last() == Some(&"**") {
            parts.pop();
        }
        parts.into_iter().try_for_each(|part| match part {
            "*" => Ok(()),
            "**" => Err("has ** before its end; ** stands for the rest and is the last segment".to_owned()),
            _ => check_segment(part).map_err(|error| error.to_string()),
        })?;
        Ok(Self(text.into()))
    }

    /// Parses a DNS name pattern, case-insensitive.
    ///
    /// # Errors
    /// A clause that says what is wrong.
    pub fn dns(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let suffix = lower.strip_prefix("*.").unwrap_or(&lower);
        let label = |label: &str| {
            let bytes = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            !label.is_empty() && label.len() <= 63 && bytes
        };
        if suffix.len() > 253 || !suffix.split('.').all(label) {
            return Err("is no DNS name (letters, digits, dashes and dots; a first * stands for exactly one label)".into());
        }
        Ok(Self(lower.into()))
    }

    /// Whether `principal` matches.
    pub fn matches(&self, principal: &Principal) -> bool {
        let mut actual = principal.parts();
        for wanted in self.parts() {
            match (wanted, actual.next()) {
                (Part::Literal(wanted), Some(part)) if wanted == part => {}
                (Part::Any, Some(part)) if !part.is_empty() => {}
                (Part::Rest, Some(_)) => return true,
                _ => return false,
            }
        }
        actual.next().is_none()
    }

    /// Its parts, for whoever compares many patterns at once.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        // A DNS name has no colon.
        let (kind, rest, separator) = match self.0.strip_prefix(SPIFFE_SCHEME) {
            Some(rest) => (SPIFFE, rest, '/'),
            None => (DNS, &*self.0, '.'),
        };
        let part = |text| match text {
            "*" => Part::Any,
            "**" => Part::Rest,
            _ => Part::Literal(text),
        };
        std::iter::once(Part::Literal(kind)).chain(rest.split(separator).map(part))
    }

    /// Whether it has a wildcard.
    pub fn is_wild(&self) -> bool {
        self.0.contains('*')
    }

    /// The pattern as it was written, in lower case where it is about DNS names.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::SpiffeId;
    use super::*;

    fn spiffe(text: &str) -> Principal {
        Principal::Spiffe(SpiffeId::parse(text).unwrap())
    }

    #[test]
    fn spiffe_patterns_match_by_segment() {
        let table = [
            ("spiffe://d/sa/a", "spiffe://d/sa/a", true),
            ("spiffe://d/sa/a", "spiffe://d/sa/ab", false),
            ("spiffe://d/sa/a", "spiffe://e/sa/a", false),
            ("spiffe://d/sa/cert-manager.io", "spiffe://d/sa/cert-manager-io", false),
            ("spiffe://d/sa/*", "spiffe://d/sa/a", true),
            ("spiffe://d/sa/*", "spiffe://d/sa", false),
            ("spiffe://d/sa/*", "spiffe://d/sa/a/b", false),
            ("spiffe://d/*/a", "spiffe://d/sa/a", true),
            ("spiffe://d/sa/**", "spiffe://d/sa", false),
            ("spiffe://d/sa/**", "spiffe://d/sa/a", true),
            ("spiffe://d/sa/**", "spiffe://d/sa/a/b/c", true),
            ("spiffe://d/sa/**", "spiffe://d/sab/a", false),
            ("spiffe://d/**", "spiffe://d/x", true),
        ];
        for (pattern, id, expected) in table {
            assert_eq!(PrincipalPattern::spiffe(pattern).unwrap().matches(&spiffe(id)), expected, "{pattern} {id}");
        }
    }

    #[test]
    fn dns_patterns_match_by_label() {
        let table = [
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "example.com", false),
            ("A.example.com", "a.example.com", true),
            ("a.example.com", "b.example.com", false),
        ];
        for (pattern, name, expected) in table {
            let principal = Principal::Dns(name.into());
            assert_eq!(PrincipalPattern::dns(pattern).unwrap().matches(&principal), expected, "{pattern} {name}");
        }
        assert!(!PrincipalPattern::dns("d").unwrap().matches(&spiffe("spiffe://d/d")));
    }

    #[test]
    fn bad_patterns_are_refused() {
        for text in ["", "spiffe://*/a", "spiffe://d", "spiffe://d/a*", "spiffe://d/**/a", "spiffe://d//a", "spiffe://d/"] {
            assert!(PrincipalPattern::spiffe(text).is_err(), "{text:?}");
        }
        for text in ["", "*", "a.*.b", "a..b", "a b", "*a.b"] {
            assert!(PrincipalPattern::dns(text).is_err(), "{text:?}");
        }
    }
}
