//! The file of the counts.

use super::{Book, State};
use crate::runtime::files;
use serde::Deserialize;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The most bytes that are read: more than the counts of the largest table take.
const MAX_BYTES: u64 = 256 << 20;

/// Why a file of counts cannot be used. Trying again does not help, unless the file system failed.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is larger than any that was written.
    #[error("is larger than 256 MiB, and no file of counts")]
    TooLarge,
    /// It is no JSON, or says something else.
    #[error("is no file of counts: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Another version wrote it.
    #[error("has the format {0:?}, which this program does not read (countersign.usage/1)")]
    OtherFormat(String),
}

/// Where the counts are kept beside the decision log in this directory.
pub fn file(log: &Path) -> PathBuf {
    log.join("state").join("usage.json")
}

/// The counts as they stand in a file.
pub fn document(state: &State) -> Vec<u8> {
    // Nothing in it is what JSON cannot say.
    let mut text = serde_json::to_vec(state).unwrap_or_default();
    text.push(b'\n');
    text
}

/// Reads counts from a file. Blocks.
///
/// # Errors
/// [`UsageError`].
pub fn read(path: &Path) -> Result<State, UsageError> {
    read_from(File::open(path)?)
}

/// Reads counts to the end. Blocks.
///
/// # Errors
/// [`UsageError`].
pub fn read_from(input: impl Read) -> Result<State, UsageError> {
    #[derive(Deserialize)]
    struct Head {
        v: String,
    }
    let mut text = Vec::new();
    input.take(MAX_BYTES + 1).read_to_end(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|len| len > MAX_BYTES) {
        return Err(UsageError::TooLarge);
    }
    // Another format may have other fields.
    match serde_json::from_slice::<State>(&text) {
        Ok(state) => Ok(state),
        Err(error) => match serde_json::from_slice::<Head>(&text) {
            Ok(Head { v }) if v != "countersign.usage/1" => Err(UsageError::OtherFormat(v)),
            _ => Err(error.into()),
        },
    }
}

/// Goes on with the counts of a file. Where there is none, or one that cannot be used, which is put aside and named in the process log, counting begins
/// at `now`. Blocks.
pub fn resume(path: &Path, workload: &str, now: SystemTime) -> Book {
    let problem = match read(path) {
        Ok(state) if state.workload == workload => return Book::resume(state),
        Ok(state) => format!("is that of {:?}", state.workload),
        Err(UsageError::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => return Book::new(workload, now),
        Err(error) => error.to_string(),
    };
    let aside = aside(path);
    let kept =
        fs::rename(path, &aside).map_or_else(|error| format!("and stays ({error})"), |()| format!("and is kept as {}", aside.display()));
    tracing::warn!(file = %path.display(), "the file of how often rules decided {problem}, {kept}: counting begins anew");
    Book::new(workload, now)
}

/// What a file that cannot be used is called from then on.
fn aside(path: &Path) -> PathBuf {
    path.with_added_extension("unusable")
}

/// Writes a [`document`] to the file, as a whole or not at all. Blocks.
///
/// # Errors
/// What the file system said; the file is as it was.
pub fn save(path: &Path, document: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o750).create(directory)?;
    }
    files::replace(path, document, 0o640)
}
