//! Requests that wait for the same dial share its failure: a peer that says nothing costs each of them one handshake time-out, not one after the other.

use crate::support::client::at;
use crate::support::{Peer, Setup, Sidecar, eventually, within};
use http::StatusCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(3);

#[tokio::test]
async fn requests_at_once_fail_at_once() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut setup = Setup::new();
    // One shard: a pool belongs to one.
    setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'").set("runtime.shards", "1").set("timeouts.handshake", "'3s'");
    let address = silent.local_addr().unwrap();
    setup.table("upstream", &format!("hosts = ['payments']\naddress = '{address}'\nid = 'spiffe://test.example/payments'"));
    let sidecar = Sidecar::start(&setup).await;
    let mut apps = Vec::new();
    for _ in 0..3 {
        apps.extend(Peer::app_both(sidecar.outbound()).await);
    }
    let begun = Instant::now();
    let asked: Vec<_> = apps.iter_mut().map(|app| tokio::spawn(app.begin(at("payments", "/order")))).collect();
    eventually("all requests in flight", async || (sidecar.status().await?["in_flight"]["outbound"] == 6).then_some(())).await;
    for answer in asked {
        let answer = within("the answer", answer).await.unwrap().unwrap();
        assert_eq!(answer.headers()["x-countersign-reason"], "peer_handshake_timeout");
        assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    }
    assert!(begun.elapsed() < 3 * LIMIT, "six requests took {:?}, one handshake may take {LIMIT:?}", begun.elapsed());
}
