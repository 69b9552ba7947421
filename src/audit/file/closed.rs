//! Files that nobody writes any more.

use super::extent::{Extent, look};
use super::keeper::{COMPRESSED, Keeper, UNFINISHED};
use super::name::is_log;
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Oldest first.
pub(super) struct Closed {
    files: VecDeque<One>,
    bytes: u64,
    /// Where closed files are compressed.
    keeper: Option<Keeper>,
    /// The file that is compressed now.
    busy: Option<PathBuf>,
    /// Files that are yet to be.
    waiting: usize,
}

struct One {
    path: PathBuf,
    size: u64,
    /// What it holds, where this process wrote it to its end.
    holds: Option<Extent>,
    /// It is yet to be compressed.
    waits: bool,
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
    /// The files of earlier boots, with what a crash left of compressing them cleaned up; they are compressed from here on, if wanted.
    pub(super) fn list(directory: &Path, compress: bool) -> io::Result<Self> {
        let keeper = compress.then(Keeper::start).transpose()?;
        let mut files = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            let Some(name) = name.to_str().filter(|_| entry.file_type().is_ok_and(|kind| kind.is_file())) else { continue };
            let packed = name.strip_suffix(COMPRESSED);
            if packed.and_then(|plain| plain.strip_prefix(UNFINISHED)).is_some_and(is_log)
                || packed.is_some_and(|plain| is_log(plain) && directory.join(plain).exists())
            {
                // Unfinished, or the plain one was not removed yet: that one is complete for certain.
                fs::remove_file(path)?;
            } else if packed.map_or(is_log(name), is_log) {
                files.push(One { path, size: entry.metadata()?.len(), holds: None, waits: keeper.is_some() && packed.is_none() });
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let bytes = files.iter().map(|one| one.size).sum();
        let waiting = files.iter().filter(|one| one.waits).count();
        Ok(Self { files: files.into(), bytes, keeper, busy: None, waiting })
    }

    /// Takes what was compressed meanwhile, and gives the next one.
    pub(super) fn tick(&mut self) {
        let Some(keeper) = &self.keeper else { return };
        while let Some(done) = keeper.poll() {
            self.busy = None;
            let Some(one) = self.files.iter_mut().find(|one| one.path == done.plain) else { continue };
            match done.packed {
                Ok((path, size)) => {
                    self.bytes = (self.bytes - one.size).saturating_add(size);
                    (one.path, one.size) = (path, size);
                }
                // The next start tries again.
                Err(error) => tracing::warn!(file = %one.path.display(), %error, "a decision log file is not compressed"),
            }
        }
        if self.busy.is_none()
            && self.waiting > 0
            && let Some(one) = self.files.iter_mut().find(|one| one.waits)
        {
            one.waits = false;
            self.waiting -= 1;
            self.busy = keeper.give(&one.path).then(|| one.path.clone());
        }
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
        let waits = self.keeper.is_some();
        self.waiting += usize::from(waits);
        self.files.push_back(One { path, size, holds, waits });
    }

    /// What is known of the oldest, which is read where this process did not write it; `None` while it is compressed.
    pub(super) fn oldest(&mut self) -> Option<Oldest> {
        let one = self.files.front_mut().filter(|one| self.busy.as_ref() != Some(&one.path))?;
        // What has a name goes under that name.
        self.waiting -= usize::from(std::mem::take(&mut one.waits));
        if one.holds.is_none() {
            one.holds = look(&one.path).ok().and_then(|(extent, _)| extent);
        }
        let file = one.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Some(Oldest { file, holds: one.holds.clone() })
    }

    pub(super) fn remove_oldest(&mut self) {
        let Some(One { path, size, waits, .. }) = self.files.pop_front() else { return };
        self.waiting -= usize::from(waits);
        self.bytes -= size;
        match fs::remove_file(&path) {
            Ok(()) => tracing::info!(file = %path.display(), "the oldest decision log file was removed: max_bytes"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(file = %path.display(), %error, "a decision log file cannot be removed"),
        }
    }
}
