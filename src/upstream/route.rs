//! From a canonical host to an upstream.

use super::{Address, Name, Settings, Snapshot};
use crate::tls::{ExpectedPeer, Offer};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// One upstream, as requests see it.
#[derive(Debug, Clone)]
pub struct Route {
    /// `upstream:<host>`, as records name it.
    pub name: String,
    /// Its endpoints, each address once; none while its names have no address.
    pub endpoints: Arc<[Endpoint]>,
    /// Who must be there.
    pub expected: Arc<ExpectedPeer>,
    /// Which protocols are offered.
    pub offer: Offer,
    /// Further endpoints tried when no byte was written.
    pub retries: u32,
    /// Overrides `[timeouts] response_head`.
    pub response_head: Option<Duration>,
}

/// One address of an upstream.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where.
    pub address: SocketAddr,
    /// The name that it is an address of; `None`: it is written as an address.
    pub name: Option<Arc<Name>>,
}

/// Every upstream by host, each with what the caller keeps beside it; immutable, replaced as a whole.
#[derive(Debug)]
pub struct Routes<T> {
    by_host: HashMap<String, (Arc<Route>, T)>,
}

impl<T> Routes<T> {
    /// The routes of a configuration, whose hosts are canonical and unique, with the addresses that its names have now.
    pub fn new(upstreams: &[Settings], names: &Snapshot, beside: impl Fn(&str, &Settings, &Route) -> T) -> Self {
        let mut by_host = HashMap::new();
        for upstream in upstreams {
            let expected = Arc::new(upstream.expected.clone());
            let endpoints = endpoints(upstream, names);
            for host in &upstream.hosts {
                let route = Route {
                    name: format!("upstream:{host}"),
                    endpoints: Arc::clone(&endpoints),
                    expected: Arc::clone(&expected),
                    offer: upstream.protocol,
                    retries: upstream.retries,
                    response_head: upstream.response_head,
                };
                let beside = beside(host, upstream, &route);
                by_host.insert(host.clone(), (Arc::new(route), beside));
            }
        }
        Self { by_host }
    }

    /// The upstream for a canonical host.
    pub fn find(&self, host: &str) -> Option<&(Arc<Route>, T)> {
        self.by_host.get(host)
    }
}

fn endpoints(upstream: &Settings, names: &Snapshot) -> Arc<[Endpoint]> {
    let mut endpoints = BTreeMap::new();
    for address in &upstream.addresses {
        match address {
            Address::Socket(address) => {
                endpoints.entry(*address).or_insert(None);
            }
            Address::Name(name, port) => {
                let Some((name, addresses)) = names.find(name) else { continue };
                for address in addresses.iter() {
                    endpoints.entry(SocketAddr::new(*address, *port)).or_insert_with(|| Some(Arc::clone(name)));
                }
            }
        }
    }
    endpoints.into_iter().map(|(address, name)| Endpoint { address, name }).collect()
}
