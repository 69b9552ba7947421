//! A tunnel begins with the app's 101 to what was asked for, and not before: until then every byte is HTTP, and is decided as such.

use crate::support::client::tls;
use crate::support::websocket::{HandApp, expect, read_head, rest, upgrade_to};
use crate::support::{ALICE, App, Setup, Sidecar, policy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A sidecar in front of `app`, and a connection to it.
async fn connected(app: &HandApp) -> (Setup, Sidecar, TlsStream<TcpStream>) {
    let mut setup = Setup::new();
    let sidecar = Sidecar::start(setup.in_front_of(app.address)).await;
    let stream = tls(sidecar.inbound(), Some(&setup.cert(ALICE)), &["http/1.1"]).await.unwrap();
    (setup, sidecar, stream)
}

#[tokio::test]
async fn another_token_than_websocket_passes_as_well() {
    let app = HandApp::start().await;
    let (_setup, sidecar, mut client) = connected(&app).await;
    // As `docker exec` and `kubectl` do: a POST with a body, answered before anything else may be said.
    let head = "POST /exec HTTP/1.1\r\nhost: orders\r\nconnection: Upgrade, x-mine, te\r\nx-mine: 1\r\nte: trailers\r\nupgrade: h2c, SPDY/3.1, tcp\r\ncontent-length: 4\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(b"body").await.unwrap();
    let mut call = app.next().await;
    assert!(call.head.starts_with("POST /exec HTTP/1.1\r\n"), "{}", call.head);
    assert_eq!((call.field("connection"), call.field("upgrade")), (Some("te, upgrade"), Some("SPDY/3.1, tcp")));
    assert_eq!(call.field("te"), Some("trailers"));
    assert_eq!(call.field("x-mine"), None);
    expect(&mut call.stream, "body").await;
    // What the app says first may come together with its 101.
    call.answer(
        "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\ncontent-length: 3\r\nx-countersign-peer: me\r\n\r\nwelcome",
    )
    .await;
    let answer = read_head(&mut client).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{answer}");
    assert!(answer.contains("connection: upgrade\r\n") && answer.contains("upgrade: tcp\r\n"), "{answer}");
    assert!(!answer.contains("content-length") && !answer.contains("x-countersign-peer"), "{answer}");
    expect(&mut client, "welcome").await;
    client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    expect(&mut call.stream, "GET / HTTP/1.1\r\n").await;

    // Each side ends on its own.
    call.stream.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    client.write_all(b"and still").await.unwrap();
    expect(&mut call.stream, "and still").await;
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut call.stream).await, b"");
    let record = sidecar.record("the end", |record| record["phase"] == "end").await;
    assert_eq!((record["close_reason"].as_str(), record["http"]["method"].as_str()), (Some("app_closed"), Some("POST")), "{record}");
    assert_eq!((record["bytes_in"].as_u64(), record["bytes_out"].as_u64()), (Some(4 + 16 + 9), Some(7)), "{record}");
}

/// CVE-2026-2833: bytes behind an upgrade are HTTP for whoever did not switch.
#[tokio::test]
async fn early_bytes_are_requests_where_the_app_does_not_switch() {
    let app = HandApp::start().await;
    let (setup, sidecar, mut client) = connected(&app).await;
    setup.write_policy(&policy(&[("alice", ALICE, "/ws")]));
    sidecar.log_line("\"generation\":3").await;
    let smuggled = "GET /secret HTTP/1.1\r\nhost: orders\r\n\r\n";
    client.write_all((upgrade_to("websocket", "/ws") + smuggled).as_bytes()).await.unwrap();
    let mut call = app.next().await;
    call.answer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno").await;
    assert!(read_head(&mut client).await.unwrap().starts_with("HTTP/1.1 200 "));
    expect(&mut client, "no").await;
    assert!(read_head(&mut client).await.unwrap().starts_with("HTTP/1.1 403 "));
    let denied = sidecar.record("the denial", |record| record["http"]["path"] == "/secret").await;
    assert_eq!(denied["decision"], "deny");
    assert_eq!(rest(&mut call.stream).await, b"", "the app saw more than it was asked");
    assert!(!app.has_more().await);
}

#[tokio::test]
async fn early_bytes_close_the_tunnel_where_the_app_switches() {
    let app = HandApp::start().await;
    let (_setup, sidecar, mut client) = connected(&app).await;
    let early = "GET /secret HTTP/1.1\r\nhost: orders\r\n\r\n";
    client.write_all((upgrade_to("websocket", "/ws") + early).as_bytes()).await.unwrap();
    let mut call = app.next().await;
    call.switch("websocket").await;
    assert_eq!(rest(&mut call.stream).await, b"", "no early byte reaches the app");
    rest(&mut client).await;
    let record = sidecar.record("the end", |record| record["phase"] == "end").await;
    assert_eq!((record["close_reason"].as_str(), record["bytes_in"].as_u64()), (Some("early_bytes"), Some(0)), "{record}");
    assert!(!app.has_more().await);
}

#[tokio::test]
async fn a_101_that_nobody_asked_for_is_502() {
    let app = HandApp::start().await;
    let (_setup, sidecar, _) = connected(&app).await;
    let cert = _setup.cert(ALICE);
    let plain = "GET /plain HTTP/1.1\r\nhost: orders\r\n\r\n";
    let without = "GET /plain HTTP/1.1\r\nhost: orders\r\nupgrade: websocket\r\n\r\n";
    let h2c =
        "GET /plain HTTP/1.1\r\nhost: orders\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABk\r\nupgrade: h2c\r\n\r\n";
    let asked = upgrade_to("websocket", "/ws");
    for (head, answer) in [(plain, "websocket"), (without, "websocket"), (h2c, "h2c"), (asked.as_str(), "tcp"), (asked.as_str(), "h2c")] {
        let mut client = tls(sidecar.inbound(), Some(&cert), &["http/1.1"]).await.unwrap();
        client.write_all(head.as_bytes()).await.unwrap();
        let mut call = app.next().await;
        if head != asked {
            assert_eq!(
                (call.field("connection"), call.field("upgrade"), call.field("http2-settings")),
                (None, None, None),
                "{}",
                call.head
            );
        }
        call.switch(answer).await;
        let refused = read_head(&mut client).await.unwrap();
        assert!(refused.starts_with("HTTP/1.1 502 "), "{head} {answer}: {refused}");
        assert_eq!(rest(&mut call.stream).await, b"");
        let id = refused.lines().find_map(|line| line.strip_prefix("x-countersign-decision: ")).unwrap();
        assert_eq!(sidecar.record_of(id).await["close_reason"], "unasked_status", "{head}");
    }
    assert_eq!(sidecar.metric("countersign_tunnels_ended_total", &[]).await, 0.0);
}

#[tokio::test]
async fn a_101_before_the_end_of_the_request_is_502() {
    let app = HandApp::start().await;
    let (_setup, _sidecar, mut client) = connected(&app).await;
    let head = "POST /exec HTTP/1.1\r\nhost: orders\r\nconnection: upgrade\r\nupgrade: tcp\r\ncontent-length: 10\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let mut call = app.next().await;
    call.switch("tcp").await;
    assert!(read_head(&mut client).await.unwrap().starts_with("HTTP/1.1 502 "));
    assert_eq!(rest(&mut call.stream).await, b"");
}

#[tokio::test]
async fn what_no_upgrade_asks_for_is_forwarded_without_one() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let mut client = tls(sidecar.inbound(), Some(&setup.cert(ALICE)), &["http/1.1"]).await.unwrap();
    for (path, fields) in [("/1", "upgrade: websocket"), ("/2", "connection: upgrade\r\nupgrade: h2c"), ("/3", "connection: upgrade")] {
        client.write_all(format!("GET {path} HTTP/1.1\r\nhost: orders\r\n{fields}\r\n\r\n").as_bytes()).await.unwrap();
        assert!(read_head(&mut client).await.unwrap().starts_with("HTTP/1.1 200 "));
        expect(&mut client, "ok").await;
        let seen = app.got(path).await;
        assert!(!seen.headers.contains_key("upgrade") && !seen.headers.contains_key("connection"), "{:?}", seen.headers);
    }
    // Its end is an orderly one, though hyper keeps such a connection ready for another protocol.
    client.write_all(b"GET /4 HTTP/1.1\r\nhost: orders\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(read_head(&mut client).await.unwrap().contains("connection: close\r\n"));
    expect(&mut client, "ok").await;
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "TLS must end with close_notify");
}

#[tokio::test]
async fn refused_before_the_app() {
    let app = HandApp::start().await;
    let (setup, sidecar, _) = connected(&app).await;
    let get = |connection: &str, upgrade: &str| {
        format!("GET /ws HTTP/1.1\r\nhost: orders\r\nconnection: {connection}\r\nupgrade: {upgrade}\r\n\r\n")
    };
    for (head, status, reason) in [
        (get("upgrade", "web socket"), 400, "malformed:upgrade"),
        (get("upgrade, host", "websocket"), 400, "malformed:connection_nominates"),
        (
            "CONNECT orders:443 HTTP/1.1\r\nhost: orders:443\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n".into(),
            405,
            "malformed:connect",
        ),
    ] {
        let mut client = tls(sidecar.inbound(), Some(&setup.cert(ALICE)), &["http/1.1"]).await.unwrap();
        client.write_all(head.as_bytes()).await.unwrap();
        let answer = read_head(&mut client).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head}{answer}");
        sidecar.record(reason, |record| record["reason"] == reason).await;
    }
    assert!(!app.has_more().await);
}
