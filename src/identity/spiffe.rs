//! SPIFFE ids (SPIFFE-ID standard, sections 2 and 3).

use std::fmt;
use std::sync::Arc;

const SCHEME: &str = "spiffe://";
const MAX_BYTES: usize = 2_048;
const MAX_DOMAIN_BYTES: usize = 255;

/// A valid SPIFFE id with a path. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId {
    text: Arc<str>,
    domain_len: usize,
}

/// A trust domain name: `[a-z0-9._-]`, 1 to 255 bytes. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomain(Arc<str>);

/// Why a text is no SPIFFE id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeIdError {
    /// It does not begin with `spiffe://`, in lower case.
    #[error("does not begin with spiffe://")]
    Scheme,
    /// It is longer than 2,048 bytes.
    #[error("is longer than 2048 bytes")]
    TooLong,
    /// The trust domain is empty, longer than 255 bytes, or has a byte outside `[a-z0-9._-]` (a user, a port and an upper-case letter are such).
    #[error("has a trust domain with something other than a-z, 0-9, dot, dash and underscore")]
    TrustDomain,
    /// There is no path: it names a trust domain, not a workload.
    #[error("has no path, so it names a trust domain and not a workload")]
    NoPath,
    /// A path segment is empty (also: a slash at the end).
    #[error("has an empty path segment")]
    EmptySegment,
    /// A path segment is `.` or `..`.
    #[error("has a path segment of dots")]
    DotSegment,
    /// A path segment has a byte outside `[A-Za-z0-9._-]` (escapes, NUL, a query and a fragment are such).
    #[error("has a path segment with something other than letters, digits, dot, dash and underscore")]
    Segment,
}

impl SpiffeId {
    /// Parses an id.
    ///
    /// # Errors
    /// What is wrong with it; nothing is repaired.
    pub fn parse(text: &str) -> Result<Self, SpiffeIdError> {
        if text.len() > MAX_BYTES {
            return Err(SpiffeIdError::TooLong);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeIdError::Scheme)?;
        let (domain, path) = rest.split_once('/').map_or((rest, None), |(domain, path)| (domain, Some(path)));
        check_domain(domain)?;
        path.ok_or(SpiffeIdError::NoPath)?.split('/').try_for_each(check_segment)?;
        Ok(Self { text: Arc::from(text), domain_len: domain.len() })
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The trust domain's name.
    pub fn trust_domain(&self) -> &str {
        self.text.get(SCHEME.len()..SCHEME.len() + self.domain_len).unwrap_or_default()
    }

    /// The path without its first slash.
    pub fn path(&self) -> &str {
        self.text.get(SCHEME.len() + self.domain_len + 1..).unwrap_or_default()
    }

    /// The path's segments, at least one.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.path().split('/')
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TrustDomain {
    /// Parses a name.
    ///
    /// # Errors
    /// [`SpiffeIdError::TrustDomain`].
    pub fn parse(text: &str) -> Result<Self, SpiffeIdError> {
        check_domain(text)?;
        Ok(Self(Arc::from(text)))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn check_domain(text: &str) -> Result<(), SpiffeIdError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_');
    let fits = !text.is_empty() && text.len() <= MAX_DOMAIN_BYTES;
    if fits && text.bytes().all(allowed) { Ok(()) } else { Err(SpiffeIdError::TrustDomain) }
}

pub(super) fn check_segment(segment: &str) -> Result<(), SpiffeIdError> {
    match segment {
        "" => Err(SpiffeIdError::EmptySegment),
        "." | ".." => Err(SpiffeIdError::DotSegment),
        _ if segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')) => Ok(()),
        _ => Err(SpiffeIdError::Segment),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_ids_are_taken_apart() {
        let id = SpiffeId::parse("spiffe://prod.example/ns/web/sa/frontend").unwrap();
        assert_eq!(id.trust_domain(), "prod.example");
        assert_eq!(id.segments().collect::<Vec<_>>(), ["ns", "web", "sa", "frontend"]);
        assert_eq!(SpiffeId::parse("spiffe://a/...").unwrap().segments().collect::<Vec<_>>(), ["..."]);
    }

    #[test]
    fn everything_else_is_refused() {
        let long = format!("spiffe://a/{}", "x".repeat(MAX_BYTES));
        let table = [
            ("", SpiffeIdError::Scheme),
            ("SPIFFE://a/b", SpiffeIdError::Scheme),
            ("https://a/b", SpiffeIdError::Scheme),
            ("spiffe:///b", SpiffeIdError::TrustDomain),
            ("spiffe://A/b", SpiffeIdError::TrustDomain),
            ("spiffe://user@a/b", SpiffeIdError::TrustDomain),
            ("spiffe://a:8443/b", SpiffeIdError::TrustDomain),
            ("spiffe://a", SpiffeIdError::NoPath),
            ("spiffe://a/", SpiffeIdError::EmptySegment),
            ("spiffe://a/b/", SpiffeIdError::EmptySegment),
            ("spiffe://a/b//c", SpiffeIdError::EmptySegment),
            ("spiffe://a/../c", SpiffeIdError::DotSegment),
            ("spiffe://a/b?q", SpiffeIdError::Segment),
            ("spiffe://a/b#f", SpiffeIdError::Segment),
            ("spiffe://a/%62", SpiffeIdError::Segment),
            ("spiffe://a/b\0", SpiffeIdError::Segment),
            ("spiffe://a/b*", SpiffeIdError::Segment),
            (long.as_str(), SpiffeIdError::TooLong),
        ];
        for (text, error) in table {
            assert_eq!(SpiffeId::parse(text), Err(error), "{text:?}");
        }
    }
}
