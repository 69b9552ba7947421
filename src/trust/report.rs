//! Which peers with open connections need which root, so that an old root can be removed with knowledge.

use super::bundle::{Bundle, Bundles};
use super::live::{LivePeer, LivePeers};
use super::verify::{Usage, chains_to};
use crate::identity::x509::Leaf;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// What one root vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootUse {
    /// The trust domain that it speaks for.
    pub domain: String,
    /// Its subject as an RFC 4514 string.
    pub subject: String,
    /// SHA-256 of its DER, lower-case hex.
    pub fingerprint: String,
    /// The end of its validity.
    pub not_after: SystemTime,
    /// Who calls us.
    pub inbound: Vec<PeerUse>,
    /// Whom we call.
    pub outbound: Vec<PeerUse>,
}

/// What one peer has open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerUse {
    /// Its identity.
    pub id: String,
    /// Its certificates.
    pub certificates: usize,
    /// Its connections.
    pub connections: usize,
    /// Those of them that end when the root is removed: no other root vouches for their chain.
    pub ending: usize,
}

/// The roots of `bundles`, each with the peers whose chain leads to it, at `now`. Peers are ordered by what they would lose.
///
/// Verifies each chain against each root of its domain: blocks, for a second where there are thousands of certificates.
pub fn report(live: &LivePeers, bundles: &Bundles, now: SystemTime) -> Vec<RootUse> {
    let mut uses: Vec<(&Bundle, Vec<Tally>)> =
        bundles.iter().map(|bundle| (&**bundle, vec![Tally::default(); bundle.roots().len()])).collect();
    uses.sort_by_key(|(bundle, _)| bundle.domain().as_str());
    for (peer, connections) in live.all() {
        add(&mut uses, &peer, connections, now);
    }
    let root_use = |(bundle, tallies): (&Bundle, Vec<Tally>)| {
        let roots = bundle.roots().iter().zip(tallies);
        roots.filter_map(|(root, tally)| Some(tally.of(bundle, Leaf::parse(root).ok()?))).collect::<Vec<_>>()
    };
    uses.into_iter().flat_map(root_use).collect()
}

/// Peers by identity.
#[derive(Debug, Clone, Default)]
struct Tally {
    inbound: BTreeMap<String, PeerUse>,
    outbound: BTreeMap<String, PeerUse>,
}

fn add(uses: &mut [(&Bundle, Vec<Tally>)], peer: &LivePeer, connections: usize, now: SystemTime) {
    let vouches = |bundle: &Bundle, root: usize| bundle.judges(&peer.identity.principal) && chains_to(bundle, root, peer, now);
    let found = uses.iter().enumerate().flat_map(|(at, (bundle, tallies))| {
        let bundle: &Bundle = bundle;
        (0..tallies.len()).filter(move |root| vouches(bundle, *root)).map(move |root| (at, root))
    });
    let found: Vec<(usize, usize)> = found.collect();
    let ending = if found.len() == 1 { connections } else { 0 };
    for (at, root) in found {
        let Some(tally) = uses.get_mut(at).and_then(|(_, tallies)| tallies.get_mut(root)) else { continue };
        let side = if peer.usage == Usage::Client { &mut tally.inbound } else { &mut tally.outbound };
        let id = peer.identity.principal.to_string();
        let entry = side.entry(id.clone()).or_insert(PeerUse { id, certificates: 0, connections: 0, ending: 0 });
        entry.certificates += 1;
        entry.connections += connections;
        entry.ending += ending;
    }
}

impl Tally {
    fn of(self, bundle: &Bundle, root: Leaf) -> RootUse {
        let ordered = |side: BTreeMap<String, PeerUse>| {
            let mut peers: Vec<PeerUse> = side.into_values().collect();
            peers.sort_by_key(|peer| std::cmp::Reverse((peer.ending, peer.connections)));
            peers
        };
        RootUse {
            domain: bundle.domain().to_string(),
            subject: root.subject,
            fingerprint: root.fingerprint,
            not_after: root.not_after,
            inbound: ordered(self.inbound),
            outbound: ordered(self.outbound),
        }
    }
}
