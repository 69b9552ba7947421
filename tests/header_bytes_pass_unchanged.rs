//! Bytes above ASCII in a field's value (RFC 9110, section 5.5: obs-text) reach the app as they came, and come back as they went, whatever the version.

use crate::support::app::{App, full};
use crate::support::{ALICE, Raw, Setup};
use http::Response;

/// Latin-1, bytes that are no UTF-8, and a blank and a tab inside.
const VALUE: &[u8] = b"caf\xe9 \xff\x80\ttea";

#[tokio::test]
async fn both_ways() {
    let app = App::serve(|request| async move {
        let mut response = Response::new(full("echoed"));
        response.headers_mut().insert("x-echo", request.headers()["x-bytes"].clone());
        response
    })
    .await;
    let mut setup = Setup::new();
    let sidecar = setup.start(&app).await;
    let cert = setup.cert(ALICE);

    let mut http1 = Raw::http1(sidecar.inbound(), &cert).await;
    http1.send([b"GET /http1 HTTP/1.1\r\nhost: orders\r\nx-bytes: ", VALUE, b"\r\n\r\n"].concat()).await;
    let mut answers = vec![http1.response().await.unwrap()];

    let mut http2 = Raw::http2(sidecar.inbound(), &cert).await;
    let mut head: Vec<_> = http2.head("GET", "/http2").into_iter().map(|(name, value)| (name, value.as_bytes())).collect();
    head.push(("x-bytes", VALUE));
    http2.headers(1, &head, true).await;
    answers.push(http2.response(1).await);

    for answer in answers {
        assert_eq!((answer.status, &answer.body[..]), (200, &b"echoed"[..]), "{answer:?}");
        let echo = answer.fields.iter().find(|(name, _)| name == "x-echo").unwrap();
        assert_eq!(echo.1, VALUE);
    }
    for target in ["/http1", "/http2"] {
        assert_eq!(app.got(target).await.headers["x-bytes"].as_bytes(), VALUE, "{target}");
    }
}
