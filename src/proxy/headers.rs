//! Header fields on their way through: what ends here, what a client could forge, and what we say.

use super::settings::{IdentityHeader, Inbound};
use crate::identity::{PeerIdentity, Principal};
use crate::request::CanonicalRequest;
use crate::request::reserved::{self, Reserved};
use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderName, TE};
use http::{HeaderMap, HeaderValue};
use std::net::IpAddr;

/// Who calls, for the app.
const PEER: HeaderName = HeaderName::from_static("x-countersign-peer");
/// Who calls, in Envoy's format.
const CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
/// How many sidecars a request has passed; it can only cause a 508.
const HOP: HeaderName = HeaderName::from_static("x-countersign-hop");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// The counter after so many sidecars. A chain of services is far shorter than this list, a loop is not.
const HOPS: [&str; 16] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"];

/// The fields that we set on every request of one connection, made once.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl Identity {
    /// What the app is told about `peer`, that connects from `source` to us, who are `own_id`.
    pub fn new(settings: &Inbound, own_id: &str, peer: &PeerIdentity, source: IpAddr) -> Self {
        let mut fields = Vec::new();
        let mut add = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::try_from(value) {
                fields.push((name, value));
            }
        };
        for header in &settings.identity_headers {
            match header {
                IdentityHeader::Peer => add(PEER, peer.principal.as_str()),
                IdentityHeader::ForwardedClientCert => add(CLIENT_CERT, &client_cert(own_id, peer)),
            }
        }
        if settings.forwarded_headers {
            add(FORWARDED_FOR, &source.to_string());
            add(FORWARDED_PROTO, "https");
        }
        Self { fields }
    }
}

/// One element of `x-forwarded-client-cert`: who received, the certificate's hash, subject and names.
pub fn client_cert(own_id: &str, peer: &PeerIdentity) -> String {
    let subject = peer.subject.replace('\\', "\\\\").replace('"', "\\\"");
    let name = match &peer.principal {
        Principal::Spiffe(id) => format!("URI={id}"),
        Principal::Dns(name) => format!("DNS={name}"),
    };
    format!("By={own_id};Hash={};Subject=\"{subject}\";{name}", peer.fingerprint)
}

/// Reads the hop counter; gives the next one.
///
/// # Errors
/// The request has passed too many sidecars: a loop.
pub fn next_hop(headers: &HeaderMap) -> Result<HeaderValue, ()> {
    // Unreadable is treated as the worst: nobody but us sets it.
    let read = |value: &HeaderValue| value.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
    let hops = fields(headers, &HOP).map(read).max().unwrap_or(0);
    HOPS.get(hops).map(|next| HeaderValue::from_static(next)).ok_or(())
}

/// The values under a name that mostly is not there: walking a head costs less than hashing a name.
fn fields<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h HeaderValue> {
    headers.iter().filter(move |(other, _)| *other == name).map(|(_, value)| value)
}

/// What is removed from and set on a request that goes to the app. Returns how many reserved fields were removed.
pub fn to_app(headers: &mut HeaderMap, request: &CanonicalRequest, reserved: &Reserved, identity: &Identity, hop: HeaderValue) -> u64 {
    let stripped = strip_request(headers, reserved);
    request.trace.clean(headers);
    set_host(headers, request);
    for (name, value) in &identity.fields {
        headers.insert(name.clone(), value.clone());
    }
    headers.insert(HOP, hop);
    stripped
}

/// What is removed from and set on a request that goes to a peer: an app cannot assert an identity. Returns how many reserved fields were removed.
pub fn to_peer(headers: &mut HeaderMap, request: &CanonicalRequest, reserved: &Reserved, hop: HeaderValue) -> u64 {
    let stripped = strip_request(headers, reserved);
    request.trace.clean(headers);
    set_host(headers, request);
    headers.insert(HOP, hop);
    stripped
}

/// Says the host that was decided on, which mostly stands there already; an empty one where an HTTP/1.0 client named none (RFC 9112, section 3.2).
fn set_host(headers: &mut HeaderMap, request: &CanonicalRequest) {
    let none = HeaderValue::from_static("");
    let host = request.authority.as_ref().map_or(&none, |authority| authority.header_value());
    if !fields(headers, &HOST).eq([host]) {
        headers.insert(HOST, host.clone());
    }
}

fn strip_request(headers: &mut HeaderMap, reserved: &Reserved) -> u64 {
    let mut seen = Seen::default();
    let mut stripped = 0;
    for name in headers.keys() {
        let forged = reserved.contains(name);
        stripped += u64::from(forged);
        seen.note(name, forged || *name == EXPECT);
    }
    let trailers = seen.te && takes_trailers(headers);
    seen.strip(headers);
    if seen.length {
        headers.remove(CONTENT_LENGTH);
    }
    if seen.cookie {
        join_cookies(headers);
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        nominate_te(headers);
    }
    stripped
}

/// What one walk over the names of a head finds. A look-up of a name that is not there would cost as much as several steps of the walk.
#[derive(Default)]
struct Seen {
    connection: bool,
    te: bool,
    length: bool,
    cookie: bool,
    /// Other names that end here: collected, since a map cannot be changed while it is walked. Mostly there are none, and nothing is allocated.
    ends_here: Vec<HeaderName>,
}

impl Seen {
    /// One name; `ours`: only we speak under it.
    fn note(&mut self, name: &HeaderName, ours: bool) {
        if *name == CONNECTION {
            self.connection = true;
        } else if *name == TE {
            self.te = true;
        } else if *name == CONTENT_LENGTH {
            self.length = true;
        } else if ours || reserved::is_hop_by_hop(name) {
            self.ends_here.push(name.clone());
        } else {
            self.cookie |= *name == COOKIE;
        }
    }

    /// Removes what ends here, with what `Connection` names; the length stays.
    fn strip(&mut self, headers: &mut HeaderMap) {
        if self.connection {
            strip_nominated(headers);
        }
        if self.te {
            headers.remove(TE);
        }
        for name in self.ends_here.drain(..) {
            headers.remove(name);
        }
    }
}

/// Whether the client takes trailers. Of `TE` nothing else is for the next hop, and that is said anew (RFC 9110, section 10.1.4).
fn takes_trailers(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(TE).into_iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    codings.map(<[u8]>::trim_ascii).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// On HTTP/1.1 `TE` ends at the next hop by being named in `Connection`; HTTP/2 has no `Connection`.
pub fn nominate_te(headers: &mut HeaderMap) {
    if headers.contains_key(TE) {
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
}

/// HTTP/2 clients may split their cookies; everybody else reads one field (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let cookies = headers.get_all(COOKIE);
    if cookies.iter().nth(1).is_none() {
        return;
    }
    let joined = cookies.iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b"; "[..]);
    // Values that were valid one by one are valid together.
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(COOKIE, joined);
    }
}

/// Which `Content-Length` of a response says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// None: the body is framed anew, or there cannot be one.
    None,
    /// That of the body that follows, which then need not be said anew.
    Body(u64),
    /// Any: that of a body that is not sent, as after HEAD.
    Unsent,
}

/// Cleans a response's head: hop-by-hop fields end here, framing is ours, and nobody but us speaks in our name.
/// `verified_peer`: keeps the decision id of a peer whose identity was verified.
pub fn clean_response(headers: &mut HeaderMap, length: Length, verified_peer: bool) {
    let mut seen = Seen::default();
    for name in headers.keys() {
        let ours = reserved::is_ours(name) && !(verified_peer && *name == super::respond::DECISION);
        seen.note(name, ours);
    }
    seen.strip(headers);
    let keeps = match length {
        Length::None => false,
        Length::Body(length) => said_length(headers) == Some(length),
        Length::Unsent => said_length(headers).is_some(),
    };
    if seen.length && !keeps {
        headers.remove(CONTENT_LENGTH);
    }
}

/// Two lengths, or none that is one, say nothing.
fn said_length(headers: &HeaderMap) -> Option<u64> {
    let mut lengths = fields(headers, &CONTENT_LENGTH);
    let (length, another) = (lengths.next()?, lengths.next());
    let plain = another.is_none() && length.as_bytes().iter().all(u8::is_ascii_digit);
    plain.then(|| length.to_str().ok()?.parse().ok()).flatten()
}

/// Removes every field that `Connection` names.
fn strip_nominated(headers: &mut HeaderMap) {
    let values: Vec<HeaderValue> = headers.get_all(CONNECTION).iter().cloned().collect();
    for name in values.iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii) {
        if !name.eq_ignore_ascii_case(b"close")
            && !name.eq_ignore_ascii_case(b"keep-alive")
            && let Ok(name) = HeaderName::from_bytes(name)
        {
            headers.remove(name);
        }
    }
    headers.remove(CONNECTION);
}

/// How long the server keeps an idle connection, where it says so (`Keep-Alive: timeout=5`), less a second.
pub fn keep_alive(headers: &HeaderMap) -> Option<std::time::Duration> {
    let value = fields(headers, &KEEP_ALIVE).next()?.to_str().ok()?;
    let seconds = value.split(',').filter_map(|part| part.trim().strip_prefix("timeout=")).find_map(|text| text.parse::<u64>().ok())?;
    Some(std::time::Duration::from_secs(seconds.saturating_sub(1)))
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
