//! A handshake that stops halfway is ended by `[timeouts] handshake`, wherever it stops, and holds nobody else up.

use crate::support::client::tls_config;
use crate::support::{ALICE, App, Bystander, Peer, Setup, Sidecar, within};
use http::StatusCode;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_millis(700);

#[tokio::test]
async fn a_silent_socket() {
    let (_app, setup, sidecar) = start().await;
    stalls(&sidecar, &setup, async |_| {}).await;
}

#[tokio::test]
async fn half_a_client_hello() {
    let (_app, setup, sidecar) = start().await;
    stalls(&sidecar, &setup, async |stream| {
        let hello = hello(&mut client(&setup));
        stream.write_all(&hello[..hello.len() / 2]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn everything_but_the_client_certificate() {
    let (_app, setup, sidecar) = start().await;
    stalls(&sidecar, &setup, async |stream| {
        let mut client = client(&setup);
        stream.write_all(&hello(&mut client)).await.unwrap();
        // The server's whole flight: afterwards only our certificate is missing.
        while client.is_handshaking() {
            let mut bytes = vec![0; 16 << 10];
            let count = stream.read(&mut bytes).await.unwrap();
            assert_ne!(count, 0, "the server gave up early");
            client.read_tls(&mut io::Cursor::new(&bytes[..count])).unwrap();
            client.process_new_packets().unwrap();
        }
        assert!(client.wants_write());
    })
    .await;
}

/// Both time-outs run at once: more stalled handshakes than may run do not lock anybody out for longer than theirs.
#[tokio::test]
async fn as_many_as_may_run_at_once() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("timeouts.handshake", "'700ms'").set("limits.handshakes", "4");
    let sidecar = setup.start(&app).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(sidecar.inbound()).await.unwrap());
    }
    for mut stream in silent {
        assert!(matches!(within("the cut", stream.read(&mut [0])).await, Ok(0) | Err(_)));
    }
    sidecar.metric_reaches("countersign_handshakes_total", &["result=\"timeout\""], 8.0).await;
    let mut good = Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await;
    assert_eq!(good.get("/orders").await.status, StatusCode::OK);
}

async fn start() -> (App, Setup, Sidecar) {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("timeouts.handshake", "'700ms'");
    let sidecar = setup.start(&app).await;
    (app, setup, sidecar)
}

/// Connects, does `begin`, and says nothing more. Meanwhile others are served.
async fn stalls(sidecar: &Sidecar, setup: &Setup, begin: impl AsyncFnOnce(&mut TcpStream)) {
    let bystander = Bystander::start(sidecar, setup, ALICE).await;
    let begun = Instant::now();
    let mut stream = TcpStream::connect(sidecar.inbound()).await.unwrap();
    let source = stream.local_addr().unwrap();
    begin(&mut stream).await;
    let mut good = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    assert_eq!(good.get("/orders").await.status, StatusCode::OK);

    let mut rest = Vec::new();
    let _ = within("the cut", stream.read_to_end(&mut rest)).await;
    assert!(begun.elapsed() >= LIMIT, "cut after {:?}", begun.elapsed());
    let record = sidecar.record("the cut", |record| record["kind"] == "handshake").await;
    assert_eq!(record["reason"], "handshake_timeout");
    assert_eq!(record["decision"], "deny");
    assert_eq!((record["src"]["ip"].as_str(), record["src"]["port"].as_u64()), (Some("127.0.0.1"), Some(source.port().into())));
    assert_eq!(sidecar.metric("countersign_handshakes_total", &["direction=\"inbound\"", "result=\"timeout\""]).await, 1.0);
    assert_eq!(good.get("/orders").await.status, StatusCode::OK, "the good client is still connected");
    drop((good, stream));
    bystander.outlives(sidecar).await;
}

fn client(setup: &Setup) -> ClientConnection {
    let config = tls_config(Some(&setup.cert(ALICE)), &["h2"]);
    ClientConnection::new(Arc::new(config), ServerName::try_from("orders").unwrap()).unwrap()
}

fn hello(client: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}
