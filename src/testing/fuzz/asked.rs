//! The canonical request.

use crate::request::{CanonicalRequest, Escapes, Field, Listener, Mentioned, PathParams, Strictness, TraceContext, canonicalize};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

const ROLE: HeaderName = HeaderName::from_static("x-role");

/// One request as the library would hand it over: options in the first byte, then lines for method, target and fields.
struct Asked {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    strictness: Strictness,
    listener: Listener,
}

/// What is accepted stays what it is when it is asked again, has no path that means another to anyone, and has one host.
pub(super) fn canonical_request(data: &[u8]) {
    let Some(asked) = Asked::read(data) else { return };
    let Ok(canonical) = canonical(&asked) else { return };
    if canonical.target != "*" {
        plain_path(canonical.path(), &asked.strictness);
    }
    let host = canonical.host();
    assert!(!host.bytes().any(|byte| byte.is_ascii_uppercase() || byte <= b' ' || b"/@,%".contains(&byte)), "{host:?}");
    assert_eq!(asked.headers.get_all("authorization").iter().count().max(1), 1, "two of what is decided on");
    let role = match canonical.noted.field(&ROLE) {
        Field::Present(value) => vec![value],
        Field::Absent => Vec::new(),
        Field::Unknown => panic!("nobody looked"),
    };
    assert_eq!(asked.headers.get_all(ROLE).iter().collect::<Vec<_>>(), role);
    let forwarded = forwarded(&asked, &canonical);
    let again = canonical_as(&forwarded).unwrap_or_else(|malformed| panic!("{canonical:?} is refused when it is sent on: {malformed:?}"));
    assert_eq!((again.target.as_str(), again.authority), (canonical.target.as_str(), canonical.authority.clone()));
}

/// What is read is what stands there: written again it is the same but for the version and what follows the flags, and read again it is the same.
pub(super) fn traceparent(data: &[u8]) {
    let Some(context) = TraceContext::parse(data) else { return };
    let written = context.to_string();
    assert_eq!(data.get(2..written.len()), written.as_bytes().get(2..), "{written}");
    assert!(context.trace_id().iter().chain(context.parent_id()).any(|byte| *byte != 0));
    assert!(!data.starts_with(b"ff") && (data.len() == written.len() || !data.starts_with(b"00")), "{written}");
    assert_eq!(TraceContext::parse(written.as_bytes()), Some(context));
}

/// As if some rule asked about this header.
fn mentioned() -> Mentioned {
    Mentioned::new(vec![ROLE])
}

fn canonical(asked: &Asked) -> Result<CanonicalRequest, crate::request::Malformed> {
    canonical_as(asked)
}

fn canonical_as(asked: &Asked) -> Result<CanonicalRequest, crate::request::Malformed> {
    canonicalize(&asked.method, &asked.uri, asked.version, &asked.headers, &asked.strictness, asked.listener, &mentioned())
}

/// As the next leg gets it: origin-form with one Host.
fn forwarded(asked: &Asked, canonical: &CanonicalRequest) -> Asked {
    let mut headers = HeaderMap::new();
    if let Some(authority) = &canonical.authority {
        headers.insert(http::header::HOST, authority.header_value().clone());
    }
    let version = if canonical.authority.is_some() { Version::HTTP_11 } else { Version::HTTP_10 };
    Asked {
        method: canonical.method.clone(),
        uri: Uri::from(canonical.target.clone()),
        version,
        headers,
        strictness: asked.strictness,
        listener: Listener::Inbound,
    }
}

/// No segment is empty or made of dots once everything is decoded, and nothing in it can be read in two ways.
fn plain_path(path: &str, strictness: &Strictness) {
    assert!(path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()) && !path.contains("//"), "{path:?}");
    let decoded = String::from_utf8(decoded(path.as_bytes())).expect("what is accepted decodes to UTF-8");
    assert!(!decoded.contains(|letter: char| letter.is_ascii_control() || letter == '\\'), "{path:?}");
    if strictness.escapes == Escapes::Reject {
        assert_eq!(decoded.matches('/').count(), path.matches('/').count(), "{path:?}");
    }
    if strictness.path_params == PathParams::Reject {
        assert!(!decoded.contains(';'), "{path:?}");
    }
    let name = |segment: &str| segment.split(';').next().map(str::to_owned);
    assert!(path.split('/').all(|segment| !matches!(name(segment).as_deref(), Some("." | ".."))), "{path:?}");
}

fn decoded(path: &[u8]) -> Vec<u8> {
    let mut rest = path;
    let mut decoded = Vec::with_capacity(path.len());
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { behind.get(2..).unwrap_or_default() } else { behind };
    }
    decoded
}

impl Asked {
    fn read(data: &[u8]) -> Option<Self> {
        let (options, rest) = data.split_first()?;
        let mut lines = rest.split(|byte| *byte == b'\n');
        let method = Method::from_bytes(lines.next()?).ok()?;
        let uri = Uri::try_from(lines.next()?).ok()?;
        let mut headers = HeaderMap::new();
        for line in lines.take(128) {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
            headers.append(HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?);
        }
        let bit = |bit: u8| options & (1 << bit) != 0;
        let strictness = Strictness {
            path_params: if bit(0) { PathParams::Allow } else { PathParams::Reject },
            escapes: if bit(1) { Escapes::Opaque } else { Escapes::Reject },
            ..Strictness::default()
        };
        let version =
            [Version::HTTP_11, Version::HTTP_2, Version::HTTP_10, Version::HTTP_11].get(usize::from(options >> 2 & 3)).copied()?;
        let listener = if bit(4) { Listener::Outbound } else { Listener::Inbound };
        Some(Self { method, uri, version, headers, strictness, listener })
    }
}
