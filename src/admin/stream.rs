//! Bodies of answers: one piece, or lines as they come.

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// From one sign of life to the next where there are no lines: an empty line, by whose failing a client that is gone is noticed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// Marks an answer that goes on until its client ends it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streams;

/// What an answer carries.
pub(super) enum Body {
    Whole(Option<Bytes>),
    Lines(Receiver<Bytes>, Interval),
}

impl Body {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    /// Ends when the lines do.
    pub(super) fn lines(lines: Receiver<Bytes>) -> Self {
        let mut signs = interval(SIGN_OF_LIFE);
        signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self::Lines(lines, signs)
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Lines(lines, signs) => {
                if let Poll::Ready(line) = lines.poll_recv(context) {
                    return Poll::Ready(line.map(|line| Ok(Frame::data(line))));
                }
                signs.poll_tick(context).map(|_| Some(Ok(Frame::data(Bytes::from_static(b"\n")))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Lines(..) => SizeHint::default(),
        }
    }
}
