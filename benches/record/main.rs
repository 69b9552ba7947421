//! What a decision record costs: on the request's thread, median and 99th percentile, with allocations; and how many the writer brings to a file.
//!
//! `cargo bench --no-default-features --bench record` prints the figures and fails where a record allocates on the request's thread.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use countersign::audit::{self, BootFacts, Decision, Direction, OnFull, Outcome, Recorder, Settings, Sink};
use countersign::identity::{Channel, PeerIdentity, Principal, SpiffeId};
use countersign::policy::{Caller, Listeners, Permit, Snapshot, Verdict, decide, parse};
use countersign::request::{CanonicalRequest, Listener, Mentioned, Strictness, canonicalize};
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use std::hint::black_box;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Records whose allocations are counted.
const ALONE: usize = 1_000;

/// Records that are timed one by one.
const SINGLE: usize = 400_000;

/// Records that the writer is given as fast as it takes them.
const STREAM: usize = 1_500_000;

const TABLE: &str = r"
schema = 1
name = 'bench'
[[rule]]
id = 'orders-read'
effect = 'allow'
from = { spiffe = ['spiffe://prod.example/ns/web/sa/frontend'] }
methods = ['GET']
paths = ['/orders/{id}']
";

fn main() -> ExitCode {
    // `cargo test` runs every bench once; this one would take its time.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("record");
    let _ = std::fs::remove_dir_all(&directory);
    let asked = Asked::new();
    let (records, clock, allocations) = singly(&directory, &asked);
    print_times("one record on the request's thread", records);
    print_times("of that, the readings of the clock around it", clock);
    println!("allocations for {ALONE} records: {allocations}");
    print_rate(&directory, &asked);
    let _ = std::fs::remove_dir_all(&directory);
    if allocations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A request as the data path has it when its record is made.
struct Asked {
    table: Snapshot,
    caller: Arc<Caller>,
    request: CanonicalRequest,
}

impl Asked {
    fn new() -> Self {
        let listeners = Listeners { ports: vec![8_443], ..Listeners::default() };
        let table: Snapshot = Some(Arc::new(parse("bench", TABLE, &listeners).unwrap().into()));
        let asked = Self { table, caller: caller(), request: request("/orders/4711") };
        // The first decision finds the caller's rules.
        while allocation_counter::measure(|| drop(black_box(asked.permit()))).count_total > 0 {}
        asked
    }

    fn permit(&self) -> Permit {
        decide(&self.table, &self.caller, &self.request, SystemTime::now()).unwrap()
    }

    /// The record of one request that was served.
    fn record(&self, recorder: &Recorder, permit: Permit) -> Decision {
        let at = SystemTime::now();
        Decision {
            at,
            id: recorder.id(at),
            direction: Direction::Inbound,
            verdict: Verdict::Allow,
            facts: permit.facts().clone(),
            caller: Arc::clone(&self.caller),
            target: None,
            request: Some(self.request.clone()),
            method: None,
            decide_ns: 60,
            outcome: Outcome { status: 200, bytes_out: 1_024, upstream_us: Some(120), total_us: 180, ..Outcome::default() },
        }
    }
}

/// A writer of its own into an empty directory, and what pushes to it.
fn start(directory: &Path, on_full: OnFull) -> (Recorder, audit::Writer) {
    let settings = Settings { sink: Sink::File(directory.to_owned()), on_full, max_bytes: 1 << 33, compress: false, ..Settings::default() };
    let boot = BootFacts { workload: "spiffe://prod.example/ns/shop/sa/orders".to_owned(), version: "bench", policy_sha256: None };
    let (mut recorders, _journal, writer) = audit::start(&settings, boot, 1).unwrap();
    (recorders.remove(0), writer)
}

/// Times of records one by one and of the clock alone, and the allocations of some more.
fn singly(directory: &Path, asked: &Asked) -> (Vec<Duration>, Vec<Duration>, u64) {
    let (recorder, writer) = start(directory, OnFull::Aggregate);
    let once = || {
        let permit = asked.permit();
        let begun = Instant::now();
        recorder.allow(asked.record(&recorder, permit));
        begun.elapsed()
    };
    let records = (0..SINGLE).map(|_| once()).collect();
    let clock = (0..SINGLE).map(|_| black_box(Instant::now()).elapsed()).collect();
    let permits: Vec<Permit> = (0..ALONE).map(|_| asked.permit()).collect();
    let allocations = allocation_counter::measure(|| {
        for permit in permits {
            recorder.allow(asked.record(&recorder, permit));
        }
    });
    drop(recorder);
    writer.finish();
    // The vector of permits ends inside, which frees and allocates nothing.
    (records, clock, allocations.count_total)
}

fn print_times(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 1_000).copied().unwrap_or_default();
    println!("{what}: median {:?}, 99 of 100 within {:?}, 999 of 1,000 within {:?}", at(500), at(990), at(999));
}

/// Gives the writer as much as it takes, and divides by the processor time of its thread.
fn print_rate(directory: &Path, asked: &Asked) {
    let before = bytes(directory);
    let (recorder, writer) = start(directory, OnFull::Block);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let begun = Instant::now();
    let spent = runtime.block_on(async {
        for _ in 0..STREAM {
            while recorder.reserve().await.is_err() {}
            recorder.allow(asked.record(&recorder, asked.permit()));
        }
        // What is still in the ring is less than 0.3 % of it all.
        writer_time()
    });
    let wall = begun.elapsed();
    drop(recorder);
    writer.finish();
    let records = STREAM as f64;
    println!(
        "writer: {:.0} records/s of its processor time, {:.0} records/s as the clock on the wall had it, {:.0} bytes a record",
        records / spent.as_secs_f64(),
        records / wall.as_secs_f64(),
        (bytes(directory) - before) as f64 / records
    );
}

/// Processor time of the writer's thread, as the scheduler counts it (`/proc/PID/task/TID/schedstat`, nanoseconds).
fn writer_time() -> Duration {
    let spent = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path()).find_map(|task| {
        let name = std::fs::read_to_string(task.join("comm")).ok()?;
        let spent = std::fs::read_to_string(task.join("schedstat")).ok().filter(|_| name.trim() == "decision-log")?;
        spent.split(' ').next()?.parse().ok()
    });
    Duration::from_nanos(spent.unwrap())
}

/// Bytes in the files of a directory.
fn bytes(directory: &Path) -> u64 {
    std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

fn caller() -> Arc<Caller> {
    let now = SystemTime::now();
    let hour = Duration::from_secs(3_600);
    let identity = PeerIdentity {
        principal: Principal::Spiffe(SpiffeId::parse("spiffe://prod.example/ns/web/sa/frontend").unwrap()),
        serial: "0badcafe".repeat(4),
        fingerprint: "ab".repeat(32),
        issuer: "CN=Countersign development".to_owned(),
        subject: String::new(),
        dns_names: Vec::new(),
        not_after: now + hour,
        not_before: now - hour,
    };
    let channel = Channel { version: "1.3", cipher: "TLS13_AES_128_GCM_SHA256", group: None, alpn: "http/1.1", sni: Some("orders".into()) };
    Arc::new(Caller::new(Some(Arc::new(identity)), SocketAddr::from(([127, 0, 0, 1], 40_000)), 8_443, Some(channel)))
}

fn request(path: &str) -> CanonicalRequest {
    let headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("orders"))]);
    let uri = Uri::try_from(path).unwrap();
    canonicalize(&Method::GET, &uri, Version::HTTP_11, &headers, &Strictness::default(), Listener::Inbound, &Mentioned::default()).unwrap()
}
