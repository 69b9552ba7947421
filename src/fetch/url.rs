//! Where something is fetched from.

use super::address::refusal;
use http::Uri;
use std::fmt;
use std::net::IpAddr;

/// An `http` or `https` URL without user, password or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    text: String,
    pub(super) secure: bool,
    pub(super) host: Host,
    /// What the Host field says.
    pub(super) authority: String,
    pub(super) port: u16,
    /// Path and query.
    pub(super) target: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    Address(IpAddr),
}

impl Url {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, as a predicate.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "is no URL")?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("is no http or https URL"),
        };
        let authority = uri.authority().ok_or("names no host")?;
        if authority.as_str().contains('@') {
            return Err("has a user in it, and nothing is sent that proves who asks");
        }
        if text.contains('#') {
            return Err("has a fragment, which no server sees");
        }
        let host = host(authority.host())?;
        let port = match (authority.port(), secure) {
            (None, _) if authority.as_str() != authority.host() => return Err("has no port behind the last colon"),
            (Some(port), _) if port.as_u16() == 0 => return Err("has port 0"),
            (Some(port), _) => port.as_u16(),
            (None, true) => 443,
            (None, false) => 80,
        };
        let asked = uri.path_and_query().map_or("", |target| target.as_str());
        let target = if asked.starts_with('/') { asked.to_owned() } else { format!("/{asked}") };
        Ok(Self { text: text.to_owned(), secure, host, authority: authority.as_str().to_owned(), port, target })
    }

    /// Whether nobody on the way can read what is sent: https, or an address of this machine.
    pub fn is_private(&self) -> bool {
        self.secure || matches!(self.host, Host::Address(address) if address.to_canonical().is_loopback())
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Without the query: it could hold what is nobody else's business.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, query) = self.text.split_once('?').map_or((&*self.text, ""), |(before, _)| (before, "?…"));
        write!(f, "{shown}{query}")
    }
}

fn host(text: &str) -> Result<Host, &'static str> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Ok(address) = bare.unwrap_or(text).parse::<IpAddr>() {
        return refusal(address).map_or(Ok(Host::Address(address)), Err);
    }
    let labels = text.strip_suffix('.').unwrap_or(text).split('.');
    let is_label =
        |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    // A last label of digits is an address in some old spelling, such as 0x7f.1 or 2852039166, which others read as one.
    let last_is_name = labels.clone().next_back().is_some_and(|label| !label.starts_with(|first: char| first.is_ascii_digit()));
    match text.len() <= 253 && labels.clone().all(is_label) && last_is_name {
        true => Ok(Host::Name(text.to_ascii_lowercase())),
        false => Err("names no host"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_what_to_ask() {
        let table = [
            ("http://crl.shop.internal", false, "crl.shop.internal", 80, "/"),
            ("https://B.s3.eu-west-1.amazonaws.com/crl/a.crl", true, "B.s3.eu-west-1.amazonaws.com", 443, "/crl/a.crl"),
            ("http://127.0.0.1:8080/a?b=c", false, "127.0.0.1:8080", 8080, "/a?b=c"),
            ("https://[::1]:9/", true, "[::1]:9", 9, "/"),
            ("http://a.?x", false, "a.", 80, "/?x"),
        ];
        for (text, secure, authority, port, target) in table {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.secure, &*url.authority, url.port, &*url.target), (secure, authority, port, target), "{text}");
        }
        assert_eq!(Url::parse("https://B.x/").unwrap().host, Host::Name("b.x".into()));
        assert_eq!(Url::parse("http://a/b?secret=1").unwrap().to_string(), "http://a/b?…");
    }

    #[test]
    fn everything_else_is_refused() {
        let table = [
            ("", "is no URL"),
            ("/etc/a.crl", "is no http or https URL"),
            ("ftp://a/b", "is no http or https URL"),
            ("s3://bucket/key", "is no http or https URL"),
            ("http://", "is no URL"),
            ("http://user:pass@a/", "has a user in it, and nothing is sent that proves who asks"),
            ("http://a/b#c", "has a fragment, which no server sees"),
            ("http://a:/b", "has no port behind the last colon"),
            ("http://a:0/b", "has port 0"),
            ("http://a:99999/b", "has no port behind the last colon"),
            ("http://a b/", "is no URL"),
            ("http://a..b/", "names no host"),
            ("http://2852039166/", "names no host"),
            ("http://0xa9.0xfe.0xa9.0xfe/", "names no host"),
            ("http://169.254.169.254/latest/meta-data", "is link-local, where metadata services are"),
            ("http://[::ffff:169.254.170.2]/", "is link-local, where metadata services are"),
            ("http://[fd00:ec2::254]/", "is a metadata service's"),
        ];
        for (text, problem) in table {
            assert_eq!(Url::parse(text), Err(problem), "{text}");
        }
    }
}
