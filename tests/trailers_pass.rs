//! Trailers pass both ways between both versions (RFC 9110, section 6.5); on HTTP/1.1 as far as they are announced and wanted.

use crate::support::app::AppBody;
use crate::support::raw::RawAnswer;
use crate::support::{ALICE, App, Raw, Setup};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;

/// Answers with the request's body, says in the header which trailers came, and sends some.
async fn answer(request: Request<Incoming>) -> Response<AppBody> {
    let te = request.headers().get("te").cloned();
    let body = request.into_body().collect().await.unwrap();
    let came = body.trailers().cloned().unwrap_or_default();
    let mut names: Vec<_> = came.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect();
    names.sort();
    let mut trailers = HeaderMap::new();
    for (name, value) in [("x-sum", "42"), ("x-countersign-peer", "forged"), ("content-type", "forged"), ("x-more", "1")] {
        trailers.append(name, value.parse().unwrap());
    }
    trailers.append("x-more", "2".parse().unwrap());
    let frames = [Ok(Frame::data(body.to_bytes())), Ok(Frame::trailers(trailers))];
    let mut response = Response::new(StreamBody::new(tokio_stream::iter(frames)).boxed_unsync());
    response.headers_mut().insert("trailer", "x-sum, x-more, x-countersign-peer".parse().unwrap());
    response.headers_mut().insert("x-came", names.join("; ").parse().unwrap());
    if let Some(te) = te {
        response.headers_mut().insert("x-te", te);
    }
    response
}

fn trailers(answer: &RawAnswer) -> Vec<(&str, &str)> {
    answer.trailers.iter().map(|(name, value)| (name.as_str(), std::str::from_utf8(value).unwrap())).collect()
}

const SENT: [(&str, &str); 3] = [("x-sum", "42"), ("x-more", "1"), ("x-more", "2")];

#[tokio::test]
async fn both_ways_between_both_versions() {
    for (protocol, app) in [("http1", App::serve(answer).await), ("h2c", App::h2c(answer).await)] {
        let mut setup = Setup::new();
        setup.set("inbound.app_protocol", &format!("'{protocol}'"));
        let sidecar = setup.start(&app).await;
        let alice = setup.cert(ALICE);

        let mut http1 = Raw::http1(sidecar.inbound(), &alice).await;
        let head = "POST /http1 HTTP/1.1\r\nhost: orders\r\ntransfer-encoding: chunked\r\ntrailer: x-check, host, x-forwarded-for\r\n";
        let body = "3\r\nabc\r\n0\r\nx-check: 7\r\nhost: forged\r\nx-forwarded-for: forged\r\n\r\n";
        for te in ["te: trailers\r\n", "te: trailers;q=0.5, gzip\r\n", "TE: gzip, Trailers\r\nconnection: te\r\n", ""] {
            http1.send(format!("{head}{te}\r\n{body}")).await;
            let answer = http1.response().await.unwrap();
            assert_eq!((answer.status, &answer.body[..], answer.header("x-came")), (200, &b"abc"[..], "x-check=7"), "{te} to {protocol}");
            let wanted = te.to_ascii_lowercase().contains("trailers\r\n");
            assert_eq!(answer.header("x-te"), if wanted { "trailers" } else { "" }, "{te} to {protocol}");
            assert_eq!(trailers(&answer), if wanted { &SENT[..] } else { &[] }, "{te} to {protocol}");
        }

        let mut http2 = Raw::http2(sidecar.inbound(), &alice).await;
        let mut head = http2.head("POST", "/http2");
        head.extend([("te", "trailers"), ("trailer", "x-check")]);
        http2.headers(1, &head, false).await;
        http2.data(1, "abc", false).await;
        http2.headers(1, &[("x-check", "7"), ("x-spiffe-id", "forged")], true).await;
        let answer = http2.response(1).await;
        assert_eq!((answer.status, &answer.body[..], answer.header("x-came")), (200, &b"abc"[..], "x-check=7"), "{protocol}");
        assert_eq!((answer.header("x-te"), trailers(&answer)), ("trailers", SENT.to_vec()), "{protocol}");

        // With a declared length, and without any data.
        head.push(("content-length", "3"));
        http2.headers(3, &head, false).await;
        http2.data(3, "abc", false).await;
        http2.headers(3, &[("x-check", "8")], true).await;
        assert_eq!(http2.response(3).await.header("x-came"), "x-check=8", "{protocol}");
        let head: Vec<_> = head.into_iter().filter(|(name, _)| *name != "content-length").collect();
        http2.headers(5, &head, false).await;
        http2.headers(5, &[("x-check", "9")], true).await;
        let answer = http2.response(5).await;
        assert_eq!((&answer.body[..], answer.header("x-came")), (&b""[..], "x-check=9"), "{protocol}");
        let dropped = sidecar.metric("countersign_trailers_dropped_total", &["direction=\"inbound\""]).await;
        assert!(dropped > 0.0);
    }
}
