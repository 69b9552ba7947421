//! How fast a filter looks through a log, on one core, over a plain file that lies in the page cache.
//!
//! `cargo bench --no-default-features --bench scan` writes a log of a gigabyte, prints what it reads of it a second, and removes it.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use countersign::audit::query::{Filter, Scan};
use countersign::audit::read::{Piece, inputs};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Bytes of the log.
const LENGTH: u64 = 1 << 30;

/// Records of which one is a denial: what filters look for is rare, but not so rare that a block has none.
const DENIED: u64 = 100;

const FILTERS: [&str; 6] = [
    "decision=deny",
    "decision=deny and src.id~\"spiffe://*/ns/web/**\" and http.path~\"/admin/**\"",
    "id=01KAPYN5Z0000000000000000Z",
    "http.status>=500",
    "decision=allow",
    "decision=deny or http.status>=500",
];

fn main() {
    // `cargo test` runs every bench once; this one would take its time.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scan");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    let plain = directory.join("decisions-1.ndjson");
    let records = write(&plain);
    println!("{records} records, {LENGTH} bytes");
    for filter in FILTERS {
        scan(&plain, filter);
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

/// Records as a sidecar writes them.
fn write(path: &Path) -> u64 {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    let (mut length, mut number) = (0, 0_u64);
    while length < LENGTH {
        let denied = number % DENIED == 0;
        let (decision, reason, rule, status) =
            if denied { ("deny", "implicit_deny", "", 403) } else { ("allow", "rule", "\"rule\":\"orders-read\",", 200) };
        let (path, team) = if number % 1_000 == 0 { ("/admin/users", "web") } else { ("/orders/4711", "shop") };
        let line = format!(
            "{{\"v\":\"countersign.decision/1\",\"seq\":{number},\"shard\":1,\"shard_seq\":{number},\"boot\":\"0123456789abcdef0123456789abcdef\",\
             \"kind\":\"decision\",\"time\":\"2026-11-22T12:34:56.{:09}Z\",\"id\":\"01KAPYN5Z0{number:016}\",\"dir\":\"inbound\",\"decision\":\"{decision}\",\
             \"reason\":\"{reason}\",{rule}\"policy\":\"orders\",\"policy_version\":\"7\",\
             \"policy_sha256\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\
             \"src\":{{\"id\":\"spiffe://prod.example/ns/{team}/sa/front\",\"ip\":\"10.1.2.3\",\"port\":47110}},\
             \"cert\":{{\"serial\":\"4f1d5a\",\"sha256\":\"{number:064x}\",\"not_after\":\"2026-11-23T12:00:00Z\",\"issuer\":\"CN=prod\"}},\
             \"tls\":{{\"version\":\"1.3\",\"cipher\":\"TLS13_AES_256_GCM_SHA384\",\"group\":\"X25519MLKEM768\",\"alpn\":\"h2\"}},\
             \"dst\":{{\"host\":\"orders.example\",\"port\":8443}},\"http\":{{\"method\":\"GET\",\"path\":\"{path}\",\"template\":\"/orders/{{id}}\",\
             \"version\":\"2\",\"ctype\":\"none\",\"status\":{status}}},\"bytes_in\":0,\"bytes_out\":1234,\"decide_ns\":210,\"upstream_us\":812,\
             \"total_us\":1034,\"chain\":\"{number:064x}\"}}\n",
            number % 1_000_000_000
        );
        out.write_all(line.as_bytes()).unwrap();
        (length, number) = (length + line.len() as u64, number + 1);
    }
    out.flush().unwrap();
    number
}

/// Prints the best of three.
fn scan(path: &Path, filter: &str) {
    let best = (0..3).map(|_| once(path, filter)).min().unwrap();
    let (time, hits) = best;
    println!("{:>6.0} MB/s  {hits:>8} records  {filter}", LENGTH as f64 / 1e6 / time.as_secs_f64());
}

fn once(path: &Path, filter: &str) -> (Duration, u64) {
    let mut scan = Scan::new(Filter::parse(filter, SystemTime::now()).unwrap(), &[]);
    let (begun, mut hits) = (Instant::now(), 0);
    let mut reader = inputs(&[PathBuf::from(path)]).unwrap()[0].open().unwrap();
    while let Some(piece) = reader.next().unwrap() {
        let Piece::Lines(lines) = piece else { continue };
        let _ = scan.lines(lines.bytes, |_| {
            hits += 1;
            ControlFlow::Continue(())
        });
    }
    (begun.elapsed(), hits)
}
