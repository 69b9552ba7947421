//! Windows in both directions: RFC 9113, sections 5.2, 6.5.2, 6.9.

use crate::support::app::{App, full};
use crate::support::conformance::Expect::{Connection, Ignored, Status, Stream};
use crate::support::conformance::{Case, Conformance, Target, case};
use crate::support::raw_http2::code::*;
use crate::support::raw_http2::{RawFrame, RawHttp2, flag, frame, kind, setting};
use crate::support::{ALICE, Raw, Setup, Sidecar};
use http::Response;

/// The window that everything begins with (section 6.9.2).
const INITIAL: usize = 65_535;
const MOST: u32 = 0x7fff_ffff;

#[tokio::test]
async fn windows_that_are_wrong() {
    Conformance::start().await.holds(updates).await;
}

/// The server sends no more than a stream's window, and goes on with what an update allows.
#[tokio::test]
async fn a_stream_has_its_own_window() {
    let (_app, _setup, _sidecar, mut client) = large_answers().await;
    client.settings(&[(setting::INITIAL_WINDOW_SIZE, 0)]).await;
    client.get(1, "/large").await;
    assert!(client.round_trip().await);
    let head = client.until(|frame| frame.stream == 1).await.unwrap();
    assert_eq!(head.kind, kind::HEADERS, "a head needs no window");
    for allowed in [1, 7, 20_000] {
        client.window_update(1, allowed).await;
        assert_eq!(received(&mut client, 1, allowed as usize).await, allowed as usize);
        assert!(nothing_more(&mut client, 1).await, "after {allowed}");
    }
    // The connection's window is shared: what stream 1 did not take is there for stream 3.
    client.get(3, "/large").await;
    client.window_update(3, 100).await;
    assert_eq!(received(&mut client, 3, 100).await, 100);
}

/// The server sends no more than the connection's window, whatever the streams' are.
#[tokio::test]
async fn a_connection_has_one_window() {
    let (_app, _setup, _sidecar, mut client) = large_answers().await;
    client.settings(&[(setting::INITIAL_WINDOW_SIZE, MOST)]).await;
    client.get(1, "/large").await;
    assert_eq!(received(&mut client, 1, INITIAL).await, INITIAL);
    assert!(nothing_more(&mut client, 1).await);
    client.window_update(0, 3).await;
    assert_eq!(received(&mut client, 1, 3).await, 3);
    assert!(nothing_more(&mut client, 1).await);
}

/// A smaller initial size counts for streams that are open, and may make their windows negative (section 6.9.2).
#[tokio::test]
async fn a_window_may_become_negative() {
    let (_app, _setup, _sidecar, mut client) = large_answers().await;
    client.window_update(0, 1 << 20).await;
    client.get(1, "/large").await;
    assert_eq!(received(&mut client, 1, INITIAL).await, INITIAL);
    client.settings(&[(setting::INITIAL_WINDOW_SIZE, 10)]).await;
    assert!(client.round_trip().await);
    client.window_update(1, u32::try_from(INITIAL).unwrap() - 10).await;
    assert!(nothing_more(&mut client, 1).await, "the window is 0 again");
    client.window_update(1, 5).await;
    assert_eq!(received(&mut client, 1, 5).await, 5);
    // A larger one enlarges it.
    client.settings(&[(setting::INITIAL_WINDOW_SIZE, 30)]).await;
    assert_eq!(received(&mut client, 1, 20).await, 20);
    assert!(nothing_more(&mut client, 1).await);
}

/// DATA is no longer than the client takes (section 6.5.2, SETTINGS_MAX_FRAME_SIZE is 2^14 at first).
#[tokio::test]
async fn frames_are_as_long_as_the_client_takes() {
    let (_app, _setup, _sidecar, mut client) = large_answers().await;
    client.get(1, "/large").await;
    let mut bytes = 0;
    while bytes < INITIAL {
        let data = client.until(|frame| frame.kind == kind::DATA).await.unwrap();
        assert!(data.payload.len() <= 1 << 14, "{}", data.payload.len());
        bytes += data.payload.len();
    }
}

/// A client that sends more than the server's window breaks the rules (section 6.9.1), and only what fits was read.
#[tokio::test]
async fn a_client_that_sends_more_than_it_may_is_stopped() {
    let conformance = Conformance::start().await;
    for to in [Target::Inbound, Target::Outbound] {
        let mut client = conformance.connect(to).await;
        client.preface().await;
        assert!(client.round_trip().await);
        client.send(to.post(1, "/hold")).await;
        conformance.got(to, "/hold").await;
        let window = client.settings[&setting::INITIAL_WINDOW_SIZE] as usize;
        // What the proxy passes on it gives back: no backend takes this much at once.
        let mut refused = None;
        for _ in 0..(window * 64) >> 14 {
            client.data(1, [0; 1 << 14], false).await;
            assert!(client.round_trip().await || refused.is_some());
            refused = client.aside(|frame| matches!(frame.kind, kind::GOAWAY | kind::RST_STREAM));
            if refused.is_some() {
                break;
            }
        }
        assert_eq!(refused.map(|frame| frame.code()), Some(FLOW_CONTROL_ERROR), "{to:?}");
    }
}

fn updates(to: Target) -> Vec<Case> {
    let update = |stream, by: u32| frame(kind::WINDOW_UPDATE, 0, stream, &by.to_be_bytes());
    let initial = |size: u32| frame(kind::SETTINGS, 0, 0, &[&setting::INITIAL_WINDOW_SIZE.to_be_bytes()[..], &size.to_be_bytes()].concat());
    let hold = to.post(1, "/hold");
    vec![
        case("6.9.1 the largest window of a connection", [update(0, MOST - 65_535)], Ignored),
        case("6.9.1 a connection's window of 2^31", [update(0, MOST - 65_534)], Connection(FLOW_CONTROL_ERROR)),
        case("6.9.1 a connection's window of 2^31 in two steps", [update(0, MOST - 65_535), update(0, 1)], Connection(FLOW_CONTROL_ERROR)),
        case("6.9.1 the largest window of a stream", [hold.clone(), update(1, MOST - 65_535)], Ignored),
        case("6.9.1 a stream's window of 2^31", [hold.clone(), update(1, MOST)], Stream(1, FLOW_CONTROL_ERROR)),
        case(
            "6.9.1 the reserved bit",
            [to.post(1, "/ok"), update(1, 0x8000_0001), frame(kind::DATA, flag::END_STREAM, 1, b"x")],
            Status(1, 200),
        ),
        case(
            "6.9.2 an initial size that makes a window overflow",
            [hold, update(1, MOST - 65_535), initial(65_536)],
            Connection(FLOW_CONTROL_ERROR),
        ),
    ]
}

/// A sidecar before an app with large answers, and a client that returns no window.
async fn large_answers() -> (App, Setup, Sidecar, RawHttp2) {
    let app = App::serve(|_| async { Response::new(full(vec![7; 1 << 20])) }).await;
    let mut setup = Setup::new();
    let sidecar = setup.start(&app).await;
    let mut client = Raw::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    client.returns_window = false;
    (app, setup, sidecar, client)
}

/// Reads DATA of a stream until `least` bytes came.
async fn received(client: &mut RawHttp2, stream: u32, least: usize) -> usize {
    let mut bytes = 0;
    while bytes < least {
        bytes += client.until(|frame| is_data(frame, stream)).await.unwrap().payload.len();
    }
    bytes
}

/// Whether no more DATA of a stream comes, after a round trip. A server that sends too much may still be about to: a violation is seen sooner or later.
async fn nothing_more(client: &mut RawHttp2, stream: u32) -> bool {
    client.round_trip().await && client.aside(|frame| is_data(frame, stream)).is_none()
}

fn is_data(frame: &RawFrame, stream: u32) -> bool {
    frame.kind == kind::DATA && frame.stream == stream
}
