//! Who an end user is, as records name them.

/// The most bytes of a name that are kept: more than a record shows, so that it still says that there was more.
const LONGEST: usize = 4_096;

/// The end user of a verified token. Made once a token, shared by the records of its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The token's `iss`: an issuer of the table.
    pub iss: Box<str>,
    /// Its `sub` (RFC 7519 section 4.1.2), where it has one.
    pub sub: Option<Box<str>>,
}

impl User {
    pub(super) fn new(iss: &str, sub: Option<&str>) -> Self {
        let sub = sub.map(|sub| sub.get(..sub.floor_char_boundary(LONGEST)).unwrap_or_default().into());
        Self { iss: iss.into(), sub }
    }

    /// Bytes that it takes, about.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.iss.len() + self.sub.as_ref().map_or(0, |sub| sub.len())
    }
}
