//! Tasks by name, with their panics counted.

use crate::telemetry::metrics::Process;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Runs `future`; a panic inside ends it alone, is counted and logged under `name`, and gives `None`.
///
/// # Cancel safety
/// As `future` itself.
pub async fn contained<F: Future>(name: &'static str, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Ready(output)) => Poll::Ready(Some(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => {
            count_panic(name);
            Poll::Ready(None)
        }
    })
    .await
}

/// Counts and logs a panic that was caught in `name`.
pub fn count_panic(name: &'static str) {
    Process::handles().panics.increment(1);
    tracing::error!(task = name, "a panic was contained; the request or task that caused it has ended");
}

/// Spawns a task of a shard's `LocalSet`.
pub fn spawn_local<F: Future + 'static>(name: &'static str, future: F) -> tokio::task::JoinHandle<()> {
    tokio::task::spawn_local(async move {
        contained(name, future).await;
    })
}

/// Spawns a task of the control runtime.
pub fn spawn<F>(name: &'static str, future: F) -> tokio::task::JoinHandle<()>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(async move {
        contained(name, future).await;
    })
}
