//! The app behind the sidecar: HTTP/1.1, one thread, 1 KiB at once.

use super::client::{BODY, NONCE, body};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::net::{Ipv4Addr, SocketAddr};

/// Starts the app on a thread of its own; it ends with the process. With a `peer`, requests that do not carry
/// it in `x-countersign-peer` get 500.
///
/// # Errors
/// No socket, no runtime.
pub fn start(peer: Option<&str>) -> anyhow::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let peer = peer.map(HeaderValue::try_from).transpose()?;
    std::thread::Builder::new().name("app".into()).spawn(move || super::block_on(serve(listener, peer)))?;
    Ok(address)
}

async fn serve(listener: std::net::TcpListener, peer: Option<HeaderValue>) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let peer = peer.clone();
        tokio::task::spawn_local(async move {
            let service = service_fn(move |request| answer(request, peer.clone()));
            // A sidecar that closes its connection is no news to an app.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, peer: Option<HeaderValue>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (parts, incoming) = request.into_parts();
    // The next request on this connection begins behind this one's body.
    drop(incoming.collect().await?);
    let known = peer.is_none_or(|peer| parts.headers.get("x-countersign-peer") == Some(&peer));
    let mut response = Response::new(Full::new(if known { content(&parts.headers) } else { Bytes::from_static(b"unknown peer\n") }));
    if !known {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    Ok(response)
}

fn content(headers: &HeaderMap) -> Bytes {
    match headers.get(NONCE).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok()) {
        Some(nonce) => body(nonce),
        None => Bytes::from_static(&BODY),
    }
}
