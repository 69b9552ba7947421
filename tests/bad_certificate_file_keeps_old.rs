//! Certificate files that cannot be used leave the old certificate in force, and the log says why.

use crate::support::{ALICE, App, Peer, Setup, setup};
use countersign::testing::pki::{LeafOptions, TestCa};
use std::time::{Duration, SystemTime};

#[tokio::test]
async fn each_bad_pair_is_refused_and_said() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let (dir, cert) = (setup.dir.path(), setup.cert(ALICE));
    let mut old = Peer::http1(sidecar.inbound(), &cert).await;
    let serial = old.facts().serial.clone();

    let good = setup.ca.issue(setup::ORDERS);
    let past = SystemTime::now() - Duration::from_secs(30);
    let write = |chain: &str, key: &str| {
        setup::replace(&setup.path("orders.pem"), chain);
        setup::replace(&setup.path("orders-key.pem"), key);
    };
    let expired = setup.ca.issue_with(&LeafOptions { not_after: past, ..LeafOptions::id(setup::ORDERS) });
    let client_only = setup.ca.issue_with(&LeafOptions { server: false, ..LeafOptions::id(setup::ORDERS) });
    let forged = TestCa::new(setup::DOMAIN).issue(setup::ORDERS);
    let bad: [(&str, &dyn Fn(), &str); 8] = [
        ("no certificate", &|| write("nothing", &good.key_pem), "orders.pem"),
        ("half a certificate", &|| write(&good.chain_pem[..good.chain_pem.len() / 2], &good.key_pem), "orders.pem"),
        ("no key", &|| write(&good.chain_pem, "nothing"), "holds no private key"),
        ("the key of another pair", &|| write(&good.chain_pem, &cert.key_pem), "key"),
        ("another identity", &|| write(&cert.chain_pem, &cert.key_pem), ALICE),
        ("an expired certificate", &|| write(&expired.chain_pem, &expired.key_pem), "expired"),
        ("a certificate that is not for servers", &|| write(&client_only.chain_pem, &client_only.key_pem), "wrong_usage"),
        ("a certificate of another authority", &|| write(&forged.chain_pem, &forged.key_pem), "refuses our own certificate"),
    ];
    for (name, put, needle) in bad {
        let before = complaints(&sidecar.log());
        put();
        let line = crate::support::eventually(name, async || {
            let lines = sidecar.log();
            lines.lines().filter(|line| line.contains(COMPLAINT)).skip(before).find(|line| line.contains(needle)).map(str::to_owned)
        })
        .await;
        assert!(!line.contains("PRIVATE KEY"), "{line}");
        let mut fresh = Peer::http2(sidecar.inbound(), &cert).await;
        assert_eq!(fresh.facts().serial, serial, "{name}: the old certificate stays");
        assert_eq!(fresh.get("/fresh").await.status, 200, "{name}");
        assert_eq!(old.get("/old").await.status, 200, "{name}");
        assert_eq!(sidecar.ask(sidecar.health, "/ready").await.status, 200, "{name}: still ready");
    }
    assert!(sidecar.metric("countersign_rotations_total", &["result=\"failed\""]).await >= 8.0);

    std::fs::remove_file(dir.join("orders-key.pem")).unwrap();
    sidecar.log_line("cannot read").await;
    good.write(dir, "orders");
    sidecar.metric_reaches("countersign_rotations_total", &["result=\"ok\""], 2.0).await;
    let fresh = crate::support::eventually("a handshake with the good pair", async || {
        let fresh = Peer::http2(sidecar.inbound(), &cert).await;
        (fresh.facts().serial != serial).then_some(fresh)
    });
    assert_eq!(fresh.await.get("/good").await.status, 200);
}

const COMPLAINT: &str = "the certificate was not replaced";

fn complaints(log: &str) -> usize {
    log.lines().filter(|line| line.contains(COMPLAINT)).count()
}
