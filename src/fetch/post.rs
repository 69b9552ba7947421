//! One POST, from the name to the head of the answer.

use super::client::{Fetcher, secured};
use super::error::FetchError;
use super::url::Url;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

/// From the question for the name to the head of the answer.
const WHOLE: Duration = Duration::from_secs(15);

/// Bytes of the answer's head, and fields in it; its body is not read.
const HEAD_BYTES: usize = 16 << 10;
const HEAD_FIELDS: usize = 100;

impl Fetcher {
    /// Sends a JSON document; a status of 2xx is success, and whatever the answer says beside it is not read. Addresses are refused as they are for
    /// [`Fetcher::at`], and a redirect is not followed.
    ///
    /// # Errors
    /// [`FetchError`]; a message whose answer was lost may have arrived.
    ///
    /// # Cancel safety
    /// The message may have arrived when it is dropped.
    pub async fn post(&self, url: &Url, body: Bytes, field: (HeaderName, HeaderValue)) -> Result<(), FetchError> {
        let whole = timeout(WHOLE, async {
            let stream = self.connect(url).await?;
            if url.secure { send(secured(url, stream).await?, url, body, field).await } else { send(stream, url, body, field).await }
        });
        whole.await.unwrap_or(Err(FetchError::Timeout { step: "the whole exchange", limit: WHOLE }))
    }
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    url: &Url,
    body: Bytes,
    (name, value): (HeaderName, HeaderValue),
) -> Result<(), FetchError> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES).max_headers(HEAD_FIELDS);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    // Both were parsed before.
    *request.uri_mut() = url.target.parse().unwrap_or_default();
    let headers = request.headers_mut();
    if let Ok(host) = HeaderValue::from_str(&url.authority) {
        headers.insert(HOST, host);
    }
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("countersign/", env!("CARGO_PKG_VERSION"))));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(name, value);
    let drive = async {
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    let answer = tokio::select! {
        answer = sender.send_request(request) => answer?,
        never = drive => match never {},
    };
    let status = answer.status();
    if status.is_redirection() {
        let location = answer.headers().get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()).chars().take(200).collect());
        return Err(FetchError::Redirect { status: status.as_u16(), location: location.unwrap_or_default() });
    }
    if status.is_success() { Ok(()) } else { Err(FetchError::Status(status.as_u16())) }
}
