use super::*;
use crate::audit::chain::Link;
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

fn extent(first: u64, last: u64) -> Extent {
    Extent { boot: "b".to_owned(), first, last, chain: Link::GENESIS }
}

#[test]
fn a_file_is_due_at_its_size_and_the_oldest_is_named_before_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let old = "decisions-20000101T000000Z-old-000000.ndjson";
    fs::write(dir.path().join(old), "x".repeat(200_000)).unwrap();
    fs::write(dir.path().join("notes.txt"), "kept").unwrap();
    let (mut files, previous) = Files::open(dir.path(), "abcdef01", 400_000, false).unwrap();
    assert_eq!(previous, None, "nothing of it is a record");
    let mut closed = 0;
    for number in 0..1_000 {
        files.write(line(number).as_bytes()).unwrap();
        if files.is_due(Instant::now()) {
            files.close(extent(closed, number as u64)).unwrap();
            closed = number as u64 + 1;
        }
        while let Some(oldest) = files.excess() {
            assert!(oldest.file == old && oldest.holds.is_none() || oldest.holds.is_some_and(|holds| holds.boot == "b"));
            files.remove_oldest();
        }
        let found = read(dir.path());
        let bytes: usize = found.iter().filter(|(name, _)| name != "notes.txt").map(|(_, text)| text.len()).sum();
        assert!(bytes <= 400_000, "{bytes}");
    }
    let found = read(dir.path());
    assert_eq!(found.last().unwrap().0, "notes.txt");
    let logs = &found[..found.len() - 1];
    assert!(logs.len() >= 3 && logs.iter().all(|(name, text)| name.contains("abcdef01") && text.len() <= 102_000));
    assert!(logs.last().unwrap().1.contains("\"n\":999,"));
    logs.iter().for_each(|(_, text)| assert_whole(text));
}

#[test]
fn an_old_file_is_due_and_an_empty_one_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let (mut files, _) = Files::open(dir.path(), "b", 1 << 30, false).unwrap();
    let later = Instant::now() + ROTATE_AGE;
    assert!(!files.is_due(later));
    files.write(line(1).as_bytes()).unwrap();
    assert!(!files.is_due(Instant::now()) && files.is_due(later + ROTATE_AGE));
    files.close(extent(0, 0)).unwrap();
    assert!(!files.is_due(later + ROTATE_AGE));
    files.write(line(2).as_bytes()).unwrap();
    files.close(extent(1, 1)).unwrap();
    files.close(extent(2, 2)).unwrap();
    assert_eq!(read(dir.path()).len(), 2);
}

fn record(boot: &str, seq: u64, kind: &str, link: char) -> String {
    let chain = link.to_string().repeat(64);
    format!("{{\"v\":\"countersign.decision/1\",\"seq\":{seq},\"boot\":\"{boot}\",\"kind\":\"{kind}\",\"chain\":\"{chain}\"}}\n")
}

#[test]
fn where_the_log_before_ended_is_read_from_its_newest_file() {
    let previous = |files: &[(&str, String)]| {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        Files::open(dir.path(), "b", 1 << 30, false).unwrap().1.map(|previous| (previous.boot, previous.seq, previous.chain, previous.torn))
    };
    let (old, new) = ("decisions-20260701T000000Z-b-000000.ndjson", "decisions-20260701T000100Z-a-000000.ndjson");
    let whole = [record("one", 0, "boot", '0'), record("one", 1, "footer", '1')].concat();
    let link = |digit: char| Link::parse(digit.to_string().repeat(64).as_bytes()).unwrap();
    let found = |seq, digit, torn| Some(("one".to_owned(), seq, link(digit), torn));
    assert_eq!(previous(&[]), None);
    assert_eq!(previous(&[(new, whole.clone())]), found(1, '1', false));
    assert_eq!(previous(&[(new, record("one", 0, "boot", '0'))]), found(0, '0', true));
    assert_eq!(previous(&[(new, whole.clone() + "{\"half")]), found(1, '1', true));
    assert_eq!(previous(&[(old, whole.clone()), (new, "{\"half".to_owned())]), found(1, '1', true));
    assert_eq!(previous(&[(old, record("two", 5, "gap", '5')), (new, whole)]), found(1, '1', false));
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
    let mut output = Output::Files(Box::new(Files::open_with(dir.path(), "b", 1 << 30, false, Box::new(full)).unwrap().0));
    output.write(line(0).as_bytes()).unwrap();
    let batch: String = (1..4).map(line).collect();
    let first = output.write(batch.as_bytes()).unwrap_err();
    assert_eq!(first.written, line(1).len());
    assert_eq!(first.error.kind(), io::ErrorKind::StorageFull);
    let rest = &batch.as_bytes()[first.written..];
    assert_eq!(output.write(rest).unwrap_err().written, 0);
    output.write(rest).unwrap();
    output.sync().unwrap();
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
    assert!(Files::open(&file.join("logs"), "b", 1, false).is_err());
}

/// What a crash leaves at any step of compressing is one whole file afterwards, under one name.
#[test]
fn a_crash_while_compressing_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = ("decisions-20260701T000000Z-b-000000.ndjson", "decisions-20260701T000001Z-b-000001.ndjson");
    let text = line(7).repeat(50);
    fs::write(dir.path().join(one), &text).unwrap();
    fs::write(dir.path().join(format!(".{one}.zst")), "half").unwrap();
    fs::write(dir.path().join(two), &text).unwrap();
    fs::write(dir.path().join(format!("{two}.zst")), zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
    fs::write(dir.path().join(".decisions.zst"), "somebody else's").unwrap();
    let (files, _) = Files::open(dir.path(), "c", 1 << 30, false).unwrap();
    let names: Vec<String> = read(dir.path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!((&names[..3], names.len()), (&[".decisions.zst".to_owned(), one.to_owned(), two.to_owned()][..], 4));
    fs::remove_file(files.current.unwrap().path).unwrap();

    let (mut files, _) = Files::open(dir.path(), "d", 1 << 30, true).unwrap();
    let packed = |name: &str| dir.path().join(format!("{name}.zst"));
    let give_up = Instant::now() + Duration::from_secs(20);
    let before = files.closed.bytes();
    while files.closed.bytes() == before || dir.path().join(two).exists() || files.closed.bytes() > 2 * 1_000 {
        assert!(Instant::now() < give_up);
        files.tick(Instant::now()).unwrap();
        std::thread::yield_now();
    }
    for name in [one, two] {
        assert_eq!(zstd::decode_all(File::open(packed(name)).unwrap()).unwrap(), text.as_bytes());
    }
    let size = |name: &str| fs::metadata(packed(name)).unwrap().len();
    let empty = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!((files.closed.bytes(), empty), (size(one) + size(two), 4), "what is on the disk counts");
}
