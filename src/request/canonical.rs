//! The canonical request: refuse, do not repair.

use super::fields::Fields;
use super::{Authority, ContentType, Listener, Malformed, Mentioned, Noted, Strictness, Trace, canonical_path};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use std::borrow::Cow;

/// A request whose decided components are exactly what will be forwarded. Cloning is cheap: everything is reference counted.
#[derive(Debug, Clone)]
pub struct CanonicalRequest {
    /// Byte-exact method.
    pub method: Method,
    /// Canonical path and untouched query; `*` only for OPTIONS.
    pub target: PathAndQuery,
    /// Canonical authority; absent only for HTTP/1.0 without Host.
    pub authority: Option<Authority>,
    /// The version that the client spoke.
    pub version: Version,
    /// The class of the content type.
    pub content_type: ContentType,
    /// What was odd about its framing: set by whoever saw the bytes.
    pub framing: Option<Framing>,
    /// The header fields that rules mention.
    pub noted: Noted,
    /// The trace that it belongs to.
    pub trace: Trace,
}

/// Framing that the library repairs before anybody else sees it, and that a record names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Transfer-Encoding beside Content-Length; the length was dropped (RFC 9112, section 6.3).
    TeCl,
}

impl Framing {
    /// The record's `framing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TeCl => "te_cl",
        }
    }
}

impl CanonicalRequest {
    /// The canonical path, without the query.
    pub fn path(&self) -> &str {
        self.target.path()
    }

    /// The canonical host without port, lower case; empty where there is none.
    pub fn host(&self) -> &str {
        self.authority.as_ref().map_or("", Authority::host)
    }
}

/// Makes a request canonical, or refuses it. What is canonical already is shared, not copied. `mentioned` is of the table that decides next.
///
/// # Errors
/// The first reason found; nothing is repaired.
pub fn canonicalize(
    method: &Method,
    uri: &Uri,
    version: Version,
    headers: &HeaderMap,
    strictness: &Strictness,
    listener: Listener,
    mentioned: &Mentioned,
) -> Result<CanonicalRequest, Malformed> {
    if *method == Method::CONNECT {
        return Err(Malformed::Connect);
    }
    if headers.len() > strictness.head_fields {
        return Err(Malformed::HeadFields);
    }
    let form = Form::of(uri, version, listener)?;
    let fields = Fields::read(headers, mentioned)?;
    Ok(CanonicalRequest {
        method: method.clone(),
        target: target(method, uri, form, strictness)?,
        authority: authority(uri, version, fields.host)?,
        version,
        content_type: fields.content_type,
        framing: None,
        noted: fields.noted,
        trace: fields.trace,
    })
}

/// The form of a target (RFC 9112 section 3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A path, or HTTP/2's pseudo-headers.
    Origin,
    /// `http://host/path`, as sent to a proxy.
    Absolute,
}

impl Form {
    fn of(uri: &Uri, version: Version, listener: Listener) -> Result<Self, Malformed> {
        let expected = match listener {
            Listener::Inbound => Scheme::HTTPS,
            Listener::Outbound => Scheme::HTTP,
        };
        match (uri.scheme(), uri.authority()) {
            (None, None) => Ok(Self::Origin),
            // HTTP/2 and later spread the same parts over pseudo-headers.
            (scheme, _) if version > Version::HTTP_11 => {
                if scheme.is_none_or(|scheme| *scheme == expected) {
                    Ok(Self::Origin)
                } else {
                    Err(Malformed::Scheme)
                }
            }
            (None, Some(_)) => Err(Malformed::Target),
            (Some(_), _) if listener == Listener::Inbound => Err(Malformed::AbsoluteForm),
            (Some(scheme), _) if *scheme == expected => Ok(Self::Absolute),
            (Some(_), _) => Err(Malformed::AbsoluteScheme),
        }
    }
}

fn target(method: &Method, uri: &Uri, form: Form, strictness: &Strictness) -> Result<PathAndQuery, Malformed> {
    let target = uri.path_and_query().ok_or(Malformed::Target)?;
    let whole = target.as_str();
    if whole == "*" {
        return if *method == Method::OPTIONS { Ok(target.clone()) } else { Err(Malformed::Target) };
    }
    // `PathAndQuery::path` reads an empty path as `/`; only the text tells what was sent.
    let query = target.query();
    let path = query.and_then(|query| whole.strip_suffix(query)?.strip_suffix('?')).unwrap_or(whole);
    let canonical = match path {
        "" if form == Form::Absolute => Cow::Owned("/".to_owned()),
        _ => canonical_path(path, strictness)?,
    };
    let text = match (canonical, query) {
        (Cow::Borrowed(_), _) => return Ok(target.clone()),
        (Cow::Owned(path), None) => path,
        (Cow::Owned(path), Some(query)) => path + "?" + query,
    };
    PathAndQuery::try_from(text).map_err(|_| Malformed::Target)
}

/// The authority of the target wins; a Host that disagrees with it is refused.
fn authority(uri: &Uri, version: Version, host: Option<&HeaderValue>) -> Result<Option<Authority>, Malformed> {
    let host = host.map(Authority::parse).transpose().map_err(|_| Malformed::Host)?;
    match uri.authority() {
        Some(_) if host.is_none() && version == Version::HTTP_11 => Err(Malformed::HostMissing),
        Some(text) => match host {
            Some(host) if host.as_str() == text.as_str() => Ok(Some(host)),
            host => {
                let authority = Authority::parse_str(text.as_str()).map_err(|_| Malformed::Host)?;
                let agrees = host.is_none_or(|host| host == authority);
                if agrees { Ok(Some(authority)) } else { Err(Malformed::HostMismatch) }
            }
        },
        None if host.is_none() && version > Version::HTTP_10 => Err(Malformed::HostMissing),
        None => Ok(host),
    }
}
