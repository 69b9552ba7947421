//! How many records a second are decided again, and learnt from, on one core.
//!
//! `cargo bench --no-default-features --bench replay` writes a log of a million records, plain and compressed, prints what is read of it a second, and
//! removes it.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use countersign::audit::read::{Piece, inputs};
use countersign::policy::record::Line;
use countersign::policy::replay::{Replay, Trials};
use countersign::policy::suggest::Learner;
use countersign::policy::{Listeners, parse};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Records of the log.
const RECORDS: u64 = 1_000_000;

/// Rules of the table, each about one service.
const RULES: usize = 1_000;

fn main() {
    // `cargo test` runs every bench once; this one would take its time.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("replay");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    let (plain, packed) = (directory.join("1.ndjson"), directory.join("2.ndjson.zst"));
    write(&plain);
    zstd::stream::copy_encode(File::open(&plain).unwrap(), File::create(&packed).unwrap(), 3).unwrap();
    let table = parse("bench", &table(), &Listeners::default()).unwrap();
    for (name, log) in [("plain", &plain), ("zstd", &packed)] {
        best(&format!("replay, {name}"), log, || {
            let mut replay = Replay::new(Arc::new(Arc::clone(&table).into()), Trials::AsWritten);
            each(log, |line| replay.record(line).unwrap());
            let report = replay.finish();
            assert_eq!((report.decided, report.undecidable), (RECORDS, 0));
            report.changed()
        });
        best(&format!("suggest, {name}"), log, || {
            let mut learner = Learner::default();
            each(log, |line| learner.record(line).unwrap());
            learner.suggest().rules() as u64
        });
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

/// Prints the best of three.
fn best(name: &str, log: &Path, run: impl Fn() -> u64) {
    let once = || {
        let begun = Instant::now();
        let found = run();
        (begun.elapsed(), found)
    };
    let (time, found) = (0..3).map(|_| once()).min().unwrap();
    let (second, bytes) = (time.as_secs_f64(), std::fs::metadata(log).unwrap().len() as f64);
    println!("{:>9.0} records/s  {:>5.0} MB/s  {name} ({found} found)", RECORDS as f64 / second, bytes / 1e6 / second);
}

fn each(log: &Path, mut record: impl FnMut(&Line<'_>)) {
    let mut reader = inputs(&[PathBuf::from(log)]).unwrap()[0].open().unwrap();
    while let Some(piece) = reader.next().unwrap() {
        let Piece::Lines(lines) = piece else { continue };
        for (_, line) in lines.iter() {
            record(&Line::read(line).unwrap());
        }
    }
}

/// A thousand rules, a hundred for each caller.
fn table() -> String {
    let mut text = "schema = 1\nname = 'bench'\n".to_owned();
    for number in 0..RULES {
        writeln!(
            text,
            "[[rule]]\nid = 'r{number}'\neffect = 'allow'\nfrom = {{ spiffe = ['spiffe://prod.example/ns/{}/sa/front'] }}\nmethods = ['GET']\n\
             paths = ['/service{number}/orders/{{id}}']",
            number % 10
        )
        .unwrap();
    }
    text
}

/// Records as a sidecar writes them: ten callers, a thousand templates, and one request of a hundred that the table has no rule for.
fn write(path: &Path) {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    for number in 0..RECORDS {
        let (service, caller) = (number % 1_000, number % 10);
        let method = if number % 100 == 99 { "PUT" } else { "GET" };
        let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let line = format!(
            "{{\"v\":\"countersign.decision/1\",\"seq\":{number},\"shard\":1,\"shard_seq\":{number},\"boot\":\"0123456789abcdef0123456789abcdef\",\
             \"kind\":\"decision\",\"time\":\"2026-11-22T12:34:56.{:09}Z\",\"id\":\"01KAPYN5Z0{number:016}\",\"dir\":\"inbound\",\"decision\":\"allow\",\
             \"reason\":\"rule\",\"rule\":\"r{service}\",\"policy\":\"orders\",\"policy_version\":\"7\",\
             \"policy_sha256\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\
             \"src\":{{\"id\":\"spiffe://prod.example/ns/{caller}/sa/front\",\"ip\":\"10.1.2.3\",\"port\":47110}},\
             \"cert\":{{\"serial\":\"4f1d5a\",\"sha256\":\"{number:064x}\",\"not_after\":\"2026-11-23T12:00:00Z\",\"issuer\":\"CN=prod\"}},\
             \"tls\":{{\"version\":\"1.3\",\"cipher\":\"TLS13_AES_256_GCM_SHA384\",\"group\":\"X25519MLKEM768\",\"alpn\":\"h2\"}},\
             \"dst\":{{\"host\":\"orders.example\",\"port\":8443}},\"http\":{{\"method\":\"{method}\",\"path\":\"/service{service}/orders/{id}\",\
             \"template\":\"/service{service}/orders/{{id}}\",\"version\":\"2\",\"ctype\":\"none\",\"status\":200}},\"bytes_in\":0,\"bytes_out\":1234,\
             \"decide_ns\":210,\"upstream_us\":812,\"total_us\":1034,\"chain\":\"{number:064x}\"}}\n",
            number % 1_000_000_000
        );
        out.write_all(line.as_bytes()).unwrap();
    }
    out.flush().unwrap();
}
