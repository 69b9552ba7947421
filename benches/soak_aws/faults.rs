//! What goes wrong at AWS, by turns: one fault until both sidecars have rotated, so that nobody meets one after the other in one rotation: there is not life enough
//! in twenty seconds for all of them.

use crate::double::Double;
use crate::load::Sidecar;
use serde_json::{Value, json};
use std::cell::Cell;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long everything is throttled in the long throttle, from the first attempt that meets it.
const LONG: Duration = Duration::from_secs(4);
/// The longest time from one rotation to the next: whoever takes longer has lost its certificate.
const PATIENCE: Duration = Duration::from_secs(30);
/// From one look to the next.
const LOOK: Duration = Duration::from_millis(50);

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is cut after `IssueCertificate` took effect, and after `GetCertificate`.
    Reset,
    /// Two throttles each.
    Throttles,
    /// Issuing takes five seconds.
    InProgress,
    /// Two answers of status 500 each.
    Failures,
    /// Everything is throttled for longer than one attempt lasts.
    LongThrottle,
}

impl Fault {
    /// All of them, in the order in which they come.
    pub const ALL: [Self; 5] = [Self::Reset, Self::Throttles, Self::InProgress, Self::Failures, Self::LongThrottle];

    /// As the report calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset after receipt",
            Self::Throttles => "throttled",
            Self::InProgress => "in progress for 5 s",
            Self::Failures => "status 500",
            Self::LongThrottle => "throttled for 4 s",
        }
    }

    /// The result of calls that tells that it came.
    fn result(self) -> &'static str {
        match self {
            Self::Reset => "result=\"unreachable\"",
            Self::Throttles | Self::LongThrottle => "result=\"throttled\"",
            Self::InProgress => "result=\"in_progress\"",
            Self::Failures => "result=\"unavailable\"",
        }
    }

    fn knobs(self) -> Value {
        let both = |what: Value| json!({ "IssueCertificate": what, "GetCertificate": what });
        let refusal = |name: &str, times: u32| both(json!({ "name": name, "message": "as ordered", "times": times }));
        let (quick, none) = (json!(100), json!({}));
        let (in_progress, refuse, reset) = match self {
            Self::Reset => (quick, none, both(json!(1))),
            Self::Throttles => (quick, refusal("ThrottlingException", 2), none),
            Self::InProgress => (json!(5_000), none.clone(), none),
            Self::Failures => (quick, refusal("InternalFailure", 2), none),
            Self::LongThrottle => (quick, refusal("ThrottlingException", 1_000_000), none),
        };
        json!({ "in_progress_ms": in_progress, "refuse": refuse, "reset": reset })
    }
}

/// How often each came and was survived.
#[derive(Default)]
pub struct Faults([Cell<u32>; 5]);

impl Faults {
    /// One after the other until `end`, each until both have rotated; then all is well at AWS.
    ///
    /// # Errors
    /// A rotation takes too long, or somebody does not answer.
    pub async fn by_turns(&self, double: &Double, sidecars: [&Sidecar; 2], end: Instant) -> anyhow::Result<()> {
        for (fault, survived) in Fault::ALL.iter().zip(&self.0).cycle() {
            let (rotated, met) = (each(sidecars).await?, calls(sidecars, *fault).await?);
            double.turn(&fault.knobs()).await?;
            let mut patience = Instant::now() + PATIENCE;
            let mut throttled = (*fault == Fault::LongThrottle).then_some(());
            while each(sidecars).await?.iter().zip(&rotated).any(|(now, before)| now <= before) {
                if Instant::now() >= end {
                    return double.turn(&json!({ "in_progress_ms": 100, "refuse": {}, "reset": {} })).await;
                }
                anyhow::ensure!(Instant::now() < patience, "no rotation for {PATIENCE:?} while {fault:?}");
                if throttled.is_some() && calls(sidecars, *fault).await? > met {
                    sleep(LONG).await;
                    double.turn(&json!({ "refuse": {} })).await?;
                    (throttled, patience) = (None, Instant::now() + PATIENCE);
                }
                sleep(LOOK).await;
            }
            if calls(sidecars, *fault).await? > met {
                survived.set(survived.get() + 1);
            }
        }
        Ok(())
    }

    /// How often each was met, before rotations of both that came to a good end.
    pub fn survived(&self) -> [(Fault, u32); 5] {
        let mut counts = Fault::ALL.iter().zip(&self.0).map(|(fault, count)| (*fault, count.get()));
        std::array::from_fn(|index| counts.next().unwrap_or((Fault::ALL[index], 0)))
    }
}

async fn each(sidecars: [&Sidecar; 2]) -> anyhow::Result<[f64; 2]> {
    Ok([rotations(sidecars[0]).await?, rotations(sidecars[1]).await?])
}

/// The certificates that were in force.
///
/// # Errors
/// The metrics cannot be read.
pub async fn rotations(sidecar: &Sidecar) -> anyhow::Result<f64> {
    sidecar.metric("countersign_rotations_total", "result=\"ok\"").await
}

/// How often both met a fault.
async fn calls(sidecars: [&Sidecar; 2], fault: Fault) -> anyhow::Result<f64> {
    let mut calls = 0.0;
    for sidecar in sidecars {
        calls += sidecar.metric("countersign_aws_calls_total", fault.result()).await?;
    }
    Ok(calls)
}
