//! Calls with our own retry.

use super::error::AwsError;
use crate::telemetry::metrics;
use crate::trust::BoxFuture;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The most requests of one call; whoever calls tries again later.
const REQUESTS: u32 = 4;

/// The longest wait before the second request of a call; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// What becomes of a request that AWS throttles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Throttled {
    /// It is sent again, like others that fail for a moment.
    SentAgain,
    /// Whoever calls is told: how long to wait among many that wait is not for one call to say.
    Told,
}

/// Does an IAM action, such as `kms:Decrypt`: sends until there is an answer, until AWS says no for good, or until `until`; waits between with full jitter.
///
/// # Errors
/// The last one.
///
/// # Cancel safety
/// A request that is dropped may have taken effect; what `send` asks for must bear being asked for twice.
pub async fn call<'a, T>(
    action: &'static str,
    throttled: Throttled,
    until: Instant,
    send: impl Fn() -> BoxFuture<'a, Result<T, AwsError>>,
) -> Result<T, AwsError> {
    let operation = operation(action);
    let (mut ceiling, mut sent) = (FIRST_WAIT, 0);
    loop {
        sent += 1;
        let error = match send().await {
            Ok(answer) => {
                metrics::aws_called(operation, "ok");
                return Ok(answer);
            }
            Err(error) => error,
        };
        metrics::aws_called(operation, error.reason());
        let wait = ceiling.mul_f64(fastrand::f64());
        let told = throttled == Throttled::Told && matches!(error, AwsError::Throttled { .. });
        if told || sent == REQUESTS || !error.is_transient() || Instant::now() + wait >= until {
            return Err(error);
        }
        tracing::debug!(action, %error, "asking AWS again");
        sleep(wait).await;
        ceiling *= 2;
    }
}

/// The name of an action without its service, by which metrics call it.
pub fn operation(action: &'static str) -> &'static str {
    action.split_once(':').map_or(action, |(_, operation)| operation)
}
