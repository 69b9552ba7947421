//! Files that others may read at any moment.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// The permissions of a file that holds a secret, where others than its owner have any.
pub fn open_to_others(metadata: &Metadata) -> Option<u32> {
    Some(metadata.permissions().mode() & 0o777).filter(|mode| mode & 0o077 != 0)
}

/// Writes a file beside the target and renames it, so that nobody reads half of it and a crash leaves the old one; `mode`: its permissions. Blocks.
///
/// # Errors
/// What the file system said; the target is as it was.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let write = || {
        let _ = std::fs::remove_file(&beside);
        let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().inspect_err(|_| drop(std::fs::remove_file(&beside)))
}
