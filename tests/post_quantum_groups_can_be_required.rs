//! With `require_post_quantum`, no channel comes about whose keys a later computer could find, in either direction; and every record names the group.

use crate::support::client::{Peer, is_taken, shake, tls_config_by};
use crate::support::remote::acceptor_by;
use crate::support::{ALICE, App, BOB, ORDERS, Setup, Sidecar};
use http::StatusCode;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

/// What every client and server had some years ago.
fn classical() -> CryptoProvider {
    let kx_groups = vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1];
    CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() }
}

#[tokio::test]
async fn of_peers_that_call_us() {
    for required in [false, true] {
        let (app, mut setup) = (App::start().await, Setup::new());
        setup.set("tls.require_post_quantum", &required.to_string());
        let sidecar = setup.start(&app).await;
        let (alice, bob) = (setup.cert(ALICE), setup.cert(BOB));
        let handshake = shake(sidecar.inbound(), tls_config_by(classical(), Some(&alice), &["http/1.1"])).await;
        assert_eq!(handshake.is_err(), required);
        drop(handshake);
        if required {
            let record = sidecar.record("the refusal", |record| record["kind"] == "handshake").await;
            assert_eq!((&record["decision"], &record["reason"]), (&"deny".into(), &"handshake:nothing_in_common".into()), "{record}");
            sidecar.metric_reaches("countersign_handshakes_total", &["direction=\"inbound\"", "result=\"tls\""], 1.0).await;
        }
        assert!(is_taken(sidecar.inbound(), Some(&alice)).await, "with a group of both kinds");
        let allowed = sidecar.record("the request", |record| record["src"]["id"] == ALICE && record["kind"] == "decision").await;
        let denied = Peer::http2(sidecar.inbound(), &bob).await.get("/").await;
        assert_eq!(denied.status, StatusCode::FORBIDDEN);
        let denied = sidecar.record_of(denied.header("x-countersign-decision")).await;
        for record in [allowed, denied] {
            assert_eq!(record["tls"]["group"], "X25519MLKEM768", "{record}");
        }
    }
}

#[tokio::test]
async fn a_classical_group_is_named_too() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("tls.groups", "['P-256']");
    let sidecar = setup.start(&app).await;
    assert!(is_taken(sidecar.inbound(), Some(&setup.cert(ALICE))).await);
    let record = sidecar.record("the request", |record| record["kind"] == "decision").await;
    assert_eq!(record["tls"]["group"], "P-256", "{record}");
}

#[tokio::test]
async fn of_peers_that_we_call() {
    let mut far = Setup::new();
    far.write_policy(&crate::support::policy(&[("orders", ORDERS, "/**")]));
    let app = App::start().await;
    let modern = far.start(&app).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = acceptor_by(classical(), &far.cert("spiffe://test.example/old"), &["http/1.1"]);
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.read_u8().await;
                panic!("a channel came about");
            }
        }
    });

    let mut near = Setup::new();
    far.ca.write_root(near.dir.path(), "roots.pem");
    far.cert(ORDERS).write(near.dir.path(), "orders");
    near.unset("inbound").set("outbound.listen", "'127.0.0.1:0'").set("tls.require_post_quantum", "true");
    near.table("upstream", &format!("hosts = ['new']\naddress = '{}'\nid = '{ORDERS}'", modern.inbound()));
    near.table("upstream", &format!("hosts = ['old']\naddress = '{address}'\nid = 'spiffe://test.example/old'"));
    let sidecar = Sidecar::start(&near).await;
    let mut ours = Peer::app_http1(sidecar.outbound()).await;
    let answer = ours.ask("new", "/").await;
    assert_eq!(answer.status, StatusCode::OK);
    let record = sidecar.record("the request", |record| record["kind"] == "decision" && record["dst"]["host"] == "new").await;
    assert_eq!(record["tls"]["group"], "X25519MLKEM768", "{record}");
    let answer = ours.ask("old", "/").await;
    assert_eq!((answer.status, answer.header("x-countersign-reason")), (StatusCode::BAD_GATEWAY, "peer_nothing_in_common"));
    let record = sidecar.record_of(answer.header("x-countersign-decision")).await;
    assert!(record["close_reason"] == "peer_nothing_in_common" && record["tls"].is_null(), "{record}");
    assert!(!server.is_finished());
    server.abort();
}
