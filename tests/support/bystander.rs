//! A good client beside an attack.

use super::{ALICE, App, BOB, Peer, Setup, Sidecar, policy};
use http::StatusCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::task::JoinHandle;

/// A sidecar that lets two callers ask for everything: one to attack, one to stand beside.
pub async fn with_two_callers() -> (App, Setup, Sidecar) {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.write_policy(&policy(&[("alice", ALICE, "/**"), ("bob", BOB, "/**")]));
    // Not what this is about, and the machine may be busy.
    setup.set("timeouts.handshake", "'30s'");
    let sidecar = setup.start(&app).await;
    (app, setup, sidecar)
}

/// Asks again and again over HTTP/1.1 and HTTP/2, on connections that were made before the attack and on new ones, until it is told to stop. Every answer
/// must be a good one, within the patience that every wait has.
pub struct Bystander {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
    task: JoinHandle<()>,
    descriptors: usize,
}

impl Bystander {
    /// Begins, as the caller `id`, and waits for its first answers.
    pub async fn start(sidecar: &Sidecar, setup: &Setup, id: &str) -> Self {
        let (address, cert) = (sidecar.inbound(), setup.cert(id));
        let (stop, served) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&served));
        let task = tokio::spawn(async move {
            let mut old = Peer::both(address, &cert).await;
            while !stopped.load(Ordering::Relaxed) {
                let mut new = Peer::http2(address, &cert).await;
                for peer in old.iter_mut().chain([&mut new]) {
                    let answer = peer.get("/bystander").await;
                    assert_eq!(answer.status, StatusCode::OK, "{}: {:?}", peer.name(), answer.headers);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let mut bystander = Self { stop, served, task, descriptors: 0 };
        bystander.goes_on().await;
        bystander.descriptors = sidecar.descriptors();
        bystander
    }

    /// Waits until it got three more answers.
    pub async fn goes_on(&self) {
        let before = self.served.load(Ordering::Relaxed);
        let more = || self.served.load(Ordering::Relaxed) >= before + 3 || self.task.is_finished();
        super::eventually("answers beside the attack", async || more().then_some(())).await;
        assert!(!self.task.is_finished(), "the good client failed");
    }

    /// Ends it once the attack is over: it has noticed nothing, and the sidecar holds no more descriptors than it did when they began.
    pub async fn outlives(self, sidecar: &Sidecar) {
        let before = self.descriptors;
        self.stop().await;
        sidecar.gives_descriptors_back(before).await;
    }

    /// Ends it after some more answers; panics where one was not good.
    pub async fn stop(self) {
        self.goes_on().await;
        self.stop.store(true, Ordering::Relaxed);
        super::within("the good client's end", self.task).await.unwrap();
    }
}
