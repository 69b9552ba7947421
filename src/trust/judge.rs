//! Judges the peers of open connections again whenever trust is withdrawn from somebody.
//!
//! Runs on the control runtime, a few verifications a turn; the data path is only told whose connections to cut.

use super::bundle::Bundles;
use super::live::{LivePeer, LivePeers};
use super::verify::{denied, verify};
use crate::runtime::clock::Clock;
use crate::telemetry::metrics;
use std::sync::Arc;
use tokio::sync::watch;

/// Why connections end whose chain no bundle accepts any more.
pub const TRUST_REVOKED: &str = "trust_revoked";

/// Chains that are verified before others get their turn; one takes a few hundred microseconds.
const TURN: usize = 16;

/// A peer with open connections that is not trusted any more.
#[derive(Debug, Clone)]
pub struct Withdrawn {
    /// Who it is, and which way its connections go.
    pub peer: Arc<LivePeer>,
    /// The stable label: `denied_id`, `denied_serial`, `expired`, or [`TRUST_REVOKED`].
    pub reason: &'static str,
    /// For the operator.
    pub detail: String,
    /// Its connections, which end now.
    pub connections: usize,
}

/// The task that judges them.
pub struct Judging {
    live: Arc<LivePeers>,
    bundles: watch::Receiver<Option<Arc<Bundles>>>,
    clock: Arc<dyn Clock>,
    withdrawn: Box<dyn Fn(Withdrawn) + Send + Sync>,
    /// The bundles by which everybody was judged last.
    judged: Option<Arc<Bundles>>,
}

impl Judging {
    /// Judges the peers of `live` by `bundles`; each one that is refused goes to `withdrawn`.
    pub fn new(
        live: Arc<LivePeers>,
        bundles: watch::Receiver<Option<Arc<Bundles>>>,
        clock: Arc<dyn Clock>,
        withdrawn: impl Fn(Withdrawn) + Send + Sync + 'static,
    ) -> Self {
        Self { live, bundles, clock, withdrawn: Box::new(withdrawn), judged: None }
    }

    /// Judges after each change of the bundles, until their sender is gone.
    ///
    /// # Cancel safety
    /// Whoever was not judged yet stays connected when it is dropped.
    pub async fn run(mut self) {
        loop {
            let current = self.bundles.borrow_and_update().clone();
            if let Some(bundles) = current {
                // Whom these bundles accept is a question only where something was taken from the ones before.
                let all = !self.judged.as_ref().is_some_and(|before| bundles.covers(before));
                let whole = self.judge(&bundles, self.live.begin(bundles.generation, all)).await;
                self.judged = whole.then_some(bundles);
            }
            tokio::select! {
                changed = self.bundles.changed() => if changed.is_err() {
                    return;
                },
                () = self.live.unjudged() => {}
            }
        }
    }

    /// Judges `peers`; `false` where other bundles came before it was done.
    async fn judge(&self, bundles: &Bundles, peers: Vec<Arc<LivePeer>>) -> bool {
        // The deny list first: it costs next to nothing, and somebody is in a hurry.
        let mut accepted = Vec::with_capacity(peers.len());
        for peer in peers {
            match denied(bundles, &peer.identity) {
                Some(reason) => self.withdraw(peer, reason, "it is on the deny_list".into()),
                None => accepted.push(peer),
            }
        }
        for turn in accepted.chunks(TURN) {
            tokio::task::yield_now().await;
            if self.bundles.has_changed().unwrap_or(true) {
                return false;
            }
            for peer in turn {
                if let Err(refused) = verify(bundles, &peer.leaf, &peer.issuers, self.clock.now(), peer.usage) {
                    self.withdraw(Arc::clone(peer), reason(refused.code), refused.to_string());
                }
            }
        }
        true
    }

    fn withdraw(&self, peer: Arc<LivePeer>, reason: &'static str, detail: String) {
        let Some(connections) = self.live.withdraw(&peer, reason).filter(|connections| *connections > 0) else { return };
        self.live.announce();
        metrics::trust_withdrawn(reason);
        tracing::warn!(id = %peer.identity.principal, serial = peer.identity.serial, connections, reason, detail, "trust was withdrawn");
        (self.withdrawn)(Withdrawn { peer, reason, detail, connections });
    }
}

/// What a refusal is called on a connection that was accepted once.
fn reason(code: &'static str) -> &'static str {
    match code {
        "denied_id" | "denied_serial" | "expired" => code,
        _ => TRUST_REVOKED,
    }
}
