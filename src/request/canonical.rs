//! The canonical request: refuse, do not repair.

use super::{Authority, Strictness};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Uri, Version};

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
    /// `te_cl` when Transfer-Encoding stood beside Content-Length.
    pub framing: Option<&'static str>,
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

/// The class of a content type, as the decision log names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ContentType {
    /// `application/grpc`, `application/grpc+…`.
    Grpc,
    /// `application/json`, `…+json`.
    Json,
    /// `application/x-www-form-urlencoded`, `multipart/form-data`.
    Form,
    /// Anything else.
    Other,
    /// No content type.
    #[default]
    None,
}

impl ContentType {
    /// The name in the decision log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Json => "json",
            Self::Form => "form",
            Self::Other => "other",
            Self::None => "none",
        }
    }
}

/// Why a request cannot be made canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// placeholder
    Target,
}

impl Malformed {
    /// The stable code: the record's reason is `malformed:<code>`.
    pub fn code(self) -> &'static str {
        "target"
    }

    /// The status of the refusal: 400, 405, 431 or 501.
    pub fn status(self) -> u16 {
        400
    }
}

/// Makes a request canonical, or refuses it.
///
/// # Errors
/// The first reason found; nothing is repaired.
pub fn canonicalize(
    _method: &Method,
    _uri: &Uri,
    _version: Version,
    _headers: &HeaderMap,
    _strictness: &Strictness,
) -> Result<CanonicalRequest, Malformed> {
    todo!()
}
