//! Messages that a server must take for malformed, or need not: RFC 9113, sections 8.1 to 8.6.

use crate::support::conformance::Expect::{self, Connection, Ignored, Malformed, Status, Stream};
use crate::support::conformance::{Bodies, Case, Conformance, Target, case, headers};
use crate::support::raw_http2::code::*;
use crate::support::raw_http2::{Outcome, block, flag, frame, kind};
use crate::support::{ALICE, Raw, Setup};

/// What is malformed after it was a request: the record is the request's.
const MALFORMED_LATE: Expect = Stream(1, PROTOCOL_ERROR);
/// The library ends the connection where a field's bytes are none of a field: more than it must (sections 5.4.1, 8.1.1).
const UNREADABLE: Expect = Connection(PROTOCOL_ERROR);
/// The library leaves pseudo-headers in trailers out, where the RFC asks for a stream error (section 8.1): they go nowhere.
const LEFT_OUT: Expect = Status(1, 200);

#[tokio::test]
async fn pseudo_headers() {
    Conformance::start().await.holds(pseudo).await;
}

#[tokio::test]
async fn fields() {
    Conformance::start().await.holds(regular).await;
}

#[tokio::test]
async fn framing() {
    Conformance::start().await.holds(framed).await;
}

/// A body that is not as long as declared is malformed (section 8.1.1): the app never takes it for whole.
#[tokio::test]
async fn a_body_of_another_length_than_declared_is_not_whole() {
    let (app, bodies) = Bodies::app().await;
    let mut setup = Setup::new();
    let sidecar = setup.start(&app).await;
    let mut connection = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    let (to, end) = (Target::Inbound, flag::END_STREAM);
    let length = |stream: u32, path: &str| to.post_with(stream, path, &[("content-length", "4")]);
    let trailers = headers(7, &[("x-trailer", "1")], end);
    for (stream, path, body) in [
        (1, "/shorter", vec![frame(kind::DATA, 0, 1, b"ab"), frame(kind::DATA, end, 1, b"c")]),
        (3, "/longer", vec![frame(kind::DATA, 0, 3, b"ab"), frame(kind::DATA, end, 3, b"cde")]),
        (5, "/longer-at-once", vec![frame(kind::DATA, end, 5, b"abcde")]),
        (7, "/shorter-with-trailers", vec![frame(kind::DATA, 0, 7, b"abc"), trailers]),
    ] {
        connection.send(length(stream, path)).await;
        app.got(path).await;
        connection.send(body.concat()).await;
        assert_eq!(connection.outcome(stream).await, Outcome::Reset(PROTOCOL_ERROR), "{path}");
    }
    connection.send([length(9, "/exact"), frame(kind::DATA, 0, 9, b"ab"), frame(kind::DATA, end, 9, b"cd")].concat()).await;
    assert_eq!(connection.response(9).await.status, 200);
    assert_eq!(bodies.of("/exact").await.as_deref(), Some(&b"abcd"[..]));
    for path in ["/shorter", "/longer", "/longer-at-once", "/shorter-with-trailers"] {
        assert_eq!(bodies.of(path).await, None, "{path}");
    }
}

/// Crumbs of a cookie are one field for whoever does not speak HTTP/2 (section 8.2.3).
#[tokio::test]
async fn crumbs_of_a_cookie_are_joined() {
    let conformance = Conformance::start().await;
    for to in [Target::Inbound, Target::Outbound] {
        let mut connection = conformance.connect(to).await;
        connection.preface().await;
        connection.send(to.get_with(1, "/cookies", &[("cookie", "a=1"), ("x-between", "1"), ("cookie", "b=2; c=3")])).await;
        assert_eq!(connection.response(1).await.status, 200);
        let headers = conformance.got(to, "/cookies").await;
        assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"], "{to:?}");
    }
}

fn pseudo(to: Target) -> Vec<Case> {
    let inbound = to == Target::Inbound;
    let (scheme, other) = if inbound { ("https", "http") } else { ("http", "https") };
    let of = |name, fields: &[(&str, &str)], expect| case(name, [headers(1, fields, flag::END_STREAM)], expect);
    let [method, schema, path, authority] = [(":method", "GET"), (":scheme", scheme), (":path", "/bad"), (":authority", "orders")];
    let at = |target| (":path", target);
    vec![
        of("8.3.1 in any order", &[authority, at("/ok"), schema, method], Status(1, 200)),
        of("8.3.1 Host instead of :authority", &[method, schema, at("/ok"), ("host", "orders")], Status(1, 200)),
        of("8.3.1 Host that says the same as :authority", &[method, schema, at("/ok"), authority, ("host", "orders")], Status(1, 200)),
        // Understood; but no rule of the table is about it.
        of("8.3.1 * for OPTIONS", &[(":method", "OPTIONS"), schema, at("*"), authority], Status(1, if inbound { 403 } else { 200 })),
        of("8.3.1 no :method", &[schema, path, authority], Malformed),
        of("8.3.1 no :scheme", &[method, path, authority], Malformed),
        of("8.3.1 no :path", &[method, schema, authority], Malformed),
        of("8.3.1 no :path and no :authority", &[method, schema, ("host", "orders")], Status(1, 400)),
        of("8.3.1 an empty :path", &[method, schema, at(""), authority], Malformed),
        of("8.3.1 a :path without a slash", &[method, schema, at("bad"), authority], Malformed),
        of("8.3.1 a URI as :path", &[method, schema, at("http://orders/bad"), authority], Malformed),
        of("8.3.1 * for GET", &[method, schema, at("*"), authority], Status(1, 400)),
        of("8.3.1 a :path with a blank", &[method, schema, at("/bad path"), authority], Malformed),
        of("8.3.1 a :path with another request", &[method, schema, at("/bad HTTP/1.1\r\nx: y"), authority], Malformed),
        of("8.3.1 an empty :method", &[(":method", ""), schema, path, authority], UNREADABLE),
        of("8.3.1 a :method that is no token", &[(":method", "GET /bad"), schema, path, authority], UNREADABLE),
        of("8.3.1 another :scheme", &[method, (":scheme", other), path, authority], Status(1, 400)),
        // Without :authority the library drops the scheme before anyone can look at it. Nobody decides on it, and it is not forwarded.
        of("8.3.1 another :scheme beside Host", &[method, (":scheme", other), at("/ok"), ("host", "orders")], Status(1, 200)),
        of("8.3.1 an unknown :scheme", &[method, (":scheme", "ftp"), path, authority], Status(1, 400)),
        of("8.3.1 a :scheme that is none", &[method, (":scheme", "ht tp"), path, authority], Malformed),
        of("8.3.1 neither :authority nor Host", &[method, schema, path], Status(1, 400)),
        of("8.3.1 an empty :authority", &[method, schema, path, (":authority", "")], Malformed),
        of("8.3.1 :authority with userinfo", &[method, schema, path, (":authority", "user@orders")], Status(1, 400)),
        of("8.3.1 :authority with a blank", &[method, schema, path, (":authority", "or ders")], Malformed),
        of("8.3.1 :authority with a path", &[method, schema, path, (":authority", "orders/bad")], Malformed),
        of("8.3.1 Host that contradicts :authority", &[method, schema, path, authority, ("host", "other")], Status(1, 400)),
        of("8.3.1 two Hosts", &[method, schema, path, ("host", "orders"), ("host", "orders")], Status(1, 400)),
        of("8.3 :method twice", &[method, method, schema, path, authority], Malformed),
        of("8.3 :scheme twice", &[method, schema, schema, path, authority], Malformed),
        of("8.3 :path twice", &[method, schema, at("/ok"), path, authority], Malformed),
        of("8.3 :authority twice", &[method, schema, path, authority, authority], Malformed),
        of("8.3 an unknown pseudo-header", &[method, schema, path, authority, (":unknown", "1")], UNREADABLE),
        of("8.3 an empty pseudo-header", &[method, schema, path, authority, (":", "1")], UNREADABLE),
        of("8.3 a response's pseudo-header", &[method, schema, path, authority, (":status", "200")], Malformed),
        of("8.3 a pseudo-header after a field", &[method, schema, authority, ("x-a", "1"), path], Malformed),
        of("8.5 CONNECT", &[(":method", "CONNECT"), (":authority", "orders:443")], Status(1, 405)),
        of("8.5 CONNECT with :path", &[(":method", "CONNECT"), path, authority], Malformed),
        of("8.5 CONNECT with :scheme", &[(":method", "CONNECT"), schema, authority], Malformed),
        of("8.5 CONNECT without :authority", &[(":method", "CONNECT")], Status(1, 405)),
        of("RFC 8441 4 :protocol beside GET", &[method, schema, path, authority, (":protocol", "websocket")], Malformed),
    ]
}

fn regular(to: Target) -> Vec<Case> {
    let get = |name, path: &str, field: &str, value: &str, expect| case(name, [to.get_with(1, path, &[(field, value)])], expect);
    let bytes = |name, field: &[u8], value: &[u8], expect| case(name, [to.get_with(1, "/bad", &[(field, value)])], expect);
    let mut cases = vec![
        get("8.2.2 te: trailers", "/ok", "te", "trailers", Status(1, 200)),
        get("8.2.2 te: gzip", "/bad", "te", "gzip", Malformed),
        get("8.2.2 te: trailers, gzip", "/bad", "te", "trailers, gzip", Malformed),
        get("8.2.2 connection", "/bad", "connection", "x-a", Malformed),
        get("8.2.2 connection: close", "/bad", "connection", "close", Malformed),
        get("8.2.2 proxy-connection", "/bad", "proxy-connection", "keep-alive", Malformed),
        get("8.2.2 keep-alive", "/bad", "keep-alive", "timeout=5", Malformed),
        get("8.2.2 transfer-encoding", "/bad", "transfer-encoding", "chunked", Malformed),
        get("8.6 upgrade", "/bad", "upgrade", "websocket", Malformed),
        get("8.2.1 a value that begins with a blank", "/bad", "x-a", " 1", Status(1, 400)),
        get("8.2.1 a value that ends with a tab", "/bad", "x-a", "1\t", Status(1, 400)),
        get("8.2.1 an empty value", "/ok", "x-a", "", Status(1, 200)),
    ];
    for (name, field) in [
        ("8.2 an upper-case name", &b"X-A"[..]),
        ("8.2.1 an empty name", b""),
        ("8.2.1 a name with a blank", b"x a"),
        ("8.2.1 a name with a colon", b"x:a"),
        ("8.2.1 a name with a line's end", b"x\r\na"),
        ("8.2.1 a name with NUL", b"x\0a"),
        ("8.2.1 a name with DEL", b"x\x7fa"),
        ("8.2.1 a name above ASCII", b"x\xe9a"),
        ("RFC 9110 5.1 a name that is no token", b"x(a)"),
    ] {
        cases.push(bytes(name, field, b"1", UNREADABLE));
    }
    for (name, value) in [
        ("8.2.1 a value with NUL", &b"a\0b"[..]),
        ("8.2.1 a value with CR", b"a\rb"),
        ("8.2.1 a value with LF", b"a\nb"),
        ("8.2.1 a value with another request", b"a\r\n\r\nGET /bad HTTP/1.1\r\nhost: orders\r\n\r\n"),
        ("RFC 9110 5.5 a value with a control character", b"a\x01b"),
        ("RFC 9110 5.5 a value with DEL", b"a\x7fb"),
    ] {
        cases.push(bytes(name, b"x-a", value, UNREADABLE));
    }
    cases
}

fn framed(to: Target) -> Vec<Case> {
    let length = |name, value: &str, expect| case(name, [to.get_with(1, "/bad", &[("content-length", value)])], expect);
    let trailing = |name, path: &str, fields: &[(&str, &str)], flags, expect| {
        case(name, [to.post(1, path), frame(kind::DATA, 0, 1, b"x"), headers(1, fields, flags)], expect)
    };
    let end = flag::END_STREAM;
    vec![
        case("8.1.1 content-length of 0", [to.get_with(1, "/ok", &[("content-length", "0")])], Status(1, 200)),
        length("8.1.1 content-length without a body", "1", Malformed),
        length("8.1.1 a negative content-length", "-1", Malformed),
        length("8.1.1 a content-length with a sign", "+0", Malformed),
        length("8.1.1 a content-length that is no number", "none", Malformed),
        length("8.1.1 a content-length that overflows", "18446744073709551616", Malformed),
        length("8.1.1 a list as content-length", "0, 0", Malformed),
        case(
            "8.1.1 two content-lengths",
            [to.post_with(1, "/bad", &[("content-length", "1"), ("content-length", "2")]), frame(kind::DATA, end, 1, b"x")],
            Malformed,
        ),
        case(
            "8.1 a request in two DATA, the last empty",
            [to.post(1, "/ok"), frame(kind::DATA, 0, 1, b"x"), frame(kind::DATA, end, 1, b"")],
            Status(1, 200),
        ),
        trailing("8.1 trailers", "/ok", &[("x-trailer", "1")], end, Status(1, 200)),
        case("8.1 trailers without DATA", [to.post(1, "/ok"), headers(1, &[("x-trailer", "1")], end)], Status(1, 200)),
        case(
            "8.1 trailers in pieces",
            [
                to.post(1, "/ok"),
                frame(kind::HEADERS, end, 1, b""),
                frame(kind::CONTINUATION, flag::END_HEADERS, 1, &block(&[("x-trailer", "1")])),
            ],
            Status(1, 200),
        ),
        trailing("8.1 trailers that do not end the stream", "/hold", &[("x-trailer", "1")], 0, MALFORMED_LATE),
        trailing("8.2.2 trailers with connection", "/hold", &[("connection", "close")], end, MALFORMED_LATE),
        trailing("8.3 trailers with a pseudo-header", "/ok", &[(":path", "/bad")], end, LEFT_OUT),
        trailing("8.3 trailers with a response's pseudo-header", "/ok", &[(":status", "200")], end, LEFT_OUT),
        trailing("8.2 trailers with an upper-case name", "/hold", &[("X-Trailer", "1")], end, UNREADABLE),
        case(
            "8.1 a request that the client takes back",
            [to.post(1, "/hold"), frame(kind::RST_STREAM, 0, 1, &CANCEL.to_be_bytes())],
            Ignored,
        ),
    ]
}
