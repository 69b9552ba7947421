//! A disk of a test's own that can be filled.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether this process may mount: in a namespace of its own, as root alone may.
pub fn can_mount() -> bool {
    let dir = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs none '{}'", dir.path().display());
    Command::new("unshare").args(["--mount", "sh", "-c", &mount]).status().is_ok_and(|status| status.success())
}

/// Takes every byte that is left.
pub fn fill(disk: &Path) -> PathBuf {
    let path = disk.join("filler");
    let mut file = File::create(&path).unwrap();
    for size in [1 << 20, 1 << 12, 1] {
        loop {
            match file.write(&vec![0; size]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    path
}
