//! What is a bundle, and which is accepted.

use super::super::{Accepted, Judging, Part, Settings, Signed, Source, load_all};
use super::{Bundle, BundleError, Fetched, LONGEST, Manifest, NotAfter, Sequences, write};
use crate::policy::{Listeners, LoadError, LoadedTables};
use crate::runtime::signer::{DigestSigner as _, FileSigner, PublicKey};
use rcgen::KeyPair;
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

const TABLE: &str = "schema = 1\nname = 'orders'\nversion = '7'\n# \"quoted\"\n";
const DAY: Duration = Duration::from_secs(86_400);

/// A signer of a new key.
fn signer() -> FileSigner {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    fs::write(&path, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    FileSigner::read(&path).unwrap()
}

fn key(signer: &FileSigner) -> PublicKey {
    block_on(signer.public_key()).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn bundle(signer: &FileSigner, table: &str, name: &str, sequence: u64, left: Duration) -> String {
    let manifest = Manifest::of(table, name, "7", sequence, NotAfter::at(SystemTime::now() + left).unwrap()).unwrap();
    write(&manifest, table, &block_on(signer.sign(&manifest.digest())).unwrap())
}

fn verify(text: &str, key: &PublicKey) -> Result<(Manifest, String), BundleError> {
    Ok(Bundle::parse(text.as_bytes())?.verified(key, SystemTime::now())?.into_parts())
}

#[test]
fn what_was_signed_comes_out() {
    let signer = signer();
    let (manifest, table) = verify(&bundle(&signer, TABLE, "orders", 7, DAY), &key(&signer)).unwrap();
    assert_eq!((table.as_str(), manifest.name.as_str(), manifest.sequence), (TABLE, "orders", 7));
    // `printf … | sha256sum` of the text as it stands.
    assert_eq!(manifest.sha256, "553db711c19297c2dcc7a655b21a9896de9b6a1545772b7c5ca2aca5716d899a");
    let at = NotAfter::parse("2026-12-05T01:00:00+01:00").unwrap();
    let manifest = Manifest::of("", "a\"\\é", "v", 7, at).unwrap();
    assert_eq!(
        manifest.canonical(),
        "{\"name\":\"a\\\"\\\\é\",\"not_after\":\"2026-12-05T00:00:00Z\",\"sequence\":7,\
         \"sha256\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\"version\":\"v\"}"
    );
}

#[test]
fn every_change_of_a_bundle_is_refused() {
    let (signer, other) = (signer(), signer());
    let good = bundle(&signer, TABLE, "orders", 7, DAY);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_str(&good).unwrap();
        change(&mut value);
        verify(&value.to_string(), &key(&signer)).unwrap_err().reason()
    };
    assert_eq!(changed(&|value| value["table"] = TABLE.replace('7', "8").into()), "changed");
    assert_eq!(changed(&|value| value["table"] = format!("{TABLE}\n").into()), "changed");
    for (member, new) in [("name", json!("payments")), ("version", json!("8")), ("sequence", json!(8)), ("sha256", json!("0".repeat(64)))] {
        assert_eq!(changed(&|value| value["manifest"][member] = new.clone()), "signature", "{member}");
    }
    assert_eq!(changed(&|value| value["manifest"]["not_after"] = "2036-01-01T00:00:00Z".into()), "signature");
    assert_eq!(verify(&good, &key(&other)).unwrap_err().reason(), "signature");
    let theirs: Value = serde_json::from_str(&bundle(&other, TABLE, "orders", 7, DAY)).unwrap();
    assert_eq!(changed(&|value| value["signature"] = theirs["signature"].clone()), "signature");
    assert_eq!(changed(&|value| value["signature"] = "".into()), "signature");
}

#[test]
fn what_two_readers_could_read_differently_is_no_bundle() {
    let signer = signer();
    let good = bundle(&signer, TABLE, "orders", 7, DAY);
    let compact = serde_json::from_str::<Value>(&good).unwrap().to_string();
    assert!(verify(&compact, &key(&signer)).is_ok());
    let bad = [
        compact.replace("{\"manifest\"", "{\"table\":\"\",\"manifest\""),
        compact.replacen("\"sequence\":7", "\"sequence\":7,\"sequence\":7", 1),
        compact.replacen("\"sequence\":7", "\"sequence\":7,\"more\":1", 1),
        compact.replacen("\"sequence\":7", "\"sequence\":7.0", 1),
        compact.replacen("\"sequence\":7", "\"sequence\":0", 1),
        compact.replacen("\"sequence\":7", "\"sequence\":9007199254740992", 1),
        compact.replacen("\"sequence\":7", "\"sequence\":\"7\"", 1),
        compact.replacen("\"orders\"", "\"orders\\u0000\"", 1),
        compact.replacen("\"orders\"", "\"\"", 1),
        compact.replacen("{\"manifest\"", "{\"x\":1,\"manifest\"", 1),
        format!("{compact} {{}}"),
        compact[..compact.len() - 1].to_owned(),
        "{}".to_owned(),
    ];
    for text in &bad {
        assert_eq!(verify(text, &key(&signer)).unwrap_err().reason(), "malformed", "{text}");
    }
    for cut in 1..good.len() - 1 {
        assert!(Bundle::parse(&good.as_bytes()[..cut]).is_err(), "cut at {cut}");
    }
    for text in ["", "schema = 1", "[]", "\u{feff}{}"] {
        assert_eq!(verify(text, &key(&signer)).unwrap_err().reason(), "unsigned", "{text}");
    }
}

#[test]
fn a_bundle_is_good_for_a_month_at_most() {
    let signer = signer();
    let reason = |left: Duration, later: Duration| {
        let bundle = bundle(&signer, TABLE, "orders", 7, left);
        let verified = Bundle::parse(bundle.as_bytes()).unwrap().verified(&key(&signer), SystemTime::now() + later);
        verified.map_or_else(|error| error.reason(), |_| "fine")
    };
    assert_eq!(reason(LONGEST, Duration::ZERO), "fine");
    assert_eq!(reason(LONGEST + Duration::from_secs(3_590), Duration::ZERO), "fine", "clocks differ");
    assert_eq!(reason(LONGEST + Duration::from_secs(3_610), Duration::ZERO), "too_long");
    assert_eq!(reason(DAY, DAY + Duration::from_secs(2)), "expired");
    assert_eq!(reason(DAY, DAY - Duration::from_secs(2)), "fine");
}

/// Writes bundles to files and loads them as a sidecar does.
fn load(dir: &Path, signed: &Signed, sequences: &Sequences, files: [Option<&str>; 3]) -> Result<LoadedTables, LoadError> {
    let source = |name: &str, text: Option<&str>| {
        let path = dir.join(name);
        text.map(|text| fs::write(&path, text).unwrap()).map(|()| Source::File(path))
    };
    let [own, boundary, candidate] = files;
    let settings = Settings {
        source: source("own", own).unwrap(),
        boundary: source("boundary", boundary),
        candidate: source("candidate", candidate),
        signed: Some(signed.clone()),
        refresh: DAY,
    };
    load_all(&settings, &Listeners::default(), Judging { sequences, fetched: &Fetched::default(), now: SystemTime::now() })
}

fn reason(result: Result<LoadedTables, LoadError>) -> String {
    match result {
        Ok(_) => "fine".to_owned(),
        Err(LoadError::Refused { error, .. }) => error.reason().to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_part_takes_its_own_bundles_and_no_older_one() {
    let (signer, dir) = (signer(), tempfile::tempdir().unwrap());
    let make = |name: &str, sequence: u64| bundle(&signer, &TABLE.replace("orders", name), name, sequence, DAY);
    let signed = Signed { public_key: key(&signer), own: Accepted::default(), boundary: Accepted::default() };
    let file = dir.path().join("sequences.json");
    let sequences = Sequences::open(file.clone());
    let load = |files: [Option<&str>; 3]| load(dir.path(), &signed, &sequences, files);
    let (own, platform) = (make("orders", 7), make("platform", 3));
    let loaded = load([Some(&own), Some(&platform), Some(&make("orders", 9))]).unwrap();
    sequences.accept(&loaded.bundles).unwrap();
    assert_eq!(
        loaded.bundles.all().map(|(part, manifest)| (part, manifest.sequence)).collect::<Vec<_>>(),
        [(Part::Own, 7), (Part::Boundary, 3), (Part::Candidate, 9)]
    );
    // The candidate was only tried.
    assert_eq!(reason(load([Some(&own), None, None])), "fine");
    assert_eq!(reason(load([Some(&make("orders", 6)), None, None])), "old_sequence");
    assert_eq!(reason(load([Some(&own), Some(&make("platform", 2)), None])), "old_sequence");
    assert_eq!(reason(load([Some(&own), None, Some(&make("orders", 6))])), "old_sequence");
    assert_eq!(reason(load([Some(&make("payments", 8)), None, None])), "other_name");
    assert_eq!(reason(load([Some(&own), Some(&make("other", 8)), None])), "other_name");
    assert_eq!(reason(load([Some(&own), None, Some(&make("platform", 9))])), "other_name");
    for plain in [[Some(TABLE), None, None], [Some(&own), Some(TABLE), None], [Some(&own), None, Some(TABLE)]] {
        assert_eq!(reason(load(plain)), "unsigned");
    }
    // Another process begins with what this one wrote.
    let again = Sequences::open(file.clone());
    assert_eq!((again.highest("orders").unwrap(), again.name(Part::Boundary).as_deref()), (7, Some("platform")));
    fs::write(&file, "{\"v\":\"countersign.sequences/1\"").unwrap();
    let damaged = Sequences::open(file);
    let load = || reason(super::tests::load(dir.path(), &signed, &damaged, [Some(&own), None, None]));
    assert_eq!(load(), "forgotten");
    fs::remove_file(dir.path().join("sequences.json")).unwrap();
    assert_eq!(load(), "fine");
}

#[test]
fn the_configuration_says_which_bundles_are_accepted() {
    let (signer, dir) = (signer(), tempfile::tempdir().unwrap());
    let make = |name: &str, sequence: u64| bundle(&signer, &TABLE.replace("orders", name), name, sequence, DAY);
    let (own, platform) = (make("orders", 7), make("platform", 3));
    let accepted = |name: &str, min_sequence| Accepted { name: Some(name.to_owned()), min_sequence };
    let with = |own_ones: Accepted, boundary_ones: Accepted, files: [Option<&str>; 3]| {
        let signed = Signed { public_key: key(&signer), own: own_ones, boundary: boundary_ones };
        reason(load(dir.path(), &signed, &Sequences::default(), files))
    };
    let both = [Some(&*own), Some(&*platform), None];
    assert_eq!(with(accepted("orders", 7), accepted("platform", 3), both), "fine");
    assert_eq!(with(accepted("orders", 8), Accepted::default(), both), "old_sequence");
    assert_eq!(with(Accepted::default(), accepted("platform", 4), both), "old_sequence");
    assert_eq!(with(accepted("payments", 0), Accepted::default(), both), "other_name");
    assert_eq!(with(Accepted::default(), accepted("other", 0), both), "other_name");
    assert_eq!(with(Accepted::default(), Accepted::default(), [Some(&own), Some(&own), None]), "caps_itself");
    let misnamed = bundle(&signer, TABLE, "payments", 7, DAY);
    assert_eq!(with(Accepted::default(), Accepted::default(), [Some(&misnamed), None, None]), "other_table");
    let failing = format!("{TABLE}[[case]]\nname = 'c'\nfrom = 'spiffe://d/a'\nmethod = 'GET'\npath = '/'\nexpect = 'allow'\n");
    let failing = bundle(&signer, &failing, "orders", 7, DAY);
    assert_eq!(with(Accepted::default(), Accepted::default(), [Some(&failing), None, None]), "table");
}
