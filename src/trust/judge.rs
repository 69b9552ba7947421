//! Judges the peers of open connections again whenever trust is withdrawn from somebody.
//!
//! Runs on the control runtime, a few verifications a turn; the data path is only told whose connections to cut.

use super::bundle::Bundles;
use super::crl::Crl;
use super::deny::{DENIED_ID, DENIED_SERIAL};
use super::live::{LivePeer, LivePeers};
use super::verify::{REVOCATION_UNKNOWN, REVOKED, denied, verify};
use crate::runtime::clock::Clock;
use crate::runtime::readiness::Readiness;
use crate::telemetry::metrics;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Why connections end whose chain no bundle accepts any more.
pub const TRUST_REVOKED: &str = "trust_revoked";

/// Chains that are verified before others get their turn; one takes a few hundred microseconds.
const TURN: usize = 16;

/// From one look at the age of revocation lists to the next.
const CRLS: Duration = Duration::from_secs(10);

/// What status and readiness call it.
const CONDITION: &str = "crl";

/// A peer with open connections that is not trusted any more.
#[derive(Debug, Clone)]
pub struct Withdrawn {
    /// Who it is, and which way its connections go.
    pub peer: Arc<LivePeer>,
    /// The stable label: `denied_id`, `denied_serial`, `revoked`, `revocation_unknown`, `expired`, or [`TRUST_REVOKED`].
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
    readiness: Readiness,
    withdrawn: Box<dyn Fn(Withdrawn) + Send + Sync>,
    /// The bundles by which everybody was judged last.
    judged: Option<Arc<Bundles>>,
}

impl Judging {
    /// Judges the peers of `live` by `bundles`; each one that is refused goes to `withdrawn`. A revocation list past its time is noted in `readiness`.
    pub fn new(
        live: Arc<LivePeers>,
        bundles: watch::Receiver<Option<Arc<Bundles>>>,
        clock: Arc<dyn Clock>,
        readiness: Readiness,
        withdrawn: impl Fn(Withdrawn) + Send + Sync + 'static,
    ) -> Self {
        Self { live, bundles, clock, readiness, withdrawn: Box::new(withdrawn), judged: None }
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
            self.look_at_crls();
            tokio::select! {
                () = tokio::time::sleep(CRLS) => {}
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

    /// Says how old the revocation lists are.
    fn look_at_crls(&self) {
        let bundles = self.bundles.borrow().clone();
        let lists: Vec<_> =
            bundles.iter().flat_map(|bundles| bundles.iter()).flat_map(|bundle| bundle.revocation().crls().lists()).collect();
        let now = self.clock.now();
        let left = |crl: &Crl| match crl.next_update.duration_since(now) {
            Ok(left) => left.as_secs_f64(),
            Err(past) => -past.duration().as_secs_f64(),
        };
        if let Some(first) = lists.iter().map(|crl| left(crl)).min_by(f64::total_cmp) {
            metrics::crl_next_update().set(first);
        }
        let stale: Vec<_> = lists.iter().filter(|crl| crl.next_update <= now).map(|crl| crl.issuer.as_str()).collect();
        if stale.is_empty() {
            self.readiness.unnote(CONDITION);
        } else {
            self.readiness.note(CONDITION, format!("past its nextUpdate: the list of {}", stale.join("; ")));
        }
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
        DENIED_ID | DENIED_SERIAL | REVOKED | REVOCATION_UNKNOWN | "expired" => code,
        _ => TRUST_REVOKED,
    }
}
