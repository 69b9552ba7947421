//! Certificates of AWS Private CA rotate while requests run: none fails, and each rotation costs one certificate.

use crate::support::aws::Aws;
use crate::support::{ALICE, App, Peer, Setup, Sidecar, eventually, get};
use serde_json::json;

/// Requests on connections of both kinds, each renewed where the sidecar says so, until `done`; gives how many there were.
async fn load(sidecar: &Sidecar, setup: &Setup, done: impl AsyncFn() -> bool) -> usize {
    let cert = setup.cert(ALICE);
    let mut peers = Peer::both(sidecar.inbound(), &cert).await;
    let mut sent = 0;
    while !done().await {
        for peer in &mut peers {
            if !peer.facts().is_open() {
                *peer = match peer {
                    Peer::Http1(..) => Peer::http1(sidecar.inbound(), &cert).await,
                    Peer::Http2(..) => Peer::http2(sidecar.inbound(), &cert).await,
                };
            }
            for _ in 0..20 {
                let answer = match peer.send(get("/")).await {
                    Ok(answer) => answer,
                    // Said before the request was sent: the connection had ended gracefully.
                    Err(error) if error.is_canceled() => break,
                    Err(error) => panic!("{}: {error}", peer.name()),
                };
                assert_eq!(answer.status, 200, "{}", peer.name());
                sent += 1;
                if answer.header("connection") == "close" || !peer.facts().is_open() {
                    break;
                }
            }
        }
    }
    sent
}

#[tokio::test]
async fn short_lives_one_after_the_other() {
    let (aws, app, mut setup) = (Aws::start().await, App::start().await, Setup::new());
    let authority = aws.authority("short").await;
    aws.certify(&mut setup, &authority, "8s");
    setup.set("credentials.renew.after", "0.25").set("credentials.renew.jitter", "0.1");
    let sidecar = setup.start(&app).await;
    let rotations = async || sidecar.metric("countersign_rotations_total", &["result=\"ok\""]).await;
    let sent = load(&sidecar, &setup, async || rotations().await >= 5.0).await;
    assert!(sent > 100, "{sent} requests are no load");
    one_certificate_a_rotation(&aws, &sidecar).await;
    assert_eq!(sidecar.metric("countersign_rotations_total", &["result=\"failed\""]).await, 0.0);
    // Nobody asks what does not change.
    assert_eq!(aws.calls("DescribeCertificateAuthority").await, 1);
}

/// In progress for 5 s, throttled twice, and the connection cut after the request took effect.
#[tokio::test]
async fn slow_throttled_and_cut() {
    let (aws, app, mut setup) = (Aws::start().await, App::start().await, Setup::new());
    let authority = aws.authority("slow").await;
    aws.certify(&mut setup, &authority, "40s");
    setup.set("credentials.renew.after", "0.1").set("credentials.renew.jitter", "0.0");
    let sidecar = setup.start(&app).await;
    let throttle = json!({ "name": "ThrottlingException", "message": "Rate exceeded", "times": 2 });
    aws.turn(json!({
        "in_progress_ms": 5_000,
        "refuse": { "IssueCertificate": throttle, "GetCertificate": throttle },
        "reset": { "IssueCertificate": 1, "GetCertificate": 1 },
    }))
    .await;
    let rotations = async || sidecar.metric("countersign_rotations_total", &["result=\"ok\""]).await;
    load(&sidecar, &setup, async || rotations().await >= 3.0).await;
    one_certificate_a_rotation(&aws, &sidecar).await;
    assert_eq!(aws.tokens_misused().await, 0);
    assert!(sidecar.metric("countersign_aws_calls_total", &["IssueCertificate", "throttled"]).await >= 2.0);
    assert!(sidecar.metric("countersign_aws_calls_total", &["IssueCertificate", "unreachable"]).await >= 1.0);
    assert!(sidecar.metric("countersign_aws_calls_total", &["GetCertificate", "in_progress"]).await >= 2.0);
}

async fn one_certificate_a_rotation(aws: &Aws, sidecar: &Sidecar) {
    // Another rotation may be under way: what was issued for it is in force a moment later.
    eventually("as many certificates in force as were issued", async || {
        let issued = aws.issued().await;
        let rotations = sidecar.metric("countersign_rotations_total", &["result=\"ok\""]).await;
        assert!(rotations as u64 <= issued && issued <= rotations as u64 + 1, "{issued} certificates for {rotations} rotations");
        (rotations as u64 == issued).then_some(())
    })
    .await;
}
