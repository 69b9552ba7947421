//! No connection outlives the certificate that the sidecar itself showed on it.

use crate::support::client::is_taken;
use crate::support::expiry::{connections_end, ending};
use crate::support::{ALICE, App, Setup, setup};
use countersign::testing::pki::LeafOptions;

#[tokio::test]
async fn connections_end_with_our_own_certificate() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let options = ending(setup::ORDERS);
    setup.own_certificate(&options);
    let sidecar = setup.start(&app).await;
    let cert = setup.cert(ALICE);
    connections_end(&sidecar, &app, &cert, options.not_after).await;
    let ready = sidecar.ask(sidecar.health, "/ready").await;
    assert_eq!(ready.status, 503, "ready without a certificate that holds");
    assert!(ready.body.starts_with("certificate: "), "{}", ready.body);

    // A new one ends the trouble without a restart.
    setup.own_certificate(&LeafOptions::id(setup::ORDERS));
    crate::support::eventually("a handshake with the new certificate", async || {
        is_taken(sidecar.inbound(), Some(&cert)).await.then_some(())
    })
    .await;
}
