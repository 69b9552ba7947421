use super::*;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const SECRET: &[u8] = b"a private key";

fn context(workload: &str, purpose: &'static str) -> Context {
    Context { workload: workload.to_owned(), purpose }
}

fn ours() -> Context {
    context("spiffe://d.example/orders", "certificate")
}

fn key_file(dir: &Path, name: &str, text: &str, mode: u32) -> KeyFile {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    KeyFile::new(path)
}

fn some_key(dir: &Path) -> KeyFile {
    key_file(dir, "key", &("0123456789abcdefABCDEF9876543210".repeat(2) + "\n"), 0o600)
}

#[tokio::test]
async fn what_was_sealed_opens_for_the_same_context_alone() {
    let dir = tempfile::tempdir().unwrap();
    let sealer = some_key(dir.path());
    let sealed = seal(&sealer, &ours(), SECRET).await.unwrap();
    assert!(!sealed.windows(SECRET.len()).any(|window| window == SECRET));
    assert_eq!(*open(&sealer, &ours(), &sealed).await.unwrap(), SECRET);
    assert_ne!(seal(&sealer, &ours(), SECRET).await.unwrap(), sealed, "each has a key and a nonce of its own");
    for other in [context("spiffe://d.example/payments", "certificate"), context("spiffe://d.example/orders", "budget")] {
        assert!(matches!(open(&sealer, &other, &sealed).await, Err(SealError::OtherContext { .. })), "{other:?}");
        // Nor by writing the other name into it.
        let text = String::from_utf8(sealed.clone())
            .unwrap()
            .replace(&ours().workload, &other.workload)
            .replace("\"certificate\"", &format!("{:?}", other.purpose));
        assert!(matches!(open(&sealer, &other, text.as_bytes()).await, Err(SealError::Refused)), "{other:?}");
    }
}

#[tokio::test]
async fn nothing_that_was_changed_opens() {
    let dir = tempfile::tempdir().unwrap();
    let sealer = some_key(dir.path());
    let sealed = seal(&sealer, &ours(), SECRET).await.unwrap();
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(open(&sealer, &ours(), &changed).await.is_err(), "byte {at} of {}", String::from_utf8_lossy(&sealed));
        assert!(matches!(open(&sealer, &ours(), &sealed[..at]).await, Err(SealError::Damaged)), "{at} bytes of it");
    }
    let other = key_file(dir.path(), "other", &"00".repeat(32), 0o400);
    assert!(matches!(open(&other, &ours(), &sealed).await, Err(SealError::Refused)));
}

#[tokio::test]
async fn a_bad_key_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let digits = "0f".repeat(32);
    for (name, text, mode, words) in [
        ("open", digits.as_str(), 0o640, "can be read by others (mode 640)"),
        ("short", &digits[2..], 0o600, "holds no sealing key"),
        ("long", &(digits.clone() + "00"), 0o600, "holds no sealing key"),
        ("letters", &digits.replace("0f", "0g"), 0o600, "holds no sealing key"),
        ("wide", &"\u{e9}".repeat(32), 0o600, "holds no sealing key"),
        ("empty", "", 0o600, "holds no sealing key"),
    ] {
        let Err(error) = seal(&key_file(dir.path(), name, text, mode), &ours(), SECRET).await else { panic!("{name}") };
        assert!(error.to_string().contains(words) && error.to_string().contains(name), "{error}");
    }
    let Err(missing) = seal(&KeyFile::new(dir.path().join("missing")), &ours(), SECRET).await else { panic!() };
    assert!(matches!(missing, SealError::File { .. }), "{missing}");
}
