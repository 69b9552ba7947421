//! Tests of the canonical request. A test named after a CVE holds a bypass that some other proxy had.

mod authority;
mod canonical;
mod mentioned;
mod path;
mod properties;
mod reserved;
mod upgrade;

use super::{CanonicalRequest, Listener, Malformed, Mentioned, Strictness, canonicalize};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

/// A request to be: what is not said is a plain `GET / HTTP/1.1` with `Host: a.foo` on the inbound listener.
struct Ask {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    strictness: Strictness,
    listener: Listener,
    mentioned: Mentioned,
}

impl Ask {
    fn get(target: &str) -> Self {
        Self {
            method: Method::GET,
            uri: Uri::try_from(target).unwrap(),
            version: Version::HTTP_11,
            headers: HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("a.foo"))]),
            strictness: Strictness::default(),
            listener: Listener::Inbound,
            mentioned: Mentioned::default(),
        }
    }

    fn h2(uri: &str) -> Self {
        Self { version: Version::HTTP_2, headers: HeaderMap::new(), ..Self::get(uri) }
    }

    fn outbound(mut self) -> Self {
        self.listener = Listener::Outbound;
        self
    }

    fn method(mut self, method: &str) -> Self {
        self.method = Method::from_bytes(method.as_bytes()).unwrap();
        self
    }

    fn with(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap());
        self
    }

    /// Under a table whose rules mention these names.
    fn mentioning(mut self, names: &[&str]) -> Self {
        self.mentioned = Mentioned::new(names.iter().map(|name| HeaderName::from_bytes(name.as_bytes()).unwrap()).collect());
        self
    }

    fn without_host(mut self) -> Self {
        self.headers.remove(http::header::HOST);
        self
    }

    fn answer(&self) -> Result<CanonicalRequest, Malformed> {
        canonicalize(&self.method, &self.uri, self.version, &self.headers, &self.strictness, self.listener, &self.mentioned)
    }

    /// The code and status of the refusal; `ok` when there was none.
    fn refusal(&self) -> (&'static str, u16) {
        self.answer().err().map_or(("ok", 200), |malformed| (malformed.code(), malformed.status()))
    }
}
