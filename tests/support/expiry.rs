//! Connections whose certificates end soon.

use super::frames::GOAWAY;
use super::{App, Peer, Setup, Sidecar, eventually, get, within};
use countersign::testing::pki::{LeafOptions, TestCert};
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use tokio::time::sleep;

/// The life of a certificate that a test waits out. A tenth of it is the graceful end; a loaded machine must get its handshakes done before.
pub const LIFE: Duration = Duration::from_secs(6);

/// How far the clock of a certificate, whole seconds, and the sidecar's sweep may be off; the rest is a loaded machine's.
pub const EARLY: Duration = Duration::from_millis(1_500);
/// See [`EARLY`].
pub const LATE: Duration = Duration::from_secs(2);

/// A leaf for `id` that ends after [`LIFE`].
pub fn ending(id: &str) -> LeafOptions {
    let now = SystemTime::now();
    LeafOptions { not_before: now - Duration::from_secs(1), not_after: whole_second(now + LIFE), ..LeafOptions::id(id) }
}

/// A sidecar's wall clock, which the test moves: however slow the machine is, what must come before the end of a certificate comes before it.
pub struct MovedClock {
    ahead: PathBuf,
}

impl MovedClock {
    /// The clock of the sidecar that will be started with `setup`.
    pub fn of(setup: &mut Setup) -> Self {
        let ahead = setup.path("ahead");
        setup.env("COUNTERSIGN_TEST_CLOCK", ahead.to_str().unwrap());
        Self { ahead }
    }

    /// It shows `moment` now, and goes on from there.
    pub fn show(&self, moment: SystemTime) {
        let ahead = moment.duration_since(SystemTime::now()).unwrap_or_default();
        super::setup::replace(&self.ahead, &ahead.as_millis().to_string());
    }
}

/// Opens connections of every kind with `cert` and proves that each ends at `end`, gracefully where it can and with its request where it cannot.
pub async fn connections_end(sidecar: &Sidecar, app: &App, cert: &TestCert, end: SystemTime) {
    let address = sidecar.inbound();
    let [mut polled, mut goes_away] = Peer::both(address, cert).await;
    let [mut held1, mut held2] = Peer::both(address, cert).await;
    let idle = Peer::http1(address, cert).await;
    assert!(SystemTime::now() < end, "this machine is too slow for a certificate of {LIFE:?}");
    let held = [held1.begin(get("/hold/1")), held2.begin(get("/hold/2"))];
    app.got("/hold/1").await;
    app.got("/hold/2").await;
    assert_eq!(polled.get("/first").await.header("connection"), "");
    assert_eq!(goes_away.get("/first").await.status, 200);

    // The graceful end, while the certificates still hold.
    let last =
        eventually("Connection: close", async || Some(polled.get("/again").await).filter(|last| last.header("connection") == "close"));
    assert_eq!(last.await.status, 200);
    assert!(SystemTime::now() + EARLY > end, "the graceful end came too early");
    for peer in [&goes_away, &held2] {
        let frame = peer.facts().frames.first(GOAWAY).await;
        assert_eq!(frame.code(), 0, "a graceful GOAWAY says NO_ERROR");
    }

    // The cut.
    for (held, target) in held.into_iter().zip(["/hold/1", "/hold/2"]) {
        assert!(within("the end of a held request", held).await.is_err(), "{target} outlived the certificate");
        let record = sidecar.record(target, |record| record["http"]["path"] == target && record["phase"] != "open").await;
        assert_eq!(record["close_reason"], "expired", "{record}");
        assert!(record["http"]["status"].is_null(), "no answer came: {record}");
        let ended = ended(&record);
        assert!(ended + EARLY > end && ended < end + LATE, "cut at {ended:?}, the certificate ended at {end:?}");
    }
    for peer in [&polled, &goes_away, &held1, &held2, &idle] {
        peer.facts().ended().await;
    }
    sidecar.metric_reaches("countersign_cuts_total", &["reason=\"expired\""], 2.0).await;
    eventually("no open connection", async || {
        let status = sidecar.status().await?;
        (status["connections"]["inbound"] == 0).then_some(())
    })
    .await;
}

/// Sleeps until a moment of the wall clock: some properties are about one.
pub async fn until(moment: SystemTime) {
    while let Ok(left) = moment.duration_since(SystemTime::now()) {
        sleep(left).await;
    }
}

/// When a recorded request ended, by the sidecar's own clock.
pub fn ended(record: &Value) -> SystemTime {
    let began = record["time"].as_str().unwrap();
    let began = time::OffsetDateTime::parse(began, &time::format_description::well_known::Rfc3339).unwrap();
    SystemTime::from(began) + Duration::from_micros(record["total_us"].as_u64().unwrap())
}

/// The whole second that `moment` is in: certificates and rules know no other.
pub fn whole_second(moment: SystemTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(moment.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
}
