//! A service that is only known by its decision log: what its table was meant to be, and days of traffic under it.

use fastrand::Rng;
use std::fmt::Write as _;

/// The table that its owners have in mind.
pub const INTENDED: &str = r#"schema = 1
name = "intended"

[[rule]]
id = "health"
effect = "allow"
from = { spiffe = ["spiffe://prod.example/ns/web/sa/front", "spiffe://prod.example/ns/mobile/sa/bff", "spiffe://prod.example/ns/batch/sa/nightly"] }
methods = ["GET"]
paths = ["/healthz"]

[[rule]]
id = "orders-read"
effect = "allow"
from = { spiffe = ["spiffe://prod.example/ns/web/sa/front", "spiffe://prod.example/ns/mobile/sa/bff"] }
methods = ["GET", "HEAD"]
paths = ["/api/v1/orders", "/api/v1/orders/{id}", "/api/v1/orders/{id}/lines/{line}"]

[[rule]]
id = "orders-write"
effect = "allow"
from = { spiffe = ["spiffe://prod.example/ns/web/sa/front"] }
methods = ["POST"]
paths = ["/api/v1/orders"]

[[rule]]
id = "orders-change"
effect = "allow"
from = { spiffe = ["spiffe://prod.example/ns/web/sa/front"] }
methods = ["PUT", "DELETE"]
paths = ["/api/v1/orders/{id}"]

[[rule]]
id = "files"
effect = "allow"
from = { spiffe = ["spiffe://prod.example/ns/mobile/sa/bff"] }
methods = ["GET"]
paths = ["/files/{sha}", "/files/%7Bold%7D/%2Aname"]

[[rule]]
id = "reports"
effect = "allow"
from = { spiffe = ["spiffe://prod.example/ns/batch/sa/nightly"] }
methods = ["GET"]
paths = ["/reports/{day}/summary", "/reports/latest"]

[[rule]]
id = "billing"
effect = "allow"
from = { dns_san = ["billing.corp.example"] }
grpc = ["shop.Orders/Get", "shop.Orders/List"]
"#;

/// The callers that the table knows, and one that it does not.
pub const CALLERS: [&str; 5] = [
    "spiffe://prod.example/ns/web/sa/front",
    "spiffe://prod.example/ns/mobile/sa/bff",
    "spiffe://prod.example/ns/batch/sa/nightly",
    "billing.corp.example",
    "spiffe://prod.example/ns/web/sa/mallory",
];

/// What is asked of the service.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Who asks, by [`CALLERS`].
    pub caller: &'static str,
    /// How.
    pub method: &'static str,
    /// For what.
    pub path: String,
    /// The class of the content type.
    pub ctype: &'static str,
}

/// A request that the owners had in mind.
pub fn wanted(rng: &mut Rng) -> Asked {
    let [web, mobile, batch, billing, _] = CALLERS;
    let front = [web, mobile][rng.usize(..2)];
    let read = ["GET", "HEAD"][rng.usize(..2)];
    let (caller, method, path) = match rng.u8(..12) {
        0 => ([web, mobile, batch][rng.usize(..3)], "GET", "/healthz".to_owned()),
        1 => (front, read, "/api/v1/orders".to_owned()),
        2..5 => (front, read, format!("/api/v1/orders/{}", rng.u32(1..))),
        5 => (front, read, format!("/api/v1/orders/{}/lines/{}", rng.u32(1..), uuid(rng))),
        6 => (web, "POST", "/api/v1/orders".to_owned()),
        7 => (web, ["PUT", "DELETE"][rng.usize(..2)], format!("/api/v1/orders/{}", rng.u32(1..))),
        8 => (mobile, "GET", format!("/files/{:016x}", rng.u64(..))),
        // As requests have it; a table writes the star as an escape.
        9 => (mobile, "GET", "/files/%7Bold%7D/*name".to_owned()),
        10 if rng.bool() => (batch, "GET", "/reports/latest".to_owned()),
        10 => (batch, "GET", format!("/reports/2026-{:02}-{:02}/summary", rng.u8(1..13), rng.u8(1..29))),
        _ => {
            let path = format!("/shop.Orders/{}", ["Get", "List"][rng.usize(..2)]);
            return Asked { caller: billing, method: "POST", path, ctype: "grpc" };
        }
    };
    Asked { caller, method, path, ctype: ["none", "json"][rng.usize(..2)] }
}

/// A request that nobody had in mind.
pub fn unwanted(rng: &mut Rng) -> Asked {
    let path = match rng.u8(..4) {
        0 => "/admin".to_owned(),
        1 => format!("/api/v1/users/{}", rng.u32(..)),
        2 => format!("/api/v1/orders/{}/refund", rng.u32(..)),
        _ => format!("/x{}", rng.u32(..)),
    };
    Asked { caller: CALLERS[rng.usize(..5)], method: ["GET", "POST", "PATCH"][rng.usize(..3)], path, ctype: "none" }
}

/// The log of one day: requests, of which the wanted ones were allowed, and what else a log has. A day has so many wanted requests.
pub fn day(rng: &mut Rng, day: u8, wanted_requests: usize) -> String {
    let mut log = String::new();
    for number in 0..wanted_requests {
        let time = format!("2026-11-{day:02}T{:02}:{:02}:{:02}.123456789Z", number % 24, number % 60, number % 60);
        writeln!(log, "{}", record(&wanted(rng), "allow", "rule", &time, number)).unwrap();
        match number % 50 {
            7 => writeln!(log, "{}", record(&unwanted(rng), "deny", "implicit_deny", &time, number)).unwrap(),
            8 => writeln!(log, "{}", record(&unwanted(rng), "deny", "malformed:dot_segment", &time, number)).unwrap(),
            9 => {
                let ticket =
                    record(&unwanted(rng), "allow", "rule", &time, number).replace("\"rule\":", "\"break_glass\":\"INC-1\",\"rule\":");
                writeln!(log, "{ticket}").unwrap();
            }
            10 => writeln!(
                log,
                "{}",
                other("aggregate", "\"decision\":\"deny\",\"reason\":\"implicit_deny\",\"of\":\"decision\",\"count\":12", &time)
            )
            .unwrap(),
            11 => writeln!(log, "{}", other("gap", "\"cause\":\"ring_full\",\"count\":3", &time)).unwrap(),
            12 => writeln!(log, "{{\"metrics\":\"of somebody else\"}}").unwrap(),
            _ => {}
        }
    }
    log
}

fn other(kind: &str, fields: &str, time: &str) -> String {
    format!(
        "{{\"v\":\"countersign.decision/1\",\"seq\":1,\"boot\":\"b\",\"kind\":\"{kind}\",\"time\":\"{time}\",{fields},\"chain\":\"0\"}}"
    )
}

/// A record as a sidecar writes it.
pub fn record(asked: &Asked, decision: &str, reason: &str, time: &str, number: usize) -> String {
    let Asked { caller, method, path, ctype } = asked;
    let rule = if reason == "rule" { "\"rule\":\"everything\"," } else { "" };
    format!(
        "{{\"v\":\"countersign.decision/1\",\"seq\":{number},\"shard\":1,\"shard_seq\":{number},\"boot\":\"0123456789abcdef0123456789abcdef\",\
         \"kind\":\"decision\",\"time\":\"{time}\",\"id\":\"01KAPYN5Z0{number:016}\",\"dir\":\"inbound\",\"decision\":\"{decision}\",\
         \"reason\":\"{reason}\",{rule}\"policy\":\"orders\",\"policy_sha256\":\"e3b0\",\
         \"src\":{{\"id\":\"{caller}\",\"ip\":\"10.1.2.3\",\"port\":47110}},\"dst\":{{\"host\":\"orders.example\",\"port\":8443}},\
         \"http\":{{\"method\":\"{method}\",\"path\":\"{path}\",\"version\":\"2\",\"ctype\":\"{ctype}\",\"status\":200}},\
         \"bytes_in\":0,\"bytes_out\":1234,\"decide_ns\":210,\"total_us\":1034,\"chain\":\"{number:064x}\"}}"
    )
}

fn uuid(rng: &mut Rng) -> String {
    let number = format!("{:032x}", rng.u128(..));
    format!("{}-{}-{}-{}-{}", &number[..8], &number[8..12], &number[12..16], &number[16..20], &number[20..])
}
