//! A root that is taken out of a bundle takes with it what was made with it; the other connections, and all where one is only added, go on.

use crate::support::client::{at, is_taken};
use crate::support::setup::{DOMAIN, replace};
use crate::support::sidecar::run;
use crate::support::{ALICE, App, BOB, Peer, Remote, Setup, Sidecar, eventually, get, policy, within};
use countersign::testing::pki::TestCa;
use http::StatusCode;
use http_body_util::BodyExt as _;

const PAYMENTS: &str = "spiffe://test.example/payments";
const BILLING: &str = "spiffe://test.example/billing";

/// The roots that are trusted from now on.
fn trust(setup: &Setup, roots: &[&TestCa]) {
    replace(&setup.path("roots.pem"), &roots.iter().map(|root| root.root_pem()).collect::<String>());
}

async fn reloaded(sidecar: &Sidecar, times: f64) {
    sidecar.metric_reaches("countersign_trust_reloads_total", &["result=\"ok\""], times).await;
}

#[tokio::test]
async fn of_callers() {
    let (app, mut setup, old) = (App::start().await, Setup::new(), TestCa::named(DOMAIN, "old root"));
    trust(&setup, &[&setup.ca, &old]);
    setup.write_policy(&policy(&[("alice", ALICE, "/**"), ("bob", BOB, "/**")]));
    let sidecar = setup.start(&app).await;
    let idle = Peer::both(sidecar.inbound(), &old.issue(ALICE)).await;
    let [mut held1, mut held2] = Peer::both(sidecar.inbound(), &old.intermediate("below").issue(ALICE)).await;
    let answers = [held1.begin(get("/hold/1")), held2.begin(get("/hold/2"))];
    app.got("/hold/1").await;
    app.got("/hold/2").await;
    let mut kept = Peer::both(sidecar.inbound(), &setup.cert(BOB)).await;

    trust(&setup, &[&setup.ca, &old, &TestCa::named(DOMAIN, "next root")]);
    reloaded(&sidecar, 2.0).await;
    let mut late = Peer::http2(sidecar.inbound(), &old.issue(ALICE)).await;
    assert_eq!(late.get("/").await.status, StatusCode::OK, "the bundle is in force");
    assert!(idle.iter().chain([&held1, &held2]).all(|peer| peer.facts().is_open()), "adding is free");

    trust(&setup, &[&setup.ca]);
    for peer in idle.iter().chain([&held1, &held2, &late]) {
        peer.facts().ended().await;
    }
    for (answer, path) in answers.into_iter().zip(["/hold/1", "/hold/2"]) {
        assert!(within("the end of a held request", answer).await.is_err());
        let record = sidecar.record(path, |record| record["http"]["path"] == path).await;
        assert_eq!(record["close_reason"], "trust_revoked", "{record}");
    }
    let withdrawn = eventually("a record for each certificate", async || {
        let records: Vec<_> = sidecar.records().into_iter().filter(|record| record["kind"] == "trust").collect();
        (records.len() == 3).then_some(records)
    });
    assert!(withdrawn.await.iter().all(|record| record["reason"] == "trust_revoked" && record["src"]["id"] == ALICE));
    sidecar.metric_reaches("countersign_cuts_total", &["direction=\"inbound\"", "reason=\"trust_revoked\""], 5.0).await;
    for peer in &mut kept {
        assert_eq!(peer.get("/after").await.status, StatusCode::OK, "{} under the root that stayed", peer.name());
    }
    assert!(!is_taken(sidecar.inbound(), Some(&old.issue(ALICE))).await);
}

#[tokio::test]
async fn of_peers_that_we_call() {
    let (mut setup, old) = (Setup::new(), TestCa::named(DOMAIN, "old root"));
    trust(&setup, &[&setup.ca, &old]);
    setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'");
    let (theirs, kept) = (Remote::start(&old.issue(PAYMENTS), &["h2"]).await, Remote::start(&setup.cert(BILLING), &["h2"]).await);
    for (host, id, remote) in [("payments", PAYMENTS, &theirs), ("billing", BILLING, &kept)] {
        setup.table("upstream", &format!("hosts = ['{host}']\naddress = '{}'\nid = '{id}'", remote.address));
    }
    let sidecar = Sidecar::start(&setup).await;
    let [mut app, mut other] = Peer::app_both(sidecar.outbound()).await;
    let answer = within("a head", app.begin(at("payments", "/unfinished"))).await.unwrap();
    assert_eq!(other.ask("billing", "/before").await.status, StatusCode::OK);
    trust(&setup, &[&setup.ca, &old, &TestCa::named(DOMAIN, "next root")]);
    reloaded(&sidecar, 2.0).await;
    let held = other.begin(at("billing", "/hold"));
    kept.got("/hold").await;
    assert_eq!(kept.calls().len(), 1, "adding is free: the connection stays in use");
    trust(&setup, &[&setup.ca]);
    assert!(within("the end of the answer", answer.into_body().collect()).await.is_err());
    eventually("the end of the connection", async || theirs.calls().iter().all(|call| call.ended).then_some(())).await;
    let record = sidecar.record("what was cut", |record| record["http"]["path"] == "/unfinished" && record["phase"] != "open").await;
    assert_eq!(record["close_reason"], "trust_revoked", "{record}");
    let record = sidecar.record("the withdrawal", |record| record["kind"] == "trust").await;
    assert_eq!((&record["reason"], &record["dst"]["id"]), (&"trust_revoked".into(), &PAYMENTS.into()), "{record}");
    kept.release();
    assert_eq!(within("the held answer", held).await.unwrap().status(), StatusCode::OK);
    let refused = other.ask("payments", "/").await;
    assert_eq!(refused.header("x-countersign-reason"), "peer_certificate_refused");
}

/// Two roots that certify each other's key: a chain that carries the cross certificate is good under either.
#[tokio::test]
async fn but_not_what_another_root_vouches_for() {
    let (app, mut setup, new) = (App::start().await, Setup::new(), TestCa::named(DOMAIN, "new root"));
    let old = TestCa::named(DOMAIN, "old root");
    trust(&setup, &[&setup.ca, &old, &new]);
    let sidecar = setup.start(&app).await;
    let plain = new.issue(ALICE);
    let crossed = new.cross_signed(&old, &new.issue(ALICE));
    let mut by_either = Peer::http2(sidecar.inbound(), &crossed).await;
    let mut by_new = Peer::http2(sidecar.inbound(), &plain).await;
    let by_old = Peer::http2(sidecar.inbound(), &old.issue(ALICE)).await;

    // Known beforehand: who is under which root, and what would end without it.
    let report = run(&["trust", "report", "--json"], setup.dir.path()).await.1;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let ending = |name: &str| {
        let root = report["roots"].as_array().unwrap().iter().find(|root| root["subject"] == format!("CN={name}")).unwrap();
        (root["inbound"]["connections"].as_u64().unwrap(), root["inbound"]["ending"].as_u64().unwrap())
    };
    assert_eq!((ending("old root"), ending("new root"), ending("test root test.example")), ((2, 1), (2, 1), (0, 0)));
    let (code, said) = run(&["trust", "report"], setup.dir.path()).await;
    assert_eq!(code, 0);
    assert!(said.contains("CN=old root, sha256 ") && said.contains("2 connections of 1 peers; 1 would end without it"), "{said}");
    assert!(said.contains(&format!("{ALICE}  2 connections, 2 certificates, 1 would end")) && said.contains("outbound  nobody"), "{said}");

    // The old root goes: who chains to the new one stays.
    trust(&setup, &[&setup.ca, &new]);
    by_old.facts().ended().await;
    assert_eq!(by_either.get("/").await.status, StatusCode::OK);
    assert_eq!(by_new.get("/").await.status, StatusCode::OK);

    // And with the new one gone, the old one still vouches for its key.
    trust(&setup, &[&setup.ca, &old, &new]);
    reloaded(&sidecar, 3.0).await;
    trust(&setup, &[&setup.ca, &old]);
    by_new.facts().ended().await;
    assert_eq!(by_either.get("/").await.status, StatusCode::OK);
    assert!(is_taken(sidecar.inbound(), Some(&crossed)).await && !is_taken(sidecar.inbound(), Some(&plain)).await);
}

#[tokio::test]
async fn of_a_whole_trust_domain() {
    let (app, mut setup, partner) = (App::start().await, Setup::new(), TestCa::new("partner.example"));
    let id = "spiffe://partner.example/shop";
    setup.write_policy(&policy(&[("partner", id, "/**"), ("alice", ALICE, "/**")]));
    let path = partner.write_root(setup.dir.path(), "partner.pem");
    let own = setup.config();
    setup.table("trust", &format!("domain = 'partner.example'\nsource = 'file'\nfile = '{}'", path.display()));
    let sidecar = setup.start(&app).await;
    let mut theirs = Peer::http2(sidecar.inbound(), &partner.issue(id)).await;
    let mut ours = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    assert_eq!(theirs.get("/").await.status, StatusCode::OK);
    let with = setup.config();
    let without = with.split("[[trust]]\ndomain = 'partner.example'").next().unwrap().to_owned();
    assert!(own.contains("[[trust]]") && without.contains("[[trust]]"));
    replace(&setup.path("countersign.toml"), &without);
    sidecar.signal(rustix::process::Signal::HUP);
    theirs.facts().ended().await;
    assert_eq!(ours.get("/").await.status, StatusCode::OK);
}
