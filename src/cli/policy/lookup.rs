//! Finds one record in a decision log.

use crate::audit::read::{Input, Piece, ReadError, inputs};
use anyhow::bail;
use memchr::memmem;
use std::path::{Path, PathBuf};

/// The line with this decision id, from standard input (`-`), a file, or the files of a directory with the newest first; without an id the first line that is
/// not empty.
///
/// # Errors
/// There is none, or nothing can be read.
pub(super) fn find(log: &Path, id: Option<&str>) -> anyhow::Result<String> {
    for input in inputs(&[PathBuf::from(log)])?.iter().rev() {
        if let Some(line) = scan(input, id)? {
            return Ok(line);
        }
    }
    match id {
        Some(id) => bail!("no record with the id {id} in {}: it may be in another log, sampled out, or rotated away", log.display()),
        None => bail!("no line in {}", log.display()),
    }
}

fn scan(input: &Input, id: Option<&str>) -> Result<Option<String>, ReadError> {
    let wanted = id.map(|id| format!("\"id\":\"{}\"", id.to_ascii_uppercase()));
    let finder = wanted.as_ref().map(memmem::Finder::new);
    let is_hit = |line: &[u8]| match &finder {
        Some(finder) => finder.find(line).is_some(),
        None => !line.trim_ascii().is_empty(),
    };
    let found = |line: &[u8]| String::from_utf8_lossy(line).trim().to_owned();
    let mut reader = input.open()?;
    while let Some(piece) = reader.next()? {
        match piece {
            Piece::Lines(lines) if finder.as_ref().is_some_and(|finder| finder.find(lines.bytes).is_none()) => {}
            Piece::Lines(lines) => {
                if let Some((_, line)) = lines.iter().find(|(_, line)| is_hit(line)) {
                    return Ok(Some(found(line)));
                }
            }
            // One record without a newline is what somebody pastes.
            Piece::Torn { bytes, .. } if is_hit(bytes) => return Ok(Some(found(bytes))),
            Piece::Torn { .. } | Piece::TooLong { .. } => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_in_whichever_file_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let line = |id: &str| format!("{{\"kind\":\"decision\",\"id\":\"{id}\"}}\n");
        std::fs::write(dir.path().join("decisions-1.ndjson.zst"), zstd::encode_all((line("A") + &line("B")).as_bytes(), 3).unwrap())
            .unwrap();
        std::fs::write(dir.path().join("decisions-2.ndjson"), "x".repeat(3 << 20) + "\n" + &line("C") + line("E").trim()).unwrap();
        std::fs::write(dir.path().join("notes.txt"), line("D")).unwrap();
        for id in ["A", "b", "C", "E"] {
            assert!(find(dir.path(), Some(id)).unwrap().contains(&id.to_ascii_uppercase()));
        }
        assert!(find(dir.path(), Some("D")).unwrap_err().to_string().contains("no record with the id D"));
        assert!(find(&dir.path().join("decisions-1.ndjson.zst"), None).unwrap().contains("\"A\""));
        assert!(find(&dir.path().join("nothing"), Some("A")).is_err());
    }
}
