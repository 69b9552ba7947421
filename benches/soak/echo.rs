//! Two apps that return what they get for as long as they may: a gRPC method over h2c, and a WebSocket.

use crate::load;
use countersign::runtime::tasks::LocalExecutor;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::{TcpListener, TcpStream};

/// Starts an app of its own thread that takes whatever comes as a gRPC call with streams both ways; it ends with the process.
///
/// # Errors
/// No socket, no thread.
pub fn grpc() -> anyhow::Result<SocketAddr> {
    start("grpc app", async |stream| {
        // A sidecar that closes its connection is no news to an app.
        let _ = http2::Builder::new(LocalExecutor).serve_connection(TokioIo::new(stream), service_fn(call)).await;
    })
}

/// Starts an app of its own thread that takes whatever comes as a WebSocket; it ends with the process.
///
/// # Errors
/// No socket, no thread.
pub fn websocket() -> anyhow::Result<SocketAddr> {
    start("websocket app", async |stream| {
        let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
        while let Some(Ok(message)) = socket.next().await {
            let returned = if message.is_text() { socket.send(message).await } else { socket.flush().await };
            if returned.is_err() {
                return;
            }
        }
    })
}

fn start(name: &str, serve: impl AsyncFn(TcpStream) + Copy + Send + 'static) -> anyhow::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    std::thread::Builder::new().name(name.into()).spawn(move || {
        load::block_on(async {
            let listener = TcpListener::from_std(listener)?;
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                drop(tokio::task::spawn_local(async move { serve(stream).await }));
            }
            #[expect(unreachable_code, reason = "the type of a loop without end")]
            anyhow::Ok(())
        })
    })?;
    Ok(address)
}

async fn call(request: Request<Incoming>) -> Result<Response<impl Body<Data = hyper::body::Bytes, Error = hyper::Error>>, Infallible> {
    let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    let mut response = Response::new(request.into_body().with_trailers(async { Some(Ok(trailers)) }));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}
