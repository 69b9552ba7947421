//! The beginning of an HTTP/2 connection: nothing is sent before the other side has said how many streams it takes.

use super::UpstreamError;
use crate::runtime::tasks::LocalExecutor;
use http_body::Body;
use hyper::client::conn::http2::Connection;
use hyper::rt::{Executor, Read, Write, bounds::Http2ClientConnExec};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

/// What hyper says of the streams allowed while no SETTINGS came. No setting is as large: those are 32 bits, and none is [`usize::MAX`].
pub(super) const UNSETTLED: usize = usize::MAX - 1;

/// Runs the tasks of one connection on the shard's thread, and wakes whoever waits for its SETTINGS: the task that reads them tells nobody.
#[derive(Clone, Default)]
pub(super) struct Settling(Rc<Cell<Option<Waker>>>);

impl<F: Future + 'static> Executor<F> for Settling {
    fn execute(&self, future: F) {
        let waiting = Rc::clone(&self.0);
        LocalExecutor.execute(async move {
            let mut future = pin!(future);
            poll_fn(|cx| {
                let outcome = future.as_mut().poll(cx);
                if let Some(waker) = waiting.take() {
                    waker.wake();
                }
                outcome.map(drop)
            })
            .await;
        });
    }
}

/// Waits for the other side's SETTINGS (RFC 9113, section 3.4): its first frame.
pub(super) async fn settled<T, B, E>(settling: &Settling, connection: &mut Connection<T, B, E>) -> Result<(), UpstreamError>
where
    T: Read + Write + Unpin + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static,
    E: Http2ClientConnExec<B, T> + Unpin + Clone,
{
    poll_fn(|cx| {
        if connection.current_max_send_streams() != UNSETTLED {
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut *connection).poll(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(UpstreamError::Http(Arc::new(error)))),
            Poll::Ready(Ok(())) => Poll::Ready(Err(UpstreamError::NoSettings)),
            Poll::Pending => {
                settling.0.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    })
    .await
}
