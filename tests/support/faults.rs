//! A sidecar whose certificate comes from the double of AWS, and what must hold while something is wrong: the last certificate serves, the cause is said
//! in log, status and metrics, and all is well again by itself.

use super::aws::{Authority, Aws};
use super::{ALICE, App, Peer, Setup, Sidecar, eventually};

/// A sidecar that renews after a tenth of its certificate's life.
pub struct Renewing {
    /// The double.
    pub aws: Aws,
    /// Who issues.
    pub authority: Authority,
    /// The sidecar; it ends before its files do.
    pub sidecar: Sidecar,
    /// What it was started with.
    pub setup: Setup,
    _app: App,
}

impl Renewing {
    /// Starts one with certificates of `validity`, after `change`.
    pub async fn start(validity: &str, change: impl FnOnce(&Aws, &mut Setup)) -> Self {
        let (setup, aws, authority, app) = Self::prepare(validity, change).await;
        let sidecar = Sidecar::start(&setup).await;
        Self { aws, authority, setup, sidecar, _app: app }
    }

    /// As [`Renewing::start`], through another program; see [`Sidecar::start_through`].
    pub async fn start_through(before: impl FnOnce(&Setup) -> Vec<String>, validity: &str, change: impl FnOnce(&Aws, &mut Setup)) -> Self {
        let (setup, aws, authority, app) = Self::prepare(validity, change).await;
        let before = before(&setup);
        let sidecar = Sidecar::start_through(&setup, &before.iter().map(String::as_str).collect::<Vec<_>>()).await;
        Self { aws, authority, setup, sidecar, _app: app }
    }

    async fn prepare(validity: &str, change: impl FnOnce(&Aws, &mut Setup)) -> (Setup, Aws, Authority, App) {
        let (aws, app, mut setup) = (Aws::start().await, App::start().await, Setup::new());
        let authority = aws.authority("faulty").await;
        aws.certify(&mut setup, &authority, validity);
        setup.set("credentials.renew.after", "0.1").set("credentials.renew.jitter", "0.0").in_front_of(app.address);
        change(&aws, &mut setup);
        (setup, aws, authority, app)
    }

    /// Waits until a renewal fails with `cause`, counted under `reason`; then everything goes on with the certificate before, and status tells of it too.
    pub async fn serves_and_says(&self, name: &str, cause: &str, reason: &str) {
        let Self { sidecar, setup, .. } = self;
        let failures = self.failures(reason).await;
        sidecar.metric_reaches("countersign_rotation_failures_total", &[&labelled("reason", reason)], failures + 1.0).await;
        let status = eventually(&format!("{name}: {cause:?} in status"), async || {
            let status = sidecar.status().await?;
            status["notes"]["certificate"].as_str().is_some_and(|note| note.contains(cause)).then_some(status)
        })
        .await;
        assert_eq!(status["ready"], true, "{name}: {status}");
        let log = sidecar.log();
        let line = log.lines().rev().find(|line| line.contains("the certificate was not replaced") && line.contains(cause));
        assert!(line.is_some_and(|line| line.contains(reason)) && !log.contains("PRIVATE KEY"), "{name}: {line:?}");
        let mut fresh = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
        assert_eq!(fresh.get("/fresh").await.status, 200, "{name}");
        assert_eq!(fresh.facts().serial, status["certificate"]["serial"].as_str().unwrap(), "{name}");
    }

    /// Waits until another certificate is in force and nothing is left to say.
    pub async fn recovers(&self, name: &str) {
        let before = self.rotations().await;
        self.sidecar.metric_reaches("countersign_rotations_total", &[&labelled("result", "ok")], before + 1.0).await;
        eventually(name, async || self.sidecar.status().await.filter(|status| status["notes"]["certificate"].is_null())).await;
    }

    /// How many certificates were in force.
    pub async fn rotations(&self) -> f64 {
        self.sidecar.metric("countersign_rotations_total", &[&labelled("result", "ok")]).await
    }

    /// How many more certificates were issued than came into force.
    pub async fn ahead(&self) -> f64 {
        self.aws.issued().await as f64 - self.rotations().await
    }

    /// How many renewals failed for this reason.
    pub async fn failures(&self, reason: &str) -> f64 {
        self.sidecar.metric("countersign_rotation_failures_total", &[&labelled("reason", reason)]).await
    }

    /// How many calls of an operation had this result.
    pub async fn calls(&self, operation: &str, result: &str) -> f64 {
        let labels = [labelled("operation", operation), labelled("result", result)];
        self.sidecar.metric("countersign_aws_calls_total", &[&labels[0], &labels[1]]).await
    }
}

fn labelled(name: &str, value: &str) -> String {
    format!("{name}=\"{value}\"")
}
