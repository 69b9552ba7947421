//! `[[upstream]]`.

use crate::config::keys::{DnsPattern, Element, Host, Keys, OneOrMore, SpiffePattern, Wrong};
use crate::identity::pattern::PrincipalPattern;
use crate::tls::{ExpectedPeer, Offer};
use crate::upstream::{Address, Settings};
use std::net::SocketAddr;

pub(super) fn read(root: &Keys<'_>) -> Vec<Option<Settings>> {
    root.tables("upstream").into_iter().map(entry).collect()
}

fn entry(keys: Keys<'_>) -> Option<Settings> {
    let hosts: Option<Vec<Host>> = keys.required("hosts", "[\"payments\"]");
    if hosts.as_ref().is_some_and(Vec::is_empty) {
        keys.problem("hosts", "is empty", "write at least one host, such as [\"payments\"]");
    }
    let addresses: Option<OneOrMore<Address>> = keys.required("address", "\"dns://payments.shop.internal:8443\"");
    let expected = expected(&keys);
    let protocol = keys.or("protocol", Offer::Auto);
    let retries = keys.within("retries", 0, 0..=10);
    let response_head = keys.optional("response_head");
    keys.close();
    Some(Settings {
        hosts: hosts?.into_iter().map(|host| host.0).collect(),
        addresses: addresses?.0,
        expected: ExpectedPeer(expected?),
        protocol,
        retries,
        response_head,
    })
}

/// Without an expected identity, any workload of a trusted domain could stand at the address.
fn expected(keys: &Keys<'_>) -> Option<PrincipalPattern> {
    let id: Option<SpiffePattern> = keys.optional("id");
    let dns_san: Option<DnsPattern> = keys.optional("dns_san");
    match (keys.has("id"), keys.has("dns_san")) {
        (true, true) => keys.problem("dns_san", "stands beside id", "write one of them: a peer has either a SPIFFE id or a DNS name"),
        (false, false) => keys.problem("id", "is missing", "write who must be there: id = \"spiffe://prod.example/ns/shop/sa/payments\""),
        _ => {}
    }
    id.map(|pattern| pattern.0).or(dns_san.map(|pattern| pattern.0))
}

impl Element for Address {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write an address and a port, such as \"10.0.0.7:8443\", or a name, such as \"dns://payments.shop.internal:8443\"";
        let written = text.strip_prefix("dns://");
        if let (None, Some((scheme, _))) = (written, text.split_once("://")) {
            return Err(Wrong::new(format!("{text:?}: there is no {scheme}:// here"), instead));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            let usable = address.port() != 0 && !address.ip().is_unspecified();
            return if usable {
                Ok(Self::Socket(address))
            } else {
                Err(Wrong::new(format!("{text:?} is no address to connect to"), instead))
            };
        }
        let rest = written.unwrap_or(text);
        if written.is_some() && rest.parse::<SocketAddr>().is_ok() {
            return Err(Wrong::new(format!("{text:?} is no name"), "write the address without dns://"));
        }
        let (name, port) = rest.rsplit_once(':').ok_or_else(|| Wrong::new(format!("{text:?} has no port"), instead))?;
        let is_name = PrincipalPattern::dns(name.strip_suffix('.').unwrap_or(name)).is_ok_and(|pattern| !pattern.is_wild());
        match port.parse::<u16>() {
            Ok(port) if port != 0 && is_name => Ok(Self::Name(name.to_ascii_lowercase(), port)),
            _ => Err(Wrong::new(format!("{text:?} is no name and port"), instead)),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Socket(address) => address.to_string(),
            Self::Name(name, port) => format!("dns://{name}:{port}"),
        }
    }
}
