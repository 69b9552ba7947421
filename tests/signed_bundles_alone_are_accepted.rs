//! With a public key nothing but bundles that it verifies is in force: whatever else comes, the last good one stays, and before the first one all is denied.

use crate::support::bundles::{DAY, Signer};
use crate::support::expiry::MovedClock;
use crate::support::setup::replace;
use crate::support::sidecar::run_for;
use crate::support::{ALICE, App, BOB, Peer, Setup, Sidecar, eventually, policy};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

/// A table that lets [`ALICE`] have everything.
fn alice() -> String {
    policy(&[("alice", ALICE, "/**")])
}

/// A table that lets both have everything.
fn both() -> String {
    policy(&[("alice", ALICE, "/**"), ("bob", BOB, "/**")])
}

/// A sidecar that accepts what `signer` signed, with sequence 5 in force.
async fn start(signer: &Signer, app: &App) -> (Setup, Sidecar) {
    let mut setup = Setup::new();
    signer.pin(&mut setup);
    setup.write_policy(&signer.bundle(&alice(), 5).await);
    let sidecar = setup.start(app).await;
    (setup, sidecar)
}

async fn gets(peer: &mut Peer, status: u16) {
    eventually(&format!("{status}"), async || (peer.get("/orders").await.status == status).then_some(())).await;
}

/// Waits until a table or bundle was refused for the `nth` time, and for that reason.
async fn refused(sidecar: &Sidecar, nth: u32, reason: &str) {
    sidecar.metric_reaches("countersign_policy_reloads_total", &["result=\"failed\""], f64::from(nth)).await;
    sidecar.log_line(&format!("\"reason\":\"{reason}\"")).await;
}

#[tokio::test]
async fn whatever_is_refused_the_last_good_one_stays() {
    let (signer, other, app) = (Signer::new().await, Signer::new().await, App::start().await);
    let (setup, sidecar) = start(&signer, &app).await;
    let [mut http1, mut http2] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    let mut bob = Peer::http1(sidecar.inbound(), &setup.cert(BOB)).await;
    let before = sidecar.status().await.unwrap();
    let (now, open) = (SystemTime::now(), both());
    let good = signer.bundle(&open, 6).await;
    let failing = format!("{open}[[case]]\nname = 'no'\nfrom = '{BOB}'\nmethod = 'GET'\npath = '/'\nexpect = 'deny'\n");
    let bad = [
        ("signature", other.bundle(&open, 6).await),
        ("changed", good.replace("/**", "/*")),
        ("old_sequence", signer.bundle(&open, 4).await),
        ("expired", signer.bundle_until("test", &open, 6, now - Duration::from_secs(2)).await),
        ("too_long", signer.bundle_until("test", &open, 6, now + 31 * DAY).await),
        ("other_name", signer.bundle_of("payments", &open.replace("'test'", "'payments'"), 6).await),
        ("other_table", signer.bundle_of("test", &open.replace("name = 'test'", "name = 'payments'"), 6).await),
        ("malformed", good[..good.len() - 20].to_owned()),
        ("malformed", good.replacen("\"sequence\": 6", "\"sequence\": 6, \"sequence\": 7", 1)),
        ("unsigned", open.clone()),
        ("table", signer.bundle(&failing, 6).await),
        ("table", signer.bundle(&open.replace("paths =", "path ="), 6).await),
    ];
    for (nth, (reason, text)) in (1..).zip(bad) {
        setup.write_policy(&text);
        refused(&sidecar, nth, reason).await;
        for peer in [&mut http1, &mut http2] {
            assert_eq!(peer.get("/orders").await.status, 200, "{reason}: {} by the old table", peer.name());
        }
        assert_eq!(bob.get("/orders").await.status, 403, "{reason}: nothing of it is in force");
        let status = sidecar.status().await.unwrap();
        assert_eq!((&status["policy"], &status["policy_bundles"]), (&before["policy"], &before["policy_bundles"]), "{reason}");
    }
    setup.write_policy(&good);
    gets(&mut bob, 200).await;
    assert_eq!(sidecar.status().await.unwrap()["policy_bundles"][0]["sequence"], 6);
    // The one before is old now.
    setup.write_policy(&signer.bundle(&alice(), 5).await);
    refused(&sidecar, 13, "old_sequence").await;
    assert_eq!(bob.get("/orders").await.status, 200);
}

#[tokio::test]
async fn before_the_first_one_everything_is_denied() {
    let (signer, other, app) = (Signer::new().await, Signer::new().await, App::start().await);
    let mut setup = Setup::new();
    signer.pin(&mut setup);
    setup.in_front_of(app.address);
    setup.write_policy(&other.bundle(&alice(), 5).await);
    let (code, said) = run_for(&setup, &["check"]).await;
    assert!(code == 1 && said.contains("the signature of its manifest is not by the key"), "{said}");
    let sidecar = Sidecar::start_unready(&setup).await;
    eventually("a certificate", async || sidecar.status().await.filter(|status| !status["certificate"].is_null())).await;
    let mut peer = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    let denied = peer.get("/orders").await;
    assert_eq!(denied.status, 403);
    assert_eq!(sidecar.record_of(denied.header("x-countersign-decision")).await["reason"], "no_policy");
    let status = sidecar.status().await.unwrap();
    assert!(status["ready"] == false && status["pending"]["policy"].as_str().unwrap().contains("signature"), "{status}");
    setup.write_policy(&signer.bundle(&alice(), 1).await);
    gets(&mut peer, 200).await;
    eventually("readiness", async || sidecar.status().await.filter(|status| status["ready"] == true)).await;
    let (code, said) = run_for(&setup, &["check"]).await;
    assert_eq!(code, 0, "{said}");
}

#[tokio::test]
async fn boundary_and_candidate_are_signed_too_and_each_is_its_own() {
    let (signer, app) = (Signer::new().await, App::start().await);
    let mut setup = Setup::new();
    signer.pin(&mut setup);
    let (boundary, candidate) = (setup.path("boundary.json"), setup.path("candidate.json"));
    let platform = signer.bundle_of("platform", &both().replace("'test'", "'platform'"), 3).await;
    std::fs::write(&boundary, &platform).unwrap();
    std::fs::write(&candidate, signer.bundle(&both(), 9).await).unwrap();
    setup.set("policy.boundary", &format!("'{}'", boundary.display())).set("policy.candidate", &format!("'{}'", candidate.display()));
    let own = signer.bundle(&alice(), 5).await;
    setup.write_policy(&own);
    let sidecar = setup.start(&app).await;
    let mut bob = Peer::http2(sidecar.inbound(), &setup.cert(BOB)).await;
    let parts = |status: &serde_json::Value| {
        status["policy_bundles"]
            .as_array()
            .unwrap()
            .iter()
            .map(|bundle| format!("{}{}", bundle["part"], bundle["sequence"]))
            .collect::<String>()
    };
    assert_eq!(parts(&sidecar.status().await.unwrap()), "\"own\"5\"boundary\"3\"candidate\"9");

    replace(&boundary, &both());
    refused(&sidecar, 1, "unsigned").await;
    replace(&boundary, &own);
    refused(&sidecar, 2, "other_name").await;
    replace(&boundary, &platform);
    sidecar.metric_reaches("countersign_policy_reloads_total", &["result=\"unchanged\""], 1.0).await;
    replace(&candidate, &both());
    refused(&sidecar, 3, "unsigned").await;
    replace(&candidate, &platform);
    refused(&sidecar, 4, "other_name").await;
    assert_eq!(bob.get("/orders").await.status, 403);

    replace(&candidate, &signer.bundle(&both(), 9).await);
    sidecar.metric_reaches("countersign_policy_reloads_total", &["result=\"unchanged\""], 2.0).await;
    let promoted = sidecar.post("/policy/promote").await;
    assert_eq!(promoted.status, 200, "{}", promoted.body);
    assert_eq!(bob.get("/orders").await.status, 200);
    assert_eq!(parts(&sidecar.status().await.unwrap()), "\"boundary\"3\"own\"9");
}

#[tokio::test]
async fn a_restart_does_not_forget_the_sequence() {
    let (signer, app) = (Signer::new().await, App::start().await);
    let (mut setup, sidecar) = start(&signer, &app).await;
    drop(sidecar);
    setup.write_policy(&signer.bundle(&both(), 4).await);
    let sidecar = Sidecar::start_unready(&setup).await;
    let said = sidecar.log_line("there is no policy").await;
    assert!(said.contains("it has the sequence 4, and 5 is the least that is accepted"), "{said}");
    assert!(sidecar.status().await.unwrap()["policy"].is_null());
    drop(sidecar);
    // Neither does it forget whose table it is.
    setup.write_policy(&signer.bundle_of("payments", &both().replace("'test'", "'payments'"), 9).await);
    let sidecar = Sidecar::start_unready(&setup).await;
    let said = sidecar.log_line("there is no policy").await;
    assert!(said.contains("it is the bundle of `payments`, and that of `test` is expected here"), "{said}");
    drop(sidecar);
    setup.write_policy(&signer.bundle(&both(), 5).await);
    drop(setup.start(&app).await);
    // And where the operator has raised it, that counts.
    setup.set("policy.min_sequence", "8");
    setup.in_front_of(app.address);
    let sidecar = Sidecar::start_unready(&setup).await;
    let said = sidecar.log_line("there is no policy").await;
    assert!(said.contains("8 is the least that is accepted"), "{said}");
}

#[tokio::test]
async fn past_its_date_it_stays_in_force_and_is_told() {
    let (signer, app) = (Signer::new().await, App::start().await);
    let mut setup = Setup::new();
    signer.pin(&mut setup);
    let clock = MovedClock::of(&mut setup);
    let end = SystemTime::now() + Duration::from_secs(600);
    setup.write_policy(&signer.bundle_until("test", &alice(), 5, end).await);
    let sidecar = setup.start(&app).await;
    let mut peer = Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await;
    assert_eq!(sidecar.metric("countersign_policy_bundle_stale", &[]).await, 0.0);

    clock.show(end + Duration::from_secs(5));
    let answer = sidecar.post("/reload").await;
    assert!(answer.status == 422 && answer.body.contains("it was good until"), "{}", answer.body);
    sidecar.metric_reaches("countersign_policy_bundle_stale", &[], 1.0).await;
    assert_eq!(peer.get("/orders").await.status, 200);
    let status = sidecar.status().await.unwrap();
    assert!(status["ready"] == true && status["policy_bundles"][0]["stale"] == true, "{status}");
    assert!(status["notes"]["policy_bundle"].as_str().unwrap().contains("`test` with sequence 5 was good until"), "{status}");
    sidecar.log_line("a policy bundle is past its date").await;
    let finding = |record: &serde_json::Value| {
        record["kind"] == "finding" && record.to_string().contains("the own bundle `test` with sequence 5 was good until")
    };
    sidecar.record("the finding", finding).await;

    setup.write_policy(&signer.bundle_until("test", &alice(), 6, end + Duration::from_secs(600)).await);
    let look = async || (sidecar.metric("countersign_policy_bundle_stale", &[]).await == 0.0).then_some(());
    eventually("a bundle that is good again", look).await;
    assert!(sidecar.status().await.unwrap()["notes"]["policy_bundle"].is_null());
}

#[tokio::test]
async fn it_may_come_in_a_variable_or_through_links_that_are_swapped() {
    let (signer, app) = (Signer::new().await, App::start().await);
    let mut setup = Setup::new();
    signer.pin(&mut setup);
    setup.env("TABLE", &BASE64_STANDARD.encode(signer.bundle(&alice(), 1).await));
    setup.set("policy.file", "'env:TABLE'");
    let sidecar = setup.start(&app).await;
    assert_eq!(Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await.get("/").await.status, 200);
    drop(sidecar);

    // As Kubernetes mounts a ConfigMap.
    let at = |name: &str| setup.path(name);
    for (version, table, sequence) in [("v1", alice(), 2), ("v2", both(), 3)] {
        std::fs::create_dir(at(version)).unwrap();
        std::fs::write(at(version).join("policy.json"), signer.bundle(&table, sequence).await).unwrap();
    }
    symlink("v1", at("..data")).unwrap();
    symlink("..data/policy.json", at("policy.json")).unwrap();
    let path = format!("'{}'", at("policy.json").display());
    setup.set("policy.file", &path);
    let sidecar = setup.start(&app).await;
    let mut bob = Peer::http1(sidecar.inbound(), &setup.cert(BOB)).await;
    assert_eq!(bob.get("/").await.status, 403);
    symlink("v2", setup.path("..next")).unwrap();
    std::fs::rename(setup.path("..next"), setup.path("..data")).unwrap();
    gets(&mut bob, 200).await;
}

#[tokio::test]
async fn a_bundle_without_a_key_to_verify_it_ends_the_start() {
    let (signer, mut setup) = (Signer::new().await, Setup::new());
    setup.write_policy(&signer.bundle(&alice(), 1).await);
    let (code, said) = run_for(&setup, &["check"]).await;
    assert!(code == 2 && said.contains("is a signed bundle, and nothing says whose signature counts"), "{said}");
    setup.set("policy.name", "'test'");
    let (code, said) = run_for(&setup, &["check"]).await;
    assert!(code == 2 && said.contains("policy.name: is about signed bundles"), "{said}");
}
