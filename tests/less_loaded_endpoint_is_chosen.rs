//! Of two endpoints the one with fewer requests under way gets the next.

use crate::support::client::at;
use crate::support::{Dns, Peer, Remote, Setup, Sidecar, within};
use http::StatusCode;

const PAYMENTS: &str = "spiffe://test.example/payments";

#[tokio::test]
async fn requests_avoid_the_busy_one() {
    for alpn in ["h2", "http/1.1"] {
        let (dns, mut setup) = (Dns::start().await, Setup::new());
        let [busy, free] = Remote::several(&setup.cert(PAYMENTS), &[alpn]).await;
        dns.serve(&mut setup, "");
        dns.at("one.test.example", &["127.0.0.1"], 60);
        dns.at("both.test.example", &["127.0.0.1", "127.0.0.2"], 60);
        // One shard: load is what a shard sees of it.
        setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'").set("runtime.shards", "1");
        let port = busy.address.port();
        for name in ["one", "both"] {
            setup.table("upstream", &format!("hosts = ['{name}']\naddress = 'dns://{name}.test.example:{port}'\nid = '{PAYMENTS}'"));
        }
        let sidecar = Sidecar::start(&setup).await;
        let mut holding = Vec::new();
        for (index, app) in Peer::app_both(sidecar.outbound()).await.iter_mut().enumerate() {
            let target = format!("/hold/{index}");
            holding.push(tokio::spawn(app.begin(at("one", &target))));
            busy.got(&target).await;
        }
        let mut app = Peer::app_http1(sidecar.outbound()).await;
        for _ in 0..40 {
            assert_eq!(app.ask("both", "/order").await.status, StatusCode::OK, "{alpn}");
        }
        assert_eq!((busy.asked().len(), free.asked().len()), (2, 40), "{alpn}");
        busy.release();
        for held in holding {
            assert_eq!(within("the held answer", held).await.unwrap().unwrap().status(), StatusCode::OK);
        }
    }
}

/// Where nobody is busier, both get their share.
#[tokio::test]
async fn idle_endpoints_share() {
    let mut setup = Setup::new();
    let [one, other] = Remote::several(&setup.cert(PAYMENTS), &["h2"]).await;
    setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'").set("runtime.shards", "1");
    setup.table("upstream", &format!("hosts = ['payments']\naddress = ['{}', '{}']\nid = '{PAYMENTS}'", one.address, other.address));
    let sidecar = Sidecar::start(&setup).await;
    let mut app = Peer::app_http1(sidecar.outbound()).await;
    for _ in 0..100 {
        assert_eq!(app.ask("payments", "/order").await.status, StatusCode::OK);
    }
    // One in 10^29 of all runs has fewer than 1.
    assert!(!one.asked().is_empty() && !other.asked().is_empty());
}
