//! What a stream may still get in each of its states, and which streams there may be: RFC 9113, sections 5.1 to 5.4.

use crate::support::conformance::Expect::{Connection, Ignored, Malformed, Status, Stream};
use crate::support::conformance::{Case, Conformance, Target, case};
use crate::support::raw_http2::code::*;
use crate::support::raw_http2::{Outcome, flag, frame, kind};

/// The library ends the connection with a protocol error where a message goes on after its end. The RFC asks for `STREAM_CLOSED`, and lets a server
/// end more than the stream (section 5.4.1).
const AFTER_END: u32 = PROTOCOL_ERROR;

#[tokio::test]
async fn states() {
    Conformance::start().await.holds(stateful).await;
}

#[tokio::test]
async fn identifiers() {
    Conformance::start().await.holds(numbered).await;
}

/// More streams than were announced are refused one by one, and one that ends makes room (section 5.1.2).
#[tokio::test]
async fn no_more_at_once_than_announced() {
    let conformance = Conformance::start().await;
    for target in [Target::Inbound, Target::Outbound] {
        let mut connection = conformance.connect(target).await;
        connection.preface().await;
        for stream in (1..16).step_by(2) {
            connection.send(target.post(stream, "/hold")).await;
        }
        connection.send(target.get(17, "/bad")).await;
        assert_eq!(connection.outcome(17).await, Outcome::Reset(REFUSED_STREAM), "{target:?}");
        connection.rst(3, CANCEL).await;
        connection.send(target.get(19, "/ok")).await;
        assert_eq!(connection.response(19).await.status, 200, "{target:?}");
        connection.send(target.get(21, "/ok")).await;
        assert_eq!(connection.response(21).await.status, 200, "{target:?}");
    }
    assert!(!conformance.seen().iter().any(|path| path == "/bad"));
}

/// A GOAWAY names the last stream that was looked at (section 6.8), so that a client knows what it may send again.
#[tokio::test]
async fn a_goaway_names_the_last_stream() {
    let conformance = Conformance::start().await;
    for target in [Target::Inbound, Target::Outbound] {
        let mut connection = conformance.connect(target).await;
        connection.preface().await;
        connection.send(target.get(5, "/ok")).await;
        assert_eq!(connection.response(5).await.status, 200);
        connection.frame(kind::DATA, flag::NONE, 0, b"x").await;
        assert_eq!(connection.goaway().await, Some((5, PROTOCOL_ERROR)), "{target:?}");
        connection.ended().await;
    }
}

/// A client that says GOAWAY still gets the answers to what it asked before (section 6.8).
#[tokio::test]
async fn what_was_asked_before_a_goaway_is_answered() {
    let conformance = Conformance::start().await;
    for target in [Target::Inbound, Target::Outbound] {
        let mut connection = conformance.connect(target).await;
        connection.preface().await;
        connection.send([target.post(1, "/ok"), frame(kind::GOAWAY, 0, 0, &[0; 8])].concat()).await;
        connection.data(1, "late", true).await;
        assert_eq!(connection.response(1).await.status, 200, "{target:?}");
    }
}

fn stateful(to: Target) -> Vec<Case> {
    let (data, rst) = (frame(kind::DATA, flag::END_STREAM, 1, b"x"), frame(kind::RST_STREAM, 0, 1, &CANCEL.to_be_bytes()));
    let (window, priority) = (frame(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]), frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 0, 15]));
    let (held, reset) = (to.get(1, "/hold"), [to.post(1, "/hold"), rst.clone()].concat());
    // Later requests are answered after earlier ones were looked at: by then stream 1 is over on both sides.
    let over = to.get(1, "/ok");
    vec![
        case("5.1 idle: DATA", [data.clone()], Connection(PROTOCOL_ERROR)),
        case("5.1 idle: RST_STREAM", [rst.clone()], Connection(PROTOCOL_ERROR)),
        case("5.1 idle: WINDOW_UPDATE", [window.clone()], Connection(PROTOCOL_ERROR)),
        case("5.1 idle: PRIORITY", [priority.clone()], Ignored),
        case("5.1 open: PRIORITY and WINDOW_UPDATE", [to.post(1, "/ok"), priority.clone(), window.clone(), data.clone()], Status(1, 200)),
        case("5.1 half-closed: DATA", [held.clone(), data.clone()], Connection(AFTER_END)),
        case("5.1 half-closed: HEADERS", [held.clone(), to.get(1, "/bad")], Connection(AFTER_END)),
        case("5.1 half-closed after DATA: DATA", [to.post(1, "/hold"), data.clone(), data.clone()], Connection(AFTER_END)),
        case("5.1 half-closed: WINDOW_UPDATE and PRIORITY", [held.clone(), window.clone(), priority.clone()], Ignored),
        case("5.1 half-closed: RST_STREAM", [held, rst.clone()], Ignored),
        case("5.1 reset by the client: DATA", [reset.clone(), data.clone()], Stream(1, STREAM_CLOSED)),
        case("5.1 reset by the client: HEADERS", [reset.clone(), to.get(1, "/bad")], Connection(AFTER_END)),
        case("5.1 reset by the client: PRIORITY", [reset.clone(), priority.clone()], Ignored),
        case("5.1 reset by the client: RST_STREAM", [reset, rst.clone()], Ignored),
        case("5.1 closed: PRIORITY, WINDOW_UPDATE, RST_STREAM", [over, priority, window, rst], Ignored),
        // RFC 7540; RFC 9113 has no dependencies any more.
        case("5.3.1 a stream that depends on itself", [frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 1, 15])], Malformed),
    ]
}

fn numbered(to: Target) -> Vec<Case> {
    vec![
        case("5.1.1 a client's stream with an even id", [to.get(2, "/bad")], Connection(PROTOCOL_ERROR)),
        case("5.1.1 an id lower than the last", [to.get(5, "/ok"), to.get(3, "/bad")], Connection(PROTOCOL_ERROR)),
        case(
            "5.1.1 an id that was skipped: DATA",
            [to.get(5, "/ok"), frame(kind::DATA, flag::END_STREAM, 3, b"x")],
            Stream(3, STREAM_CLOSED),
        ),
        case("5.1.1 ids may be skipped", [to.get(1, "/ok"), to.get(0x777, "/ok")], Status(0x777, 200)),
    ]
}
