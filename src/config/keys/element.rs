//! Values that are written as one string, alone or in a list.

use super::value::{Value, list};
use crate::credentials::Template;
use crate::document::{Item, Section};
use crate::identity::pattern::PrincipalPattern;
use crate::identity::{SpiffeId, TrustDomain};
use crate::runtime::key_arn::KeyArn;
use crate::trust::Authority;
use http::HeaderName;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What is wrong with a value, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Wrong {
    pub(in crate::config) what: String,
    pub(in crate::config) instead: String,
}

impl Wrong {
    pub(in crate::config) fn new(what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { what: what.into(), instead: instead.into() }
    }

    pub(super) fn adding(mut self, more: &str) -> Self {
        self.instead = format!("{}; {more}", self.instead);
        self
    }
}

/// A value that is written as one string.
pub(in crate::config) trait Element: Sized {
    fn parse(text: &str) -> Result<Self, Wrong>;

    /// The text, without quotes.
    fn show(&self) -> String;
}

/// A value that is one of a few names.
pub(in crate::config) trait Choice: Sized + Copy + PartialEq + 'static {
    const NAMES: &'static [(&'static str, Self)];
    /// Names that will mean something once their feature is built.
    const NOT_BUILT: &'static [&'static str] = &[];
    /// Names that mean something in a build with more features.
    const LEFT_OUT: &'static [&'static str] = &[];
}

impl<T: Choice> Element for T {
    fn parse(text: &str) -> Result<Self, Wrong> {
        if let Some((_, value)) = T::NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(*value);
        }
        let names: Vec<String> = T::NAMES.iter().map(|(name, _)| format!("{name:?}")).collect();
        let what = match () {
            () if T::NOT_BUILT.contains(&text) => format!("{text:?} is not built yet"),
            () if T::LEFT_OUT.contains(&text) => format!("{text:?} is left out of this build, which is one without the feature `aws`"),
            () => format!("is {text:?}"),
        };
        Err(Wrong::new(what, format!("write {}", names.join(" or "))))
    }

    fn show(&self) -> String {
        T::NAMES.iter().find(|(_, value)| value == self).map_or_else(String::new, |(name, _)| (*name).to_owned())
    }
}

/// A host as routes know it: lower case, no port, no trailing dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Host(pub(in crate::config) String);

/// An exact DNS name, lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct DnsName(pub(in crate::config) String);

/// A DNS name whose first label may be `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct DnsPattern(pub(in crate::config) PrincipalPattern);

/// A SPIFFE id whose path segments may be `*`, and the last one `**`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct SpiffePattern(pub(in crate::config) PrincipalPattern);

/// A list that may be written as its only element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct OneOrMore<T>(pub(in crate::config) Vec<T>);

impl<T: Element + PartialEq> Value for OneOrMore<T> {
    fn read(section: &Section<'_>, key: &'static str) -> Option<Item<Self>> {
        let list = list(section, key, section.string_or_strings(key)?)?;
        let place = list.place;
        if list.value.is_empty() {
            section.problem(key, "is empty", "write at least one");
            return None;
        }
        Some(Item { value: Self(list.value), place })
    }

    fn show(&self) -> String {
        self.0.show()
    }
}

impl Element for SpiffeId {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write spiffe://<trust domain>/<path>, such as \"spiffe://prod.example/ns/shop/sa/orders\"";
        Self::parse(text).map_err(|error| Wrong::new(format!("{text:?} {error}"), instead))
    }

    fn show(&self) -> String {
        self.as_str().to_owned()
    }
}

impl Element for TrustDomain {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write the trust domain alone, such as \"prod.example\"";
        Self::parse(text).map_err(|error| Wrong::new(format!("{text:?} {error}"), instead))
    }

    fn show(&self) -> String {
        self.as_str().to_owned()
    }
}

impl Element for Authority {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write the authority's ARN, arn:aws:acm-pca:<region>:<account>:certificate-authority/<id>";
        Self::parse(text).map_err(|what| Wrong::new(format!("{text:?} {what}"), instead))
    }

    fn show(&self) -> String {
        self.as_str().to_owned()
    }
}

impl Element for KeyArn {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write the key's whole ARN, arn:aws:kms:<region>:<account>:key/<id>, or an alias's, …:alias/<name>";
        Self::parse(text).map_err(|what| Wrong::new(format!("{text:?} {what}"), instead))
    }

    fn show(&self) -> String {
        self.as_str().to_owned()
    }
}

impl Element for Template {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write a template's name, such as \"EndEntityCertificate/V1\"";
        Self::parse(text).map_err(|what| Wrong::new(format!("{text:?} {what}"), instead))
    }

    fn show(&self) -> String {
        self.as_str().to_owned()
    }
}

impl Element for SpiffePattern {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write a SPIFFE id; * stands for one path segment, a last ** for one or more";
        PrincipalPattern::spiffe(text).map(Self).map_err(|what| Wrong::new(format!("{text:?} {what}"), instead))
    }

    fn show(&self) -> String {
        self.0.as_str().to_owned()
    }
}

impl Element for DnsPattern {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write a name such as \"payments.shop.internal\" or \"*.shop.internal\"";
        PrincipalPattern::dns(text).map(Self).map_err(|what| Wrong::new(format!("{text:?} {what}"), instead))
    }

    fn show(&self) -> String {
        self.0.as_str().to_owned()
    }
}

impl Element for DnsName {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write an exact name such as \"orders.shop.internal\"";
        match PrincipalPattern::dns(text) {
            Ok(pattern) if !pattern.is_wild() => Ok(Self(text.to_ascii_lowercase())),
            Ok(_) => Err(Wrong::new(format!("{text:?} has a wildcard"), instead)),
            Err(what) => Err(Wrong::new(format!("{text:?} {what}"), instead)),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

impl Element for Host {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let address = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if address.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address)) {
            return Ok(Self(text.to_owned()));
        }
        let canonical = text.split_once("://").map_or(text, |(_, rest)| rest).to_ascii_lowercase();
        let canonical = canonical.rsplit_once(':').map_or(canonical.as_str(), |(host, _)| host).trim_end_matches('.');
        let is_name = PrincipalPattern::dns(canonical).is_ok_and(|pattern| !pattern.is_wild());
        match is_name {
            true if canonical == text => Ok(Self(text.to_owned())),
            true => Err(Wrong::new(
                format!("{text:?} is not how requests are matched"),
                format!("write {canonical:?}: lower case, no port, no last dot"),
            )),
            false => Err(Wrong::new(format!("{text:?} is no host"), "write a host name such as \"payments\", without a port")),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

impl Element for SocketAddr {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write an IP address and a port, such as \"127.0.0.1:8443\" or \"[::]:8443\"";
        text.parse().map_err(|_| Wrong::new(format!("is {text:?}"), instead))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Element for PathBuf {
    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.is_empty() { Err(Wrong::new("is empty", "write a path, or leave the key out")) } else { Ok(Self::from(text)) }
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Element for HeaderName {
    fn parse(text: &str) -> Result<Self, Wrong> {
        match Self::from_bytes(text.as_bytes()) {
            Ok(name) if [http::header::HOST, http::header::CONTENT_LENGTH, http::header::TRANSFER_ENCODING].contains(&name) => {
                Err(Wrong::new(format!("{text:?} cannot be stripped: a request does not work without it"), "leave it out"))
            }
            Ok(name) => Ok(name),
            Err(_) => Err(Wrong::new(format!("{text:?} is no header name"), "write a name such as \"x-user-id\"")),
        }
    }

    fn show(&self) -> String {
        self.as_str().to_owned()
    }
}
