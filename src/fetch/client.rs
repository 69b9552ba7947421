//! One GET, from the name to the last byte.

use super::address::refusal;
use super::error::FetchError;
use super::roots::client_config;
use super::url::{Host, Url};
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HOST, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
    LOCATION, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// From the connect call to a connected socket, for each address.
const CONNECT: Duration = Duration::from_secs(3);

/// From a connected socket to the end of the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// From the request to the answer's head.
const HEAD: Duration = Duration::from_secs(10);

/// From one piece of the body to the next.
const PIECE: Duration = Duration::from_secs(10);

/// From the question for the name to the last byte.
const WHOLE: Duration = Duration::from_secs(60);

/// Addresses of a name that are tried.
const TRIED: usize = 4;

/// Bytes of the answer's head, and fields in it.
const HEAD_BYTES: usize = 64 << 10;
const HEAD_FIELDS: usize = 100;

/// A future of a source.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Asks for the addresses of a name, without the C library. Handed in, as the resolver lives in a room that this one does not know.
pub type Names = Arc<dyn Fn(String) -> BoxFuture<'static, Result<Vec<IpAddr>, String>> + Send + Sync>;

/// What a server said of the version that it gave, to ask for another one only (RFC 9110, section 13.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    etag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
    fresh: Option<Duration>,
}

impl Known {
    /// How long the server says that the version is good, from its answer on (RFC 9111, section 5.2.2); `None`: it does not say.
    pub fn fresh(&self) -> Option<Duration> {
        self.fresh
    }

    fn can_be_asked_for(&self) -> bool {
        self.etag.is_some() || self.last_modified.is_some()
    }
}

#[cfg(test)]
impl Known {
    /// A version by this entity tag.
    pub fn tagged(etag: &str) -> Self {
        Self { etag: HeaderValue::from_str(etag).ok(), last_modified: None, fresh: None }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blob {
    /// It is as it was.
    Unchanged,
    /// This is it now.
    Changed(Vec<u8>, Known),
}

/// Something that is fetched over and over, whole.
pub trait BlobSource: Send + Sync {
    /// Gets it, unless it is as it was when `known` was said.
    ///
    /// # Cancel safety
    /// Nothing is left behind when it is dropped.
    fn get<'a>(&'a self, known: &'a Known) -> BoxFuture<'a, Result<Blob, FetchError>>;
}

/// The client; cheap to clone. It keeps no connections: what it is for is asked for once an hour.
#[derive(Clone)]
pub struct Fetcher {
    names: Names,
}

impl Fetcher {
    /// A client that finds hosts by `names`.
    pub fn new(names: Names) -> Self {
        Self { names }
    }

    /// What is at `url`, of at most `limit` bytes.
    pub fn at(&self, url: Url, limit: u64) -> Remote {
        Remote { fetcher: self.clone(), url, limit, headers: HeaderMap::new() }
    }

    /// A socket to the host, checked by address: a name may lead elsewhere each time it is asked for.
    pub(super) async fn connect(&self, url: &Url) -> Result<TcpStream, FetchError> {
        let addresses = match &url.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                let asked = (self.names)(name.clone()).await;
                asked.map_err(|problem| FetchError::Unresolved { host: name.clone(), problem })?
            }
        };
        let (allowed, forbidden): (Vec<IpAddr>, Vec<IpAddr>) = addresses.into_iter().partition(|address| refusal(*address).is_none());
        let host = || url.authority.clone();
        let mut last = match forbidden.first().and_then(|address| Some((*address, refusal(*address)?))) {
            Some((address, refusal)) => FetchError::Forbidden { host: host(), address, refusal },
            None => FetchError::Unresolved { host: host(), problem: "it has no address".into() },
        };
        for address in allowed.into_iter().take(TRIED) {
            match timeout(CONNECT, TcpStream::connect(SocketAddr::new(address, url.port))).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = FetchError::Connect { address, error },
                Err(_) => last = FetchError::Timeout { step: "the connection", limit: CONNECT },
            }
        }
        Err(last)
    }
}

/// One URL.
pub struct Remote {
    fetcher: Fetcher,
    url: Url,
    limit: u64,
    headers: HeaderMap,
}

impl BlobSource for Remote {
    fn get<'a>(&'a self, known: &'a Known) -> BoxFuture<'a, Result<Blob, FetchError>> {
        Box::pin(async move {
            let whole = timeout(WHOLE, self.exchange(known)).await;
            whole.unwrap_or(Err(FetchError::Timeout { step: "the whole exchange", limit: WHOLE }))
        })
    }
}

impl Remote {
    /// With these fields in each request, such as a signature that says who asks.
    #[must_use]
    pub fn carrying(self, headers: HeaderMap) -> Self {
        Self { headers, ..self }
    }

    async fn exchange(&self, known: &Known) -> Result<Blob, FetchError> {
        let stream = self.fetcher.connect(&self.url).await?;
        if self.url.secure { self.ask(secured(&self.url, stream).await?, known).await } else { self.ask(stream, known).await }
    }

    async fn ask(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, known: &Known) -> Result<Blob, FetchError> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(HEAD_BYTES).max_headers(HEAD_FIELDS);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        let read = async {
            let answer = timeout(HEAD, sender.send_request(self.request(known))).await;
            self.read(answer.map_err(|_| FetchError::Timeout { step: "the head of the answer", limit: HEAD })??, known).await
        };
        // Errors of the connection reach whoever waits for the answer; its end may come before the last piece was taken.
        let drive = async {
            let _ = connection.await;
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            answer = read => answer,
            never = drive => match never {},
        }
    }

    fn request(&self, known: &Known) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        // Both were parsed before.
        *request.uri_mut() = self.url.target.parse().unwrap_or_default();
        let mut set = |name: HeaderName, value: Option<HeaderValue>| value.and_then(|value| request.headers_mut().insert(name, value));
        set(HOST, HeaderValue::from_str(&self.url.authority).ok());
        set(USER_AGENT, Some(HeaderValue::from_static(concat!("countersign/", env!("CARGO_PKG_VERSION")))));
        set(ACCEPT_ENCODING, Some(HeaderValue::from_static("identity")));
        set(IF_NONE_MATCH, known.etag.clone());
        set(IF_MODIFIED_SINCE, known.last_modified.clone());
        request.headers_mut().extend(self.headers.clone());
        request
    }

    async fn read(&self, answer: Response<Incoming>, known: &Known) -> Result<Blob, FetchError> {
        let (head, body) = answer.into_parts();
        match head.status {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if known.can_be_asked_for() => return Ok(Blob::Unchanged),
            status if status.is_redirection() => {
                return Err(FetchError::Redirect { status: status.as_u16(), location: text(&head.headers, LOCATION) });
            }
            status => return Err(FetchError::Status(status.as_u16())),
        }
        let encoding = text(&head.headers, CONTENT_ENCODING);
        if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
            return Err(FetchError::Encoded(encoding));
        }
        let announced = text(&head.headers, CONTENT_LENGTH).parse::<u64>().unwrap_or_default();
        if announced > self.limit {
            return Err(FetchError::TooLarge { limit: self.limit });
        }
        let known = Known {
            etag: head.headers.get(ETAG).cloned(),
            last_modified: head.headers.get(LAST_MODIFIED).cloned(),
            fresh: fresh(&text(&head.headers, CACHE_CONTROL)),
        };
        Ok(Blob::Changed(self.collect(body).await?, known))
    }

    /// Never holds more than the limit and one piece.
    async fn collect(&self, mut body: Incoming) -> Result<Vec<u8>, FetchError> {
        let mut bytes = Vec::new();
        loop {
            let piece = timeout(PIECE, body.frame())
                .await
                .map_err(|_| FetchError::Timeout { step: "the next piece of the answer", limit: PIECE })?;
            let Some(piece) = piece.transpose()? else { return Ok(bytes) };
            let Ok(data) = piece.into_data() else { continue };
            if (bytes.len() as u64).saturating_add(data.len() as u64) > self.limit {
                return Err(FetchError::TooLarge { limit: self.limit });
            }
            bytes.extend_from_slice(&data);
        }
    }
}

/// Shakes hands with the server of `url`, by the machine's roots.
pub(super) async fn secured(url: &Url, stream: TcpStream) -> Result<TlsStream<TcpStream>, FetchError> {
    let config = tokio::task::spawn_blocking(client_config).await.map_err(|_| FetchError::NoRoots("reading them panicked".into()))??;
    let shaken = timeout(HANDSHAKE, TlsConnector::from(config).connect(server_name(&url.host)?, stream)).await;
    match shaken {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(FetchError::Tls(error)),
        Err(_) => Err(FetchError::Timeout { step: "the TLS handshake", limit: HANDSHAKE }),
    }
}

fn server_name(host: &Host) -> Result<ServerName<'static>, FetchError> {
    match host {
        Host::Address(address) => Ok(ServerName::from(*address)),
        // The dot that makes a name complete is no part of what certificates say.
        Host::Name(name) => {
            ServerName::try_from(name.trim_end_matches('.').to_owned()).map_err(|error| FetchError::Tls(io::Error::other(error)))
        }
    }
}

/// `max-age` of a `Cache-Control`, or nothing at all where it says not to keep the answer.
fn fresh(cache_control: &str) -> Option<Duration> {
    let directives = || cache_control.split(',').map(|directive| directive.trim().to_ascii_lowercase());
    if directives().any(|directive| directive == "no-cache" || directive == "no-store") {
        return Some(Duration::ZERO);
    }
    let seconds =
        directives().find_map(|directive| directive.strip_prefix("max-age=").map(|seconds| seconds.trim_matches('"').to_owned()))?;
    // What does not fit is longer than anybody waits.
    let is_number = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(seconds.parse().unwrap_or(u64::from(u32::MAX))))
}

/// A field for the operator; empty where it is absent.
fn text(headers: &HeaderMap, name: HeaderName) -> String {
    const MOST: usize = 200;
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).chars().take(MOST).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_long_it_is_good() {
        let table = [
            ("", None),
            ("public", None),
            ("max-age=600", Some(600)),
            ("public, Max-Age=600, must-revalidate", Some(600)),
            ("max-age=\"60\"", Some(60)),
            ("max-age=0", Some(0)),
            ("no-store", Some(0)),
            ("max-age=600, no-cache", Some(0)),
            ("max-age=99999999999999999999999", Some(u64::from(u32::MAX))),
            ("max-age=-1", None),
            ("max-age=", None),
            ("s-maxage=600", None),
        ];
        for (text, seconds) in table {
            assert_eq!(fresh(text), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
