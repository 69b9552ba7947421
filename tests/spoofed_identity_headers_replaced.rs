//! What tells the app who calls is ours: whatever a client sends under those names, however it writes them, never reaches the app.

use crate::support::app::full;
use crate::support::curl::Curl;
use crate::support::{ALICE, App, BOB, Peer, Setup, get};
use countersign::identity::x509::Leaf;
use http::{HeaderName, HeaderValue, Response, StatusCode};

/// Names that one app server or another believes.
const FORGED: [&str; 22] = [
    "x-forwarded-client-cert",
    "X-Forwarded-Client-Cert",
    "x_forwarded_client_cert",
    "x-forwarded_client-cert",
    "x-countersign-peer",
    "x_countersign_peer",
    "x-countersign_peer",
    "x-countersign-decision",
    "x-countersign-anything",
    "x_countersign_anything",
    "x-client-cert",
    "x-client-cert-chain",
    "client-cert",
    "client_cert",
    "ssl-client-verify",
    "x-ssl-client-s-dn",
    "x-spiffe-id",
    "x-amzn-mtls-clientcert",
    "l5d-client-id",
    "x-real-ip",
    "forwarded",
    "x-team-identity",
];

#[tokio::test]
async fn the_app_sees_one_identity_and_it_is_the_certificates() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("inbound.reserved_headers", "['x-team-identity']");
    let sidecar = setup.start(&app).await;
    let cert = setup.cert(ALICE);
    let fingerprint = Leaf::parse(&cert.chain[0]).unwrap().fingerprint;
    for mut peer in Peer::both(sidecar.inbound(), &cert).await {
        let target = format!("/{}", peer.name());
        let mut request = get(&target);
        for name in FORGED {
            let name = HeaderName::try_from(name).unwrap();
            request.headers_mut().append(name.clone(), HeaderValue::from_static(BOB));
            request.headers_mut().append(name, HeaderValue::from_static("URI=spiffe://test.example/admin"));
        }
        request.headers_mut().insert("x-kept", HeaderValue::from_static("as it is"));
        assert_eq!(peer.send(request).await.unwrap().status, StatusCode::OK, "{}", peer.name());

        let headers = app.got(&target).await.headers;
        let all = |name: &str| headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(all("x-countersign-peer"), [ALICE], "{}", peer.name());
        let certs = all("x-forwarded-client-cert");
        assert_eq!(certs.len(), 1, "{certs:?}");
        assert!(certs[0].contains(&format!("Hash={fingerprint};")) && certs[0].ends_with(&format!("URI={ALICE}")), "{certs:?}");
        assert_eq!(all("x-kept"), ["as it is"]);
        for (name, value) in &headers {
            let value = value.to_str().unwrap();
            assert!(!value.contains("bob") && !value.contains("admin"), "{}: {name}: {value}", peer.name());
        }
    }
    sidecar.metric_reaches("countersign_headers_stripped_total", &["direction=\"inbound\""], 2.0).await;
}

#[tokio::test]
async fn connection_cannot_take_our_fields_away() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let cert = setup.cert(ALICE);
    for nominated in ["x-forwarded-client-cert", "close, X-Countersign-Peer", "x_countersign_peer", "host", "authorization"] {
        let mut peer = Peer::http1(sidecar.inbound(), &cert).await;
        let mut request = get("/nominated");
        request.headers_mut().insert("connection", HeaderValue::from_static(nominated));
        let answer = peer.send(request).await.unwrap();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{nominated}");
        let record = sidecar.record_of(answer.header("x-countersign-decision")).await;
        assert_eq!(record["reason"], "malformed:connection_nominates", "{nominated}");
    }
    assert!(app.seen().is_empty());

    // What it may nominate ends here.
    let mut peer = Peer::http1(sidecar.inbound(), &cert).await;
    let mut request = get("/hop-by-hop");
    for (name, value) in [("connection", "x-hop, keep-alive"), ("x-hop", "for us"), ("keep-alive", "timeout=5"), ("te", "gzip")] {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    assert_eq!(peer.send(request).await.unwrap().status, StatusCode::OK);
    let headers = app.got("/hop-by-hop").await.headers;
    for name in ["x-hop", "keep-alive", "te"] {
        assert!(!headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn responses_do_not_speak_in_our_name() {
    let app = App::serve(|_| async {
        let mut response = Response::new(full("ok"));
        let headers = [
            ("x-countersign-decision", "01FORGED"),
            ("x-countersign-reason", "forged"),
            ("x-countersign-peer", BOB),
            ("connection", "x-internal"),
            ("x-internal", "secret"),
            ("keep-alive", "timeout=5"),
            ("proxy-authenticate", "Basic"),
            ("x-kept", "as it is"),
        ];
        for (name, value) in headers {
            response.headers_mut().append(name, HeaderValue::from_static(value));
        }
        response
    });
    let (app, mut setup) = (app.await, Setup::new());
    let sidecar = setup.start(&app).await;
    for mut peer in Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await {
        let answer = peer.get("/").await;
        assert_eq!((answer.status, answer.header("x-kept")), (StatusCode::OK, "as it is"), "{}", peer.name());
        let left: Vec<_> =
            answer.headers.keys().map(HeaderName::as_str).filter(|name| !["x-kept", "date", "content-length"].contains(name)).collect();
        assert!(left.is_empty(), "{}: {left:?}", peer.name());
    }
}

#[tokio::test]
async fn curl_cannot_forge_either() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let cert = setup.cert(ALICE);
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let path = format!("/curl/{version}");
        let forged = format!("X_Countersign_Peer: {BOB}");
        let curl = Curl::new(setup.dir.path(), sidecar.inbound(), Some(&cert));
        let got = curl.ask(&[flag, "--header", &forged, "--header", "X-Forwarded-Client-Cert: URI=bob"], &path).await;
        assert_eq!((got.status, got.version.as_str(), got.body.as_slice()), (200, version, &b"ok"[..]), "{got:?}");
        let headers = app.got(&path).await.headers;
        assert_eq!(headers["x-countersign-peer"], ALICE);
        assert!(headers.iter().all(|(_, value)| !value.to_str().unwrap().contains("bob")), "{headers:?}");
    }
}
