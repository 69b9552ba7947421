//! Patterns over identities: by segment or label, never by string prefix.

use super::spiffe::check_segment;
use super::{Principal, TrustDomain};

/// A pattern over principals. Over SPIFFE ids: `*` is exactly one segment, a last `**` is one or more. Over DNS names: a first `*` is exactly one label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PrincipalPattern {
    text: String,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Form {
    Spiffe { domain: String, segments: Vec<Segment>, rest: bool },
    Dns { any_first: bool, suffix: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Segment {
    Literal(String),
    Any,
}

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
        let rest = text.strip_prefix("spiffe://").ok_or("does not begin with spiffe://")?;
        let (domain, path) = rest.split_once('/').ok_or("has no path, so it names a trust domain and not a workload")?;
        TrustDomain::parse(domain).map_err(|error| error.to_string())?;
        let mut parts: Vec<&str> = path.split('/').collect();
        let any_rest = parts.last() == Some(&"**");
        if any_rest {
            parts.pop();
        }
        let segments = parts.into_iter().map(|part| match part {
            "*" => Ok(Segment::Any),
            "**" => Err("has ** before its end; ** stands for the rest and is the last segment".to_owned()),
            _ => check_segment(part).map(|()| Segment::Literal(part.to_owned())).map_err(|error| error.to_string()),
        });
        let form = Form::Spiffe { domain: domain.to_owned(), segments: segments.collect::<Result<_, _>>()?, rest: any_rest };
        Ok(Self { text: text.to_owned(), form })
    }

    /// Parses a DNS name pattern, case-insensitive.
    ///
    /// # Errors
    /// A clause that says what is wrong.
    pub fn dns(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let (any_first, suffix) = lower.strip_prefix("*.").map_or((false, lower.as_str()), |suffix| (true, suffix));
        let label = |label: &str| {
            let bytes = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            !label.is_empty() && label.len() <= 63 && bytes
        };
        if suffix.len() > 253 || !suffix.split('.').all(label) {
            return Err("is no DNS name (letters, digits, dashes and dots; a first * stands for exactly one label)".into());
        }
        let form = Form::Dns { any_first, suffix: suffix.to_owned() };
        Ok(Self { text: text.to_owned(), form })
    }

    /// Whether `principal` matches.
    pub fn matches(&self, principal: &Principal) -> bool {
        match (&self.form, principal) {
            (Form::Spiffe { domain, segments, rest }, Principal::Spiffe(id)) => {
                let mut actual = id.segments();
                let fits = segments.iter().all(|segment| match (segment, actual.next()) {
                    (Segment::Literal(wanted), Some(segment)) => wanted == segment,
                    (Segment::Any, Some(_)) => true,
                    (_, None) => false,
                });
                id.trust_domain() == domain && fits && actual.next().is_some() == *rest
            }
            (Form::Dns { any_first: false, suffix }, Principal::Dns(name)) => **name == **suffix,
            (Form::Dns { any_first: true, suffix }, Principal::Dns(name)) => {
                name.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == suffix)
            }
            _ => false,
        }
    }

    /// Its parts, for whoever compares many patterns at once.
    pub fn parts(&self) -> Vec<Part<'_>> {
        match &self.form {
            Form::Spiffe { domain, segments, rest } => {
                let segments = segments.iter().map(|segment| match segment {
                    Segment::Literal(text) => Part::Literal(text),
                    Segment::Any => Part::Any,
                });
                let head = [Part::Literal(SPIFFE), Part::Literal(domain)];
                head.into_iter().chain(segments).chain(rest.then_some(Part::Rest)).collect()
            }
            Form::Dns { any_first, suffix } => {
                let first = any_first.then_some(Part::Any);
                std::iter::once(Part::Literal(DNS)).chain(first).chain(suffix.split('.').map(Part::Literal)).collect()
            }
        }
    }

    /// Whether it has a wildcard.
    pub fn is_wild(&self) -> bool {
        match &self.form {
            Form::Spiffe { segments, rest, .. } => *rest || segments.contains(&Segment::Any),
            Form::Dns { any_first, .. } => *any_first,
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
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
