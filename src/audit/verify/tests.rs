//! Logs that a writer wrote, and what becomes of them in wrong hands.

use super::*;
use crate::audit::boot_key::BootKey;
use crate::audit::lines::SIGNATURE;
use crate::audit::read::inputs;
use crate::audit::tests::{at, boot, decision, file_settings};
use crate::audit::{Settings, start};
use crate::policy::Verdict;
use crate::runtime::readiness::Readiness;
use crate::runtime::signer::{DigestSigner as _, FileSigner};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A directory with a log, and the key that vouches for it.
struct Log {
    dir: TempDir,
    keys: TempDir,
}

impl Log {
    fn new() -> Self {
        let log = Self { dir: tempfile::tempdir().unwrap(), keys: tempfile::tempdir().unwrap() };
        let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
        fs::write(log.key_file(), pem).unwrap();
        fs::set_permissions(log.key_file(), fs::Permissions::from_mode(0o600)).unwrap();
        log
    }

    fn key_file(&self) -> PathBuf {
        self.keys.path().join("key.pem")
    }

    fn key(&self) -> PublicKey {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(FileSigner::read(&self.key_file()).unwrap().public_key()).unwrap()
    }

    /// One boot that ends well, with files of some 256 KiB.
    fn boot(&self, records: u64) -> &Self {
        self.boot_of(&file_settings(self.dir.path(), 1 << 20), records)
    }

    fn boot_of(&self, settings: &Settings, records: u64) -> &Self {
        let (recorders, journal, writer) = start(settings, boot(), 1).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let signer = Arc::new(FileSigner::read(&self.key_file()).unwrap());
        runtime.block_on(journal.certify(signer, Readiness::default()));
        for number in 0..records {
            // Time that runs backwards is no fault.
            let mut denied = decision(recorders[0].id(at(1)), Verdict::Deny, "/orders/1");
            denied.at = at(1_000_000 - number);
            recorders[0].deny(denied);
            if number % 500 == 499 {
                let known = || self.lines().iter().filter(|line| line.contains("\"kind\":\"decision\"")).count();
                let before = known();
                while known() == before && before == 0 {
                    std::thread::yield_now();
                }
            }
        }
        drop(recorders);
        writer.finish();
        self
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> =
            fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
        files.sort();
        files
    }

    fn lines(&self) -> Vec<String> {
        self.files().iter().flat_map(|path| lines(path)).collect()
    }

    fn report(&self) -> Report {
        self.report_with(None, Vec::new())
    }

    fn report_with(&self, key: Option<PublicKey>, kept: Vec<Kept>) -> Report {
        verify(&[self.dir.path().to_owned()], Options { scope: Scope::Whole, key, boot: None, kept })
    }
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn write(path: &Path, lines: &[String]) {
    fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let mut all = lines(path);
    change(&mut all);
    write(path, &all);
}

fn verify(paths: &[PathBuf], options: Options) -> Report {
    let mut verifier = Verifier::new(options);
    for input in inputs(paths).unwrap() {
        verifier.read(&input).unwrap();
    }
    verifier.finish()
}

fn reasons(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.fault.reason()).collect()
}

/// The first finding: its label, and the line.
fn first(report: &Report) -> (&'static str, u64) {
    let finding = report.findings.first().expect("a finding");
    (finding.fault.reason(), finding.place.line)
}

/// Makes the chain anew from `from` on, as somebody does who can write the files.
fn rehash(all: &mut [String], from: usize) {
    let link = |line: &str| Stamp::read(line.as_bytes()).unwrap().chain;
    let mut last = if from == 0 { Link::GENESIS } else { link(&all[from - 1]) };
    for line in &mut all[from..] {
        let hashed = line[..line.rfind(",\"chain\":\"").unwrap()].to_owned();
        last = last.next(hashed.as_bytes(), &mut Vec::new());
        *line = format!("{hashed},\"chain\":\"{}\"}}", last.hex().as_str());
    }
}

/// Makes chain, checkpoints and footer anew with a key of one's own.
fn rewrite(all: &mut [String], key: &mut BootKey) {
    let mut previous = None::<String>;
    for at in 0..all.len() {
        let mut value: serde_json::Value = serde_json::from_str(&all[at]).unwrap();
        let kind = value["kind"].as_str().unwrap().to_owned();
        if kind == "checkpoint" || kind == "footer" {
            let before: serde_json::Value = serde_json::from_str(&all[at - 1]).unwrap();
            let old = format!("\"last_chain\":{}", value["last_chain"]);
            all[at] = all[at].replace(&old, &format!("\"last_chain\":{}", before["chain"]));
        }
        if kind == "checkpoint" {
            let signed = all[at].find(std::str::from_utf8(SIGNATURE).unwrap()).unwrap();
            let mut text = all[at][..signed].replace(value["key"].as_str().unwrap(), &key.holder().key);
            if let (Some(old), Some(new)) = (value["previous"].as_str(), &previous) {
                text = text.replace(old, new);
            }
            let signature = key.sign(text.as_bytes(), false).to_owned();
            all[at] = format!("{text},\"signature\":\"{signature}\",\"chain\":\"\"}}");
            previous = Some(signature);
        }
        value.take();
        rehash_one(all, at);
    }
}

fn rehash_one(all: &mut [String], at: usize) {
    let begin = at.saturating_sub(1);
    let last = if at == 0 { Link::GENESIS } else { Stamp::read(all[begin].as_bytes()).unwrap().chain };
    let hashed = all[at][..all[at].rfind(",\"chain\":\"").unwrap()].to_owned();
    let link = last.next(hashed.as_bytes(), &mut Vec::new());
    all[at] = format!("{hashed},\"chain\":\"{}\"}}", link.hex().as_str());
}

#[test]
fn what_a_writer_writes_is_fine() {
    let log = Log::new();
    let report = log.boot(700).boot(3).report_with(Some(log.key()), Vec::new());
    assert_eq!(report.findings, []);
    assert!(report.files >= 3 && report.unended == 0 && report.boots.len() == 2, "{report:?}");
    for boot in &report.boots {
        assert!(boot.ended && boot.lost == 0 && boot.checkpoints >= 2 && boot.uncovered <= 2, "{boot:?}");
        assert_eq!(boot.certification, Certification::Verified { signer: log.key().fingerprint().into() });
    }
    assert_eq!(reasons(&log.report_with(Some(Log::new().key()), Vec::new()))[0], "certificate");
}

#[test]
fn compressed_files_are_verified_like_plain_ones() {
    let log = Log::new();
    let settings = Settings { compress: true, ..file_settings(log.dir.path(), 1 << 20) };
    let packed = |path: &PathBuf| path.extension().is_some_and(|end| end == "zst");
    log.boot(5);
    let (recorders, _journal, writer) = start(&settings, boot(), 1).unwrap();
    let give_up = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !log.files().iter().any(packed) || log.files().len() > 2 {
        assert!(std::time::Instant::now() < give_up);
        std::thread::yield_now();
    }
    drop(recorders);
    writer.finish();
    let report = log.report();
    assert!(report.is_fine() && report.boots.len() == 2 && report.unended == 0, "{report:?}");
    // A compressed file that is cut is said.
    let path = log.files().into_iter().find(packed).unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
    assert!(reasons(&log.report()).contains(&"unreadable"));
}

#[test]
fn events_are_verified_like_records() {
    let log = Log::new();
    let settings = Settings { format: crate::audit::Format::Ocsf, ..file_settings(log.dir.path(), 1 << 20) };
    log.boot_of(&settings, 20).boot_of(&settings, 2);
    let report = log.report_with(Some(log.key()), Vec::new());
    assert_eq!(report.findings, []);
    assert!(report.boots.len() == 2 && report.boots.iter().all(|boot| boot.ended && boot.checkpoints >= 1), "{report:?}");
    change(&log.files()[0], |all| all[9] = all[9].replace("/orders/1", "/orders/2"));
    assert_eq!(first(&log.report()), ("changed", 10));
}

#[test]
fn a_changed_byte_is_found_in_its_line() {
    let log = Log::new();
    log.boot(20);
    change(&log.files()[0], |all| all[9] = all[9].replace("/orders/1", "/orders/2"));
    let report = log.report();
    assert_eq!((report.faults, first(&report)), (1, ("changed", 10)));
    // Its chain made to fit, the one after it does not.
    let link = Link::GENESIS;
    change(&log.files()[0], |all| {
        rehash_one(all, 9);
        assert_ne!(Stamp::read(all[9].as_bytes()).unwrap().chain, link);
    });
    assert_eq!(first(&log.report()), ("changed", 11));
}

#[test]
fn a_removed_line_and_swapped_ones_are_found() {
    let log = Log::new();
    log.boot(20);
    let whole = lines(&log.files()[0]);
    change(&log.files()[0], |all| drop(all.remove(9)));
    assert_eq!(first(&log.report()), ("missing", 10));
    write(&log.files()[0], &whole);
    change(&log.files()[0], |all| all.swap(9, 10));
    let report = log.report();
    assert_eq!(first(&report), ("missing", 10));
    assert!(reasons(&report).contains(&"out_of_order"));
    write(&log.files()[0], &whole);
    change(&log.files()[0], |all| all.insert(9, all[8].clone()));
    assert_eq!(first(&log.report()), ("out_of_order", 10));
    assert_eq!(log.report().faults, 1);
}

#[test]
fn a_cut_tail_is_found_by_what_comes_after_it_and_by_a_kept_checkpoint() {
    let log = Log::new();
    log.boot(700);
    let files = log.files();
    assert!(files.len() >= 2);
    let kept: Vec<_> = lines(files.last().unwrap()).iter().filter_map(|line| Kept::read(line.as_bytes())).collect();
    let whole = lines(&files[0]);
    change(&files[0], |all| all.truncate(all.len() - 5));
    let report = log.report();
    assert_eq!(first(&report), ("missing", 1));
    assert_eq!(report.findings[0].place.file.as_ref(), files[1].to_str().unwrap());
    write(&files[0], &whole);

    // At the very end it looks like a process that was killed, but for who has a checkpoint of it elsewhere.
    let last = lines(files.last().unwrap());
    change(files.last().unwrap(), |all| all.truncate(1));
    let report = log.report();
    assert!(report.is_fine() && report.unended == 1 && !report.boots[0].ended, "{report:?}");
    assert_eq!(reasons(&log.report_with(None, kept.clone())), ["checkpoint_gone"]);
    // The next boot has seen it whole.
    write(files.last().unwrap(), &last);
    log.boot(3);
    assert!(log.report_with(None, kept).is_fine());
    change(files.last().unwrap(), |all| all.truncate(1));
    assert_eq!(reasons(&log.report()), ["previous_cut"]);
}

#[test]
fn a_removed_file_is_found_and_a_pruned_one_is_none() {
    let log = Log::new();
    log.boot(1_000).boot(3).boot(3);
    let files = log.files();
    let moved = |index: usize| {
        let path = &files[index];
        let bytes = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        let report = log.report();
        fs::write(path, bytes).unwrap();
        reasons(&report)
    };
    assert!(log.report().is_fine() && files.len() >= 5, "{} {:?}", files.len(), log.report());
    assert_eq!(moved(1), ["missing"]);
    assert_eq!(moved(0), ["no_beginning"]);
    assert_eq!(moved(files.len() - 2), ["previous_gone"]);
    // Of a part of the files nothing is said to be missing before it.
    let part = |paths: &[PathBuf]| verify(paths, Options { scope: Scope::Part, key: Some(log.key()), boot: None, kept: Vec::new() });
    assert_eq!(part(&files[1..3]).findings, []);

    let log = Log::new();
    log.boot(2_500);
    let report = log.report();
    assert!(report.is_fine() && report.pruned > 0 && report.boots[0].pruned_before, "{report:?}");
    // What was pruned vouches for the first line that is left.
    change(&log.files()[0], |all| {
        let changed = all[0].replace("\"task\":\"a", "\"task\":\"b");
        assert_ne!(changed, all[0]);
        all[0] = changed;
    });
    assert_eq!((first(&log.report()), log.report().faults), (("changed", 1), 1));
}

#[test]
fn a_forged_checkpoint_is_found() {
    let log = Log::new();
    log.boot(20);
    let file = &log.files()[0];
    let whole = lines(file);
    let edit = |all: &mut Vec<String>| all[9] = all[9].replace("/orders/1", "/orders/2");
    // Everything after the change is hashed anew.
    change(file, |all| {
        edit(all);
        rehash(all, 9);
    });
    assert_eq!(reasons(&log.report())[0], "checkpoint_elsewhere");
    // One checkpoint is of another key.
    let mut own = BootKey::make(&"1".repeat(32), "w", None).unwrap();
    write(file, &whole);
    change(file, |all| {
        let at = all.iter().rposition(|line| line.contains("\"kind\":\"checkpoint\"")).unwrap();
        let key = serde_json::from_str::<serde_json::Value>(&all[at]).unwrap()["key"].as_str().unwrap().to_owned();
        let signed = all[at].find(",\"signature\":\"").unwrap();
        let signed = all[at].rfind(",\"signature\":\"").unwrap().max(signed);
        let text = all[at][..signed].replace(&key, &own.holder().key);
        let signature = own.sign(text.as_bytes(), false).to_owned();
        all[at] = format!("{text},\"signature\":\"{signature}\",\"chain\":\"\"}}");
        rehash(all, at);
    });
    assert!(reasons(&log.report()).contains(&"checkpoint_key"), "{:?}", log.report().findings);
    // A signature of nothing.
    write(file, &whole);
    change(file, |all| {
        let at = all.iter().rposition(|line| line.contains("\"kind\":\"checkpoint\"")).unwrap();
        all[at] = all[at].replace("\"last_seq\":", "\"last_seq\": ");
        rehash(all, at);
    });
    assert!(reasons(&log.report()).contains(&"checkpoint_signature"));
}

/// Who writes all of it anew, with a key of his own, is found by the key that vouches for the true one, and by a kept checkpoint, and by nothing else.
#[test]
fn a_log_that_was_written_anew_lacks_the_certificate() {
    let log = Log::new();
    log.boot_of(&Settings { signing: None, ..file_settings(log.dir.path(), 1 << 30) }, 20);
    let file = &log.files()[0];
    let kept: Vec<_> = lines(file).iter().filter_map(|line| Kept::read(line.as_bytes())).collect();
    let mut own = BootKey::make(&"1".repeat(32), "w", None).unwrap();
    change(file, |all| {
        // Without the certificate, which no other key gets.
        for line in all.iter_mut() {
            if let (Some(from), Some(to)) = (line.find(",\"certificate\":{"), line.find("\"},\"labels\"")) {
                line.replace_range(from..to + 2, "");
            }
        }
        rewrite(all, &mut own);
    });
    assert_eq!(log.report().findings, []);
    assert_eq!(reasons(&log.report_with(Some(log.key()), Vec::new())), ["not_certified"]);
    assert!(reasons(&log.report_with(None, kept)).contains(&"checkpoint_gone"));
    assert_ne!(Some(log.key().fingerprint()), log.report().boots[0].key);
}

#[test]
fn a_spliced_boot_is_found() {
    let (log, other) = (Log::new(), Log::new());
    log.boot(10).boot(10);
    other.boot(10);
    let files = log.files();
    let whole = lines(&files[1]);
    // Lines of another boot between ours.
    change(&files[1], |all| all.splice(5..5, other.lines()[4..7].to_vec()).for_each(drop));
    let found = reasons(&log.report());
    assert!(found.contains(&"spliced") && found.contains(&"no_beginning"), "{found:?}");
    write(&files[1], &whole);
    // A whole boot that names the same one before it as ours does.
    let copy = Log::new();
    fs::copy(&files[0], copy.dir.path().join(files[0].file_name().unwrap())).unwrap();
    copy.boot(10);
    fs::copy(&copy.files()[1], log.dir.path().join("decisions-29990101T000000Z-ffffffff-000000.ndjson")).unwrap();
    assert!(reasons(&log.report()).contains(&"fork"), "{:?}", log.report().findings);
    assert!(reasons(&log.report_with(Some(log.key()), Vec::new())).contains(&"certificate"));
}

#[test]
fn a_killed_process_leaves_a_boundary_and_no_finding() {
    let log = Log::new();
    log.boot(10);
    change(&log.files()[0], |all| all.truncate(8));
    let half = |path: &Path| fs::write(path, fs::read_to_string(path).unwrap() + "{\"v\":\"countersign.decision/1\",\"se").unwrap();
    half(&log.files()[0]);
    let report = log.report();
    assert!(report.is_fine(), "{report:?}");
    assert_eq!((report.endings[0].seq, report.endings[0].torn, report.endings[0].went_on), (7, true, false));
    log.boot(10);
    let report = log.report();
    assert!(report.is_fine() && report.unended == 1, "{report:?}");
    let next = lines(&log.files()[1]);
    assert!(next[0].contains("\"torn\":true") && next[0].contains("\"previous\":{"), "{}", next[0]);
}

#[test]
fn two_boots_of_one_task_do_not_live_at_once() {
    let (one, other) = (Log::new(), Log::new());
    let settings = |log: &Log| {
        let labels = [("task".to_owned(), "t".to_owned())].into();
        Settings { labels, ..file_settings(log.dir.path(), 1 << 30) }
    };
    let (recorders, _journal, writer) = start(&settings(&one), boot(), 1).unwrap();
    other.boot_of(&settings(&other), 3);
    drop(recorders);
    writer.finish();
    let both = [one.dir.path().to_owned(), other.dir.path().to_owned()];
    let report = verify(&both, Options { scope: Scope::Whole, key: None, boot: None, kept: Vec::new() });
    assert_eq!(reasons(&report), ["two_alive"]);
    assert!(one.report().is_fine() && other.report().is_fine());
}

#[test]
fn what_a_stream_refused_and_got_again_is_fine() {
    let log = Log::new();
    log.boot(20);
    let file = &log.files()[0];
    let whole = lines(file);
    change(file, |all| all.insert(7, all[7][..300].to_owned()));
    let report = log.report();
    assert!(report.is_fine() && report.written_again == 1, "{report:?}");
    write(file, &whole);
    change(file, |all| all.insert(7, all[8][..300].to_owned() + "x"));
    assert_eq!((first(&log.report()), log.report().faults), (("no_record", 8), 1));
    write(file, &whole);
    change(file, |all| all.insert(7, "x".repeat(crate::audit::read::MAX_LINE + 1)));
    assert_eq!((first(&log.report()), log.report().faults), (("too_long", 8), 1));
}

#[test]
fn memory_is_bounded_whatever_is_read() {
    let mut verifier = Verifier::new(Options { scope: Scope::Whole, key: None, boot: None, kept: Vec::new() });
    let line = |boot: u64| {
        format!("{{\"v\":\"countersign.decision/1\",\"seq\":3,\"boot\":\"{boot}\",\"kind\":\"gap\",\"chain\":\"{}\"}}", "0".repeat(64))
    };
    for number in 0..MAX_BOOTS as u64 + 50 {
        verifier.line(number + 1, line(number).as_bytes());
    }
    let report = verifier.finish();
    assert_eq!((report.boots.len(), report.findings.len()), (MAX_BOOTS, MAX_FINDINGS));
    // No beginning for each, one for each boot too many, and many in one file.
    assert_eq!(report.faults, MAX_BOOTS as u64 + 50 + 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is done to one byte of a log that ended well shows.
    #[test]
    fn no_byte_can_be_changed(position: prop::sample::Index, byte: u8) {
        static WHOLE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let whole = WHOLE.get_or_init(|| {
            let log = Log::new();
            log.boot(12);
            fs::read(&log.files()[0]).unwrap()
        });
        let mut bytes = whole.clone();
        let at = position.index(bytes.len() - 1);
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("decisions-1.ndjson"), bytes).unwrap();
        let report = verify(&[dir.path().to_owned()], Options { scope: Scope::Whole, key: None, boot: None, kept: Vec::new() });
        prop_assert!(!report.is_fine(), "byte {at}");
    }
}

#[test]
fn a_certificate_is_of_one_boot_workload_task_and_key() {
    let log = Log::new();
    let by = log.key();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let holder = Holder { boot: "b".into(), workload: "w".into(), task: Some("t".into()), key: "k".into() };
    let signer = FileSigner::read(&log.key_file()).unwrap();
    let signature = runtime.block_on(signer.sign(&holder.digest("now"))).unwrap();
    let certificate = Certificate { time: "now".into(), signer: by.fingerprint(), signature: BASE64_STANDARD.encode(signature.der()) };
    assert!(special::is_certified(&by, &holder, &certificate));
    let others = [
        Holder { boot: "c".into(), ..holder.clone() },
        Holder { workload: "x".into(), ..holder.clone() },
        Holder { task: None, ..holder.clone() },
        Holder { key: "l".into(), ..holder.clone() },
    ];
    assert!(others.iter().all(|other| !special::is_certified(&by, other, &certificate)));
    assert!(!special::is_certified(&by, &holder, &Certificate { time: "then".into(), ..certificate }));
}
