use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, UNIX_EPOCH};

#[test]
fn messages_are_kept_in_order_whole_and_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    let mut spool = Spool::open(&path).unwrap();
    for body in ["one", "two", "three"] {
        assert_eq!(spool.push(body.as_bytes()).unwrap(), 0);
    }
    let (first, body) = spool.oldest().unwrap();
    assert_eq!(body, b"one");
    spool.remove(first);
    // A crash in the middle of a write, and somebody else's file.
    fs::write(path.join("00000000000000000009.part"), "half").unwrap();
    fs::write(path.join("README"), "mine").unwrap();
    drop(spool);
    let mut spool = Spool::open(&path).unwrap();
    assert_eq!(spool.len(), 2);
    spool.push(b"four").unwrap();
    for expected in ["two", "three", "four"] {
        let (message, body) = spool.oldest().unwrap();
        assert_eq!(body, expected.as_bytes());
        let file = fs::read_dir(&path).unwrap().flatten().find(|file| fs::read(file.path()).unwrap() == body).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        spool.remove(message);
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    let left: Vec<_> = fs::read_dir(&path).unwrap().flatten().map(|file| file.file_name()).collect();
    assert_eq!(left, ["README"]);
}

#[test]
fn the_oldest_make_room_by_number_and_by_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    let dropped: usize = (0..5).map(|_| spool.push(&vec![b'x'; 1 << 20]).unwrap()).sum();
    assert_eq!((dropped, spool.len()), (1, 4));
    let dropped: usize = (0..1_010).map(|number: u32| spool.push(number.to_string().as_bytes()).unwrap()).sum();
    assert_eq!((dropped, spool.len()), (4 + 10, 1_000));
    assert_eq!(spool.oldest().unwrap().1, b"10");
}

#[test]
fn a_message_that_cannot_be_read_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    spool.push(b"one").unwrap();
    spool.push(b"two").unwrap();
    fs::remove_file(dir.path().join("00000000000000000001.json")).unwrap();
    assert_eq!((spool.oldest().unwrap().1, spool.len()), (b"two".to_vec(), 1));
}

#[test]
fn a_signature_is_over_time_and_body_by_a_secret_that_nobody_guesses() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    for (text, fine) in [("0123456789abcdef0123456789abcdef\n", true), ("  short \n", false), ("", false), (&"x".repeat(5_000), false)] {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(Secret::read(&file).is_ok(), fine, "{text}");
    }
    fs::write(&file, "0123456789abcdef0123456789abcdef\n").unwrap();
    let secret = Secret::read(&file).unwrap();
    let sign = |body: &[u8], second| secret.signature(body, UNIX_EPOCH + Duration::from_secs(second)).unwrap();
    // Of python3: hmac.new(b"0123456789abcdef0123456789abcdef", b"1700000000.{}", "sha256").hexdigest()
    assert_eq!(sign(b"{}", 1_700_000_000), "t=1700000000,v1=417adf36b901772f658597a76d329694e335e65fc0849d7715c3ca33406309b5");
    assert_ne!(sign(b"{}", 1_700_000_001), sign(b"{}", 1_700_000_000));
    assert!(secret.signature(b"{}", UNIX_EPOCH - Duration::from_secs(1)).is_none());
}
