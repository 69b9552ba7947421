//! A certificate on a revocation list is refused, intermediates included, and what was made with it ends.

use crate::support::client::is_taken;
use crate::support::setup::{DOMAIN, replace};
use crate::support::{ALICE, App, BOB, Peer, Remote, Setup, Sidecar, eventually, policy};
use countersign::identity::x509::Leaf;
use countersign::testing::pki::{TestCa, TestCert};
use http::StatusCode;
use rustls::pki_types::CertificateDer;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Writes a list in one step.
fn write(path: &Path, der: &[u8]) {
    let next = path.with_extension("next");
    std::fs::write(&next, der).unwrap();
    std::fs::rename(next, path).unwrap();
}

fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(3_600)
}

/// A sidecar with the lists `root.crl` and `below.crl`, of its root and of an authority below it.
struct Lists {
    setup: Setup,
    below: TestCa,
}

impl Lists {
    fn new(mode: &str) -> Self {
        let mut setup = Setup::new();
        let below = setup.ca.intermediate("below");
        setup.write_policy(&policy(&[("alice", ALICE, "/**"), ("bob", BOB, "/**")]));
        let [root, other] = ["root.crl", "below.crl"].map(|name| setup.path(name).display().to_string());
        setup.revocation(&format!("mode = '{mode}'\ncrl = ['{root}', '{other}']"));
        let lists = Self { setup, below };
        lists.root(&[]);
        lists.below(&[]);
        lists
    }

    /// Revokes these of the root's, in DER.
    fn root(&self, revoked: &[&CertificateDer<'_>]) {
        write(&self.setup.path("root.crl"), &self.setup.ca.crl(revoked, later()));
    }

    /// Revokes these of the other's, in PEM.
    fn below(&self, revoked: &[&CertificateDer<'_>]) {
        replace(&self.setup.path("below.crl"), &self.below.crl_pem(revoked, later()).1);
    }
}

async fn refused(sidecar: &Sidecar, cert: &TestCert, code: &str) {
    assert!(!is_taken(sidecar.inbound(), Some(cert)).await, "{code}");
    let serial = Leaf::parse(&cert.chain[0]).unwrap().serial;
    let record = sidecar.record(code, |record| record["kind"] == "handshake" && record["cert"]["serial"] == serial.as_str()).await;
    assert_eq!(record["reason"], format!("unauthenticated:{code}"), "{record}");
}

#[tokio::test]
async fn and_open_connections_end() {
    for mode in ["best_effort", "require"] {
        let (app, mut lists) = (App::start().await, Lists::new(mode));
        let sidecar = lists.setup.start(&app).await;
        let (stolen, kept) = (lists.below.issue(ALICE), lists.below.issue(BOB));
        let theirs = Peer::both(sidecar.inbound(), &stolen).await;
        let mut bob = Peer::http2(sidecar.inbound(), &kept).await;
        let mut direct = Peer::http2(sidecar.inbound(), &lists.setup.cert(ALICE)).await;

        lists.below(&[&stolen.chain[0]]);
        for peer in &theirs {
            peer.facts().ended().await;
        }
        refused(&sidecar, &stolen, "revoked").await;
        assert_eq!(bob.get("/").await.status, StatusCode::OK, "{mode}");
        sidecar.metric_reaches("countersign_cuts_total", &["direction=\"inbound\"", "reason=\"revoked\""], 2.0).await;
        let record = sidecar.record("the withdrawal", |record| record["kind"] == "trust").await;
        assert_eq!((&record["reason"], &record["src"]["id"]), (&"revoked".into(), &ALICE.into()), "{record}");

        // An intermediate takes everybody below it along.
        lists.root(&[&lists.below.root_der()]);
        bob.facts().ended().await;
        refused(&sidecar, &lists.below.issue(BOB), "revoked").await;
        assert_eq!(direct.get("/").await.status, StatusCode::OK, "{mode}");
        assert_eq!(sidecar.metric("countersign_revocation_unknown_total", &[]).await, 0.0, "{mode}");
        assert!(sidecar.metric("countersign_crl_next_update_seconds", &[]).await > 3_000.0);
    }
}

#[tokio::test]
async fn of_peers_that_we_call() {
    const PAYMENTS: &str = "spiffe://test.example/payments";
    let mut lists = Lists::new("require");
    let cert = lists.below.issue(PAYMENTS);
    let remote = Remote::start(&cert, &["h2"]).await;
    lists.setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'");
    lists.setup.table("upstream", &format!("hosts = ['payments']\naddress = '{}'\nid = '{PAYMENTS}'", remote.address));
    let sidecar = Sidecar::start(&lists.setup).await;
    let mut app = Peer::app_http1(sidecar.outbound()).await;
    assert_eq!(app.ask("payments", "/").await.status, StatusCode::OK);
    lists.below(&[&cert.chain[0]]);
    eventually("the end of the pooled connection", async || remote.calls()[0].ended.then_some(())).await;
    assert_eq!(app.ask("payments", "/").await.header("x-countersign-reason"), "peer_revoked");
    remote.show(&lists.setup.ca.intermediate("unlisted").issue(PAYMENTS));
    assert_eq!(app.ask("payments", "/").await.header("x-countersign-reason"), "peer_revocation_unknown");
}

#[tokio::test]
async fn what_no_list_can_tell_is_refused_where_it_must_be_known() {
    let (app, mut lists) = (App::start().await, Lists::new("require"));
    let sidecar = lists.setup.start(&app).await;
    refused(&sidecar, &lists.setup.ca.intermediate("unlisted").issue(ALICE), "revocation_unknown").await;
    let mut direct = Peer::http2(sidecar.inbound(), &lists.setup.cert(BOB)).await;

    // A list that nobody of that key signed.
    let impostor = TestCa::named(DOMAIN, "below");
    write(&lists.setup.path("below.crl"), &impostor.crl(&[], later()));
    let cert = lists.below.issue(ALICE);
    eventually("the list to be in force", async || (!is_taken(sidecar.inbound(), Some(&cert)).await).then_some(())).await;
    refused(&sidecar, &lists.below.issue(ALICE), "revocation_unknown").await;

    // One that is past its time.
    let past = SystemTime::now() - Duration::from_secs(5);
    write(&lists.setup.path("below.crl"), &lists.below.crl(&[], past));
    sidecar.metric_reaches("countersign_trust_reloads_total", &["result=\"ok\""], 3.0).await;
    refused(&sidecar, &lists.below.issue(ALICE), "revocation_unknown").await;
    let note = eventually("a note", async || sidecar.status().await.unwrap()["notes"]["crl"].as_str().map(str::to_owned)).await;
    assert!(note.contains("past its nextUpdate") && note.contains("below"), "{note}");
    assert!(sidecar.metric("countersign_crl_next_update_seconds", &[]).await < 0.0);
    assert_eq!(direct.get("/").await.status, StatusCode::OK, "others go on");
}

#[tokio::test]
async fn what_no_list_can_tell_is_counted_where_it_need_not_be_known() {
    let (app, mut lists) = (App::start().await, Lists::new("best_effort"));
    std::fs::remove_file(lists.setup.path("below.crl")).unwrap();
    let sidecar = lists.setup.start(&app).await;
    let unknown = async |least| sidecar.metric_reaches("countersign_revocation_unknown_total", &[], least).await;
    sidecar.log_line("below.crl").await;
    assert!(is_taken(sidecar.inbound(), Some(&lists.below.issue(ALICE))).await, "its list is not there");
    unknown(1.0).await;

    // A list that is past its time still says who is revoked.
    let revoked = lists.below.issue(ALICE);
    let past = SystemTime::now() - Duration::from_secs(5);
    write(&lists.setup.path("below.crl"), &lists.below.crl(&[&revoked.chain[0]], past));
    eventually("the list to be in force", async || (!is_taken(sidecar.inbound(), Some(&revoked)).await).then_some(())).await;
    let before = sidecar.metric("countersign_revocation_unknown_total", &[]).await;
    assert!(is_taken(sidecar.inbound(), Some(&lists.below.issue(ALICE))).await, "of the others it is not known");
    unknown(before + 1.0).await;
}

#[tokio::test]
async fn two_authorities_of_one_name_have_a_list_each() {
    let (app, mut lists) = (App::start().await, Lists::new("require"));
    let renewed = lists.setup.ca.intermediate("below");
    let text = lists.below.crl_pem(&[], later()).1 + &renewed.crl_pem(&[], later()).1;
    replace(&lists.setup.path("below.crl"), &text);
    let sidecar = lists.setup.start(&app).await;
    for ca in [&lists.below, &renewed] {
        assert!(is_taken(sidecar.inbound(), Some(&ca.issue(ALICE))).await);
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_used_leaves_the_last_good_one_in_force() {
    let (app, mut lists) = (App::start().await, Lists::new("require"));
    let revoked = lists.below.issue(ALICE);
    lists.below(&[&revoked.chain[0]]);
    let sidecar = lists.setup.start(&app).await;
    let root = lists.setup.ca.root_pem();
    let bad = [("hello", "holds no CRL"), (root.as_str(), "other than CRLs"), ("0\u{82}junk", "cannot be used")];
    for (failures, (text, needle)) in (1..).zip(bad) {
        replace(&lists.setup.path("below.crl"), text);
        sidecar.metric_reaches("countersign_trust_reloads_total", &["result=\"failed\""], f64::from(failures)).await;
        sidecar.log_line(needle).await;
        assert!(!is_taken(sidecar.inbound(), Some(&revoked)).await, "{needle}");
        assert!(is_taken(sidecar.inbound(), Some(&lists.below.issue(BOB))).await, "{needle}");
    }
}
