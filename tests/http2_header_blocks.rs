//! Header blocks: what they may be compressed to, and that both sides keep the same table (RFC 7541; RFC 9113, section 4.3).

use crate::support::conformance::Expect::{Connection, Status};
use crate::support::conformance::{Case, Conformance, Target, WHOLE, case};
use crate::support::raw_http2::code::*;
use crate::support::raw_http2::{Outcome, block, frame, integer, kind, setting, string};

/// The library calls a block that it cannot decode a protocol error, where the RFC asks for `COMPRESSION_ERROR`. The connection ends as it must.
const UNREADABLE: u32 = PROTOCOL_ERROR;

/// The first entry of the dynamic table (RFC 7541, section 2.3.3).
const FIRST: usize = 62;
const NEVER_INDEXED: u8 = 0x10;

#[tokio::test]
async fn indexes_integers_and_strings() {
    Conformance::start().await.holds(representations).await;
}

#[tokio::test]
async fn sizes_of_the_table() {
    Conformance::start().await.holds(sizes).await;
}

/// A block of a request that is refused still changes the table: the next request is read with it (RFC 9113, section 4.3).
#[tokio::test]
async fn the_table_survives_a_refused_request() {
    let conformance = Conformance::start().await;
    for to in [Target::Inbound, Target::Outbound] {
        let mut connection = conformance.connect(to).await;
        connection.preface().await;
        let refused = [to.block("/bad"), indexed("x-kept", "yes"), block(&[("connection", "close")]), indexed("x-also", "this")].concat();
        connection.frame(kind::HEADERS, WHOLE, 1, refused).await;
        assert_eq!(connection.outcome(1).await, Outcome::Reset(PROTOCOL_ERROR), "{to:?}");
        // A stream that is over the limit of 8 is refused as well.
        for stream in (3..19).step_by(2) {
            connection.send(to.post(stream, "/hold")).await;
        }
        connection.frame(kind::HEADERS, WHOLE, 19, [to.block("/bad"), indexed("x-last", "one")].concat()).await;
        assert_eq!(connection.outcome(19).await, Outcome::Reset(REFUSED_STREAM), "{to:?}");
        connection.rst(3, CANCEL).await;
        let kept = [to.block("/kept"), entry(FIRST + 2), entry(FIRST), entry(FIRST + 1)].concat();
        connection.frame(kind::HEADERS, WHOLE, 21, kept).await;
        assert_eq!(connection.response(21).await.status, 200, "{to:?}");
        let headers = conformance.got(to, "/kept").await;
        assert_eq!([&headers["x-kept"], &headers["x-also"], &headers["x-last"]], ["yes", "this", "one"], "{to:?}");
    }
    assert!(!conformance.seen().iter().any(|path| path == "/bad"));
}

/// A client that wants no table gets none: the next block begins with the table's new size (RFC 7541, section 4.2), and uses no entry of it.
#[tokio::test]
async fn a_table_that_the_client_does_not_want_is_not_used() {
    let conformance = Conformance::start().await;
    for to in [Target::Inbound, Target::Outbound] {
        let mut connection = conformance.connect(to).await;
        connection.preface().await;
        connection.send(to.get(1, "/ok")).await;
        assert_eq!(connection.response(1).await.status, 200);
        connection.settings(&[(setting::HEADER_TABLE_SIZE, 0)]).await;
        for stream in [3, 5] {
            connection.send(to.get(stream, "/ok")).await;
            let head = connection.until(|frame| frame.stream == stream && frame.kind == kind::HEADERS).await.unwrap();
            // The decoder follows the size, and would not find an entry.
            assert!(stream != 3 || head.payload[0] == 0x20, "{to:?} {:?}", head.payload);
        }
    }
}

fn representations(to: Target) -> Vec<Case> {
    let request = |path: &str, more: &[u8]| [frame(kind::HEADERS, WHOLE, 1, &[&to.block(path), more].concat())];
    let accepted = |name, more: &[u8]| case(name, request("/ok", more), Status(1, 200));
    let refused = |name, more: &[u8]| case(name, request("/bad", more), Connection(UNREADABLE));
    let literal = |name: &[u8], value: &[u8]| [&[0], name, value].concat();
    // Huffman's code of "custom-key" and "custom-value" (RFC 7541, appendix C.4.3).
    let (key, value) = (b"\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f", b"\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf");
    let static_table = [&[if to == Target::Inbound { 0x87 } else { 0x86 }, 0x82, 0x84, 0x41][..], &string(b"orders")].concat();
    vec![
        case("RFC 7541 6.1 the static table", [frame(kind::HEADERS, WHOLE, 1, &static_table)], Status(1, 200)),
        accepted("RFC 7541 5.2 Huffman's code", &literal(key, value)),
        accepted(
            "RFC 7541 5.1 an integer in more bytes than it needs",
            &[&[0x00, 0x7f, 0x80, 0x00][..], &[b'x'; 127], &string(b"v")].concat(),
        ),
        accepted("RFC 7541 6.2.3 never indexed", &[&[NEVER_INDEXED][..], &string(b"x-a"), &string(b"b")].concat()),
        accepted("RFC 7541 6.2.1 an entry used in its own block", &[indexed("x-a", "b"), entry(FIRST)].concat()),
        accepted(
            "RFC 7541 2.3.2 the last entry is the first",
            &[indexed("x-a", "1"), indexed("x-b", "2"), entry(FIRST + 1), entry(FIRST)].concat(),
        ),
        refused("RFC 7541 6.1 index 0", &[0x80]),
        refused("RFC 7541 2.3.3 an entry of an empty table", &entry(FIRST)),
        refused("RFC 7541 2.3.3 an entry after the last", &[indexed("x-a", "b"), entry(FIRST + 1)].concat()),
        refused("RFC 7541 2.3.3 an index far out of range", &entry(1 << 20)),
        refused("RFC 7541 6.2.2 a name by an index out of range", &[integer(0, 4, FIRST), string(b"v")].concat()),
        refused("RFC 7541 6.2.1 a name by an index out of range", &[integer(0x40, 6, FIRST), string(b"v")].concat()),
        refused("RFC 7541 6.2.3 a name by an index out of range", &[integer(NEVER_INDEXED, 4, FIRST), string(b"v")].concat()),
        refused("RFC 7541 5.1 an integer that overflows", &[&[0xff; 11][..], &[0x7f]].concat()),
        refused("RFC 7541 5.1 an integer without end", &[0xff, 0x80, 0x80]),
        refused("RFC 7541 5.2 a string longer than its block", &[0, 5, b'x']),
        refused("RFC 7541 6.2 a literal without a value", &[&[0][..], &string(b"x-a")].concat()),
        refused("RFC 7541 5.2 the end-of-string symbol", &literal(&string(b"x-a"), b"\x84\xff\xff\xff\xff")),
        refused("RFC 7541 5.2 more than 7 bits of padding", &literal(&string(b"x-a"), b"\x82\x1f\xff")),
        refused("RFC 7541 5.2 padding of zeros", &literal(&string(b"x-a"), b"\x81\x18")),
        refused("RFC 7541 5.2 a code that breaks off", &literal(&string(b"x-a"), b"\x81\xfe")),
    ]
}

fn sizes(to: Target) -> Vec<Case> {
    let request = |stream: u32, path: &str, before: &[u8], after: &[u8]| {
        frame(kind::HEADERS, WHOLE, stream, &[before, &to.block(path), after].concat())
    };
    let resized = |size: usize| integer(0x20, 5, size);
    let inserts = |name: &str, value: &str| request(1, "/ok", b"", &indexed(name, value));
    let refused = Connection(UNREADABLE);
    vec![
        case("RFC 7541 6.3 the largest size", [request(1, "/ok", &resized(4_096), b"")], Status(1, 200)),
        case("RFC 7541 4.2 two sizes in one block", [request(1, "/ok", &[resized(0), resized(4_096)].concat(), b"")], Status(1, 200)),
        case("RFC 7541 6.3 a size above what was announced", [request(1, "/bad", &resized(4_097), b"")], refused),
        case("RFC 7541 4.2 a size at the end of a block", [request(1, "/bad", b"", &resized(64))], refused),
        case(
            "RFC 7541 4.2 a size inside a block",
            [request(1, "/bad", b"", &[block(&[("x-a", "b")]), resized(64), block(&[("x-c", "d")])].concat())],
            refused,
        ),
        case("RFC 7541 2.2 an entry in the next block", [inserts("x-a", "b"), request(3, "/ok", b"", &entry(FIRST))], Status(3, 200)),
        case(
            "RFC 7541 4.3 an entry that a smaller size evicted",
            [inserts("x-a", "b"), request(3, "/bad", &[resized(0), resized(4_096)].concat(), &entry(FIRST))],
            refused,
        ),
        case(
            "RFC 7541 4.4 an entry that a larger one evicted",
            [inserts("x-a", "b"), request(3, "/ok", b"", &indexed("x-c", &"d".repeat(4_050))), request(5, "/bad", b"", &entry(FIRST + 1))],
            refused,
        ),
        case(
            "RFC 7541 4.4 an entry larger than the table empties it",
            [inserts("x-a", "b"), request(3, "/ok", b"", &indexed("x-c", &"d".repeat(5_000))), request(5, "/bad", b"", &entry(FIRST))],
            refused,
        ),
    ]
}

/// A field that enters the table (RFC 7541, section 6.2.1).
fn indexed(name: &str, value: &str) -> Vec<u8> {
    [&[0x40][..], &string(name.as_bytes()), &string(value.as_bytes())].concat()
}

/// A field by its index (RFC 7541, section 6.1).
fn entry(index: usize) -> Vec<u8> {
    integer(0x80, 7, index)
}
