use super::*;
use crate::audit::sink::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn line(number: usize) -> String {
    format!("{{\"n\":{number},\"pad\":\"{}\"}}\n", "x".repeat(1_000))
}

fn read(directory: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

fn assert_whole(text: &str) {
    assert!(text.ends_with('\n'));
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{text}");
}

#[test]
fn files_rotate_and_the_oldest_make_room() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("decisions-20000101T000000Z-old-000000.ndjson"), "x".repeat(200_000)).unwrap();
    fs::write(dir.path().join("notes.txt"), "kept").unwrap();
    let mut files = Files::open(dir.path(), "abcdef01", 400_000).unwrap();
    for number in 0..1_000 {
        files.write(line(number).as_bytes()).unwrap();
    }
    files.finish().unwrap();
    let found = read(dir.path());
    assert_eq!(found.last().unwrap().0, "notes.txt");
    let logs = &found[..found.len() - 1];
    assert!(logs.len() >= 3 && logs.iter().all(|(name, text)| name.contains("abcdef01") && text.len() <= 100_000));
    assert!(logs.iter().map(|(_, text)| text.len()).sum::<usize>() <= 400_000);
    assert!(logs.last().unwrap().1.contains("\"n\":999,"));
    logs.iter().for_each(|(_, text)| assert_whole(text));
}

#[test]
fn an_old_file_is_closed_and_an_idle_log_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = Files::open(dir.path(), "b", 1 << 30).unwrap();
    let later = Instant::now() + ROTATE_AGE;
    files.tick(later).unwrap();
    files.write(line(1).as_bytes()).unwrap();
    files.tick(later).unwrap();
    files.tick(later).unwrap();
    files.write(line(2).as_bytes()).unwrap();
    files.finish().unwrap();
    files.finish().unwrap();
    assert_eq!(read(dir.path()).len(), 2);
}

#[test]
fn a_full_disk_tears_no_line_and_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let calls = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&calls);
    let full = move |file: &mut File, bytes: &[u8]| match count.fetch_add(1, Ordering::Relaxed) {
        // One and a half lines, then nothing; the next file takes nothing at all.
        1 => file.write(&bytes[..1_500.min(bytes.len())]),
        2 | 3 => Err(io::ErrorKind::StorageFull.into()),
        _ => file.write(bytes),
    };
    let mut output = Output::Files(Files::open_with(dir.path(), "b", 1 << 30, Box::new(full)).unwrap());
    output.write(line(0).as_bytes()).unwrap();
    let batch: String = (1..4).map(line).collect();
    let first = output.write(batch.as_bytes()).unwrap_err();
    assert_eq!(first.written, line(1).len());
    assert_eq!(first.error.kind(), io::ErrorKind::StorageFull);
    let rest = &batch.as_bytes()[first.written..];
    assert_eq!(output.write(rest).unwrap_err().written, 0);
    output.write(rest).unwrap();
    output.finish().unwrap();
    let found = read(dir.path());
    assert_eq!(found.len(), 2, "the file that took nothing is gone");
    found.iter().for_each(|(_, text)| assert_whole(text));
    let all: String = found.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(all, (0..4).map(line).collect::<String>());
}

#[test]
fn a_directory_that_cannot_be_made_fails_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(Files::open(&file.join("logs"), "b", 1).is_err());
}
