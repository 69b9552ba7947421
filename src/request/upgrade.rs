//! Switching protocols on HTTP/1.1 (RFC 9110, section 7.8): what a client offers, and what the other side chose.

use super::Malformed;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue};

/// The protocols that a client offers to switch to, in its order. What would carry requests that nobody decides is not among them: `h2c` and every
/// other HTTP, and TLS (RFC 2817).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    list: HeaderValue,
}

impl Offered {
    /// What a request offers. An `Upgrade` that `Connection` does not name is none.
    ///
    /// # Errors
    /// `Upgrade` is not a list of protocols.
    pub fn read(headers: &HeaderMap) -> Result<Option<Self>, Malformed> {
        if !elements(headers.get_all(CONNECTION).iter()).any(|option| option.eq_ignore_ascii_case(b"upgrade")) {
            return Ok(None);
        }
        let mut list = Vec::new();
        for protocol in elements(headers.get_all(UPGRADE).iter()) {
            if !is_protocol(protocol) {
                return Err(Malformed::Upgrade);
            }
            if !carries_requests(protocol) {
                list.push(protocol);
            }
        }
        if list.is_empty() {
            return Ok(None);
        }
        let list = HeaderValue::from_bytes(&list.join(&b", "[..])).map_err(|_| Malformed::Upgrade)?;
        Ok(Some(Self { list }))
    }

    /// What an extended CONNECT with `:protocol = websocket` offers (RFC 8441, section 5).
    pub fn websocket() -> Self {
        Self { list: HeaderValue::from_static("websocket") }
    }

    /// The `Upgrade` field of the request that is sent on.
    pub fn field(&self) -> &HeaderValue {
        &self.list
    }

    /// What the answer's `Upgrade` field chose; `None` unless it is one protocol and was offered.
    pub fn chosen(&self, answer: &HeaderMap) -> Option<HeaderValue> {
        let mut fields = answer.get_all(UPGRADE).iter();
        let (Some(chosen), None) = (fields.next(), fields.next()) else { return None };
        let offered = elements(std::iter::once(&self.list)).any(|protocol| protocol.eq_ignore_ascii_case(chosen.as_bytes()));
        offered.then(|| chosen.clone())
    }
}

/// The elements of a list, over all fields of one name; empty ones are skipped (RFC 9110, section 5.6.1).
fn elements<'h>(fields: impl Iterator<Item = &'h HeaderValue>) -> impl Iterator<Item = &'h [u8]> {
    let elements = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b','));
    elements.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// `name` or `name/version`, both tokens (RFC 9110, section 7.8).
fn is_protocol(text: &[u8]) -> bool {
    let mut parts = text.split(|byte| *byte == b'/');
    parts.clone().count() <= 2 && parts.all(|part| !part.is_empty() && part.iter().all(|byte| is_token(*byte)))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn carries_requests(protocol: &[u8]) -> bool {
    let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default();
    [&b"h2c"[..], b"h2", b"h3", b"http", b"tls"].iter().any(|known| name.eq_ignore_ascii_case(known))
}
