//! Tasks by name, with their panics counted.

use crate::telemetry::metrics::Process;
use pin_project_lite::pin_project;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// See [`contained`]. A type of its own, since an `async fn` would hold the future twice and move it once more for each request.
    pub struct Contained<F> {
        name: &'static str,
        #[pin]
        future: F,
    }
}

/// Runs `future`; a panic inside ends it alone, is counted and logged under `name`, and gives `None`.
///
/// # Cancel safety
/// As `future` itself.
pub fn contained<F: Future>(name: &'static str, future: F) -> Contained<F> {
    Contained { name, future }
}

impl<F: Future> Future for Contained<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let this = self.project();
        match contained_poll(this.name, || this.future.poll(cx)) {
            Some(Poll::Ready(output)) => Poll::Ready(Some(output)),
            Some(Poll::Pending) => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
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

/// Spawns a task of a shard's `LocalSet`; a panic gives `None`.
pub fn spawn_local<F: Future<Output: 'static> + 'static>(name: &'static str, future: F) -> tokio::task::JoinHandle<Option<F::Output>> {
    tokio::task::spawn_local(contained(name, future))
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

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        drop(spawn_local("http2", future));
    }
}
