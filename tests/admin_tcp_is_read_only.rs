//! What acts is reachable over the control socket alone; the TCP ports only show.

use crate::support::client::is_taken;
use crate::support::{ALICE, App, Peer, Setup, within};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn status(address: SocketAddr, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 5\r\n\r\nerror");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that does not read the body may reset the connection behind its answer.
    let _ = within("an answer of an admin port", stream.read_to_end(&mut answer)).await;
    let text = String::from_utf8_lossy(&answer);
    text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap_or("none").to_owned()
}

#[tokio::test]
async fn no_command_works_over_tcp() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let paths = ["/", "/drain", "/reload", "/log-level", "/status", "/live", "/ready", "/metrics", "/quit", "/debug/pprof"];
    for address in [sidecar.metrics, sidecar.health] {
        for path in paths {
            for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "DRAIN"] {
                let got = status(address, method, path).await;
                assert_eq!(got, "405", "{method} {path} on {address}");
            }
            let shown = match path {
                "/metrics" => address == sidecar.metrics,
                "/live" | "/ready" => address == sidecar.health,
                _ => false,
            };
            assert_eq!(status(address, "GET", path).await, if shown { "200" } else { "404" }, "{path} on {address}");
        }
    }

    // Nothing of it did anything.
    let log = sidecar.log();
    assert!(!log.contains("drain begins") && !log.contains("reloaded"), "{log}");
    assert!(!is_taken(sidecar.inbound(), None).await);
    // A line of level debug: the level is as it was.
    sidecar.log_line("handshake refused").await;
    assert_eq!(sidecar.ask(sidecar.health, "/ready").await.status, 200);
    assert_eq!(Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await.get("/").await.status, 200);
}

#[tokio::test]
async fn the_control_socket_is_ours_and_acts() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let mut sidecar = setup.start(&app).await;
    let mode = std::fs::metadata(sidecar.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let reloaded = sidecar.post("/reload").await;
    assert!(reloaded.is_success(), "{}", reloaded.body);
    assert!(sidecar.post("/drain").await.is_success());
    assert_eq!(sidecar.exit().await.code(), Some(0));
    assert!(!sidecar.socket().exists(), "it is gone with its process");
}
