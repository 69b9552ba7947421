use super::*;
use proptest::prelude::*;
use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

/// What a reader gives: lines with their numbers, the numbers and lengths of those passed over, and the torn one.
#[derive(Debug, Default, PartialEq)]
struct All {
    lines: Vec<(u64, Vec<u8>)>,
    too_long: Vec<(u64, u64)>,
    torn: Option<(u64, Vec<u8>)>,
}

fn all(mut reader: Reader) -> Result<All, (All, ReadError)> {
    let mut all = All::default();
    loop {
        match reader.next() {
            Ok(None) => return Ok(all),
            Err(error) => return Err((all, error)),
            Ok(Some(Piece::Lines(lines))) => all.lines.extend(lines.iter().map(|(number, line)| (number, line.to_vec()))),
            Ok(Some(Piece::TooLong { number, length })) => all.too_long.push((number, length)),
            Ok(Some(Piece::Torn { number, bytes })) => all.torn = Some((number, bytes.to_vec())),
        }
    }
}

fn reader(bytes: impl Into<Vec<u8>>) -> Reader {
    Reader::new("test".to_owned(), Cursor::new(bytes.into())).unwrap()
}

/// Gives as many bytes at once as it is told, again and again.
struct Trickle(Cursor<Vec<u8>>, Vec<usize>, usize);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.2 += 1;
        let most = self.1[self.2 % self.1.len()].min(buffer.len());
        self.0.read(&mut buffer[..most])
    }
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

#[test]
fn a_longer_line_is_said_and_those_around_it_are_read() {
    for length in [MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE + 17] {
        let text = format!("first\n{}\nthird\nfo", "x".repeat(length));
        let found = all(reader(text)).unwrap();
        assert_eq!(found.lines, [(1, b"first".to_vec()), (3, b"third".to_vec())]);
        assert_eq!(found.too_long, [(2, length as u64)]);
        assert_eq!(found.torn, Some((4, b"fo".to_vec())));
    }
    let just = "x".repeat(MAX_LINE - 1);
    assert_eq!(all(reader(format!("{just}\n"))).unwrap().lines, [(1, just.into_bytes())]);
    assert_eq!(all(reader("x".repeat(2 * MAX_LINE))).unwrap().too_long, [(1, 2 * MAX_LINE as u64)]);
}

#[test]
fn an_unfinished_line_of_a_growing_file_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("decisions-1.ndjson");
    let append = |text: &str| {
        use std::io::Write;
        fs::OpenOptions::new().append(true).create(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
    };
    append("a");
    let mut reader = inputs(std::slice::from_ref(&path)).unwrap()[0].open().unwrap();
    assert_eq!(reader.next_whole().unwrap(), None);
    append("b\ncd");
    assert_eq!(reader.next_whole().unwrap(), Some(Piece::Lines(Lines { first: 1, bytes: b"ab\n" })));
    assert_eq!(reader.next_whole().unwrap(), None);
    append("e\n");
    assert_eq!(reader.next_whole().unwrap(), Some(Piece::Lines(Lines { first: 2, bytes: b"cde\n" })));
    assert_eq!(reader.next().unwrap(), None);
}

#[test]
fn a_cut_compressed_file_gives_what_it_has_and_an_error() {
    let text: String = (0..200_000).map(|number| format!("{{\"seq\":{number},\"id\":\"{:x}\"}}\n", number * 7_919_u64)).collect();
    let whole = packed(text.as_bytes());
    assert_eq!(all(reader(whole.clone())).unwrap().lines.len(), 200_000);
    let (found, error) = all(reader(&whole[..whole.len() / 2])).unwrap_err();
    assert!(!found.lines.is_empty() && found.lines.len() < 200_000);
    let ReadError::Read { line, .. } = error else { panic!("{error}") };
    assert_eq!(line, found.lines.len() as u64);
}

#[test]
fn a_directory_is_read_by_name_and_no_file_twice() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    write("decisions-20260701T000002Z-aaaaaaaa-000001.ndjson", b"3\n");
    write("decisions-20260701T000001Z-aaaaaaaa-000000.ndjson", b"2\n");
    write("decisions-20260701T000001Z-aaaaaaaa-000000.ndjson.zst", &packed(b"not this one\n"));
    write("decisions-20260630T000001Z-bbbbbbbb-000000.ndjson.zst", &packed(b"1\n"));
    write(".decisions-20260630T000001Z-bbbbbbbb-000001.ndjson.zst", b"half");
    write("notes.txt", b"no\n");
    let lines = |given: &[PathBuf]| -> Vec<Vec<u8>> {
        inputs(given).unwrap().iter().flat_map(|input| all(input.open().unwrap()).unwrap().lines).map(|(_, line)| line).collect()
    };
    let wanted = [b"1".to_vec(), b"2".to_vec(), b"3".to_vec()];
    assert_eq!(lines(&[dir.path().to_owned()]), wanted);
    assert_eq!(lines(&[dir.path().to_owned(), dir.path().join("decisions-20260701T000002Z-aaaaaaaa-000001.ndjson")]), wanted);
}

#[test]
fn a_file_that_is_compressed_meanwhile_is_still_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("decisions-1.ndjson");
    fs::write(&path, b"1\n").unwrap();
    let listed = inputs(&[dir.path().to_owned()]).unwrap();
    fs::write(dir.path().join("decisions-1.ndjson.zst"), packed(b"1\n")).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(all(listed[0].open().unwrap()).unwrap().lines, [(1, b"1".to_vec())]);
}

#[test]
fn what_is_not_there_is_said() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(inputs(&[dir.path().to_owned()]), Err(ReadError::Empty { .. })));
    assert!(matches!(inputs(&[dir.path().join("no")]), Err(ReadError::Open { .. })));
    assert_eq!(inputs(&[Path::new("-").to_owned()]).unwrap()[0].place, Place::Stdin);
}

proptest! {
    #[test]
    fn lines_are_those_of_the_text_however_it_arrives(
        text in proptest::collection::vec(prop_oneof![4 => 0_u8..4, 1 => Just(b'\n')], 0..200),
        repeat in 1_usize..3_000,
        steps in proptest::collection::vec(1_usize..70_000, 1..6),
        compressed: bool,
    ) {
        let text = text.repeat(repeat);
        let stream = if compressed { packed(&text) } else { text.clone() };
        let found = all(Reader::new("test".into(), Trickle(Cursor::new(stream), steps, 0)).unwrap()).unwrap();
        let mut wanted: Vec<(u64, Vec<u8>)> = (1..).zip(text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec)).collect();
        let torn = wanted.pop().filter(|(_, rest)| !rest.is_empty());
        prop_assert_eq!(found, All { lines: wanted, too_long: Vec::new(), torn });
    }
}
