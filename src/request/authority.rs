//! Host and port of a request.

use http::HeaderValue;
use std::borrow::Cow;
use std::net::Ipv6Addr;

/// A canonical `host[:port]`: lower case, no trailing dot, no userinfo. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    value: HeaderValue,
    host_len: usize,
}

/// Why a text is no `host[:port]`. Trying again never helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AuthorityError {
    /// The host is empty, has an empty label, or has a byte outside `[A-Za-z0-9._-]` (userinfo, a path, a comma, a blank and an escape are such).
    #[error("has a host with an empty label or something other than letters, digits, dots, dashes and underscores")]
    Host,
    /// What stands in brackets is no IPv6 address, or the brackets do not close.
    #[error("has brackets without an IPv6 address in them")]
    Ipv6,
    /// The port is empty, zero, above 65,535, or not a plain decimal number.
    #[error("has a port that is no number from 1 to 65535")]
    Port,
}

impl Authority {
    /// Reads a `Host` field; shares its bytes when it is canonical already.
    ///
    /// # Errors
    /// What is wrong with it; nothing but letter case, one trailing dot and the spelling of an IPv6 address is normalised.
    pub fn parse(value: &HeaderValue) -> Result<Self, AuthorityError> {
        let text = std::str::from_utf8(value.as_bytes()).map_err(|_| AuthorityError::Host)?;
        let (canonical, host_len) = canonical(text)?;
        let value = match canonical {
            Cow::Borrowed(_) => value.clone(),
            Cow::Owned(text) => HeaderValue::try_from(text).map_err(|_| AuthorityError::Host)?,
        };
        Ok(Self { value, host_len })
    }

    /// Reads `host[:port]` from a text that is not a header field, such as `:authority`.
    ///
    /// # Errors
    /// As [`Authority::parse`].
    pub fn parse_str(text: &str) -> Result<Self, AuthorityError> {
        let (canonical, host_len) = canonical(text)?;
        let value = HeaderValue::from_str(&canonical).map_err(|_| AuthorityError::Host)?;
        Ok(Self { value, host_len })
    }

    /// The host without port, lower case; an IPv6 literal keeps its brackets.
    pub fn host(&self) -> &str {
        self.as_str().get(..self.host_len).unwrap_or("")
    }

    /// The port, where one was given.
    pub fn port(&self) -> Option<u16> {
        self.as_str().get(self.host_len + 1..).and_then(|port| port.parse().ok())
    }

    /// `host[:port]` as text.
    pub fn as_str(&self) -> &str {
        self.value.to_str().unwrap_or("")
    }

    /// `host[:port]` as it is forwarded.
    pub fn header_value(&self) -> &HeaderValue {
        &self.value
    }
}

/// Makes a bare host canonical, for the policy table's patterns.
pub(crate) fn canonical_host(text: &str) -> Result<Cow<'_, str>, AuthorityError> {
    let host = if text.starts_with('[') { ipv6(text)? } else { name(text)? };
    Ok(host)
}

fn canonical(text: &str) -> Result<(Cow<'_, str>, usize), AuthorityError> {
    let host_end = if text.starts_with('[') {
        text.find(']').map(|at| at + 1).ok_or(AuthorityError::Ipv6)?
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (host, port) = text.split_at(host_end);
    let canonical = canonical_host(host)?;
    check_port(port)?;
    let host_len = canonical.len();
    match canonical {
        Cow::Borrowed(same) if same.len() == host.len() => Ok((Cow::Borrowed(text), host_len)),
        changed => Ok((Cow::Owned(format!("{changed}{port}")), host_len)),
    }
}

/// `:port` or nothing.
fn check_port(text: &str) -> Result<(), AuthorityError> {
    if text.is_empty() {
        return Ok(());
    }
    let digits = text.strip_prefix(':').ok_or(AuthorityError::Ipv6)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    match digits.parse::<u16>() {
        Ok(_) if plain => Ok(()),
        _ => Err(AuthorityError::Port),
    }
}

fn name(text: &str) -> Result<Cow<'_, str>, AuthorityError> {
    let host = text.strip_suffix('.').unwrap_or(text);
    let mut after_dot = true;
    let mut upper = false;
    for byte in host.bytes() {
        match byte {
            b'.' if after_dot => return Err(AuthorityError::Host),
            b'A'..=b'Z' => upper = true,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {}
            _ => return Err(AuthorityError::Host),
        }
        after_dot = byte == b'.';
    }
    if after_dot || host.len() > 253 {
        return Err(AuthorityError::Host);
    }
    Ok(if upper { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) })
}

fn ipv6(text: &str) -> Result<Cow<'_, str>, AuthorityError> {
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).ok_or(AuthorityError::Ipv6)?;
    let address: Ipv6Addr = inside.parse().map_err(|_| AuthorityError::Ipv6)?;
    let canonical = format!("[{address}]");
    Ok(if canonical == text { Cow::Borrowed(text) } else { Cow::Owned(canonical) })
}
