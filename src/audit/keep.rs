//! The tables that were in force, beside the log: whoever asks why something was decided asks the table of then.

use super::Sink;
use serde_json::{Value, json};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The most tables that are kept; those go first that were read least lately.
const MOST: usize = 64;
/// The most bytes of them together.
const MOST_BYTES: u64 = 64 << 20;
/// The most bytes of one that are read back: the text of a table has 64 MiB at most, and JSON doubles a line's end.
const MAX_BYTES: u64 = 256 << 20;
/// What the name of a file ends with that is being written.
const HALF: &str = "half";
const SCHEMA: &str = "countersign.table/1";

/// A table as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTable {
    /// Its hash, as records have it.
    pub sha256: String,
    /// Where it was read from.
    pub source: String,
    /// Its text.
    pub toml: String,
}

/// `policy/` in the directory of a log, where each table is a file `<sha256>.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTables {
    directory: PathBuf,
    most_bytes: u64,
}

impl KeptTables {
    /// Beside the log of this sink; `None` where that is no directory.
    pub fn beside(sink: &Sink) -> Option<Self> {
        match sink {
            Sink::File(directory) => Some(Self::of_log(directory)),
            Sink::Stdout | Sink::None => None,
        }
    }

    /// Beside the log in this directory.
    pub fn of_log(directory: &Path) -> Self {
        Self { directory: directory.join("policy"), most_bytes: MOST_BYTES }
    }

    /// Keeps tables that are about to be in force. Each file is there as a whole or not at all. Blocks on the disk.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn keep(&self, tables: &[KeptTable]) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o750).create(&self.directory)?;
        for table in tables {
            let path = self.path(&table.sha256).ok_or(ErrorKind::InvalidInput)?;
            match OpenOptions::new().append(true).open(&path) {
                Ok(file) => file.set_modified(SystemTime::now())?,
                Err(_) => self.write(&path, table)?,
            }
        }
        self.prune(tables)
    }

    fn write(&self, path: &Path, table: &KeptTable) -> io::Result<()> {
        let half = path.with_extension(HALF);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&half)?;
        let json = json!({ "v": SCHEMA, "sha256": table.sha256, "source": table.source, "toml": table.toml });
        file.write_all(format!("{json:#}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(&half, path)
    }

    /// Removes what was used least lately, but never what is in force.
    fn prune(&self, in_force: &[KeptTable]) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let path = entry.path();
            // What somebody else put there stays.
            if path.extension().is_some_and(|extension| extension == "json" || extension == HALF) {
                let metadata = entry.metadata()?;
                files.push((metadata.modified()?, path, metadata.len()));
            }
        }
        files.sort();
        let (mut count, mut bytes) = (files.len(), files.iter().map(|(_, _, length)| length).sum::<u64>());
        for (_, path, length) in files {
            if count <= MOST && bytes <= self.most_bytes {
                break;
            }
            if in_force.iter().any(|table| self.path(&table.sha256).as_ref() == Some(&path)) {
                continue;
            }
            fs::remove_file(&path)?;
            (count, bytes) = (count - 1, bytes - length);
        }
        Ok(())
    }

    /// The table with this hash; `None` where it is not kept. That its text has this hash is for the caller to see, who reads it as a table.
    ///
    /// # Errors
    /// It is there, and cannot be read or is none.
    pub fn read(&self, sha256: &str) -> io::Result<Option<KeptTable>> {
        let Some(path) = self.path(sha256) else { return Ok(None) };
        let mut json = String::new();
        match fs::File::open(path) {
            Ok(file) => file.take(MAX_BYTES).read_to_string(&mut json)?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let table: Value = serde_json::from_str(&json)?;
        let text = |name: &str| table[name].as_str().map(str::to_owned);
        let read = text("source").zip(text("toml")).filter(|_| table["v"] == SCHEMA);
        let (source, toml) = read.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "it is no table that a sidecar kept"))?;
        Ok(Some(KeptTable { sha256: sha256.to_owned(), source, toml }))
    }

    /// The file of the table with this hash, which is from a record and may be anything.
    pub fn path(&self, sha256: &str) -> Option<PathBuf> {
        let is_hash = sha256.len() == 64 && sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_hash.then(|| self.directory.join(format!("{sha256}.json")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn table(number: usize) -> KeptTable {
        KeptTable { sha256: format!("{number:064x}"), source: "policy.toml".into(), toml: format!("name = \"{number}\"\n") }
    }

    #[test]
    fn a_table_is_read_as_it_was_kept() {
        let dir = tempfile::tempdir().unwrap();
        let kept = KeptTables::of_log(dir.path());
        kept.keep(&[table(1), table(2)]).unwrap();
        kept.keep(&[table(1)]).unwrap();
        assert_eq!(kept.read(&table(2).sha256).unwrap(), Some(table(2)));
        assert_eq!(kept.read(&table(3).sha256).unwrap(), None);
        assert_eq!(kept.read("../../etc/passwd").unwrap(), None);
        fs::write(kept.path(&table(4).sha256).unwrap(), "{}").unwrap();
        assert!(kept.read(&table(4).sha256).is_err());
    }

    #[test]
    fn what_is_in_force_stays_however_large_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let kept = KeptTables { most_bytes: 1, ..KeptTables::of_log(dir.path()) };
        kept.keep(&[table(1)]).unwrap();
        kept.keep(&[table(2), table(3)]).unwrap();
        let there = [1, 2, 3].map(|number| kept.read(&table(number).sha256).unwrap().is_some());
        assert_eq!(there, [false, true, true]);
    }

    #[test]
    fn the_least_lately_used_go_and_what_is_in_force_stays() {
        let dir = tempfile::tempdir().unwrap();
        let kept = KeptTables::of_log(dir.path());
        for number in 0..MOST {
            kept.keep(&[table(number)]).unwrap();
            let path = kept.path(&table(number).sha256).unwrap();
            let at = SystemTime::now() - Duration::from_secs(1_000 - number as u64);
            fs::File::options().append(true).open(path).unwrap().set_modified(at).unwrap();
        }
        // Used again, so it is not the oldest any more.
        kept.keep(&[table(1)]).unwrap();
        kept.keep(&[table(0), table(MOST), table(MOST + 1)]).unwrap();
        let gone: Vec<usize> = (0..MOST + 2).filter(|number| kept.read(&table(*number).sha256).unwrap().is_none()).collect();
        assert_eq!(gone, [2, 3]);
        assert_eq!(fs::read_dir(dir.path().join("policy")).unwrap().count(), MOST);
    }
}
