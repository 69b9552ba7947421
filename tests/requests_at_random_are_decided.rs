//! Whatever bytes a client sends, the app sees only requests that were decided and allowed, with the method, path and host that were decided on.
//!
//! The bytes are drawn at random from the pieces that smuggling is made of. `RANDOM_CONNECTIONS` draws more (500 a protocol), `RANDOM_SEED` draws others.

use crate::support::raw_http2::block;
use crate::support::strict::{Seen, StrictApp};
use crate::support::{ALICE, Raw, Setup, Sidecar, eventually};
use fastrand::Rng;
use futures_util::future::join_all;
use std::collections::BTreeMap;

const POLICY: &str = "schema = 1
name = 'test'
[[rule]]
id = 'open'
effect = 'allow'
from = { any_authenticated = true }
paths = ['/**']
why = 'test'
[[rule]]
id = 'closed'
effect = 'deny'
from = { any_authenticated = true }
paths = ['/admin/**', '/admin']
";

/// A request that must never be one.
const SMUGGLED: &str = "GET /admin/smuggled HTTP/1.1\r\nHost: orders\r\n\r\n";

/// The last request of a connection, like any other.
const LAST: &str = "GET /open/last HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n";

/// Connections at a time: one whose bytes promise more than they hold is cut only by a time-out.
const AT_ONCE: usize = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http1() {
    let (app, sidecar, setup) = start().await;
    let (cert, address) = (setup.cert(ALICE), sidecar.inbound());
    let mut rng = seeded(1);
    for _ in 0..connections().div_ceil(AT_ONCE) {
        let drawn: Vec<Vec<u8>> = (0..AT_ONCE).map(|_| http1(&mut rng)).collect();
        join_all(drawn.into_iter().map(async |bytes| {
            let mut connection = Raw::http1(address, &cert).await;
            connection.send(bytes).await;
            connection.send(LAST).await;
            connection.rest().await;
        }))
        .await;
    }
    agrees(&app, &sidecar).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http2() {
    let (app, sidecar, setup) = start().await;
    let (cert, address) = (setup.cert(ALICE), sidecar.inbound());
    let mut rng = seeded(2);
    for _ in 0..connections().div_ceil(AT_ONCE) {
        let seeds: Vec<Rng> = (0..AT_ONCE).map(|_| rng.fork()).collect();
        join_all(seeds.into_iter().map(async |mut rng| {
            let mut connection = Raw::http2(address, &cert).await;
            let streams = rng.u32(1..6);
            for index in 0..streams {
                http2(&mut connection, 1 + 2 * index, &mut rng).await;
            }
            connection.get(1 + 2 * streams, "/open/last").await;
            connection.outcome(1 + 2 * streams).await;
        }))
        .await;
    }
    agrees(&app, &sidecar).await;
}

async fn start() -> (StrictApp, Sidecar, Setup) {
    let (app, mut setup) = (StrictApp::start().await, Setup::new());
    setup.write_policy(POLICY);
    setup.set("timeouts.body_idle", "'1s'").set("timeouts.head", "'1s'").set("timeouts.idle", "'1s'").in_front_of(app.address);
    let sidecar = Sidecar::start(&setup).await;
    (app, sidecar, setup)
}

fn connections() -> usize {
    std::env::var("RANDOM_CONNECTIONS").map_or(500, |count| count.parse().expect("RANDOM_CONNECTIONS is a number"))
}

fn seeded(protocol: u64) -> Rng {
    let seed = std::env::var("RANDOM_SEED").map_or(20_261_122, |seed| seed.parse().expect("RANDOM_SEED is a number"));
    println!("RANDOM_SEED={seed}");
    Rng::with_seed(seed ^ protocol)
}

/// What the app has seen is among what the log says was allowed, as often at most.
async fn agrees(app: &StrictApp, sidecar: &Sidecar) {
    let seen = count(app.seen());
    assert_eq!(app.violations(), Vec::<String>::new());
    assert!(seen.values().sum::<usize>() > connections() / 2, "too little came through to say anything: {seen:?}");
    let denied: Vec<&Seen> = seen.keys().filter(|seen| seen.path == "/admin" || seen.path.starts_with("/admin/")).collect();
    assert!(denied.is_empty(), "what is denied came through: {denied:?}");
    let allowed = || {
        let records = sidecar.records();
        let allowed = records.iter().filter(|record| record["decision"] == "allow" && record["kind"] == "decision");
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        count(allowed.map(|record| Seen {
            method: text(&record["http"]["method"]),
            path: text(&record["http"]["path"]),
            host: text(&record["dst"]["host"]),
        }))
    };
    let undecided = || {
        let allowed = allowed();
        seen.iter()
            .filter(|(seen, times)| allowed.get(seen).copied().unwrap_or(0) < **times)
            .map(|(seen, _)| seen.clone())
            .collect::<Vec<_>>()
    };
    // Records are written when a request ends; what is missing for long was never decided.
    let mut last = Vec::new();
    let look = async || {
        last = undecided();
        last.is_empty().then_some(())
    };
    eventually("a decision for everything that the app has seen", look).await;
}

fn count(seen: impl IntoIterator<Item = Seen>) -> BTreeMap<Seen, usize> {
    let mut counts = BTreeMap::new();
    seen.into_iter().for_each(|seen| *counts.entry(seen).or_default() += 1);
    counts
}

/// One of `usual` most of the time, otherwise one of `odd`.
fn pick<'p>(rng: &mut Rng, usual: &[&'p str], odd: &[&'p str]) -> &'p str {
    let from = if rng.u8(..12) > 0 { usual } else { odd };
    rng.choice(from).expect("there is something to choose from")
}

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "HEAD"];
const ODD_METHODS: [&str; 8] = ["OPTIONS", "CONNECT", "get", "PRI", "X-Y", "TRACE", "G(T", ""];
const PATHS: [&str; 6] = ["/open/1", "/open/a%7eb?x=/admin", "/", "/open/%C3%A9", "/open/x?y?z", "/admin/x"];
const ODD_PATHS: [&str; 24] = [
    "/open/../admin/x",
    "//admin/x",
    "/open//x",
    "/%61dmin/x",
    "/%2e%2e/admin/x",
    "/open/%2fadmin",
    "/open%5c..%5cadmin",
    "/open/..;a=b/admin",
    "/admin;x=y/z",
    "/open/#/admin/x",
    "/open/%00",
    "/open/%zz",
    "/open/%",
    "/open/\\admin",
    "/open/%25%32e",
    "/open/\u{e9}",
    "*",
    "admin/x",
    "",
    "http://orders/admin/x",
    "https://orders/open/x",
    "orders:443",
    "/open /admin",
    "/ADMIN/x",
];
const FIELDS: [(&str, &str); 6] =
    [("accept", "*/*"), ("cookie", "a=b"), ("x-a", ""), ("authorization", "Bearer x"), ("content-type", "text/plain"), ("cookie", "c=d")];
const ODD_FIELDS: [(&str, &str); 26] = [
    ("connection", "close"),
    ("connection", "x-forwarded-client-cert"),
    ("connection", "host, x-a"),
    ("connection", "keep-alive, transfer-encoding"),
    ("connection", "upgrade"),
    ("upgrade", "h2c"),
    ("upgrade", "websocket"),
    ("http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA"),
    ("expect", "100-continue"),
    ("expect", "200-ok"),
    ("te", "trailers, chunked"),
    ("trailer", "host"),
    ("x-forwarded-client-cert", "URI=spiffe://evil/x"),
    ("X_Forwarded_Client_Cert", "URI=spiffe://evil/x"),
    ("x-countersign-peer", "spiffe://evil/x"),
    ("x-http-method-override", "DELETE"),
    ("x-original-url", "/admin"),
    ("forwarded", "host=evil"),
    ("content-length", "3"),
    ("content-length", "+3"),
    ("transfer-encoding", "chunked"),
    ("transfer-encoding", "xchunked"),
    ("transfer-encoding", "\u{b}chunked"),
    ("transfer_encoding", "chunked"),
    ("x b", "c"),
    ("x-latin", "\u{fc}"),
];

/// A few requests on one connection, some of them as bytes that were changed at random.
fn http1(rng: &mut Rng) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..rng.usize(1..5)).flat_map(|_| http1_request(rng)).collect();
    if rng.u8(..4) == 0 {
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(..bytes.len().max(1));
            match rng.u8(..4) {
                0 => bytes[at] = rng.u8(..),
                1 => bytes.insert(at, *rng.choice(b"\r\n \t\0:,;\x0b\xff0").expect("a byte")),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(1)),
            }
        }
    }
    bytes
}

fn http1_request(rng: &mut Rng) -> Vec<u8> {
    let mut end = || pick(rng, &["\r\n"; 6], &["\r\n", "\n", "\r\n ", "\r"]).to_owned();
    let (first, second) = (end(), end());
    let method = pick(rng, &METHODS, &ODD_METHODS);
    let path = pick(rng, &PATHS, &ODD_PATHS);
    let version = pick(rng, &["HTTP/1.1"], &["HTTP/1.0", "HTTP/1.1 ", "HTTP/2.0", "http/1.1", "HTTP/1.2", "HTTP/0.9"]);
    let mut text = format!("{method} {path} {version}{first}");
    let host = pick(
        rng,
        &["Host: orders", "host: ORDERS:8443", "Host: a.b."],
        &["", "Host: a\r\nHost: b", "Host: a,b", "Host: a b", "Host : a", "Host: u@a", "Host: a:99999", "Host:"],
    );
    if !host.is_empty() {
        text += &format!("{host}{second}");
    }
    for _ in 0..rng.usize(..3) {
        let (name, value) = *if rng.u8(..4) > 0 { rng.choice(&FIELDS[..]) } else { rng.choice(&ODD_FIELDS[..]) }.expect("a field");
        let colon = pick(rng, &[": ", ":"], &[" : ", ":\t", ":  "]);
        text += &format!("{name}{colon}{value}\r\n");
    }
    let body = pick(rng, &["", "abc", SMUGGLED], &["0\r\n\r\n", "\r\n", "3\r\nabc\r\n0\r\n\r\n"]);
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n", body.len());
    let (fields, body) = match rng.u8(..20) {
        0..12 => (String::new(), String::new()),
        12 => (format!("Content-Length: {}\r\n", body.len()), body.to_owned()),
        13 => (format!("Content-Length: {0}\r\nContent-Length: {0}\r\n", body.len()), body.to_owned()),
        14 => (format!("Content-Length: {}\r\nContent-Length: 0\r\n", body.len()), body.to_owned()),
        15 => ("Transfer-Encoding: chunked\r\n".into(), format!("{chunked}\r\n")),
        16 => (format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", body.len()), format!("{chunked}{SMUGGLED}")),
        17 => ("Transfer-Encoding: gzip, chunked\r\n".into(), format!("{chunked}\r\n")),
        18 => ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".into(), format!("{chunked}\r\n")),
        _ => ("Transfer-Encoding: chunked\r\nTrailer: x-t\r\n".into(), format!("{chunked}x-t: 1\r\nhost: evil\r\n\r\n")),
    };
    text += &format!("{fields}\r\n{body}");
    // Latin-1, so that bytes outside ASCII are no UTF-8.
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')).collect()
}

async fn http2(connection: &mut crate::support::raw_http2::RawHttp2, stream: u32, rng: &mut Rng) {
    let path = pick(rng, &PATHS, &ODD_PATHS);
    let mut fields = vec![
        (":method", pick(rng, &METHODS, &ODD_METHODS)),
        (":scheme", pick(rng, &["https"], &["http", "ftp", ""])),
        (":authority", pick(rng, &["orders", "ORDERS:8443"], &["", "a b", "u@a", "a,b", "a:99999"])),
        (":path", path),
    ];
    for _ in 0..rng.usize(..3) {
        let odd =
            [(":path", "/admin/x"), ("host", "evil"), ("host", "orders"), (":unknown", "x"), (":protocol", "websocket"), ("x-a", " b ")];
        let field = match rng.u8(..12) {
            0 => rng.choice(&odd[..]),
            1 => rng.choice(&ODD_FIELDS[..]),
            _ => rng.choice(&FIELDS[..]),
        };
        fields.push(*field.expect("a field"));
    }
    match rng.u8(..24) {
        0 => drop(fields.remove(rng.usize(..fields.len()))),
        1 => rng.shuffle(&mut fields),
        2 => fields.push(fields[rng.usize(..fields.len())]),
        _ => {}
    }
    let bytes: Vec<(Vec<u8>, Vec<u8>)> = fields.iter().map(|(name, value)| (latin(name), latin(value))).collect();
    let whole = block(&bytes);
    let body = pick(rng, &["", "abc"], &[SMUGGLED, "0\r\n\r\n"]);
    let flags = if rng.bool() { 5 } else { 4 };
    if rng.u8(..4) == 0 {
        let (first, rest) = whole.split_at(rng.usize(..=whole.len()));
        connection.frame(1, flags & 1, stream, first).await;
        connection.continuation(stream, rest, true).await;
    } else {
        connection.frame(1, flags, stream, &whole).await;
    }
    if flags == 4 {
        connection.data(stream, body, rng.bool()).await;
        if rng.u8(..3) == 0 {
            connection.headers(stream, &[("x-t", "1"), ("host", "evil")], true).await;
        } else {
            connection.data(stream, "", true).await;
        }
    }
}

fn latin(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')).collect()
}
