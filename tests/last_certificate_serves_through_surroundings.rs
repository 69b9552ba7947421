//! Whatever goes wrong between a sidecar and AWS, the last certificate serves, the cause is said in log, status and metrics, and all is well again by itself.

use crate::support::aws::keep;
use crate::support::disk::{can_mount, fill};
use crate::support::dns::Zone;
use crate::support::faults::Renewing;
use crate::support::{Dns, Setup, eventually};
use serde_json::{Value, json};

/// Two hours either way: AWS takes no signature, and nothing is issued that this clock would not take for valid.
#[tokio::test]
async fn clocks_apart() {
    let renewing = Renewing::start("40s", |_, _| ()).await;
    for (skew, cause) in [(7_200, "120 min behind AWS's"), (-7_200, "120 min ahead of AWS's")] {
        renewing.aws.turn(json!({ "clock_skew_s": skew })).await;
        renewing.serves_and_says("a clock that is wrong", cause, "clock").await;
        let (issued, failures) = (renewing.aws.issued().await, renewing.failures("clock").await);
        renewing.sidecar.metric_reaches("countersign_rotation_failures_total", &["reason=\"clock\""], failures + 1.0).await;
        assert_eq!(renewing.aws.issued().await, issued, "nothing is issued while the clock is wrong");
        renewing.aws.turn(json!({ "clock_skew_s": 0 })).await;
        renewing.recovers("a clock that is right again").await;
    }
    // What AWS bears is borne here as well; ahead, as far as such short lives can bear it.
    for skew in [20, -240] {
        renewing.aws.turn(json!({ "clock_skew_s": skew })).await;
        renewing.recovers("a clock that is nearly right").await;
    }
    assert_eq!(renewing.failures("not_yet_valid").await + renewing.failures("expired").await, 0.0);
}

/// The agent that gives credentials fails, in the midst of an issue too: what was asked for is not asked for again.
#[tokio::test]
async fn credentials_that_end() {
    let renewing = Renewing::start("60s", |aws, setup| {
        setup.env("AWS_ACCESS_KEY_ID", "").env("AWS_SECRET_ACCESS_KEY", "");
        setup.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &aws.task_credentials());
        // The SDK gives credentials up ten seconds before their end: these are asked for each time.
        aws.turn_now(json!({ "task_life_s": 12 }));
    })
    .await;
    let agent = |refusal: Value| json!({ "refuse": { "task": refusal } });
    let denies = json!({ "name": "AccessDenied", "message": "no role", "times": 1_000 });
    renewing.aws.turn(agent(denies.clone())).await;
    renewing.serves_and_says("no credentials", "there are no AWS credentials for acm-pca:", "no_credentials").await;
    renewing.aws.turn(json!({ "refuse": {}, "in_progress_ms": 6_000 })).await;
    renewing.recovers("credentials again").await;

    let issued = renewing.aws.issued().await;
    eventually("another certificate that is under way", async || (renewing.aws.issued().await > issued).then_some(())).await;
    // It is under way for six seconds yet.
    let ahead = renewing.ahead().await;
    renewing.aws.turn(agent(denies)).await;
    renewing.serves_and_says("credentials that end", "there are no AWS credentials for acm-pca:GetCertificate", "no_credentials").await;
    renewing.aws.turn(json!({ "refuse": {}, "in_progress_ms": 100 })).await;
    renewing.recovers("what was under way").await;
    // Renewals go on meanwhile. Had it been asked for again, one more would have been issued than came into force, for ever.
    eventually("each that was issued in force", async || (renewing.ahead().await < ahead).then_some(())).await;
    assert_eq!(renewing.failures("bad_credentials").await, 0.0);
}

/// The name of the endpoint is not there, cannot be asked for, and is kept silent about, on connections that are made anew.
#[tokio::test]
async fn names_that_are_gone() {
    const NAME: &str = "pca.test";
    let dns = Dns::start().await;
    dns.at(NAME, &["127.0.0.1"], 0);
    let renewing = Renewing::start("40s", |aws, setup| {
        dns.serve(setup, "");
        setup.env("AWS_ENDPOINT_URL_ACM_PCA", &format!("http://{NAME}:{}", aws.address.port()));
    })
    .await;
    for (name, zone) in [("no such name", Zone::NoSuchName), ("failure", Zone::ServerFailure), ("silence", Zone::Silence)] {
        dns.say(NAME, zone);
        // Connections are kept for long; this one ends with the request on it.
        renewing.aws.turn(json!({ "reset": { "IssueCertificate": 1 } })).await;
        renewing.serves_and_says(name, "AWS cannot be reached for acm-pca:IssueCertificate", "unreachable").await;
        dns.at(NAME, &["127.0.0.1"], 0);
        renewing.recovers(name).await;
    }
    let rotations = renewing.rotations().await;
    let issued = renewing.aws.issued().await as f64;
    assert!(
        issued == rotations || issued == rotations + 1.0,
        "{issued} issued for {rotations}: what was asked for before a cut is asked for once"
    );
}

/// Where nothing can be kept, certificates rotate all the same; what is not kept is said, and is kept once there is room.
#[tokio::test]
async fn a_disk_that_is_full() {
    if !can_mount() {
        // As root this is a fault of the machine; for others there is no disk that could be filled.
        assert!(!rustix::process::geteuid().is_root(), "root cannot mount a tmpfs here: nothing proves what a full disk does");
        eprintln!("SKIPPED: only root can mount the disk that this test fills");
        return;
    }
    let mount = |setup: &Setup| {
        let disk = setup.path("disk");
        std::fs::create_dir(&disk).unwrap();
        let script = format!("mount -t tmpfs -o size=64k none '{}' && exec \"$@\"", disk.display());
        ["unshare", "--mount", "sh", "-c", &script, "sh"].map(str::to_owned).to_vec()
    };
    let renewing = Renewing::start_through(mount, "40s", |_, setup| {
        let disk = setup.path("disk");
        keep(setup, &disk);
    })
    .await;
    let sidecar = &renewing.sidecar;
    // The disk as the process sees it.
    let disk = sidecar.proc("root").join(renewing.setup.path("disk").strip_prefix("/").unwrap());
    let kept = eventually("a certificate that is kept", async || std::fs::read(disk.join("certificate.sealed")).ok()).await;
    let filler = fill(&disk);
    sidecar.metric_reaches("countersign_certificate_cache_total", &["action=\"keep\"", "result=\"failed\""], 1.0).await;
    sidecar.metric_reaches("countersign_issue_count_errors_total", &[], 1.0).await;
    renewing.recovers("a rotation on a full disk").await;
    let status = sidecar.status().await.unwrap();
    for (note, words) in [("certificate_cache", "not kept"), ("issuing_budget", "cannot be written")] {
        let said = status["notes"][note].as_str().unwrap_or_default();
        assert!(said.contains(words) && said.contains("No space left on device"), "{note}: {status}");
    }
    assert_eq!((status["ready"].as_bool(), renewing.failures("budget").await), (Some(true), 0.0), "{status}");
    let log = sidecar.log();
    assert!(log.contains("is not kept") && log.contains("No space left on device"));
    assert_eq!(std::fs::read(disk.join("certificate.sealed")).unwrap(), kept, "what was kept is whole");

    std::fs::remove_file(filler).unwrap();
    eventually("nothing left to say", async || {
        let status = sidecar.status().await?;
        (status["notes"]["certificate_cache"].is_null() && status["notes"]["issuing_budget"].is_null()).then_some(())
    })
    .await;
    eventually("a newer certificate that is kept", async || std::fs::read(disk.join("certificate.sealed")).ok().filter(|now| *now != kept))
        .await;
}
