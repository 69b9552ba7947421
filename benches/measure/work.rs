//! The kinds of work that are compared, and one portion of it.

use super::setting;
use crate::load::{Check, Load, Pace, Protocol, Slots, Tally, Until};
use http::uri::PathAndQuery;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// One kind of work.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// What it is called.
    pub name: &'static str,
    /// Which HTTP.
    pub protocol: Protocol,
    /// Open connections.
    pub connections: usize,
    /// Requests at a time on each.
    pub streams: usize,
}

/// Inbound mutual TLS, HTTP/1.1 with keep-alive, to a plain app.
pub const S1: Work = Work { name: "S1", protocol: Protocol::Http1, connections: 16, streams: 1 };
/// Inbound mutual TLS, HTTP/2, to a plain app.
pub const S2: Work = Work { name: "S2", protocol: Protocol::Http2, connections: 4, streams: 16 };

impl Work {
    /// So many requests, as fast as answers come.
    ///
    /// # Errors
    /// One of them was not answered as it should be.
    pub async fn closed(self, slots: &Rc<Slots>, count: u64) -> anyhow::Result<Rc<Tally>> {
        let tally = self.drive(slots, Pace::Closed, Until::Requests(count)).await?;
        anyhow::ensure!(tally.right.get() == count, "{} of {count} requests were answered", tally.right.get());
        Ok(tally)
    }

    /// So many requests a second, for so long.
    ///
    /// # Errors
    /// One of them was not answered as it should be.
    pub async fn paced(self, slots: &Rc<Slots>, rate: f64, time: Duration) -> anyhow::Result<Rc<Tally>> {
        self.drive(slots, Pace::Open(rate), Until::Time(Instant::now() + time)).await
    }

    async fn drive(self, slots: &Rc<Slots>, pace: Pace, until: Until) -> anyhow::Result<Rc<Tally>> {
        let tally = Rc::new(Tally::default());
        let load = Load { streams: self.streams, pace, until, check: Check::Nonce };
        slots.drive(PathAndQuery::from_static(setting::PATH), load, &tally).await;
        anyhow::ensure!(tally.failed.get() == 0, "{} requests failed: {:?}", tally.failed.get(), tally.failures.borrow());
        Ok(tally)
    }
}
