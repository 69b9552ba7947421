//! WebSocket by extended CONNECT on HTTP/2 (RFC 8441), frame by frame: what is offered, what is translated, what is refused.

use crate::support::client::tls;
use crate::support::websocket::{Call, HandApp, expect, rest};
use crate::support::{ALICE, Setup, Sidecar, eventually, within};
use bytes::Bytes;
use h2::client::{self, ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::{Request, StatusCode};
use tokio::io::AsyncWriteExt as _;

/// The fixed pair of RFC 6455, section 1.3.
const ACCEPT_OF_ANOTHER_KEY: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A client that has read the server's SETTINGS.
async fn connected(app: &HandApp) -> (Setup, Sidecar, SendRequest<Bytes>) {
    let mut setup = Setup::new();
    let sidecar = Sidecar::start(setup.in_front_of(app.address)).await;
    let stream = tls(sidecar.inbound(), Some(&setup.cert(ALICE)), &["h2"]).await.unwrap();
    let (send, connection) = client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    // RFC 8441, section 3: a client may use it once the server has said so.
    let offered = async || send.is_extended_connect_protocol_enabled().then_some(());
    eventually("SETTINGS_ENABLE_CONNECT_PROTOCOL", offered).await;
    (setup, sidecar, send)
}

fn connect(send: &mut SendRequest<Bytes>, protocol: Option<&'static str>) -> (ResponseFuture, SendStream<Bytes>) {
    let target = if protocol.is_some() { "https://orders/ws" } else { "orders:443" };
    let mut request = Request::connect(target).header("sec-websocket-key", "bXkgb3duIGZvcmdlZCBrZXk=");
    request = request.header("sec-websocket-version", "13").header("sec-websocket-protocol", "chat");
    let mut request = request.body(()).unwrap();
    if let Some(protocol) = protocol {
        request.extensions_mut().insert(Protocol::from_static(protocol));
    }
    send.send_request(request, false).unwrap()
}

/// What a server says to a key (RFC 6455, section 4.2.2), by the library.
fn accept(call: &Call) -> String {
    tokio_tungstenite::tungstenite::handshake::derive_accept_key(call.field("sec-websocket-key").unwrap().as_bytes())
}

async fn switch(call: &mut Call) {
    let accept = accept(call);
    let fields = format!("connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-protocol: chat\r\nsec-websocket-accept: {accept}");
    call.answer(&format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n\r\n")).await;
}

/// An open tunnel: both ends of it.
async fn opened(app: &HandApp, send: &mut SendRequest<Bytes>) -> (Call, SendStream<Bytes>, RecvStream) {
    let (answer, up) = connect(send, Some("websocket"));
    let mut call = app.next().await;
    switch(&mut call).await;
    let answer = within("the answer", answer).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    (call, up, answer.into_body())
}

async fn read(stream: &mut RecvStream, bytes: &str) {
    let data = within("DATA", stream.data()).await.unwrap().unwrap();
    stream.flow_control().release_capacity(data.len()).unwrap();
    assert_eq!(data, bytes);
}

/// The end of the stream; the frame that says so may be empty.
async fn end(stream: &mut RecvStream) {
    while let Some(data) = within("END_STREAM", stream.data()).await {
        assert!(data.unwrap().is_empty());
    }
}

#[tokio::test]
async fn becomes_an_upgrade_with_a_key_of_ours() {
    let app = HandApp::start().await;
    let (_setup, sidecar, mut send) = connected(&app).await;
    let mut keys = Vec::new();
    for _ in 0..2 {
        let (answer, _up) = connect(&mut send, Some("websocket"));
        let mut call = app.next().await;
        assert!(call.head.starts_with("GET /ws HTTP/1.1\r\n"), "{}", call.head);
        assert_eq!((call.field("connection"), call.field("upgrade")), (Some("upgrade"), Some("websocket")));
        assert_eq!((call.field("sec-websocket-version"), call.field("sec-websocket-protocol")), (Some("13"), Some("chat")));
        assert_eq!((call.field("host"), call.field("transfer-encoding")), (Some("orders"), None));
        assert_eq!(call.head.matches("sec-websocket-key").count(), 1, "{}", call.head);
        keys.push(call.field("sec-websocket-key").unwrap().to_owned());
        switch(&mut call).await;
        let answer = within("the answer", answer).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers().get("sec-websocket-protocol").unwrap(), "chat");
        for name in ["sec-websocket-accept", "upgrade", "connection", "content-length"] {
            assert!(!answer.headers().contains_key(name), "{name}");
        }
    }
    assert!(keys[0] != keys[1] && keys.iter().all(|key| key.len() == 24 && key != "bXkgb3duIGZvcmdlZCBrZXk="), "{keys:?}");
    assert_eq!(sidecar.metric("countersign_requests_total", &["decision=\"allow\""]).await, 2.0);
}

#[tokio::test]
async fn each_side_ends_on_its_own() {
    let app = HandApp::start().await;
    let (_setup, sidecar, mut send) = connected(&app).await;
    let (mut call, mut up, mut down) = opened(&app, &mut send).await;
    up.send_data("last words".into(), true).unwrap();
    assert_eq!(rest(&mut call.stream).await, b"last words");
    call.answer("an answer").await;
    read(&mut down, "an answer").await;
    call.stream.shutdown().await.unwrap();
    end(&mut down).await;
    let record = sidecar.record("the end", |record| record["phase"] == "end").await;
    assert_eq!(record["close_reason"], "client_closed", "{record}");
    assert_eq!((record["bytes_in"].as_u64(), record["bytes_out"].as_u64()), (Some(10), Some(9)), "{record}");

    // And the other way round.
    let (mut call, mut up, mut down) = opened(&app, &mut send).await;
    call.stream.shutdown().await.unwrap();
    end(&mut down).await;
    up.send_data("to the very end".into(), false).unwrap();
    expect(&mut call.stream, "to the very end").await;
    up.send_data(Bytes::new(), true).unwrap();
    assert_eq!(rest(&mut call.stream).await, b"");
    sidecar.record("the end", |record| record["phase"] == "end" && record["close_reason"] == "app_closed").await;
}

/// RFC 8441, section 5: a stream that is reset is a TCP connection that is. Here nobody but the reset ends anything.
#[tokio::test]
async fn a_reset_ends_both_sides() {
    let app = HandApp::start().await;
    let (_setup, sidecar, mut send) = connected(&app).await;
    let (mut call, mut up, down) = opened(&app, &mut send).await;
    up.send_reset(Reason::CANCEL);
    assert_eq!(rest(&mut call.stream).await, b"");
    let record = sidecar.record("the end", |record| record["phase"] == "end").await;
    assert_eq!(record["close_reason"], "client_closed", "{record}");
    drop((down, call));
    // Other streams of the connection go on.
    drop(opened(&app, &mut send).await);
}

/// Many messages that the client does not take wait at the app, not in the sidecar.
#[tokio::test]
async fn a_client_that_takes_nothing_holds_the_app_back() {
    let app = HandApp::start().await;
    let (_setup, sidecar, mut send) = connected(&app).await;
    let (mut call, _up, mut down) = opened(&app, &mut send).await;
    let piece = vec![b'x'; 1 << 20];
    let mut written = 0;
    // The window is 64 KiB; the rest are buffers of sockets.
    while let Ok(count) = tokio::time::timeout(std::time::Duration::from_secs(2), call.stream.write(&piece)).await {
        written += count.unwrap();
        assert!(written < 64 << 20, "the app is never held back");
    }
    assert_eq!(sidecar.metric("countersign_tunnels", &["direction=\"inbound\""]).await, 1.0);
    // What was taken from the app is still there.
    while written > 0 {
        let data = within("what waits", down.data()).await.unwrap().unwrap();
        down.flow_control().release_capacity(data.len()).unwrap();
        written -= data.len();
    }
}

#[tokio::test]
async fn an_app_that_does_not_prove_that_it_read_the_key_is_502() {
    let app = HandApp::start().await;
    let (_setup, sidecar, mut send) = connected(&app).await;
    for accept in [format!("sec-websocket-accept: {ACCEPT_OF_ANOTHER_KEY}\r\n"), String::new()] {
        let (answer, _up) = connect(&mut send, Some("websocket"));
        let mut call = app.next().await;
        call.answer(&format!("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n{accept}\r\n")).await;
        assert_eq!(within("the answer", answer).await.unwrap().status(), StatusCode::BAD_GATEWAY);
        assert_eq!(rest(&mut call.stream).await, b"");
    }
    sidecar.metric_reaches("countersign_failures_total", &["reason=\"not_switched\""], 2.0).await;
}

#[tokio::test]
async fn other_protocols_and_plain_connect_are_refused() {
    let app = HandApp::start().await;
    let (_setup, sidecar, mut send) = connected(&app).await;
    for (protocol, status, reason) in [
        (Some("connect-udp"), StatusCode::NOT_IMPLEMENTED, "malformed:connect_protocol"),
        (Some("WebSocket"), StatusCode::NOT_IMPLEMENTED, "malformed:connect_protocol"),
        (None, StatusCode::METHOD_NOT_ALLOWED, "malformed:connect"),
    ] {
        let (answer, _up) = connect(&mut send, protocol);
        assert_eq!(within("the refusal", answer).await.unwrap().status(), status, "{protocol:?}");
        let record = sidecar.record(reason, |record| record["reason"] == reason).await;
        assert_eq!((record["http"]["method"].as_str(), record["decision"].as_str()), (Some("CONNECT"), Some("deny")), "{record}");
    }
    assert!(!app.has_more().await);
    drop(opened(&app, &mut send).await);
}
