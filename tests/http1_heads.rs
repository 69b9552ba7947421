//! Heads that a server must refuse, or may read: RFC 9112, sections 2.2, 2.3, 3 and 5. Nothing that is refused reaches a backend.

use crate::support::conformance::{Conformance, Target};

/// What must become of a head.
enum Expect {
    /// A 200; the connection goes on.
    Answered,
    /// This status; the connection goes on.
    Refused(u16),
    /// This status; then the connection ends, because nobody knows where the next request begins.
    Ended(u16),
}
use Expect::{Answered, Ended, Refused};

#[tokio::test]
async fn request_lines() {
    hold(|_| {
        let long = format!("GET /bad/{} HTTP/1.1\r\nhost: orders\r\n\r\n", "x".repeat(200_000));
        vec![
            ("2.2 an empty line before the request", "\r\nGET /ok HTTP/1.1\r\nhost: orders\r\n\r\n".to_owned(), Answered),
            ("3 two blanks", line("GET  /bad HTTP/1.1"), Ended(400)),
            ("3 a tab as a blank", line("GET\t/bad\tHTTP/1.1"), Ended(400)),
            ("3 a blank at the end", line("GET /bad HTTP/1.1 "), Ended(400)),
            ("3 a blank at the beginning", line(" GET /bad HTTP/1.1"), Ended(400)),
            ("3.1 no method", line("/bad HTTP/1.1"), Ended(400)),
            ("3.1 a method that is no token", line("GE(T /bad HTTP/1.1"), Ended(400)),
            ("3.1 a method that nobody knows", line("BREW /ok HTTP/1.1"), Answered),
            ("3.1 methods have their case", line("get /ok HTTP/1.1"), Answered),
            ("3.2 no target", line("GET HTTP/1.1"), Ended(400)),
            ("3.2 a blank in the target", line("GET /bad path HTTP/1.1"), Ended(400)),
            ("3.2 a target above every limit", long, Ended(431)),
            ("3.2.1 a target without a slash", line("GET bad HTTP/1.1"), Refused(400)),
            ("3.2.3 the authority alone, without CONNECT", line("GET orders:443 HTTP/1.1"), Refused(400)),
            ("3.2.3 CONNECT", line("CONNECT orders:443 HTTP/1.1"), Refused(405)),
            ("3.2.4 * without OPTIONS", line("GET * HTTP/1.1"), Refused(400)),
            ("2.3 no version", line("GET /bad"), Ended(400)),
            ("2.3 a version in lower case", line("GET /bad http/1.1"), Ended(400)),
            ("2.3 HTTP/1.10", line("GET /bad HTTP/1.10"), Ended(400)),
            ("2.3 HTTP/1.2", line("GET /bad HTTP/1.2"), Ended(400)),
            ("2.3 HTTP/2.0", line("GET /bad HTTP/2.0"), Ended(400)),
            ("2.3 another protocol", line("GET /bad ICAP/1.0"), Ended(400)),
        ]
    })
    .await;
}

#[tokio::test]
async fn fields() {
    hold(|_| {
        vec![
            ("5 no blank behind the colon", head("host:orders\r\nx-a:1"), Answered),
            ("5 many blanks around a value", head("host: \t orders \t \r\nx-a:   1 \t"), Answered),
            ("5 an empty value", head("host: orders\r\nx-a:"), Answered),
            ("5.1 a blank before the colon", refused("x-a : 1"), Ended(400)),
            ("5.1 a name that is no token", refused("x(a): 1"), Ended(400)),
            ("5.1 a name above ASCII", refused("x\u{e9}: 1"), Ended(400)),
            ("5.1 an empty name", refused(": 1"), Ended(400)),
            ("5 a line without a colon", refused("x-a"), Ended(400)),
            ("5.2 a folded line", refused("x-a: 1\r\n 2"), Ended(400)),
            ("2.2 a blank before the first field", "GET /bad HTTP/1.1\r\n host: orders\r\n\r\n".to_owned(), Ended(400)),
            ("2.2 a carriage return alone", refused("x-a: 1\rx-b: 2"), Ended(400)),
            ("RFC 9110 5.5 a value with NUL", refused("x-a: 1\0"), Ended(400)),
            ("RFC 9110 5.5 a value with DEL", refused("x-a: \x7f"), Ended(400)),
        ]
    })
    .await;
}

#[tokio::test]
async fn hosts() {
    hold(|_| {
        let host = |fields: &str| format!("GET /bad HTTP/1.1\r\n{fields}\r\n");
        vec![
            ("3.2 no Host", host("x-a: 1\r\n"), Refused(400)),
            ("3.2 an empty Host", host("host:\r\n"), Refused(400)),
            ("3.2 two Hosts", host("host: orders\r\nhost: orders\r\n"), Refused(400)),
            ("3.2 a Host that is a list", host("host: orders, other\r\n"), Refused(400)),
            ("3.2 a Host with userinfo", host("host: user@orders\r\n"), Refused(400)),
            ("3.2 a Host with a path", host("host: orders/bad\r\n"), Refused(400)),
            ("3.2 a Host with a port that is none", host("host: orders:http\r\n"), Refused(400)),
            ("3.2 a Host in upper case", "GET /ok HTTP/1.1\r\nHOST: ORDERS\r\n\r\n".to_owned(), Answered),
        ]
    })
    .await;
}

/// A whole URI is for proxies (section 3.2.2): the outbound listener is one, the inbound one refuses by design, lest two names be told apart differently.
#[tokio::test]
async fn absolute_form() {
    hold(|target| {
        let inbound = target == Target::Inbound;
        let to_proxy = if inbound { Refused(400) } else { Answered };
        vec![
            ("3.2.2 a URI", line(if inbound { "GET http://orders/bad HTTP/1.1" } else { "GET http://orders/ok HTTP/1.1" }), to_proxy),
            ("3.2.2 a URI and another Host", "GET http://orders/bad HTTP/1.1\r\nhost: other\r\n\r\n".to_owned(), Refused(400)),
            ("3.2.2 a URI of another scheme", line("GET ftp://orders/bad HTTP/1.1"), Refused(400)),
            ("3.2.2 a URI with userinfo", line("GET http://user@orders/bad HTTP/1.1"), Refused(400)),
        ]
    })
    .await;
}

/// A whole head with this request line.
fn line(line: &str) -> String {
    format!("{line}\r\nhost: orders\r\n\r\n")
}

/// A whole head of a `GET` with these fields.
fn head(fields: &str) -> String {
    format!("GET /ok HTTP/1.1\r\n{fields}\r\n\r\n")
}

fn refused(field: &str) -> String {
    format!("GET /bad HTTP/1.1\r\nhost: orders\r\n{field}\r\n\r\n")
}

async fn hold(table: impl Fn(Target) -> Vec<(&'static str, String, Expect)>) {
    let conformance = Conformance::start().await;
    let mut wrong = Vec::new();
    for target in [Target::Inbound, Target::Outbound] {
        for (name, bytes, expect) in table(target) {
            let (status, goes_on) = match expect {
                Answered => (200, true),
                Refused(status) => (status, true),
                Ended(status) => (status, false),
            };
            let mut connection = conformance.connect_http1(target).await;
            // What comes behind a refused head is not a request.
            connection.send(bytes + "GET /next HTTP/1.1\r\nhost: orders\r\nconnection: close\r\n\r\n").await;
            let first = connection.response().await.map(|answer| answer.status);
            let next = connection.response().await.map(|answer| answer.status);
            if (first, next) != (Some(status), goes_on.then_some(200)) {
                wrong.push(format!("{target:?} {name}: {first:?}, then {next:?}"));
            }
        }
    }
    let passed: Vec<_> = conformance.seen().into_iter().filter(|path| path.starts_with("/bad")).collect();
    assert!(wrong.is_empty() && passed.is_empty(), "{}\nreached a backend: {passed:?}", wrong.join("\n"));
}
