//! A peer that does not accept our certificate is named as the cause, though in TLS 1.3 a request may be written before its refusal is known.

use crate::support::client::Peer;
use crate::support::{App, Setup, Sidecar};
use http::StatusCode;

/// Two sidecars: one whose authority only the other's bundle lacks.
#[tokio::test]
async fn the_app_learns_it_over_both_protocols() {
    for protocol in ["h2", "http1"] {
        let (app, mut far) = (App::start().await, Setup::new());
        let peer = far.start(&app).await;
        let mut near = Setup::new();
        let roots = near.ca.root_pem() + &far.ca.root_pem();
        std::fs::write(near.path("roots.pem"), roots).unwrap();
        near.unset("inbound").set("outbound.listen", "'127.0.0.1:0'");
        let upstream = "hosts = ['orders']\nid = 'spiffe://test.example/orders'";
        near.table("upstream", &format!("{upstream}\naddress = '{}'\nprotocol = '{protocol}'", peer.inbound()));
        let sidecar = Sidecar::start(&near).await;

        let mut ours = Peer::app_http1(sidecar.outbound()).await;
        for path in ["/first", "/second"] {
            let answer = ours.ask("orders", path).await;
            assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{protocol}");
            assert_eq!(answer.header("x-countersign-reason"), "peer_refused_us", "{protocol}");
            let record = sidecar.record_of(answer.header("x-countersign-decision")).await;
            assert_eq!(record["close_reason"], "peer_refused_us", "{record}");
        }
        assert!(app.seen().is_empty(), "{protocol}");
        let refused = peer.record("the refused caller", |record| record["kind"] == "handshake").await;
        assert_eq!((refused["decision"].as_str(), refused["src"]["id"].as_str()), (Some("deny"), Some("spiffe://test.example/orders")));
    }
}
