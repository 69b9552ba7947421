//! No connection to a peer outlives a certificate that was shown on it: what is under way on it is cut, over HTTP/1.1 and HTTP/2 alike.

use crate::support::client::at;
use crate::support::expiry::{EARLY, LATE, LIFE, ended, ending};
use crate::support::{Peer, Remote, Setup, Sidecar, eventually, setup, within};
use countersign::testing::pki::TestCert;
use http::StatusCode;
use http_body_util::BodyExt as _;
use std::time::SystemTime;

const PAYMENTS: &str = "spiffe://test.example/payments";

/// The peer's certificate ends in the middle of its answers.
#[tokio::test]
async fn of_the_peer() {
    let setup = Setup::new();
    let options = ending(PAYMENTS);
    let cert = setup.ca.issue_with(&options);
    answers_end(setup, &cert, options.not_after).await;
}

/// Our own certificate ends in the middle of the peer's answers.
#[tokio::test]
async fn of_our_own() {
    let setup = Setup::new();
    let options = ending(setup::ORDERS);
    setup.own_certificate(&options);
    let cert = setup.cert(PAYMENTS);
    answers_end(setup, &cert, options.not_after).await;
}

/// Both kinds of app ask both kinds of peer for an answer that never ends; each answer is broken off at `end`, and with it its connection.
async fn answers_end(mut setup: Setup, cert: &TestCert, end: SystemTime) {
    let remotes = [("http1", Remote::start(cert, &["http/1.1"]).await), ("http2", Remote::start(cert, &["h2"]).await)];
    setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'");
    for (host, remote) in &remotes {
        setup.table("upstream", &format!("hosts = ['{host}']\naddress = '{}'\nid = '{PAYMENTS}'", remote.address));
    }
    let sidecar = Sidecar::start(&setup).await;
    let mut under_way = Vec::new();
    for (host, _) in &remotes {
        for mut app in Peer::app_both(sidecar.outbound()).await {
            let path = format!("/unfinished/{}/{host}", app.name());
            let answer = within("the head", app.begin(at(host, &path))).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            let mut body = answer.into_body();
            let first = within("the beginning", body.frame()).await.unwrap().unwrap();
            assert_eq!(first.into_data().unwrap(), "beginning");
            under_way.push((app, path, body));
        }
    }
    assert!(SystemTime::now() < end, "this machine is too slow for a certificate of {LIFE:?}");
    for (_app, path, body) in under_way {
        assert!(within("the cut", body.collect()).await.is_err(), "{path}: what is cut looks complete");
        let record = sidecar.record(&path, |record| record["http"]["path"] == path.as_str() && record["phase"] != "open").await;
        assert!(record["close_reason"].is_string(), "{record}");
        let ended = ended(&record);
        assert!(ended + EARLY > end && ended < end + LATE, "{path}: cut at {ended:?}, the certificate ended at {end:?}");
    }
    for (host, remote) in &remotes {
        eventually("the end of each connection", async || remote.calls().iter().all(|call| call.ended).then_some(())).await;
        assert!(!remote.calls().is_empty(), "{host}");
    }
}
