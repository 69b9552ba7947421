//! From a canonical host to an upstream.

use super::{Address, Settings};
use crate::tls::{ExpectedPeer, Offer};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// One upstream, as requests see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `upstream:<host>`, as records name it.
    pub name: String,
    /// Its endpoints, at least one.
    pub endpoints: Vec<Address>,
    /// Who must be there.
    pub expected: Arc<ExpectedPeer>,
    /// Which protocols are offered.
    pub offer: Offer,
    /// Further endpoints tried when no byte was written.
    pub retries: u32,
    /// Overrides `[timeouts] response_head`.
    pub response_head: Option<Duration>,
}

/// Every upstream by host, each with what the caller keeps beside it; immutable, replaced as a whole.
#[derive(Debug)]
pub struct Routes<T> {
    by_host: HashMap<String, (Arc<Route>, T)>,
}

impl<T> Routes<T> {
    /// The routes of a configuration, whose hosts are canonical and unique.
    pub fn new(upstreams: &[Settings], beside: impl Fn(&str, &Route) -> T) -> Self {
        let mut by_host = HashMap::new();
        for upstream in upstreams {
            let expected = Arc::new(upstream.expected.clone());
            for host in &upstream.hosts {
                let route = Route {
                    name: format!("upstream:{host}"),
                    endpoints: upstream.addresses.clone(),
                    expected: Arc::clone(&expected),
                    offer: upstream.protocol,
                    retries: upstream.retries,
                    response_head: upstream.response_head,
                };
                let beside = beside(host, &route);
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
