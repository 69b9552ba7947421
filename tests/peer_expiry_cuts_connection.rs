//! No connection outlives the certificate that its peer was authenticated with.

use crate::support::client::is_taken;
use crate::support::expiry::{connections_end, ending, until};
use crate::support::{ALICE, App, Setup};
use std::time::Duration;

#[tokio::test]
async fn connections_end_with_their_peers_certificate() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let options = ending(ALICE);
    let cert = setup.ca.issue_with(&options);
    connections_end(&sidecar, &app, &cert, options.not_after).await;

    // The last second of a certificate is part of its life (RFC 5280, section 4.1.2.5).
    until(options.not_after + Duration::from_secs(1)).await;
    assert!(!is_taken(sidecar.inbound(), Some(&cert)).await, "an expired certificate opens a connection");
    assert!(is_taken(sidecar.inbound(), Some(&setup.cert(ALICE))).await, "others are still served");
}
