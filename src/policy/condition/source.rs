//! `source_ip`: the networks that the TCP peer may be in.

use crate::policy::canonical_json::{object, sha256};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixSet;
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Networks, looked up by prefix. Those of IPv4 written as IPv6 (`::ffff:0:0/96`, RFC 4291 section 2.5.5.2) are IPv4.
#[derive(Debug, Clone, Default)]
pub(in crate::policy) struct Networks {
    v4: PrefixSet<Ipv4Net>,
    v6: PrefixSet<Ipv6Net>,
}

/// A named set of networks. Shared by all rules that name it.
#[derive(Debug)]
pub(in crate::policy) struct NetworkSet {
    networks: Networks,
    /// Of its networks: conditions are told apart by it, so that a large set is not written out in each.
    digest: String,
}

/// A test of where the TCP connection comes from: the peer's own address, never one that a header tells.
#[derive(Debug)]
pub(in crate::policy) struct SourceTest {
    own: Networks,
    sets: Box<[Arc<NetworkSet>]>,
}

impl Networks {
    /// Whether some network has `address`.
    fn contain(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.get_spm(&Ipv4Net::from(address)).is_some(),
            IpAddr::V6(address) => self.v6.get_spm(&Ipv6Net::from(address)).is_some(),
        }
    }

    /// The networks in order, without those that are inside another.
    fn widest(&self) -> Vec<String> {
        let v4 = self.v4.iter().filter(|network| self.v4.get_spm(network) == Some(network)).map(Ipv4Net::to_string);
        let v6 = self.v6.iter().filter(|network| self.v6.get_spm(network) == Some(network)).map(Ipv6Net::to_string);
        v4.chain(v6).collect()
    }

    /// Whether every address of one family is in it.
    fn are_everything(&self) -> bool {
        self.v4.contains(&Ipv4Net::default()) || self.v6.contains(&Ipv6Net::default())
    }
}

impl FromIterator<IpNet> for Networks {
    fn from_iter<T: IntoIterator<Item = IpNet>>(networks: T) -> Self {
        let mut all = Self::default();
        for network in networks {
            match canonical(network) {
                IpNet::V4(network) => all.v4.insert(network),
                IpNet::V6(network) => all.v6.insert(network),
            };
        }
        all
    }
}

/// IPv4 as IPv6 becomes IPv4.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96)).and_then(|(address, len)| Ipv4Net::new(address, len).ok());
    v4.map_or(network, IpNet::V4)
}

impl NetworkSet {
    pub(in crate::policy) fn new(networks: Networks) -> Self {
        let digest = sha256(&json!(networks.widest()).to_string());
        Self { networks, digest }
    }
}

impl SourceTest {
    pub(in crate::policy) fn new(own: Networks, mut sets: Vec<Arc<NetworkSet>>) -> Self {
        sets.sort_by(|a, b| a.digest.cmp(&b.digest));
        sets.dedup_by(|a, b| a.digest == b.digest);
        Self { own, sets: sets.into() }
    }

    pub(super) fn holds(&self, source: SocketAddr) -> bool {
        self.own.contain(source.ip()) || self.sets.iter().any(|set| set.networks.contain(source.ip()))
    }

    /// Its networks, those of its sets among them.
    pub(in crate::policy) fn networks(&self) -> Vec<String> {
        self.own.widest().into_iter().chain(self.sets.iter().flat_map(|set| set.networks.widest())).collect()
    }

    /// Whether it lets every address of one family pass.
    pub(super) fn is_wild(&self) -> bool {
        self.own.are_everything() || self.sets.iter().any(|set| set.networks.are_everything())
    }

    pub(super) fn json(&self) -> Value {
        let sets = self.sets.iter().map(|set| json!(set.digest)).collect();
        object([("in", json!(self.own.widest())), ("sets", sets)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(list: &[&str]) -> Networks {
        list.iter().map(|text| text.parse::<IpNet>().unwrap()).collect()
    }

    #[test]
    fn addresses_are_in_networks_by_prefix() {
        let table = [
            (&["10.0.0.0/8"][..], "10.255.255.255", true),
            (&["10.0.0.0/8"], "11.0.0.0", false),
            (&["10.0.0.0/8"], "::ffff:10.1.2.3", true),
            (&["::ffff:10.0.0.0/104"], "10.1.2.3", true),
            (&["10.0.0.0/8"], "::a01:203", false),
            (&["10.1.0.0/16", "10.1.2.0/24", "192.0.2.1/32"], "10.1.3.1", true),
            (&["10.1.2.0/24", "10.1.0.0/16"], "10.2.2.1", false),
            (&["192.0.2.1/32"], "192.0.2.1", true),
            (&["192.0.2.1/32"], "192.0.2.2", false),
            (&["0.0.0.0/0"], "203.0.113.1", true),
            (&["0.0.0.0/0"], "2001:db8::1", false),
            (&["::/0"], "2001:db8::1", true),
            (&["::/0"], "::ffff:203.0.113.1", false),
            (&["2600:1f18::/32"], "2600:1f18:ffff::1", true),
            (&["2600:1f18::/32"], "2600:1f19::1", false),
        ];
        for (list, address, inside) in table {
            assert_eq!(networks(list).contain(address.parse().unwrap()), inside, "{list:?} {address}");
        }
    }

    #[test]
    fn the_canonical_text_is_about_addresses_not_spelling() {
        let set = |list: &[&str]| Arc::new(NetworkSet::new(networks(list)));
        let text = |own: &[&str], sets: Vec<Arc<NetworkSet>>| SourceTest::new(networks(own), sets).json().to_string();
        let same = ["10.1.2.0/24", "::ffff:10.0.0.0/104", "10.0.0.0/8"];
        assert_eq!(text(&same, Vec::new()), text(&["10.0.0.0/8"], Vec::new()));
        let (a, b) = (set(&["10.0.0.0/8"]), set(&["11.0.0.0/8"]));
        assert_eq!(text(&[], vec![a.clone(), b.clone(), a.clone()]), text(&[], vec![b.clone(), a.clone()]));
        assert_ne!(text(&[], vec![a]), text(&[], vec![b]));
    }
}
