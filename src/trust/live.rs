//! Peers with open connections, so that trust that is withdrawn later reaches them.
//!
//! A connection is admitted here after its handshake and holds its [`Live`] as long as it is open. The chain that was shown is kept once for all
//! connections that showed it, and the issuers once for all chains under them. The data path looks at one number, ten times a second.

use super::verify::Usage;
use crate::identity::PeerIdentity;
use aws_lc_rs::digest::{Context, SHA256};
use rustls::pki_types::CertificateDer;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::Notify;

type Digest = [u8; 32];

/// The peers of all open connections, inbound and outbound.
#[derive(Debug, Default)]
pub struct LivePeers {
    inner: Mutex<Inner>,
    withdrawals: AtomicU64,
    unjudged: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    peers: HashMap<Digest, Entry>,
    issuers: HashMap<Digest, Issuers>,
    /// The bundles that all peers but the unjudged ones were judged by, or are being judged by.
    generation: u64,
    unjudged: Vec<Arc<LivePeer>>,
}

#[derive(Debug)]
struct Entry {
    peer: Arc<LivePeer>,
    connections: usize,
}

/// What came after a leaf, and how many of the register's peers have it.
#[derive(Debug)]
struct Issuers {
    chain: Arc<[CertificateDer<'static>]>,
    users: usize,
}

/// One chain that a peer showed, on any number of connections.
#[derive(Debug)]
pub struct LivePeer {
    /// Who it is.
    pub identity: Arc<PeerIdentity>,
    /// Which way the connections go: a client's come in, a server's go out.
    pub usage: Usage,
    pub(super) leaf: CertificateDer<'static>,
    pub(super) issuers: Arc<[CertificateDer<'static>]>,
    key: Digest,
    issuers_key: Digest,
    withdrawn: OnceLock<&'static str>,
}

/// One open connection of a peer; dropping it takes the connection out of the register.
#[derive(Debug)]
pub struct Live {
    peers: Arc<LivePeers>,
    peer: Arc<LivePeer>,
}

impl Live {
    /// Why the peer is not trusted any more; `None`: it is.
    pub fn withdrawn(&self) -> Option<&'static str> {
        self.peer.withdrawn.get().copied()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.peers.lock().leave(&self.peer);
    }
}

impl LivePeers {
    /// Registers a connection whose peer showed `chain`, leaf first, and was verified by the bundles of `generation`.
    pub fn admit(self: &Arc<Self>, usage: Usage, identity: &Arc<PeerIdentity>, chain: &[CertificateDer<'static>], generation: u64) -> Live {
        let (leaf, issuers) = chain.split_first().map_or((&[][..], chain), |(leaf, issuers)| (leaf.as_ref(), issuers));
        let issuers_key = digest(0, issuers.iter().map(AsRef::as_ref));
        let direction = if usage == Usage::Client { 1 } else { 2 };
        let key = digest(direction, [leaf, &issuers_key].into_iter());
        let mut inner = self.lock();
        let standing = inner.peers.get(&key).filter(|entry| entry.peer.withdrawn.get().is_none());
        let peer = match standing {
            Some(entry) => Arc::clone(&entry.peer),
            None => {
                let issuers = inner.share(issuers_key, issuers);
                let leaf = CertificateDer::from(leaf.to_vec());
                let (identity, withdrawn) = (Arc::clone(identity), OnceLock::new());
                let peer = Arc::new(LivePeer { identity, usage, leaf, issuers, key, issuers_key, withdrawn });
                // In place of one that is not trusted any more: its connections are being cut, and nobody judges it again.
                if let Some(entry) = inner.peers.insert(key, Entry { peer: Arc::clone(&peer), connections: 0 }) {
                    inner.release(entry.peer.issuers_key);
                }
                peer
            }
        };
        if let Some(entry) = inner.peers.get_mut(&key) {
            entry.connections += 1;
        }
        if generation < inner.generation {
            // Its handshake began with bundles that have been replaced meanwhile.
            inner.unjudged.push(Arc::clone(&peer));
            self.unjudged.notify_one();
        }
        drop(inner);
        Live { peers: Arc::clone(self), peer }
    }

    /// Moves with every withdrawal; by one atomic load.
    pub fn withdrawals(&self) -> u64 {
        self.withdrawals.load(Ordering::Acquire)
    }

    /// Waits until somebody is there who was verified by bundles that are no longer in force.
    pub(super) async fn unjudged(&self) {
        self.unjudged.notified().await;
    }

    /// Those that the bundles of `generation` have to judge: all, or only those that were verified by older ones than the last.
    pub(super) fn begin(&self, generation: u64, all: bool) -> Vec<Arc<LivePeer>> {
        let mut inner = self.lock();
        inner.generation = generation;
        let unjudged = std::mem::take(&mut inner.unjudged);
        if all { inner.peers.values().map(|entry| Arc::clone(&entry.peer)).collect() } else { unjudged }
    }

    /// Withdraws trust, for `reason`; gives the number of connections that this ends, `None` where it was withdrawn before.
    /// The data path acts on it after [`LivePeers::announce`].
    pub(super) fn withdraw(&self, peer: &LivePeer, reason: &'static str) -> Option<usize> {
        // Under the lock, so that no connection is admitted on what is withdrawn.
        let inner = self.lock();
        peer.withdrawn.set(reason).ok()?;
        Some(inner.of(peer).map_or(0, |entry| entry.connections))
    }

    /// Tells the data path that trust was withdrawn.
    pub(super) fn announce(&self) {
        self.withdrawals.fetch_add(1, Ordering::Release);
    }

    /// Every peer that is trusted, with the number of its connections.
    pub(super) fn all(&self) -> Vec<(Arc<LivePeer>, usize)> {
        let inner = self.lock();
        let standing = inner.peers.values().filter(|entry| entry.peer.withdrawn.get().is_none());
        standing.map(|entry| (Arc::clone(&entry.peer), entry.connections)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn of(&self, peer: &LivePeer) -> Option<&Entry> {
        self.peers.get(&peer.key).filter(|entry| std::ptr::eq(&*entry.peer, peer))
    }

    fn leave(&mut self, peer: &Arc<LivePeer>) {
        let Some(entry) = self.peers.get_mut(&peer.key).filter(|entry| Arc::ptr_eq(&entry.peer, peer)) else { return };
        entry.connections = entry.connections.saturating_sub(1);
        if entry.connections == 0 {
            self.peers.remove(&peer.key);
            self.release(peer.issuers_key);
        }
    }

    fn share(&mut self, key: Digest, chain: &[CertificateDer<'static>]) -> Arc<[CertificateDer<'static>]> {
        let issuers = self.issuers.entry(key).or_insert_with(|| Issuers { chain: chain.iter().cloned().collect(), users: 0 });
        issuers.users += 1;
        Arc::clone(&issuers.chain)
    }

    fn release(&mut self, key: Digest) {
        let Some(issuers) = self.issuers.get_mut(&key) else { return };
        issuers.users = issuers.users.saturating_sub(1);
        if issuers.users == 0 {
            self.issuers.remove(&key);
        }
    }
}

/// SHA-256 over parts, each with its length before it.
fn digest<'a>(kind: u8, parts: impl Iterator<Item = &'a [u8]>) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(&[kind]);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let mut digest = Digest::default();
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::pki::{TestCa, TestCert};
    use crate::trust::identify;

    fn admit(live: &Arc<LivePeers>, cert: &TestCert, generation: u64) -> Live {
        live.admit(Usage::Client, &Arc::new(identify(&cert.chain[0]).unwrap()), &cert.chain, generation)
    }

    fn kept(live: &LivePeers) -> (usize, usize) {
        let inner = live.lock();
        (inner.peers.len(), inner.issuers.len())
    }

    #[test]
    fn chains_are_kept_once_and_only_as_long_as_they_are_used() {
        let (live, ca) = (Arc::new(LivePeers::default()), TestCa::new("d").intermediate("below"));
        let (a, b) = (ca.issue("spiffe://d/a"), ca.issue("spiffe://d/b"));
        let open: Vec<Live> = [&a, &a, &b, &a].map(|cert| admit(&live, cert, 1)).into();
        assert_eq!(kept(&live), (2, 1));
        assert!(Arc::ptr_eq(&open[0].peer, &open[3].peer) && Arc::ptr_eq(&open[0].peer.issuers, &open[2].peer.issuers));
        drop(open);
        assert_eq!(kept(&live), (0, 0));
    }

    #[test]
    fn nobody_is_admitted_on_what_was_withdrawn() {
        let (live, cert) = (Arc::new(LivePeers::default()), TestCa::new("d").intermediate("below").issue("spiffe://d/a"));
        let before = [admit(&live, &cert, 1), admit(&live, &cert, 1)];
        let everybody = live.begin(2, true);
        assert_eq!(everybody.len(), 1);
        assert_eq!(live.withdraw(&everybody[0], TRUST), Some(2));
        assert_eq!(live.withdraw(&everybody[0], TRUST), None, "once");
        // Verified by what is in force, and by what was before: the second is judged again.
        let (after, late) = (admit(&live, &cert, 2), admit(&live, &cert, 1));
        assert!(before.iter().all(|old| old.withdrawn() == Some(TRUST)) && after.withdrawn().is_none());
        let unjudged = live.begin(2, false);
        assert!(unjudged.len() == 1 && Arc::ptr_eq(&unjudged[0], &late.peer));
        drop((before, unjudged, everybody, after));
        assert_eq!(kept(&live), (1, 1), "what went does not take the newer one along");
        drop(late);
        assert_eq!(kept(&live), (0, 0));
    }

    const TRUST: &str = "trust_revoked";
}
