//! A renewed certificate costs no request, and new handshakes show it at once.

use crate::support::client::read;
use crate::support::{ALICE, App, Peer, Setup, Sidecar, eventually, get, setup, within};
use countersign::credentials::dev::{DevCa, Request};
use countersign::identity::SpiffeId;
use countersign::testing::pki::{LeafOptions, TestCert};
use http::StatusCode;
use rustix::process::Signal;
use std::path::Path;
use std::time::{Duration, SystemTime};

#[tokio::test]
async fn files_that_are_replaced() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let cert = setup.cert(ALICE);
    rotations_keep_requests(&sidecar, &app, &cert, || drop(setup.own_certificate(&LeafOptions::id(setup::ORDERS)))).await;
}

#[tokio::test]
async fn the_development_ca_that_issues_again() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let dir = setup.path("certs-dev");
    setup.unset("credentials").set("credentials.source", "'dev'").set("credentials.dev.dir", &format!("'{}'", dir.display()));
    setup.without_tables().table("trust", "domain = 'test.example'");
    let sidecar = setup.start(&app).await;
    rotations_keep_requests(&sidecar, &app, &issued_by(&dir, ALICE), || sidecar.signal(Signal::HUP)).await;
}

#[tokio::test]
async fn the_development_ca_renews_by_itself() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let dir = setup.path("certs-dev");
    setup.unset("credentials").set("credentials.source", "'dev'").set("credentials.dev.dir", &format!("'{}'", dir.display()));
    setup.set("credentials.dev.validity", "'4s'").without_tables().table("trust", "domain = 'test.example'");
    let sidecar = setup.start(&app).await;
    let first = sidecar.status().await.unwrap()["certificate"]["serial"].clone();
    sidecar.metric_reaches("countersign_rotations_total", &["result=\"ok\""], 3.0).await;
    let status = sidecar.status().await.unwrap();
    assert_ne!(status["certificate"]["serial"], first);
    assert_eq!(status["ready"], true);
    assert_eq!(sidecar.metric("countersign_rotations_total", &["result=\"failed\""]).await, 0.0);
}

/// Holds a request on each kind of connection over three rotations.
async fn rotations_keep_requests(sidecar: &Sidecar, app: &App, cert: &TestCert, rotate: impl Fn()) {
    let [mut http1, mut http2] = Peer::both(sidecar.inbound(), cert).await;
    let held = [http1.begin(get("/hold/1")), http2.begin(get("/hold/2"))];
    app.got("/hold/1").await;
    app.got("/hold/2").await;

    let mut shown = vec![http1.facts().serial.clone()];
    for _ in 0..3 {
        rotate();
        let serial = eventually("a new certificate", async || {
            let status = sidecar.status().await?;
            status["certificate"]["serial"].as_str().filter(|serial| !shown.iter().any(|old| old == serial)).map(str::to_owned)
        })
        .await;
        let mut fresh = Peer::http2(sidecar.inbound(), cert).await;
        assert_eq!(fresh.facts().serial, serial, "a new handshake shows the new certificate");
        assert_eq!(fresh.get("/fresh").await.status, StatusCode::OK);
        shown.push(serial);
    }

    app.release();
    for held in held {
        let answer = within("the held answer", async { read(held.await.unwrap()).await.unwrap() }).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, &b"ok"[..]));
    }
    for peer in [&mut http1, &mut http2] {
        assert_eq!(peer.get("/later").await.status, StatusCode::OK, "the old connection of {} goes on", peer.name());
    }
}

fn issued_by(dir: &Path, id: &str) -> TestCert {
    let request = Request { id: SpiffeId::parse(id).unwrap(), dns_names: Vec::new(), validity: Duration::from_secs(3_600) };
    let (chain, key) = DevCa::open(dir).unwrap().issue(&request, SystemTime::now()).unwrap();
    TestCert { chain, key_der: key.secret_der().to_vec(), chain_pem: String::new(), key_pem: String::new() }
}
