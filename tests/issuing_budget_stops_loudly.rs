//! Past its issuing budget a sidecar asks for no certificate, says so everywhere, keeps the one that it has, and goes on by itself.

use crate::support::aws::Aws;
use crate::support::{ALICE, App, Peer, Setup, Sidecar, eventually, setup};
use http::StatusCode;
use std::time::{Duration, SystemTime};

const OK: &[&str] = &["result=\"ok\""];

/// As if `count` certificates had been asked for `ago`, all but forgotten.
fn asked_for_before(setup: &mut Setup, count: usize, ago: Duration) {
    let moment = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() - ago;
    let text = format!("countersign issues 1 {count} {}\n", setup::ORDERS) + &format!("{}\n", moment.as_secs()).repeat(count);
    std::fs::create_dir(setup.path("cache")).unwrap();
    std::fs::write(setup.path("cache/issues"), text).unwrap();
    let cache = format!("'{}'", setup.path("cache").display());
    setup.set("credentials.cache.dir", &cache);
}

#[tokio::test]
async fn a_valid_certificate_serves_on() {
    let (aws, app, mut setup) = (Aws::start().await, App::start().await, Setup::new());
    let authority = aws.authority("budget").await;
    aws.certify(&mut setup, &authority, "40s");
    // Renewed after 8 s; the first certificate is the last one of the hour until 20 s have gone by.
    setup.set("credentials.renew.after", "0.2").set("credentials.renew.jitter", "0.0");
    setup.set("credentials.acm_pca.max_issues_per_hour", "900");
    asked_for_before(&mut setup, 899, Duration::from_secs(3_580));
    let sidecar = setup.start(&app).await;
    let mut peer = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;

    let told = eventually("a note", async || note(&sidecar).await).await;
    assert!(
        told.starts_with("it was not replaced: the issuing budget is used up: 900 certificates within an hour; the next one at "),
        "{told}"
    );
    assert!(told.ends_with("Look for what asks so often, or raise max_issues_per_hour"), "{told}");
    sidecar.log_line("the issuing budget is used up").await;
    assert_eq!(sidecar.metric("countersign_issuing_stopped", &[]).await, 1.0);
    assert_eq!((sidecar.is_ready().await, aws.issued().await), (Some(true), 1));
    assert_eq!(peer.get("/orders").await.status, StatusCode::OK);

    sidecar.metric_reaches("countersign_rotations_total", OK, 2.0).await;
    assert_eq!(sidecar.metric("countersign_issuing_stopped", &[]).await, 0.0);
    assert_eq!(sidecar.metric("countersign_rotations_total", &["result=\"failed\""]).await, 1.0, "nobody asks again before there is room");
    eventually("no note", async || note(&sidecar).await.is_none().then_some(())).await;
    assert_eq!((aws.issued().await, sidecar.metric("countersign_issues_total", &[]).await), (2, 2.0));
}

#[tokio::test]
async fn a_restart_does_not_begin_anew() {
    let (aws, app, mut setup) = (Aws::start().await, App::start().await, Setup::new());
    let authority = aws.authority("restarts").await;
    aws.certify(&mut setup, &authority, "24h");
    setup.set("credentials.acm_pca.max_issues_per_hour", "4");
    asked_for_before(&mut setup, 2, Duration::from_secs(60));
    for _ in 0..2 {
        drop(setup.start(&app).await);
    }
    setup.in_front_of(app.address);
    let sidecar = Sidecar::start_unready(&setup).await;
    let pending = eventually("what is missing", async || {
        let status = sidecar.status().await?;
        status["pending"]["certificate"].as_str().filter(|why| why.contains("budget")).map(str::to_owned)
    });
    assert!(pending.await.starts_with("the issuing budget is used up: 4 certificates within an hour"));
    assert_eq!((sidecar.is_ready().await, aws.issued().await), (Some(false), 2));
}

async fn note(sidecar: &Sidecar) -> Option<String> {
    sidecar.status().await?["notes"]["certificate"].as_str().map(str::to_owned)
}
