//! Frames that a server must refuse or ignore: RFC 9113, sections 3.4, 4.1, 4.2, 5.5, 6.1 to 6.10.

use crate::support::conformance::Expect::{Closed, Connection, Ignored, Status};
use crate::support::conformance::{Case, Conformance, Target, WHOLE, at_once, case, headers};
use crate::support::raw_http2::code::*;
use crate::support::raw_http2::{PREFACE, flag, frame, kind, setting};

/// The library calls a frame of a wrong size a protocol error, where the RFC asks for `FRAME_SIZE_ERROR` (section 4.2). The connection ends as it
/// must, also where a stream's end would do: a server may treat any stream error as one of the connection (section 5.4.1).
const WRONG_SIZE: u32 = PROTOCOL_ERROR;
/// Likewise, where the RFC asks for `FLOW_CONTROL_ERROR` (section 6.5.2).
const WRONG_WINDOW: u32 = PROTOCOL_ERROR;

/// Flags of the last DATA of a stream, with padding.
const PADDED: u8 = flag::PADDED | flag::END_STREAM;

#[tokio::test]
async fn the_preface_comes_first() {
    Conformance::start().await.holds(preface).await;
}

#[tokio::test]
async fn sizes_flags_and_unknown_types() {
    Conformance::start().await.holds(general).await;
}

#[tokio::test]
async fn data_headers_and_continuation() {
    Conformance::start().await.holds(messages).await;
}

#[tokio::test]
async fn frames_that_control() {
    Conformance::start().await.holds(control).await;
}

#[tokio::test]
async fn settings() {
    Conformance::start().await.holds(announced).await;
}

/// A server's preface is its SETTINGS (section 3.4); it acknowledges ours (section 6.5.3), and answers a PING with what it carried (section 6.7).
#[tokio::test]
async fn what_the_server_sends_by_itself() {
    let conformance = Conformance::start().await;
    for target in [Target::Inbound, Target::Outbound] {
        let mut connection = conformance.connect(target).await;
        connection.preface().await;
        let first = connection.next().await.unwrap();
        assert_eq!((first.kind, first.flags, first.stream), (kind::SETTINGS, flag::NONE, 0), "{target:?}");
        assert_eq!(connection.settings[&setting::MAX_CONCURRENT_STREAMS], 8);
        assert!(!connection.settings.contains_key(&setting::ENABLE_PUSH), "servers do not announce it (section 6.5.2)");
        let ack = connection.until(|frame| frame.kind == kind::SETTINGS && frame.has(flag::ACK)).await.unwrap();
        assert_eq!((ack.stream, ack.payload.len()), (0, 0));
        // An answer to a PING is not answered.
        connection.frame(kind::PING, flag::ACK, 0, b"no-reply").await;
        connection.ping(*b"a-reply!").await;
        let pong = connection.until(|frame| frame.kind == kind::PING).await.unwrap();
        assert_eq!((pong.flags, pong.stream, &pong.payload[..]), (flag::ACK, 0, &b"a-reply!"[..]));
    }
}

fn preface(to: Target) -> Vec<Case> {
    let get = to.get(1, "/bad");
    let mut cases = vec![
        at_once("3.4 PING before SETTINGS", [PREFACE, &frame(kind::PING, 0, 0, b"too-soon")].concat(), Connection(PROTOCOL_ERROR)),
        at_once("3.4 a request before SETTINGS", [PREFACE, &get].concat(), Connection(PROTOCOL_ERROR)),
        at_once(
            "3.4 an answer to SETTINGS before SETTINGS",
            [PREFACE, &frame(kind::SETTINGS, flag::ACK, 0, b"")].concat(),
            Connection(PROTOCOL_ERROR),
        ),
        at_once("3.4 the preface twice", [PREFACE, PREFACE].concat(), Closed),
    ];
    if to == Target::Inbound {
        // The outbound listener tells the version by these bytes.
        cases.extend([
            at_once("3.4 another preface", b"INVALID CONNECTION PREFACE\r\n\r\n".to_vec(), Closed),
            at_once("3.4 a preface that ends differently", b"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n".to_vec(), Closed),
            at_once("3.2 HTTP/1.1 where ALPN says h2", b"GET /bad HTTP/1.1\r\nhost: orders\r\n\r\n".to_vec(), Closed),
            at_once("3.4 frames without a preface", [frame(kind::SETTINGS, 0, 0, b""), get].concat(), Closed),
        ]);
    }
    cases
}

fn general(to: Target) -> Vec<Case> {
    let full = vec![b'x'; 1 << 14];
    let over = vec![b'x'; (1 << 14) + 1];
    let long = headers(1, &to.fields("GET", "/bad", &[("x-long", "x".repeat(1 << 14))]), flag::END_STREAM);
    vec![
        case("4.1 an unknown frame type", [frame(0x16, 0xff, 0, b"whatever")], Ignored),
        case("4.1 an unknown frame type on a stream", [frame(0xfe, 0, 1, b"")], Ignored),
        case("4.1 undefined flags of a PING", [frame(kind::PING, 0xfe, 0, b"whatever")], Ignored),
        case("4.1 the reserved bit of a stream's id", [frame(kind::HEADERS, WHOLE, 0x8000_0001, &to.block("/ok"))], Status(1, 200)),
        case("4.1 the reserved bit of a connection's frame", [frame(kind::PING, 0, 0x8000_0000, b"whatever")], Ignored),
        case("4.2 DATA of 2^14 bytes", [to.post(1, "/ok"), frame(kind::DATA, flag::END_STREAM, 1, &full)], Status(1, 200)),
        case(
            "4.2 DATA longer than SETTINGS_MAX_FRAME_SIZE",
            [to.post(1, "/ok"), frame(kind::DATA, flag::END_STREAM, 1, &over)],
            Connection(FRAME_SIZE_ERROR),
        ),
        case("4.2 HEADERS longer than SETTINGS_MAX_FRAME_SIZE", [long], Connection(FRAME_SIZE_ERROR)),
        case(
            "4.2 SETTINGS longer than SETTINGS_MAX_FRAME_SIZE",
            [frame(kind::SETTINGS, 0, 0, &[0; 6 * 2731])],
            Connection(FRAME_SIZE_ERROR),
        ),
        case("4.2 an unknown frame longer than SETTINGS_MAX_FRAME_SIZE", [frame(0x16, 0, 0, &over)], Connection(FRAME_SIZE_ERROR)),
        case(
            "5.5 an unknown frame inside a header block",
            [
                frame(kind::HEADERS, flag::END_STREAM, 1, &to.block("/bad")),
                frame(0x16, 0, 0, b""),
                frame(kind::CONTINUATION, flag::END_HEADERS, 1, b""),
            ],
            Connection(PROTOCOL_ERROR),
        ),
    ]
}

fn messages(to: Target) -> Vec<Case> {
    let block = to.block("/ok");
    let bad = to.block("/bad");
    let (first, rest) = block.split_at(7);
    let begun = |path: &str| frame(kind::HEADERS, flag::END_STREAM, 1, &to.block(path));
    let (padded, prioritised) = (flag::PADDED | WHOLE, flag::PRIORITY | WHOLE);
    vec![
        case("6.1 DATA on stream 0", [frame(kind::DATA, flag::END_STREAM, 0, b"x")], Connection(PROTOCOL_ERROR)),
        case("6.1 padded DATA", [to.post(1, "/ok"), frame(kind::DATA, PADDED, 1, b"\x03abc\0\0\0")], Status(1, 200)),
        case("6.1 DATA that is all padding", [to.post(1, "/ok"), frame(kind::DATA, PADDED, 1, b"\x03\0\0\0")], Status(1, 200)),
        case(
            "6.1 DATA with padding as long as its payload",
            [to.post(1, "/ok"), frame(kind::DATA, PADDED, 1, b"\x04abcd")],
            Status(1, 200),
        ),
        case(
            "6.1 DATA with padding longer than its payload",
            [to.post(1, "/ok"), frame(kind::DATA, PADDED, 1, b"\x05abcd")],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.1 padded DATA without the padding's length",
            [to.post(1, "/ok"), frame(kind::DATA, PADDED, 1, b"")],
            Connection(WRONG_SIZE),
        ),
        case("6.2 HEADERS on stream 0", [frame(kind::HEADERS, WHOLE, 0, &bad)], Connection(PROTOCOL_ERROR)),
        case("6.2 padded HEADERS", [frame(kind::HEADERS, padded, 1, &[&[2][..], &block, &[0, 0]].concat())], Status(1, 200)),
        case(
            "6.2 HEADERS with a priority",
            [frame(kind::HEADERS, prioritised, 1, &[&[0, 0, 0, 0, 15][..], &block].concat())],
            Status(1, 200),
        ),
        case(
            "6.2 padded HEADERS with a priority",
            [frame(kind::HEADERS, padded | flag::PRIORITY, 1, &[&[1, 0x80, 0, 0, 0, 15][..], &block, &[0]].concat())],
            Status(1, 200),
        ),
        case(
            "6.2 HEADERS with padding longer than its payload",
            [frame(kind::HEADERS, padded, 1, &[&[255][..], &bad].concat())],
            Connection(PROTOCOL_ERROR),
        ),
        case("6.2 padded HEADERS without the padding's length", [frame(kind::HEADERS, padded, 1, b"")], Connection(WRONG_SIZE)),
        case("6.2 HEADERS too short for its priority", [frame(kind::HEADERS, prioritised, 1, b"\0\0\0")], Connection(WRONG_SIZE)),
        case(
            "6.10 one CONTINUATION",
            [frame(kind::HEADERS, flag::END_STREAM, 1, first), frame(kind::CONTINUATION, flag::END_HEADERS, 1, rest)],
            Status(1, 200),
        ),
        case("6.10 an empty HEADERS, then the block in pieces", pieces(&block), Status(1, 200)),
        case("6.10 CONTINUATION first", [frame(kind::CONTINUATION, flag::END_HEADERS, 1, &bad)], Connection(PROTOCOL_ERROR)),
        case(
            "6.10 CONTINUATION after END_HEADERS",
            [to.get(1, "/ok"), frame(kind::CONTINUATION, flag::END_HEADERS, 1, &bad)],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.10 CONTINUATION after the last CONTINUATION",
            [begun("/ok"), frame(kind::CONTINUATION, flag::END_HEADERS, 1, b""), frame(kind::CONTINUATION, flag::END_HEADERS, 1, b"")],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.10 CONTINUATION after DATA",
            [to.post(1, "/ok"), frame(kind::DATA, 0, 1, b"x"), frame(kind::CONTINUATION, flag::END_HEADERS, 1, &bad)],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.10 CONTINUATION on stream 0",
            [begun("/bad"), frame(kind::CONTINUATION, flag::END_HEADERS, 0, b"")],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.10 CONTINUATION on another stream",
            [begun("/bad"), frame(kind::CONTINUATION, flag::END_HEADERS, 3, b"")],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.2 a header block interrupted by DATA",
            [begun("/bad"), frame(kind::DATA, flag::END_STREAM, 1, b"x")],
            Connection(PROTOCOL_ERROR),
        ),
        case("6.2 a header block interrupted by HEADERS", [begun("/bad"), to.get(3, "/bad")], Connection(PROTOCOL_ERROR)),
        case(
            "6.2 a header block interrupted by PRIORITY",
            [begun("/bad"), frame(kind::PRIORITY, 0, 3, &[0; 5])],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.2 a header block interrupted by RST_STREAM",
            [begun("/bad"), frame(kind::RST_STREAM, 0, 1, &[0; 4])],
            Connection(PROTOCOL_ERROR),
        ),
        case("6.2 a header block interrupted by SETTINGS", [begun("/bad"), frame(kind::SETTINGS, 0, 0, b"")], Connection(PROTOCOL_ERROR)),
        case("6.2 a header block interrupted by PING", [begun("/bad"), frame(kind::PING, 0, 0, &[0; 8])], Connection(PROTOCOL_ERROR)),
        case("6.2 a header block interrupted by GOAWAY", [begun("/bad"), frame(kind::GOAWAY, 0, 0, &[0; 8])], Connection(PROTOCOL_ERROR)),
        case(
            "6.2 a header block interrupted by WINDOW_UPDATE",
            [begun("/bad"), frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])],
            Connection(PROTOCOL_ERROR),
        ),
    ]
}

fn pieces(block: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = vec![frame(kind::HEADERS, flag::END_STREAM, 1, b"")];
    frames.extend(block.chunks(16).map(|piece| frame(kind::CONTINUATION, 0, 1, piece)));
    frames.push(frame(kind::CONTINUATION, flag::END_HEADERS, 1, b""));
    frames
}

fn control(to: Target) -> Vec<Case> {
    let hold = to.post(1, "/hold");
    let goaway = |stream| frame(kind::GOAWAY, 0, stream, &[0; 8]);
    vec![
        case("6.3 PRIORITY", [frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 0, 15])], Ignored),
        case("6.3 PRIORITY on stream 0", [frame(kind::PRIORITY, 0, 0, &[0; 5])], Connection(PROTOCOL_ERROR)),
        case("6.3 PRIORITY of 4 bytes", [hold.clone(), frame(kind::PRIORITY, 0, 1, &[0; 4])], Connection(WRONG_SIZE)),
        case("6.3 PRIORITY of 6 bytes", [hold.clone(), frame(kind::PRIORITY, 0, 1, &[0; 6])], Connection(WRONG_SIZE)),
        case("6.4 RST_STREAM on stream 0", [frame(kind::RST_STREAM, 0, 0, &[0; 4])], Connection(PROTOCOL_ERROR)),
        case("6.4 RST_STREAM on an idle stream", [frame(kind::RST_STREAM, 0, 1, &[0; 4])], Connection(PROTOCOL_ERROR)),
        case("6.4 RST_STREAM of 3 bytes", [hold.clone(), frame(kind::RST_STREAM, 0, 1, &[0; 3])], Connection(WRONG_SIZE)),
        case("6.4 RST_STREAM of 5 bytes", [hold.clone(), frame(kind::RST_STREAM, 0, 1, &[0; 5])], Connection(WRONG_SIZE)),
        case("7 RST_STREAM with an unknown code", [hold.clone(), frame(kind::RST_STREAM, 0, 1, &[0xff; 4])], Ignored),
        case(
            "6.6 PUSH_PROMISE from a client",
            [hold.clone(), frame(kind::PUSH_PROMISE, flag::END_HEADERS, 1, &[&[0, 0, 0, 2][..], &to.block("/bad")].concat())],
            Connection(PROTOCOL_ERROR),
        ),
        case(
            "6.6 PUSH_PROMISE on stream 0",
            [frame(kind::PUSH_PROMISE, flag::END_HEADERS, 0, &[&[0, 0, 0, 2][..], &to.block("/bad")].concat())],
            Connection(PROTOCOL_ERROR),
        ),
        case("6.7 PING", [frame(kind::PING, 0, 0, &[7; 8])], Ignored),
        case("6.7 an answer to no PING", [frame(kind::PING, flag::ACK, 0, &[7; 8])], Ignored),
        case("6.7 PING on a stream", [frame(kind::PING, 0, 1, &[0; 8])], Connection(PROTOCOL_ERROR)),
        case("6.7 PING of 7 bytes", [frame(kind::PING, 0, 0, &[0; 7])], Connection(WRONG_SIZE)),
        case("6.7 PING of 9 bytes", [frame(kind::PING, 0, 0, &[0; 9])], Connection(WRONG_SIZE)),
        case("6.8 GOAWAY on a stream", [goaway(1)], Connection(PROTOCOL_ERROR)),
        case("6.8 GOAWAY of 7 bytes", [frame(kind::GOAWAY, 0, 0, &[0; 7])], Connection(WRONG_SIZE)),
        case("6.9 WINDOW_UPDATE of 3 bytes", [frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 1])], Connection(WRONG_SIZE)),
        case("6.9 WINDOW_UPDATE of 5 bytes", [frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1, 0])], Connection(WRONG_SIZE)),
        case("6.9 WINDOW_UPDATE of 0 for the connection", [frame(kind::WINDOW_UPDATE, 0, 0, &[0; 4])], Connection(PROTOCOL_ERROR)),
        case("6.9 WINDOW_UPDATE of 0 for a stream", [hold, frame(kind::WINDOW_UPDATE, 0, 1, &[0; 4])], Connection(PROTOCOL_ERROR)),
    ]
}

fn announced(_: Target) -> Vec<Case> {
    let set = |id: u16, value: u32| frame(kind::SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
    vec![
        case("6.5 SETTINGS on a stream", [frame(kind::SETTINGS, 0, 1, b"")], Connection(PROTOCOL_ERROR)),
        case("6.5 an answer to SETTINGS on a stream", [frame(kind::SETTINGS, flag::ACK, 1, b"")], Connection(PROTOCOL_ERROR)),
        case(
            "6.5 an answer to SETTINGS with a payload",
            [frame(kind::SETTINGS, flag::ACK, 0, &[0, 3, 0, 0, 0, 1])],
            Connection(WRONG_SIZE),
        ),
        case("6.5 SETTINGS of 5 bytes", [frame(kind::SETTINGS, 0, 0, &[0, 3, 0, 0, 0])], Connection(WRONG_SIZE)),
        case("6.5.2 an unknown setting", [set(0xfefe, 17)], Ignored),
        case("6.5.2 ENABLE_PUSH of 0", [set(setting::ENABLE_PUSH, 0)], Ignored),
        case("6.5.2 ENABLE_PUSH of 2", [set(setting::ENABLE_PUSH, 2)], Connection(PROTOCOL_ERROR)),
        case("6.5.2 INITIAL_WINDOW_SIZE of 2^31 - 1", [set(setting::INITIAL_WINDOW_SIZE, 0x7fff_ffff)], Ignored),
        case("6.5.2 INITIAL_WINDOW_SIZE of 2^31", [set(setting::INITIAL_WINDOW_SIZE, 0x8000_0000)], Connection(WRONG_WINDOW)),
        case("6.5.2 MAX_FRAME_SIZE of 2^14 - 1", [set(setting::MAX_FRAME_SIZE, (1 << 14) - 1)], Connection(PROTOCOL_ERROR)),
        case("6.5.2 MAX_FRAME_SIZE of 2^24 - 1", [set(setting::MAX_FRAME_SIZE, (1 << 24) - 1)], Ignored),
        case("6.5.2 MAX_FRAME_SIZE of 2^24", [set(setting::MAX_FRAME_SIZE, 1 << 24)], Connection(PROTOCOL_ERROR)),
        case("6.5.2 MAX_CONCURRENT_STREAMS of 0", [set(setting::MAX_CONCURRENT_STREAMS, 0)], Ignored),
        case("6.5.2 MAX_HEADER_LIST_SIZE of 2^32 - 1", [set(setting::MAX_HEADER_LIST_SIZE, u32::MAX)], Ignored),
        case(
            "6.5.3 a setting twice: the last counts",
            [[(1, 0xffff_u32), (2, 1), (4, 0), (4, 65_535)].map(|(id, value)| set(id, value)).concat()],
            Ignored,
        ),
    ]
}
