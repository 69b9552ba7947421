//! Who holds an exchange open, and what happens when nobody does any more.

use super::{Exchange, Patience, micros};
use crate::audit::{Decision, Direction, Phase};
use crate::policy::Verdict;
use crate::proxy::admission::Share;
use crate::proxy::connections::Connection;
use crate::proxy::shard::Shard;
use http::StatusCode;
use hyper::body::Incoming;
use std::rc::Rc;
use std::time::Instant;

/// Holds an exchange open; dropping it ends the exchange and writes its record, whoever drops it and why.
pub struct ExchangeGuard {
    /// The exchange.
    pub exchange: Rc<Exchange>,
    connection: Rc<Connection>,
    shard: Rc<Shard>,
    direction: Direction,
    share: Option<Share>,
}

impl ExchangeGuard {
    /// Opens an exchange for an allowed request.
    pub fn open(
        shard: &Rc<Shard>,
        connection: &Rc<Connection>,
        decision: Decision,
        begun: Instant,
        patience: Patience,
        share: Share,
        body: Incoming,
    ) -> Self {
        let direction = decision.direction;
        let breaks_glass = decision.facts.ticket().is_some();
        let exchange = Rc::new(Exchange::new(decision, begun, patience, body, shard.now()));
        connection.opened(Rc::clone(&exchange));
        if let Some(decision) = breaks_glass.then(|| exchange.record_at_once()).flatten() {
            shard.recorder.allow(decision);
        }
        Self { exchange, connection: Rc::clone(connection), shard: Rc::clone(shard), direction, share: Some(share) }
    }

    /// The shard that serves it.
    pub fn shard(&self) -> &Rc<Shard> {
        &self.shard
    }

    /// The connection that it came on.
    pub fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// The other side has switched protocols, and `status` tells the client: from here on it is a tunnel, recorded open.
    pub fn switched(&self, status: StatusCode) {
        let now = self.shard.now();
        self.exchange.responded(status.as_u16(), now);
        self.exchange.tunnel.set(true);
        self.shard.metrics(self.direction).tunnels.increment(1);
        if let Some(decision) = self.exchange.record_open(now) {
            self.shard.recorder.allow(decision);
        }
    }

    /// Which way the request goes.
    pub fn direction(&self) -> Direction {
        self.direction
    }
}

impl Drop for ExchangeGuard {
    fn drop(&mut self) {
        self.connection.closed(&self.exchange);
        drop(self.share.take());
        let Some(mut decision) = self.exchange.decision.borrow_mut().take() else { return };
        let exchange = &self.exchange;
        let elapsed = exchange.begun.elapsed();
        let outcome = &mut decision.outcome;
        outcome.total_us = micros(elapsed);
        outcome.bytes_in = exchange.bytes_in.get();
        outcome.bytes_out = exchange.bytes_out.get();
        if outcome.close_reason.is_none() {
            let unfinished = if std::thread::panicking() { "panic" } else { "client_closed" };
            outcome.close_reason = exchange.ended().or((!exchange.complete.get()).then_some(unfinished));
        }
        if exchange.recorded_open.get() {
            outcome.phase = Some(Phase::End);
        }
        let metrics = self.shard.metrics(self.direction);
        metrics.responded(outcome.status);
        if exchange.tunnel.get() {
            metrics.tunnels.decrement(1);
            metrics.tunnel_ended(outcome.close_reason.unwrap_or("client_closed"));
        } else {
            metrics.duration.record(elapsed.as_secs_f64());
            if let Some(reason) = outcome.close_reason {
                metrics.failed(reason);
            }
        }
        exchange.no_repeat();
        if !exchange.is_uploaded() {
            // The response came before the request's end, or nothing did. Nobody watches over the rest of the body any more: it ends with us.
            exchange.end("response_ended", self.shard.now());
        }
        match decision.verdict {
            Verdict::Allow => self.shard.recorder.allow(decision),
            Verdict::Deny => self.shard.recorder.deny(decision),
        }
    }
}
