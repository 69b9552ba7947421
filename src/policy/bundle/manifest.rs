//! What a signature is over.

use super::super::{Table, canonical_json, json, moment};
use super::BundleError;
use crate::runtime::signer::Sha256;
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The longest that a bundle may be good for, from now: what somebody withdrew and somebody else keeps showing ends by then.
pub const LONGEST: Duration = Duration::from_secs(30 * 24 * 3_600);

/// How far the clock of who signs may be ahead of the one that verifies.
pub const APART: Duration = Duration::from_secs(3_600);

/// The highest sequence: every reader of JSON takes whole numbers up to here for what they are (RFC 8259 section 6).
const HIGHEST: u64 = (1 << 53) - 1;

/// The most bytes of a name, and of a version.
const TEXT_BYTES: usize = 256;

/// Which table it is, in which order, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Whose table it is: the `name` that the table has too.
    pub name: String,
    /// Free text, as a rule the table's own `version`.
    pub version: String,
    /// SHA-256 over the UTF-8 bytes of the table's text, lower-case hex. Not the table's own hash, which does not change with comments and layout.
    pub sha256: String,
    /// Counts up with each bundle of this name; from 1 to 2^53 - 1.
    pub sequence: u64,
    /// Until when it is good, whole seconds.
    pub not_after: NotAfter,
}

/// The end of a bundle's time, in whole seconds since 1970: what is signed says the same to whoever reads and writes it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotAfter(SystemTime);

impl NotAfter {
    /// That moment, without what it has of a second; `None` before 1970.
    pub fn at(moment: SystemTime) -> Option<Self> {
        let seconds = moment.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).map(Self)
    }

    /// Reads an RFC 3339 time.
    pub fn parse(text: &str) -> Option<Self> {
        Self::at(moment::parse(text)?)
    }

    /// The moment.
    pub fn time(self) -> SystemTime {
        self.0
    }

    /// Whether a bundle may be good until then; `apart`: how far the clock that it comes from may be ahead of ours.
    ///
    /// # Errors
    /// [`BundleError::Expired`], [`BundleError::TooLong`].
    pub fn check(self, now: SystemTime, apart: Duration) -> Result<(), BundleError> {
        match self.0.duration_since(now) {
            Err(_) => Err(BundleError::Expired { not_after: self.0 }),
            Ok(left) if left > LONGEST + apart => Err(BundleError::TooLong { not_after: self.0 }),
            Ok(_) => Ok(()),
        }
    }
}

/// In UTC (RFC 3339).
impl std::fmt::Display for NotAfter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&moment::format(self.0))
    }
}

impl Manifest {
    /// The manifest of this table.
    ///
    /// # Errors
    /// [`BundleError::Malformed`]: a value that no manifest may have.
    pub fn of(table: &str, name: &str, version: &str, sequence: u64, not_after: NotAfter) -> Result<Self, BundleError> {
        let sha256 = canonical_json::sha256(table);
        Self { name: name.to_owned(), version: version.to_owned(), sha256, sequence, not_after }.sound()
    }

    /// The text that is signed: its five members in the order of their names, without white space, the time in UTC.
    pub fn canonical(&self) -> String {
        self.json().to_string()
    }

    pub(super) fn json(&self) -> Value {
        canonical_json::object([
            ("name", self.name.as_str().into()),
            ("version", self.version.as_str().into()),
            ("sha256", self.sha256.as_str().into()),
            ("sequence", self.sequence.into()),
            ("not_after", self.not_after.to_string().into()),
        ])
    }

    /// SHA-256 over [`Manifest::canonical`], which is what a key signs.
    pub fn digest(&self) -> Sha256 {
        digest(&SHA256, self.canonical().as_bytes()).as_ref().try_into().unwrap_or_default()
    }

    /// The table that was read of its bundle, if that is what the manifest is about.
    ///
    /// # Errors
    /// [`BundleError::OtherTable`].
    pub fn is_of(&self, table: Arc<Table>) -> Result<Arc<Table>, BundleError> {
        if table.facts.name == self.name {
            return Ok(table);
        }
        Err(BundleError::OtherTable { table: table.facts.name.clone(), manifest: self.name.clone() })
    }

    /// Reads the members of a manifest, and refuses one too many.
    pub(super) fn read(mut members: Map<String, Value>) -> Result<Self, BundleError> {
        let mut text = |name: &'static str| match members.remove(name) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(missing(name, "a text")),
        };
        let (name, version, sha256) = (text("name")?, text("version")?, text("sha256")?);
        let not_after = NotAfter::parse(&text("not_after")?).ok_or_else(|| missing("not_after", "a time such as 2026-12-05T00:00:00Z"))?;
        let sequence = members.remove("sequence").and_then(|value| value.as_u64()).ok_or_else(|| missing("sequence", "a whole number"))?;
        json::nothing_else(&members)
            .map_err(|name| BundleError::Malformed(format!("its manifest has a member {name:?}, which none has")))?;
        Self { name, version, sha256, sequence, not_after }.sound()
    }

    fn sound(self) -> Result<Self, BundleError> {
        let texts = [("name", &self.name), ("version", &self.version)];
        if let Some((which, _)) = texts.iter().find(|(_, text)| text.len() > TEXT_BYTES || text.chars().any(char::is_control)) {
            return Err(BundleError::Malformed(format!("`{which}` is longer than {TEXT_BYTES} bytes, or has control characters")));
        }
        if self.name.is_empty() {
            return Err(BundleError::Malformed("`name` is empty".to_owned()));
        }
        let is_hash = self.sha256.len() == 64 && self.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match (is_hash, (1..=HIGHEST).contains(&self.sequence)) {
            (false, _) => Err(missing("sha256", "64 lower-case hexadecimal digits")),
            (true, false) => Err(missing("sequence", "a whole number from 1 to 9007199254740991")),
            (true, true) => Ok(self),
        }
    }
}

fn missing(name: &str, what: &str) -> BundleError {
    BundleError::Malformed(format!("`{name}` is missing, or is not {what}"))
}
