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
    std::future::poll_fn(move |cx| match contained_poll(name, || future.as_mut().poll(cx)) {
        Some(Poll::Ready(output)) => Poll::Ready(Some(output)),
        Some(Poll::Pending) => Poll::Pending,
        None => Poll::Ready(None),
    })
    .await
}

/// Calls `poll`; a panic inside is counted and logged under `name`, and gives `None`.
pub fn contained_poll<T>(name: &'static str, poll: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(poll)).inspect_err(|_| count_panic(name)).ok()
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

/// Runs hyper's tasks (HTTP/2 streams and connections) on the shard's own thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        drop(spawn_local("http2", future));
    }
}
