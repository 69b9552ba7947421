//! What a real client sends is what the app gets, and what the app answers is what the client gets: curl over HTTP/1.1 and HTTP/2.

use crate::support::app::{AppBody, Seen, full};
use crate::support::curl::{Curl, Got};
use crate::support::{ALICE, App, Setup, Sidecar};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;

const VERSIONS: [(&str, &str); 2] = [("--http1.1", "1.1"), ("--http2", "2")];

struct Path {
    app: App,
    curl: Curl,
    setup: Setup,
    _sidecar: Sidecar,
}

impl Path {
    async fn start() -> Self {
        let (app, mut setup) = (App::serve(answer).await, Setup::new());
        let sidecar = setup.start(&app).await;
        let curl = Curl::new(setup.dir.path(), sidecar.inbound(), Some(&setup.cert(ALICE)));
        Self { app, curl, setup, _sidecar: sidecar }
    }

    /// Sends one request over each version; gives what came back and what the app saw.
    async fn both(&self, arguments: &[&str], path: &str) -> Vec<(Got, Seen)> {
        let mut both = Vec::new();
        for (flag, version) in VERSIONS {
            let before = self.app.seen().len();
            let got = self.curl.ask(&[&[flag], arguments].concat(), path).await;
            assert_eq!(got.version, version, "{got:?}");
            let seen = self.app.seen();
            assert_eq!(seen.len(), before + 1, "{flag} {arguments:?} {path}: {got:?}");
            let seen = seen[before].clone();
            assert_eq!(seen.headers["host"], "orders.example", "{flag}");
            both.push((got, seen));
        }
        both
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.setup.path(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }
}

#[tokio::test]
async fn targets() {
    let path = Path::start().await;
    let targets = [
        "/",
        "/orders/1/items",
        "/orders/?",
        "/orders?a=1&b=2&a=3&&c",
        "/orders?q=%2F%3f%zz%00+%20/../;x?y=[1]|{2}^",
        "/caf%C3%A9/a%20b",
        "/a:b@c/d,e",
        "/!$&'()*+,=~-._",
    ];
    for target in targets {
        for (got, seen) in path.both(&[], target).await {
            assert_eq!((got.status, seen.method.as_str(), seen.target.as_str()), (200, "GET", target));
        }
    }
    // One spelling for each path, the decided one; the query is nobody's business.
    for (_, seen) in path.both(&[], "/%7euser/caf%c3%a9/[1]?%7e").await {
        assert_eq!(seen.target, "/~user/caf%C3%A9/%5B1%5D?%7e");
    }
}

#[tokio::test]
async fn methods_and_statuses() {
    let path = Path::start().await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        for (got, seen) in path.both(&["--request", method], "/orders").await {
            assert_eq!((got.status, seen.method.as_str(), &got.body[..]), (200, method, &b"ok"[..]));
        }
    }
    for (got, seen) in path.both(&["--head"], "/head").await {
        assert_eq!((got.status, seen.method.as_str()), (200, "HEAD"));
        // curl, which writes the head where the body would be, waits for no body.
        assert_eq!(got.header("content-length"), ["1234"]);
    }
    for (got, _) in path.both(&[], "/204").await {
        assert_eq!((got.status, got.header("content-length"), got.body.len()), (204, vec![], 0));
    }
    for (got, seen) in path.both(&["--header", "if-none-match: \"v1\""], "/304").await {
        assert_eq!((got.status, got.header("etag"), got.body.len()), (304, vec!["\"v1\""], 0));
        assert_eq!(seen.headers["if-none-match"], "\"v1\"");
    }
    for (got, _) in path.both(&[], "/404").await {
        assert_eq!((got.status, &got.body[..]), (404, &b"no such order"[..]));
    }
}

#[tokio::test]
async fn bodies() {
    let path = Path::start().await;
    let mebibyte: Vec<u8> = (0..1 << 20).map(|at: u32| (at * 7 % 251) as u8).collect();
    let (small, large) = (path.file("small", b"a=1&b=%26\r\n\0"), path.file("large", &mebibyte));
    let small_at = format!("@{small}");
    for (got, seen) in path.both(&["--data-binary", &small_at], "/echo").await {
        assert_eq!((got.status, seen.method.as_str(), &got.body[..]), (200, "POST", &b"a=1&b=%26\r\n\0"[..]));
        assert_eq!(seen.headers["content-length"], "12");
        assert_eq!(seen.headers["content-type"], "application/x-www-form-urlencoded");
    }
    for (got, seen) in path.both(&["--upload-file", &large], "/echo").await {
        assert_eq!((got.status, seen.method.as_str(), seen.headers["content-length"].as_bytes()), (200, "PUT", &b"1048576"[..]));
        assert!(got.body == mebibyte, "{} bytes came back", got.body.len());
    }
    for (got, seen) in path.both(&["--upload-file", &large, "--header", "expect: 100-continue"], "/echo").await {
        assert_eq!(got.status, 200);
        assert!(got.body == mebibyte && !seen.headers.contains_key("expect"), "{} bytes came back", got.body.len());
        assert!(got.version == "2" || got.head.starts_with("HTTP/1.1 100 Continue"), "{}", got.head);
    }
    // Without a length: chunked on HTTP/1.1, and on HTTP/2 nothing says how long it will be.
    let chunked = ["--data-binary", &small_at, "--header", "transfer-encoding: chunked"];
    for (got, seen) in path.both(&chunked, "/echo").await {
        assert_eq!((got.status, &got.body[..]), (200, &b"a=1&b=%26\r\n\0"[..]));
        assert_eq!(seen.headers["transfer-encoding"], "chunked");
        assert!(!seen.headers.contains_key("content-length"));
    }
    for (got, seen) in path.both(&["--request", "GET", "--data-binary", &small_at], "/echo").await {
        assert_eq!((got.status, seen.method.as_str(), &got.body[..]), (200, "GET", &b"a=1&b=%26\r\n\0"[..]));
    }
    // A GET whose body has no content-length keeps it on the HTTP/1.1 leg.
    for (got, seen) in path.both(&["--request", "GET", "--data-binary", &small_at, "--header", "transfer-encoding: chunked"], "/echo").await
    {
        assert_eq!((got.status, seen.method.as_str(), &got.body[..]), (200, "GET", &b"a=1&b=%26\r\n\0"[..]));
    }
}

#[tokio::test]
async fn headers() {
    let path = Path::start().await;
    let many: Vec<String> = (0..80).flat_map(|at| ["--header".to_owned(), format!("x-many-{at}: value {at}, \"quoted\" ;=")]).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (got, seen) in path.both(&many, "/orders").await {
        assert_eq!(got.status, 200);
        for at in 0..80 {
            assert_eq!(seen.headers[format!("x-many-{at}")], format!("value {at}, \"quoted\" ;="));
        }
    }
    let own = [
        ("user-agent", "test/1.0"),
        ("accept", "application/json;q=0.9, */*;q=0.1"),
        ("accept-encoding", "gzip, br"),
        ("authorization", "Bearer abc.def.ghi"),
        ("cache-control", "no-cache"),
        ("range", "bytes=0-99"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("x-empty", ""),
    ];
    let lines: Vec<String> =
        own.iter().map(|(name, value)| if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") }).collect();
    let arguments: Vec<&str> = lines.iter().flat_map(|line| ["--header", line.as_str()]).collect();
    for (_, seen) in path.both(&arguments, "/orders").await {
        for (name, value) in own {
            assert_eq!(seen.headers[name], value);
        }
        // Nothing comes along that neither the client nor the contract put there.
        let ours = ["host", "x-countersign-peer", "x-countersign-hop", "x-forwarded-client-cert", "x-forwarded-for", "x-forwarded-proto"];
        let others: Vec<_> = seen.headers.keys().filter(|name| !ours.contains(&name.as_str())).map(|name| name.as_str()).collect();
        assert_eq!(others.len(), own.len(), "{others:?}");
    }
    // HTTP/2 may spread cookies over several fields; HTTP/1.1 has one.
    let cookies = ["--header", "cookie: a=1", "--header", "cookie: b=2; c=3"];
    let got = path.curl.ask(&[&["--http2"], &cookies[..]].concat(), "/orders").await;
    assert_eq!(got.status, 200);
    let seen = path.app.seen().pop().unwrap();
    let fields: Vec<_> = seen.headers.get_all("cookie").iter().collect();
    assert_eq!(fields, ["a=1; b=2; c=3"]);

    for (got, _) in path.both(&[], "/fields").await {
        assert_eq!(got.header("set-cookie"), ["a=1; Path=/; HttpOnly", "b=2"]);
        assert_eq!(got.header("location"), ["https://orders.example/next?a=b"]);
        assert_eq!(got.header("x-of-the-app"), ["tab\there"]);
        assert_eq!(got.header("content-type"), ["text/plain"]);
        assert_eq!(got.header("date"), ["Sun, 06 Nov 1994 08:49:37 GMT"]);
    }
}

async fn answer(request: Request<Incoming>) -> Response<AppBody> {
    let response = Response::builder();
    let nothing = || Empty::new().map_err(|never| match never {}).boxed_unsync();
    match request.uri().path() {
        "/echo" => Response::new(request.into_body().boxed_unsync()),
        "/head" => response.header("content-length", "1234").body(nothing()).unwrap(),
        "/204" => response.status(204).body(nothing()).unwrap(),
        "/304" => response.status(304).header("etag", "\"v1\"").body(nothing()).unwrap(),
        "/404" => response.status(404).body(full("no such order")).unwrap(),
        "/fields" => response
            .header("set-cookie", "a=1; Path=/; HttpOnly")
            .header("set-cookie", "b=2")
            .header("location", "https://orders.example/next?a=b")
            .header("x-of-the-app", "tab\there")
            .header("content-type", "text/plain")
            .header("date", "Sun, 06 Nov 1994 08:49:37 GMT")
            .body(full("ok"))
            .unwrap(),
        _ => Response::new(full("ok")),
    }
}
