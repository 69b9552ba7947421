//! Files that nobody writes any more.

use super::extent::{Extent, look};
use super::name::is_log;
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Oldest first.
pub(super) struct Closed {
    files: VecDeque<One>,
    bytes: u64,
}

struct One {
    path: PathBuf,
    size: u64,
    /// What it holds, where this process wrote it to its end.
    holds: Option<Extent>,
}

/// A file that has to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audit) struct Oldest {
    /// Its name, without the directory.
    pub(in crate::audit) file: String,
    /// What it holds; `None` where no record can be read in it.
    pub(in crate::audit) holds: Option<Extent>,
}

impl Closed {
    /// The files of earlier boots.
    pub(super) fn list(directory: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if entry.file_name().to_str().is_some_and(is_log) && metadata.is_file() {
                files.push(One { path: entry.path(), size: metadata.len(), holds: None });
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let bytes = files.iter().map(|one| one.size).sum();
        Ok(Self { files: files.into(), bytes })
    }

    /// Where they are.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().rev().map(|one| one.path.as_path())
    }

    /// What they take together on the disk.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn add(&mut self, path: PathBuf, size: u64, holds: Option<Extent>) {
        self.bytes += size;
        self.files.push_back(One { path, size, holds });
    }

    /// What is known of the oldest, which is read where this process did not write it.
    pub(super) fn oldest(&mut self) -> Option<Oldest> {
        let one = self.files.front_mut()?;
        if one.holds.is_none() {
            one.holds = look(&one.path).ok().and_then(|(extent, _)| extent);
        }
        let file = one.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Some(Oldest { file, holds: one.holds.clone() })
    }

    pub(super) fn remove_oldest(&mut self) {
        let Some(One { path, size, .. }) = self.files.pop_front() else { return };
        self.bytes -= size;
        match fs::remove_file(&path) {
            Ok(()) => tracing::info!(file = %path.display(), "the oldest decision log file was removed: max_bytes"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(file = %path.display(), %error, "a decision log file cannot be removed"),
        }
    }
}
