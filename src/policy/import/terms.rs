//! What others write for one field, in terms of ours: exactly, or not at all.

#[cfg(test)]
mod tests;

use super::expr::Expr;
use super::matching::{Header, Match, Wanted};
use crate::identity::pattern::PrincipalPattern;
use crate::policy::parse::decidable;
use crate::policy::pattern::PathPattern;
use crate::request::reserved::Reserved;
use crate::request::{Strictness, canonical_host, canonical_path};
use http::Method;
use ipnet::IpNet;
use std::collections::HashSet;
use std::net::IpAddr;

/// How others compare texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text<'t> {
    Exact(&'t str),
    Prefix(&'t str),
    /// Anything, as long as there is something.
    Present,
    /// In a way that has no counterpart in a table, named for a person.
    Other(&'static str),
}

/// A term of ours; otherwise what is in the way, and what to write by hand.
pub(super) type Said = Result<Expr, (String, String)>;

impl<'t> Text<'t> {
    /// As an `AuthorizationPolicy` writes it: a star at the end, or at the beginning.
    pub(super) fn starred(text: &'t str) -> Self {
        match text.strip_suffix('*') {
            _ if text == "*" => Self::Present,
            _ if text.starts_with('*') => Self::Other("a suffix"),
            Some(prefix) => Self::Prefix(prefix),
            None => Self::Exact(text),
        }
    }

    fn exact(self) -> Option<&'t str> {
        if let Self::Exact(text) = self { Some(text) } else { None }
    }

    fn prefix(self) -> Option<&'t str> {
        if let Self::Prefix(text) = self { Some(text) } else { None }
    }
}

fn unsaid<T>(what: impl Into<String>, instead: impl Into<String>) -> Result<T, (String, String)> {
    Err((what.into(), instead.into()))
}

fn is(like: Match) -> Expr {
    Expr::Is(like)
}

/// A path without its query.
pub(super) fn path(text: Text<'_>) -> Said {
    const BY_SEGMENT: &str = "list the paths, by segment: /a/{name}, a last /** for what is below";
    let patterns = match text {
        Text::Present => return Ok(Expr::ALWAYS),
        Text::Other(how) => return unsaid(format!("compares the path by {how}"), BY_SEGMENT),
        Text::Exact("*") => vec!["*".to_owned()],
        Text::Exact(path) => vec![literal(path)?],
        Text::Prefix("/") => vec!["/**".to_owned()],
        Text::Prefix(prefix) => match prefix.strip_suffix('/') {
            Some(parent) => vec![format!("{}/**", literal(parent)?)],
            None => {
                // What begins like this: itself, what is below it, longer segments, and what is below those.
                let begin = literal(prefix)?;
                vec![begin.clone(), format!("{begin}/**"), format!("{begin}{{rest}}"), format!("{begin}{{rest}}/**")]
            }
        },
    };
    as_paths(patterns)
}

/// A path in which `{*}` is one segment, and `{**}` at the end whatever follows the slash before it.
pub(super) fn path_template(text: &str) -> Said {
    const INSTEAD: &str = "write {*} for one whole segment, and {**} as the last one alone";
    let segments: Vec<&str> = text.split('/').collect();
    let each = segments.iter().enumerate().map(|(index, segment)| match *segment {
        "{*}" => Ok(format!("{{s{index}}}")),
        "{**}" if index + 1 == segments.len() => Ok("**".to_owned()),
        "{**}" => unsaid("has a {**} before its end, which takes any number of segments there", INSTEAD),
        other if other.contains(['{', '}', '*']) => unsaid("has a template inside a segment", INSTEAD),
        other => Ok(other.to_owned()),
    });
    let pattern = each.collect::<Result<Vec<_>, _>>()?.join("/");
    as_paths(vec![pattern])
}

fn as_paths(patterns: Vec<String>) -> Said {
    for pattern in &patterns {
        PathPattern::parse(pattern)
            .map_err(|(what, _)| (format!("`{pattern}` {what}"), "write the path as requests have it".to_owned()))?;
    }
    Ok(is(Match { paths: Some(patterns), ..Match::default() }))
}

/// The pattern for a path that is meant literally. One that is not spelled as requests are after they were made canonical is met by none of them there,
/// and by some of them here.
fn literal(path: &str) -> Result<String, (String, String)> {
    match canonical_path(path, &Strictness::default()) {
        Ok(canonical) if canonical == path => Ok(path.replace('*', "%2A")),
        Ok(canonical) => unsaid("is not spelled as requests are decided on here", format!("write {canonical}")),
        Err(error) => unsaid(format!("is no path of a request here: it {error}"), "write the path as requests have it"),
    }
}

/// A method.
pub(super) fn method(text: Text<'_>) -> Said {
    match text {
        Text::Present => Ok(Expr::ALWAYS),
        Text::Exact(name) => match Method::from_bytes(name.as_bytes()) {
            Ok(_) if !name.bytes().any(|byte| byte.is_ascii_lowercase()) => {
                Ok(is(Match { methods: Some(vec![name.to_owned()]), ..Match::default() }))
            }
            _ => unsaid("is no method, and no request has it", "write it in capitals, as in GET"),
        },
        Text::Prefix(_) => unsaid("compares the method by a prefix", "list the methods"),
        Text::Other(how) => unsaid(format!("compares the method by {how}"), "list the methods"),
    }
}

/// Hosts, each as it stands in the list that it came from. Hosts are compared without their port here, and with it there: so a name counts beside
/// `name:*` alone.
pub(super) fn hosts(texts: &[Text<'_>]) -> Vec<Said> {
    const LIST: &str = "list the hosts; in ours * is exactly one label";
    let exact: HashSet<String> = texts.iter().filter_map(|text| text.exact()).map(str::to_ascii_lowercase).collect();
    let any_port: HashSet<String> = texts.iter().filter_map(|text| text.prefix()?.strip_suffix(':')).map(str::to_ascii_lowercase).collect();
    let each = texts.iter().map(|text| match text {
        Text::Present => Ok(Expr::ALWAYS),
        Text::Other(how) => unsaid(format!("compares the host by {how}"), LIST),
        Text::Exact(name) if any_port.contains(&name.to_ascii_lowercase()) => host(&name.to_ascii_lowercase()),
        Text::Exact(name) if name.contains(':') => unsaid("compares the port of the host", "write the host without port, and ports"),
        Text::Exact(name) => unsaid(
            "leaves out requests that name a port beside the host, and hosts are compared without it here",
            format!("put `{name}:*` beside it, if the port does not matter"),
        ),
        Text::Prefix(begin) => match begin.strip_suffix(':').map(str::to_ascii_lowercase) {
            Some(name) if exact.contains(&name) => host(&name),
            _ => unsaid("compares the host by a prefix", LIST),
        },
    });
    each.collect()
}

fn host(name: &str) -> Said {
    match canonical_host(name) {
        Ok(canonical) if canonical == name => Ok(is(Match { hosts: Some(vec![name.to_owned()]), ..Match::default() })),
        _ => unsaid("is not spelled as hosts of requests are", "write a name without a dot at its end"),
    }
}

/// A SPIFFE id, with its scheme.
pub(super) fn spiffe(text: Text<'_>) -> Said {
    let pattern = match text {
        Text::Present => return Ok(Expr::ALWAYS),
        Text::Exact(id) | Text::Prefix(id) if id.contains('*') => return unsaid("has a * that is meant literally", "no identity has one"),
        Text::Exact(id) => id.to_owned(),
        Text::Prefix(begin) if begin.ends_with('/') => format!("{begin}**"),
        Text::Prefix(_) => {
            return unsaid("begins an identity inside a segment", "list the identities; in ours * is one segment, and a last ** the rest");
        }
        Text::Other(how) => {
            return unsaid(
                format!("compares the identity by {how}"),
                "list the identities; in ours * is one segment, and a last ** the rest",
            );
        }
    };
    as_principal(PrincipalPattern::spiffe(&pattern))
}

/// A pattern of ours over SPIFFE ids.
pub(super) fn principal_pattern(pattern: &str) -> Said {
    as_principal(PrincipalPattern::spiffe(pattern))
}

/// A DNS name.
pub(super) fn dns(name: &str) -> Said {
    if name.contains('*') {
        return unsaid("has a * that is meant literally", "list the names");
    }
    as_principal(PrincipalPattern::dns(name))
}

fn as_principal(pattern: Result<PrincipalPattern, String>) -> Said {
    match pattern {
        Ok(pattern) => Ok(is(Match { from: Some(vec![pattern]), ..Match::default() })),
        Err(what) => unsaid(what, "write the identity as certificates have it"),
    }
}

/// A port of the listener.
pub(super) fn port(number: Option<u32>) -> Said {
    match number.and_then(|number| u16::try_from(number).ok()).filter(|port| *port != 0) {
        Some(port) => Ok(is(Match { ports: Some(vec![port]), ..Match::default() })),
        None => unsaid("is no port", "write a number from 1 to 65535"),
    }
}

/// An address, or a network: bits beyond its prefix count nowhere.
pub(super) fn network(address: &str, len: Option<&str>) -> Said {
    let wrong = || ("is no address and no network".to_owned(), "write 10.20.0.0/16 or 2600:1f18::/32".to_owned());
    let parsed: IpAddr = address.parse().map_err(|_| wrong())?;
    let network = match len {
        None => IpNet::from(parsed),
        Some(len) => {
            let len = Some(len).filter(|len| len.bytes().all(|byte| byte.is_ascii_digit())).and_then(|len| len.parse().ok());
            len.and_then(|len| IpNet::new(parsed, len).ok()).ok_or_else(wrong)?
        }
    };
    Ok(is(Match { networks: Some(vec![network.trunc()]), ..Match::default() }))
}

/// A header field, by its name and the alternatives for its value.
pub(super) fn header(name: &str, texts: &[Text<'_>]) -> Said {
    let name = match decidable(name, &Reserved::default()) {
        Ok(name) => name.as_str().to_owned(),
        Err((what, instead)) => return unsaid(format!("the header `{name}` {what}"), instead),
    };
    let (mut exact, mut others) = (Vec::new(), Vec::new());
    for text in texts {
        match text {
            Text::Exact(value) if is_value(value) => exact.push((*value).to_owned()),
            Text::Prefix(value) if !value.is_empty() && is_value(value.trim_end_matches([' ', '\t'])) => {
                others.push(Wanted::Prefix((*value).to_owned()));
            }
            Text::Present => others.push(Wanted::Present),
            Text::Exact(_) | Text::Prefix(_) => {
                return unsaid("is a value that no request has here", "write printable ASCII without blanks around it");
            }
            Text::Other(how) => return unsaid(format!("compares a header by {how}"), "write eq, in, prefix or present"),
        }
    }
    let exact = (!exact.is_empty()).then_some(Wanted::In(exact));
    let each = exact.into_iter().chain(others).map(|wanted| {
        let headers = vec![Header { name: name.clone(), wanted }];
        is(Match { headers, ..Match::default() })
    });
    Ok(Expr::any(each))
}

/// A value as requests have it.
fn is_value(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) && text.trim_matches([' ', '\t']).len() == text.len()
}
