//! What the log says, boot by boot.

use anyhow::Context as _;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

/// What one boot's records add up to.
#[derive(Debug, Default)]
pub struct Kept {
    /// Denials with a record of their own.
    pub refused: u64,
    /// Denials inside aggregates.
    pub counted: u64,
    /// Allows with a record.
    pub allowed: u64,
    /// Allows inside gap records.
    pub missed: u64,
}

/// All boots, in the order of their beginning.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Each boot with its id.
    pub boots: Vec<Kept>,
    ids: Vec<String>,
}

impl Ledger {
    /// Reads every file of a directory; the torn last line of a killed process counts for nothing.
    ///
    /// # Errors
    /// A file cannot be read, or a line in the middle of one is no record.
    pub fn read(directory: &Path) -> anyhow::Result<Self> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        files.retain(|path| path.is_file() && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("decisions-")));
        files.sort();
        let mut ledger = Self::default();
        for path in files {
            let file = File::open(&path)?;
            let plain: Box<dyn Read> = if path.extension().is_some_and(|extension| extension == "zst") {
                Box::new(zstd::stream::read::Decoder::new(file)?)
            } else {
                Box::new(file)
            };
            ledger.add(plain).with_context(|| path.display().to_string())?;
        }
        Ok(ledger)
    }

    fn add(&mut self, file: impl Read) -> anyhow::Result<()> {
        let mut file = BufReader::with_capacity(1 << 20, file);
        let mut line = Vec::new();
        loop {
            line.clear();
            if file.read_until(b'\n', &mut line)? == 0 || !line.ends_with(b"\n") {
                return Ok(());
            }
            let record: Value = serde_json::from_slice(&line).context("a line that is no record")?;
            self.count(&record);
        }
    }

    fn count(&mut self, record: &Value) {
        let text = |field: &str| record.get(field).and_then(Value::as_str).unwrap_or_default();
        let boot = text("boot");
        let place = self.ids.iter().position(|known| known == boot).unwrap_or_else(|| {
            self.ids.push(boot.to_owned());
            self.boots.push(Kept::default());
            self.ids.len() - 1
        });
        let Some(kept) = self.boots.get_mut(place) else { return };
        let count = record.get("count").and_then(Value::as_u64).unwrap_or_default();
        match (text("kind"), text("decision")) {
            ("decision", "deny") => kept.refused += 1,
            ("decision", _) => kept.allowed += 1,
            ("aggregate", _) => kept.counted += count,
            ("gap", _) => kept.missed += count,
            _ => {}
        }
    }
}
