//! Header names that end at this proxy: one table of those that a client could forge, and the hop-by-hop ones.

use http::HeaderName;

/// The header names that never cross from one side to the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reserved {
    more: Vec<HeaderName>,
}

impl Reserved {
    /// The built-in table and `more` names of the configuration.
    pub fn new(more: Vec<HeaderName>) -> Self {
        Self { more }
    }

    /// Whether `name` is stripped from requests; underscores count as dashes.
    pub fn contains(&self, name: &HeaderName) -> bool {
        let name = name.as_str().as_bytes();
        is_built_in(name) || self.more.iter().any(|more| same_name(name, more.as_str().as_bytes()))
    }

    /// Whether `name` is dropped from trailers: what frames, routes, authenticates or describes a message must not
    /// arrive after the decision (RFC 9110 section 6.5.1).
    pub fn drops_trailer(&self, name: &HeaderName) -> bool {
        let text = name.as_str();
        let listed = matches!(
            text,
            "host"
                | "authorization"
                | "cookie"
                | "set-cookie"
                | "www-authenticate"
                | "proxy-authentication-info"
                | "trailer"
                | "expect"
                | "range"
                | "max-forwards"
                | "cache-control"
                | "expires"
                | "date"
                | "age"
                | "location"
                | "retry-after"
                | "vary"
                | "via"
        );
        listed || text.starts_with("content-") || text.starts_with("if-") || is_hop_by_hop(name) || self.contains(name)
    }
}

/// Whether `name` concerns one connection only and is never forwarded; `te: trailers` may be set anew.
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
            | "proxy-authenticate"
            | "proxy-authorization"
    )
}

/// Whether `name` is one that only we speak under; underscores count as dashes.
pub fn is_ours(name: &HeaderName) -> bool {
    const OURS: &[u8] = b"x-countersign-";
    name.as_str().as_bytes().get(..OURS.len()).is_some_and(|begin| same_name(begin, OURS))
}

/// Whether `name` says how a message is framed or how the connection is used: each leg has its own, so that a rule about it would
/// decide on what nobody forwards.
pub fn is_of_one_leg(name: &HeaderName) -> bool {
    is_hop_by_hop(name) || matches!(name.as_str(), "content-length" | "trailer" | "expect")
}

/// Whether `Connection` may never name this header: the next hop relies on it (CVE-2026-105299).
pub(super) fn is_never_nominated(option: &[u8]) -> bool {
    let mut lower = [0; 64];
    for (to, from) in lower.iter_mut().zip(option) {
        *to = from.to_ascii_lowercase();
    }
    let name = lower.get(..option.len().min(lower.len())).unwrap_or_default();
    matches!(name, b"host" | b"authorization" | b"cookie" | b"content-length" | b"content-type") || is_built_in(name)
}

/// How an entry of the table fits a name.
enum Shape {
    /// The whole name.
    Name(&'static str),
    /// Its beginning.
    Prefix(&'static str),
}

/// The table, grouped by the bytes that tell the groups apart, so that an ordinary name is done after one to three bytes.
fn candidates(name: &[u8]) -> &'static [Shape] {
    use Shape::{Name, Prefix};
    match name {
        [b'x', b'-' | b'_', third, ..] => match third {
            b'a' => &[Prefix("x-amzn-mtls-")],
            b'c' => &[Prefix("x-countersign-"), Prefix("x-client-cert")],
            b'e' => &[Prefix("x-envoy-")],
            b'f' => &[Prefix("x-forwarded-"), Name("x-forwarded")],
            b'h' => &[Name("x-http-method-override"), Name("x-http-method")],
            b'm' => &[Name("x-method-override")],
            b'o' => &[Prefix("x-original-")],
            b'r' => &[Name("x-real-ip"), Prefix("x-rewrite-")],
            b's' => &[Prefix("x-ssl-"), Prefix("x-spiffe-")],
            _ => &[],
        },
        [b'c', b'l', ..] => &[Prefix("client-cert")],
        [b'f', b'o', ..] => &[Name("forwarded")],
        [b'l', b'5', ..] => &[Prefix("l5d-")],
        [b's', b's', ..] => &[Prefix("ssl-client-")],
        _ => &[],
    }
}

fn is_built_in(name: &[u8]) -> bool {
    candidates(name).iter().any(|shape| match shape {
        Shape::Name(wanted) => same_name(name, wanted.as_bytes()),
        Shape::Prefix(wanted) => name.get(..wanted.len()).is_some_and(|begin| same_name(begin, wanted.as_bytes())),
    })
}

/// Compares lower-case names; many app servers turn both `-` and `_` into `_`.
pub(super) fn same_name(a: &[u8], b: &[u8]) -> bool {
    let dashed = |byte: &u8| if *byte == b'_' { b'-' } else { *byte };
    a.len() == b.len() && a.iter().map(dashed).eq(b.iter().map(dashed))
}

/// As [`same_name`], where `any` may have capitals.
pub(super) fn same_name_in_any_case(any: &[u8], lower: &[u8]) -> bool {
    let dashed = |byte: u8| if byte == b'_' { b'-' } else { byte };
    any.len() == lower.len() && any.iter().zip(lower).all(|(any, lower)| dashed(any.to_ascii_lowercase()) == dashed(*lower))
}
