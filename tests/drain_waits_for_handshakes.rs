//! A connection that was accepted before the drain is served, even where its handshake comes after the drain began and nothing else keeps it open.

use crate::support::client::tls_config;
use crate::support::{ALICE, App, Setup, eventually, within};
use rustix::process::Signal;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;

#[tokio::test]
async fn a_late_handshake_and_its_request_are_served() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("timeouts.handshake", "'30s'").set("timeouts.drain", "'60s'");
    let mut sidecar = setup.start(&app).await;
    let early = TcpStream::connect(sidecar.inbound()).await.unwrap();
    eventually("the connection at its shard", async || (sidecar.status().await?["connections"]["inbound"] == 1).then_some(())).await;
    sidecar.signal(Signal::TERM);
    let inbound = sidecar.inbound();
    eventually("a closed listener", async || TcpStream::connect(inbound).await.is_err().then_some(())).await;
    // Long enough for a process that does not wait to be gone.
    sleep(Duration::from_millis(500)).await;
    let connector = TlsConnector::from(Arc::new(tls_config(Some(&setup.cert(ALICE)), &["http/1.1"])));
    let shake = connector.connect(ServerName::try_from("orders").unwrap(), early);
    let mut stream = within("the handshake", shake).await.unwrap();
    stream.write_all(b"GET /late HTTP/1.1\r\nhost: orders\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    within("the answer", stream.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 200 ") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    drop(stream);
    assert_eq!(sidecar.exit().await.code(), Some(0));
}
