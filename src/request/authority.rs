//! Host and port of a request.

use http::HeaderValue;

/// A canonical `host[:port]`: lower case, no trailing dot, no userinfo. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    value: HeaderValue,
    host_len: usize,
}

impl Authority {
    /// The host without port, lower case; an IPv6 literal keeps its brackets.
    pub fn host(&self) -> &str {
        self.value.to_str().ok().and_then(|text| text.get(..self.host_len)).unwrap_or("")
    }

    /// `host[:port]` as it is forwarded.
    pub fn header_value(&self) -> &HeaderValue {
        &self.value
    }
}
