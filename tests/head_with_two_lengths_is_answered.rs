//! An answer to HEAD that says its length twice reaches the client, without a length; one length is passed on.

use crate::support::app::RawApp;
use crate::support::{ALICE, Peer, Setup, Sidecar};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;

#[tokio::test]
async fn only_one_length_is_passed_on() {
    const LENGTH: &str = "content-length: 5\r\n";
    for (times, expected) in [(1, &["5"][..]), (2, &[])] {
        let fields = LENGTH.repeat(times);
        let app = RawApp::start(format!("HTTP/1.1 200 OK\r\n{fields}connection: close\r\n\r\n")).await;
        let mut setup = Setup::new();
        setup.in_front_of(app.address);
        let sidecar = Sidecar::start(&setup).await;
        for mut peer in Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await {
            let request = Request::head("https://orders/length").body(Full::<Bytes>::default()).unwrap();
            let answer = peer.send(request).await.unwrap_or_else(|error| panic!("{}: {error:?}", peer.name()));
            assert_eq!(answer.status, StatusCode::OK, "{}", peer.name());
            let lengths: Vec<_> = answer.headers.get_all("content-length").iter().collect();
            assert_eq!(lengths, expected, "{}", peer.name());
        }
    }
}
