//! From a source to a table.

use super::{Listeners, Settings, Source, Table, Tables, parse};
use crate::document::Problems;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

/// The most bytes of a table's text: a hundred thousand rules fit, an endless file does not fill the memory.
const MAX_BYTES: u64 = 64 << 20;

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The text is there and wrong. Trying again helps once somebody has mended it; at start the process ends.
    #[error("{0}")]
    Malformed(Problems),
    /// The source cannot be read. Trying again may help; meanwhile everything is denied.
    #[error("{source_name}: {reason}")]
    Unavailable {
        /// What could not be read: the path, or `env:NAME`.
        source_name: String,
        /// Why.
        reason: String,
    },
}

impl LoadError {
    /// The stable label: `malformed` or `unavailable`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Unavailable { .. } => "unavailable",
        }
    }
}

/// What a table was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// What problems call it.
    pub name: String,
    /// Its TOML.
    pub toml: String,
    /// The hash of the table that was made of it.
    pub sha256: String,
}

/// Reads every table that decides, for these listeners, and gives their texts too. Blocks on the files. Without a candidate's source there is none: after a
/// promotion its file is gone.
///
/// # Errors
/// [`LoadError`]; the caller keeps what was good last.
pub fn load_all(settings: &Settings, listeners: &Listeners) -> Result<(Tables, Vec<Text>), LoadError> {
    let mut texts = Vec::new();
    let mut load = |source: &Source| {
        let (name, toml) = read(source)?;
        let table = parse(&name, &toml, listeners).map_err(LoadError::Malformed)?;
        texts.push(Text { name, toml, sha256: table.facts.sha256.clone() });
        Ok(table)
    };
    let own = load(&settings.source)?;
    let boundary = settings.boundary.as_ref().map(&mut load).transpose()?;
    let candidate = match settings.candidate.as_ref().map(&mut load) {
        Some(Err(LoadError::Unavailable { source_name, reason })) => {
            tracing::info!(source_name, reason, "there is no candidate: nothing is tried beside the policy table");
            None
        }
        other => other.transpose()?,
    };
    Ok((Tables::new(own, boundary, candidate), texts))
}

/// Reads a table from its source, for these listeners. Blocks on the file.
///
/// # Errors
/// [`LoadError`]; the caller keeps the last good table.
pub fn load(source: &Source, listeners: &Listeners) -> Result<Arc<Table>, LoadError> {
    let (name, text) = read(source)?;
    parse(&name, &text, listeners).map_err(LoadError::Malformed)
}

/// Reads the text of a table, and what problems call it. Blocks on the file.
///
/// # Errors
/// [`LoadError`].
pub fn read(source: &Source) -> Result<(String, String), LoadError> {
    let (name, bytes) = match source {
        Source::File(path) => {
            let name = path.display().to_string();
            let bytes = File::open(path).and_then(read_capped).map_err(|error| unavailable(&name, error.to_string()))?;
            (name, bytes)
        }
        Source::Env(variable) => {
            let name = format!("env:{variable}");
            let value = std::env::var_os(variable).ok_or_else(|| unavailable(&name, "the variable is not set".into()))?;
            let bytes = plain(value.into_encoded_bytes());
            (name, bytes)
        }
    };
    if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_BYTES) {
        return Err(malformed(&name, "is larger than 64 MiB", "use sets and patterns"));
    }
    let text = String::from_utf8(bytes).map_err(|_| malformed(&name, "is not UTF-8", "write TOML, in a variable plain or as base64"))?;
    Ok((name, text))
}

fn read_capped(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Undoes base64 where the value is that: a TOML text has an equals sign between a key and a value, base64 only at its end.
fn plain(value: Vec<u8>) -> Vec<u8> {
    let dense: Vec<u8> = value.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(&dense).unwrap_or(value)
}

fn unavailable(name: &str, reason: String) -> LoadError {
    LoadError::Unavailable { source_name: name.to_owned(), reason }
}

fn malformed(name: &str, what: &str, instead: &str) -> LoadError {
    LoadError::Malformed(Problems::of_file(name, what, instead))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const TEXT: &str = "schema = 1\nname = \"t\"\n";

    #[test]
    fn a_missing_file_is_unavailable_and_a_wrong_one_is_malformed() {
        let missing = load(&Source::File("/nonexistent/policy.toml".into()), &Listeners::default()).unwrap_err();
        assert_eq!(missing.reason(), "unavailable");
        let unset = load(&Source::Env("COUNTERSIGN_TEST_UNSET_VARIABLE".into()), &Listeners::default()).unwrap_err();
        assert_eq!(unset.reason(), "unavailable");
        for (bytes, reason) in [(&b"schema = 2"[..], "malformed"), (b"\xff", "malformed"), (b"", "malformed")] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(bytes).unwrap();
            assert_eq!(load(&Source::File(file.path().into()), &Listeners::default()).unwrap_err().reason(), reason);
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(TEXT.as_bytes()).unwrap();
        assert_eq!(load(&Source::File(file.path().into()), &Listeners::default()).unwrap().facts.name, "t");
    }

    #[test]
    fn a_variable_may_hold_base64() {
        assert_eq!(plain(TEXT.into()), TEXT.as_bytes());
        let mut encoded = STANDARD.encode(TEXT);
        encoded.insert(4, '\n');
        assert_eq!(plain(encoded.into()), TEXT.as_bytes());
    }
}
