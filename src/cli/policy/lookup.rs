//! Finds one record in a decision log.

use anyhow::{Context as _, bail};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

/// The most bytes of a line that is read: a record's strings are cut at 2 KiB each.
const MAX_LINE: u64 = 1 << 20;

/// What the files of a log directory end with.
const SUFFIX: &str = "ndjson";

/// The line with this decision id, from standard input (`-`), a file, or the files of a directory with the newest first.
///
/// # Errors
/// There is none, or nothing can be read.
pub(super) fn find(log: &Path, id: Option<&str>) -> anyhow::Result<String> {
    let found = if log == Path::new("-") {
        scan(io::stdin().lock(), id)?
    } else if log.is_dir() {
        let mut found = None;
        for file in files(log)? {
            found = scan(open(&file)?, id).with_context(|| file.display().to_string())?;
            if found.is_some() {
                break;
            }
        }
        found
    } else {
        scan(open(log)?, id).with_context(|| log.display().to_string())?
    };
    match (found, id) {
        (Some(line), _) => Ok(line),
        (None, Some(id)) => {
            bail!("no record with the id {id} in {}: it may be in another log, sampled out, or rotated away", log.display())
        }
        (None, None) => bail!("no line in {}", log.display()),
    }
}

fn open(path: &Path) -> anyhow::Result<BufReader<File>> {
    Ok(BufReader::new(File::open(path).with_context(|| path.display().to_string())?))
}

fn files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == SUFFIX));
    // Their names begin with the time at which they were opened.
    files.sort_by(|one, other| other.cmp(one));
    Ok(files)
}

/// The first line with the id; without one, the first line that is not empty.
fn scan(mut reader: impl BufRead, id: Option<&str>) -> io::Result<Option<String>> {
    let wanted = id.map(|id| format!("\"id\":\"{}\"", id.to_ascii_uppercase()));
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line);
        let hit = match &wanted {
            Some(wanted) => text.contains(wanted),
            None => !text.trim().is_empty(),
        };
        if hit {
            return Ok(Some(text.trim().to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_in_whichever_file_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let line = |id: &str| format!("{{\"kind\":\"decision\",\"id\":\"{id}\"}}\n");
        std::fs::write(dir.path().join("decisions-1.ndjson"), line("A") + &line("B")).unwrap();
        std::fs::write(dir.path().join("decisions-2.ndjson"), "x".repeat(3 << 20) + "\n" + &line("C")).unwrap();
        std::fs::write(dir.path().join("notes.txt"), line("D")).unwrap();
        for id in ["A", "b", "C"] {
            assert!(find(dir.path(), Some(id)).unwrap().contains(&id.to_ascii_uppercase()));
        }
        assert!(find(dir.path(), Some("D")).unwrap_err().to_string().contains("no record with the id D"));
        assert!(find(&dir.path().join("decisions-1.ndjson"), None).unwrap().contains("\"A\""));
        assert!(find(&dir.path().join("nothing"), Some("A")).is_err());
    }
}
