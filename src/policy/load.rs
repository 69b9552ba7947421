//! From a source to a table.

use super::bundle::{Bundle, BundleError, Bundles, Fetched, MAX_BYTES, Manifest, Sequences, looks_like};
use super::settings::{Accepted, Signed};
use super::{Listeners, Part, Settings, Source, Table, Tables, parse};
use crate::document::Problems;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::SystemTime;

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The text is there and wrong. Trying again helps once somebody has mended it; at start the process ends.
    #[error("{0}")]
    Malformed(Problems),
    /// The source cannot be read. Trying again may help; meanwhile everything is denied.
    #[error("{source_name}: {reason}")]
    Unavailable {
        /// What could not be read: the path, `env:NAME` or the URL.
        source_name: String,
        /// Why.
        reason: String,
    },
    /// What is there is no bundle that is accepted. Trying again helps once there is one; meanwhile everything is denied.
    #[error("{source_name}: {error}")]
    Refused {
        /// Where it came from.
        source_name: String,
        /// Why.
        error: BundleError,
    },
}

impl LoadError {
    /// The stable label: `malformed`, `unavailable` or `refused`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Unavailable { .. } => "unavailable",
            Self::Refused { .. } => "refused",
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

/// What was read of all sources together.
#[derive(Debug)]
pub struct LoadedTables {
    /// The tables.
    pub tables: Tables,
    /// Their texts.
    pub texts: Vec<Text>,
    /// The bundles that they came in. [`Sequences::accept`] them before the tables are in force.
    pub bundles: Bundles,
}

/// What bundles are judged by, beside the settings.
#[derive(Clone, Copy)]
pub struct Judging<'a> {
    /// Those that were accepted before.
    pub sequences: &'a Sequences,
    /// Those that came from elsewhere.
    pub fetched: &'a Fetched,
    /// Now.
    pub now: SystemTime,
}

/// Reads every table that decides, for these listeners, and gives their texts too. Blocks on the files. Without a candidate's source there is none: after a
/// promotion its file is gone.
///
/// # Errors
/// [`LoadError`]; the caller keeps what was good last.
pub fn load_all(settings: &Settings, listeners: &Listeners, judging: Judging<'_>) -> Result<LoadedTables, LoadError> {
    let (mut texts, mut manifests) = (Vec::new(), Vec::new());
    let mut load = |part: Part, source: &Source, own: Option<&Manifest>| {
        let given = read(part, source, settings.signed.as_ref(), own, judging)?;
        let table = given.table(listeners)?;
        let Given { name, toml, manifest } = given;
        texts.push(Text { name, toml, sha256: table.facts.sha256.clone() });
        manifests.extend(manifest.clone().map(|manifest| (part, manifest)));
        Ok((table, manifest))
    };
    let (own, manifest) = load(Part::Own, &settings.source, None)?;
    let mut beside = |part: Part, source: &Source| load(part, source, manifest.as_ref()).map(|(table, _)| table);
    let boundary = settings.boundary.as_ref().map(|source| beside(Part::Boundary, source)).transpose()?;
    let candidate = match settings.candidate.as_ref().map(|source| beside(Part::Candidate, source)) {
        Some(Err(LoadError::Unavailable { source_name, reason })) => {
            tracing::info!(source_name, reason, "there is no candidate: nothing is tried beside the policy table");
            None
        }
        other => other.transpose()?,
    };
    Ok(LoadedTables { tables: Tables::new(own, boundary, candidate), texts, bundles: Bundles::new(manifests) })
}

/// The text of one table.
#[derive(Debug)]
pub struct Given {
    /// What problems call it.
    pub name: String,
    /// Its TOML.
    pub toml: String,
    /// The manifest of its bundle, where it came in one.
    pub manifest: Option<Manifest>,
}

/// Reads the text of the table that plays `part` from its source; `signed` says which bundles are accepted, and `own` is the manifest of the own table, where it
/// was read before this one. Blocks on the file.
///
/// # Errors
/// [`LoadError`].
pub fn read(
    part: Part,
    source: &Source,
    signed: Option<&Signed>,
    own: Option<&Manifest>,
    judging: Judging<'_>,
) -> Result<Given, LoadError> {
    let refused = |error: BundleError| LoadError::Refused { source_name: source.to_string(), error };
    match (read_bytes(source, judging.fetched), signed) {
        (Ok((name, bytes)), None) => plain_text(&name, bytes).map(|toml| Given { name, toml, manifest: None }),
        (Ok((name, bytes)), Some(signed)) => {
            let (manifest, toml) = accepted(part, &bytes, signed, own, judging).map_err(refused)?;
            Ok(Given { name, toml, manifest: Some(manifest) })
        }
        // Where tables are signed, whatever comes in their place is waited out.
        (Err(LoadError::Malformed(problems)), Some(_)) => Err(refused(BundleError::Table(problems))),
        (Err(error), _) => Err(error),
    }
}

impl Given {
    /// The table.
    ///
    /// # Errors
    /// [`LoadError::Malformed`], or of a bundle [`LoadError::Refused`].
    pub fn table(&self, listeners: &Listeners) -> Result<Arc<Table>, LoadError> {
        let read = parse(&self.name, &self.toml, listeners);
        let Some(manifest) = &self.manifest else { return read.map_err(LoadError::Malformed) };
        read.map_err(BundleError::Table)
            .and_then(|table| manifest.is_of(table))
            .map_err(|error| LoadError::Refused { source_name: self.name.clone(), error })
    }
}

/// The text of a bundle that is accepted for `part`.
fn accepted(
    part: Part,
    bytes: &[u8],
    signed: &Signed,
    own: Option<&Manifest>,
    judging: Judging<'_>,
) -> Result<(Manifest, String), BundleError> {
    let Judging { sequences, now, .. } = judging;
    let verified = Bundle::parse(bytes)?.verified(&signed.public_key, now)?;
    let (Accepted { name, min_sequence }, key, pinned) = match part {
        Part::Own => (&signed.own, "name", sequences.name(Part::Own)),
        Part::Boundary => (&signed.boundary, "boundary_name", sequences.name(Part::Boundary)),
        // What takes the place of the own table is called like it.
        Part::Candidate => (&signed.own, "name", own.map(|own| own.name.clone())),
    };
    let found = verified.manifest().name.clone();
    let floor = sequences.highest(&found)?.max(*min_sequence);
    let verified = verified.expected(name.as_ref().or(pinned.as_ref()).map(String::as_str), key, floor)?;
    if part == Part::Boundary && own.is_some_and(|own| own.name == found) {
        return Err(BundleError::CapsItself { name: found });
    }
    Ok(verified.into_parts())
}

fn plain_text(name: &str, bytes: Vec<u8>) -> Result<String, LoadError> {
    if looks_like(&bytes) {
        let instead = "write the key that signed it in [policy] public_key, or put the plain table here";
        return Err(malformed(name, "is a signed bundle, and nothing says whose signature counts", instead));
    }
    String::from_utf8(bytes).map_err(|_| malformed(name, "is not UTF-8", "write TOML, in a variable plain or as base64"))
}

/// What a source holds, bundle or table, and what problems call it.
fn read_bytes(source: &Source, fetched: &Fetched) -> Result<(String, Vec<u8>), LoadError> {
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
        Source::Remote(remote) => {
            let name = remote.to_string();
            let bytes = fetched.bytes(remote).map_err(|reason| unavailable(&name, reason))?;
            (name, bytes.to_vec())
        }
    };
    if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_BYTES) {
        return Err(malformed(&name, "is larger than 64 MiB", "use sets and patterns"));
    }
    Ok((name, bytes))
}

fn read_capped(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Undoes base64 where the value is that: a TOML text has an equals sign between a key and a value, base64 only at its end; a bundle has braces.
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

    fn load(source: &Source, listeners: &Listeners) -> Result<Arc<Table>, LoadError> {
        let judging = Judging { sequences: &Sequences::default(), fetched: &Fetched::default(), now: SystemTime::now() };
        read(Part::Own, source, None, None, judging)?.table(listeners)
    }

    const TEXT: &str = "schema = 1\nname = \"t\"\n";

    #[test]
    fn a_missing_file_is_unavailable_and_a_wrong_one_is_malformed() {
        let missing = load(&Source::File("/nonexistent/policy.toml".into()), &Listeners::default()).unwrap_err();
        assert_eq!(missing.reason(), "unavailable");
        let unset = load(&Source::Env("COUNTERSIGN_TEST_UNSET_VARIABLE".into()), &Listeners::default()).unwrap_err();
        assert_eq!(unset.reason(), "unavailable");
        for (bytes, reason) in [(&b"schema = 2"[..], "malformed"), (b"\xff", "malformed"), (b"", "malformed"), (b" {}", "malformed")] {
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
