//! The built-in app: says who asked for what, as it learnt it from its sidecar.

use crate::runtime::tasks::spawn;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Serves on `address` until the runtime that it gives is dropped.
///
/// # Errors
/// The address cannot be bound.
pub fn start(address: SocketAddr) -> std::io::Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("app").enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind(address))?;
    runtime.spawn(async move {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                spawn("app connection", http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
            } else {
                tokio::task::yield_now().await;
            }
        }
    });
    Ok(runtime)
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, text) = reply(request.method(), request.uri().path(), |name| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("(no such header)")
    });
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}

fn reply<'h>(method: &Method, path: &str, header: impl Fn(&'static str) -> &'h str) -> (StatusCode, String) {
    let below = |folder: &str| path.strip_prefix(folder).is_some_and(|rest| !rest.is_empty());
    let known = path == "/hello" || path == "/orders" || ["/orders/", "/invoices/", "/reports/"].into_iter().any(below);
    if !known {
        return (
            StatusCode::NOT_FOUND,
            "The app behind the sidecar has /hello, /orders/<number>, /invoices/<id> and /reports/<day>.\n".into(),
        );
    }
    let mut text = String::from("Hello from the app behind the sidecar.\n");
    // Writing into a String cannot fail.
    let _ = writeln!(text, "  request                  {method} {path}");
    for name in ["x-countersign-peer", "x-forwarded-client-cert", "x-forwarded-for"] {
        let _ = writeln!(text, "  {name:<24} {}", header(name));
    }
    (StatusCode::OK, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_repeats_what_the_sidecar_says() {
        let (status, text) = reply(&Method::GET, "/orders/17", |name| if name == "x-countersign-peer" { "spiffe://d/web" } else { "-" });
        assert!(status == StatusCode::OK && text.contains("GET /orders/17") && text.contains("spiffe://d/web"), "{text}");
        assert_eq!(reply(&Method::GET, "/orders/", |_| "").0, StatusCode::NOT_FOUND);
    }
}
