//! The authority changes under running sidecars, first for another subordinate below the same root, then for one below another root: requests go on and
//! those under way come to their end, whichever of the two certificates either side shows meanwhile.

use crate::support::aws::{Authority, Aws, keep};
use crate::support::client::{at, read};
use crate::support::setup::{ORDERS, replace};
use crate::support::sidecar::run;
use crate::support::streaming::{Streams, Tally, fed, reading, take};
use crate::support::{ALICE, App, Peer, Setup, Sidecar, eventually, policy, within};
use bytes::Bytes;
use http::StatusCode;
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinHandle;

/// A sidecar in front of an app, and one whose app calls it; both have their certificates from the double.
struct Pair {
    aws: Aws,
    app: App,
    far: Side,
    near: Side,
}

struct Side {
    sidecar: Sidecar,
    setup: Setup,
}

impl Pair {
    async fn start(aws: Aws, authority: &Authority) -> Self {
        let (app, mut far, mut near) = (App::start().await, Setup::new(), Setup::new());
        for setup in [&mut far, &mut near] {
            aws.certify(setup, authority, "1h");
            // A certificate that is kept is the old authority's.
            let cache = setup.path("cache");
            keep(setup, &cache);
        }
        far.write_policy(&policy(&[("alice", ALICE, "/**")]));
        far.in_front_of(app.address);
        let there = Sidecar::start(&far).await;
        near.unset("inbound").set("outbound.listen", "'127.0.0.1:0'").set("workload.id", &format!("'{ALICE}'"));
        near.table("upstream", &format!("hosts = ['orders']\nid = '{ORDERS}'\naddress = '{}'", there.inbound()));
        let here = Sidecar::start(&near).await;
        Self { aws, app, far: Side { sidecar: there, setup: far }, near: Side { sidecar: here, setup: near } }
    }

    /// Whom both believe from now on.
    async fn trust(&self, roots: &[&Authority], reloads: f64) {
        for Side { sidecar, setup } in [&self.far, &self.near] {
            replace(&setup.path("roots.pem"), &roots.iter().map(|authority| authority.root_pem.as_str()).collect::<String>());
            sidecar.metric_reaches("countersign_trust_reloads_total", &["result=\"ok\""], reloads).await;
        }
    }
}

impl Side {
    /// Has it reload with this authority, and waits until the certificate of that one is in force.
    async fn ask(&mut self, authority: &Authority) {
        let before = self.serial().await;
        self.setup.set("credentials.acm_pca.authority", &format!("'{}'", authority.arn)).write_config();
        self.sidecar.signal(Signal::HUP);
        let line = self.sidecar.log_line("configuration reloaded").await;
        assert!(line.contains("[credentials.acm_pca]"), "{line}");
        self.sidecar.log_line(&format!("{}/certificate/", authority.arn)).await;
        eventually("another certificate in force", async || (self.serial().await != before).then_some(())).await;
    }

    async fn serial(&self) -> String {
        self.sidecar.status().await.unwrap()["certificate"]["serial"].as_str().unwrap().to_owned()
    }

    /// How many connections there are of peers below this root.
    async fn below(&self, root: &str) -> u64 {
        let report = run(&["trust", "report", "--json"], self.setup.dir.path()).await.1;
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let roots = report["roots"].as_array().unwrap();
        let found = roots.iter().find(|found| found["subject"].as_str().unwrap().contains(root)).unwrap();
        ["inbound", "outbound"].iter().map(|way| found[way]["connections"].as_u64().unwrap()).sum()
    }
}

/// Requests one after the other through both sidecars, until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Load {
    async fn start(pair: &Pair) -> Self {
        let (stop, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut apps = Peer::app_both(pair.near.sidecar.outbound()).await;
        let (told, count) = (Arc::clone(&stop), Arc::clone(&sent));
        let task = tokio::spawn(async move {
            while !told.load(Ordering::Relaxed) {
                for app in &mut apps {
                    let answer = app.ask("orders", "/load").await;
                    assert_eq!(answer.status, StatusCode::OK, "{} after {count:?}: {:?}", app.name(), answer.body);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { stop, sent, task }
    }

    /// Waits until a good many more have come and gone.
    async fn goes_on(&self) {
        let before = self.sent.load(Ordering::Relaxed);
        eventually("more requests", async || {
            assert!(!self.task.is_finished(), "a request failed");
            (self.sent.load(Ordering::Relaxed) > before + 50).then_some(())
        })
        .await;
    }

    async fn end(self) {
        self.goes_on().await;
        self.stop.store(true, Ordering::Relaxed);
        within("the end of the load", self.task).await.unwrap();
    }
}

/// A request and its answer that go on piece by piece.
struct Stream {
    _app: Streams,
    sender: tokio::sync::mpsc::Sender<std::io::Result<Bytes>>,
    body: hyper::body::Incoming,
    read: Tally,
}

impl Stream {
    async fn open(pair: &Pair) -> Self {
        let mut app = Streams::app_h2c(pair.near.sidecar.outbound()).await;
        let (body, sender) = fed(None);
        let answer = app.ask("POST", "http://orders/echo", body);
        sender.send(Ok(Bytes::from_static(b"first"))).await.unwrap();
        let answer = within("the head of a stream", answer).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let mut stream = Self { _app: app, sender, body: answer.into_body(), read: reading() };
        take(&mut stream.body, &stream.read, 5).await.unwrap();
        stream
    }

    async fn goes_on(&mut self) {
        self.sender.send(Ok(Bytes::from_static(b"again"))).await.unwrap();
        take(&mut self.body, &self.read, 5).await.unwrap();
    }

    async fn end(mut self) {
        self.goes_on().await;
        drop(self.sender);
        take(&mut self.body, &self.read, u64::MAX / 2).await.unwrap();
    }
}

/// Asks both for certificates of `new`, one after the other, while requests, streams and held requests go on.
async fn switch(pair: &mut Pair, new: &Authority) {
    let load = Load::start(pair).await;
    let mut stream = Stream::open(pair).await;
    let mut apps = Peer::app_both(pair.near.sidecar.outbound()).await;
    let held = [apps[0].begin(at("orders", "/hold/1")), apps[1].begin(at("orders", "/hold/2"))];
    pair.app.got("/hold/1").await;
    pair.app.got("/hold/2").await;

    pair.far.ask(new).await;
    load.goes_on().await;
    stream.goes_on().await;
    // Who connects now meets one certificate of each.
    let mut late = Peer::app_http1(pair.near.sidecar.outbound()).await;
    assert_eq!(late.ask("orders", "/between").await.status, StatusCode::OK);
    pair.near.ask(new).await;
    load.goes_on().await;
    stream.end().await;
    pair.app.release();
    for held in held {
        let answer = within("a held answer", async { read(held.await.unwrap()).await.unwrap() }).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, &b"ok"[..]));
    }
    load.end().await;
    assert_eq!(pair.aws.issued().await, 4, "one for each at the start, and one for each from the new authority");
}

#[tokio::test]
async fn to_a_subordinate_beside_the_old_one() {
    let aws = Aws::start().await;
    let old = aws.authority("first").await;
    let new = aws.authority_beside(&old, "second").await;
    let mut pair = Pair::start(aws, &old).await;
    switch(&mut pair, &new).await;
    for Side { sidecar, .. } in [&pair.far, &pair.near] {
        assert_eq!(sidecar.metric("countersign_rotations_total", &["result=\"failed\""]).await, 0.0);
        assert_eq!(sidecar.metric("countersign_cuts_total", &[]).await, 0.0);
    }
}

#[tokio::test]
async fn to_a_root_beside_the_old_one_which_then_goes() {
    let aws = Aws::start().await;
    let (old, new) = (aws.authority("old").await, aws.authority("new").await);
    let mut pair = Pair::start(aws, &old).await;
    pair.trust(&[&old, &new], 2.0).await;
    switch(&mut pair, &new).await;
    // With knowledge: nobody is left below the old root.
    for side in [&pair.far, &pair.near] {
        eventually("nobody below the old root", async || (side.below("old root").await == 0).then_some(())).await;
    }
    let load = Load::start(&pair).await;
    load.goes_on().await;
    pair.trust(&[&new], 3.0).await;
    load.end().await;
    for Side { sidecar, .. } in [&pair.far, &pair.near] {
        assert_eq!(sidecar.metric("countersign_cuts_total", &[]).await, 0.0);
    }
}

/// What only a restart changes is refused, and a reload spends nothing of the budget but the certificate.
#[tokio::test]
async fn within_one_budget() {
    let (aws, app, mut setup) = (Aws::start().await, App::start().await, Setup::new());
    let old = aws.authority("first").await;
    let new = aws.authority_beside(&old, "second").await;
    aws.certify(&mut setup, &old, "12h");
    setup.set("credentials.acm_pca.max_issues_per_hour", "2").set("credentials.acm_pca.max_issues_per_day", "8");
    let mut side = Side { sidecar: setup.start(&app).await, setup };
    side.ask(&new).await;
    // A third within the hour.
    side.setup.set("credentials.acm_pca.authority", &format!("'{}'", old.arn)).write_config();
    side.sidecar.signal(Signal::HUP);
    let line = side.sidecar.log_line("the issuing budget is used up").await;
    assert!(line.contains("max_issues_per_hour"), "{line}");
    assert_eq!((aws.issued().await, side.sidecar.is_ready().await), (2, Some(true)));

    side.setup.set("credentials.acm_pca.validity", "'6h'").write_config();
    side.sidecar.signal(Signal::HUP);
    let line = side.sidecar.log_line("configuration not reloaded").await;
    assert!(line.contains("credentials.acm_pca.validity"), "{line}");
}
