//! Rotations: every certificate that is said to be in force must be shown to new connections, and at once.

use crate::load::client::Handshake;
use crate::load::sidecar::Line;
use crate::load::{Protocol, Slots, Tally, Target, Wallet};
use http::uri::PathAndQuery;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// From one new connection of the probe to the next.
const EVERY: Duration = Duration::from_millis(100);

/// From the log line of a rotation to the last handshake that may still show the old certificate.
const BOUND: Duration = Duration::from_millis(100);

/// New connections all the time, each with one request.
#[derive(Default)]
pub struct Certificates {
    /// Counts, and what each handshake showed.
    pub tally: Rc<Tally>,
}

/// What the handshakes say.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Certificates that were in force long enough to be seen, and were.
    pub seen: usize,
    /// Those that were not.
    pub unseen: usize,
    /// Handshakes that showed another certificate than those that can have been in force.
    pub stale: usize,
    /// Handshakes of all connections.
    pub handshakes: usize,
}

impl Certificates {
    /// Opens connections until `end`, HTTP/1.1 and HTTP/2 in turn.
    pub async fn probe(&self, address: SocketAddr, wallet: &Rc<Wallet>, end: Instant) {
        for nonce in 0.. {
            let begun = Instant::now();
            if begun >= end {
                break;
            }
            let protocol = if nonce % 2 == 0 { Protocol::Http1 } else { Protocol::Http2 };
            let slots = Slots::new(Target::mutual(address, wallet, protocol), 1);
            match slots.exchange(0, &PathAndQuery::from_static("/always/new"), nonce, &self.tally).await {
                Ok(Some(answer)) if answer.status == 200 => self.tally.answered(begun.elapsed()),
                Ok(Some(answer)) => self.tally.fail(format!("{protocol:?} on a new connection: status {}", answer.status)),
                Ok(None) => Tally::count(&self.tally.after_told),
                Err(error) => self.tally.fail(format!("{protocol:?} on a new connection: {error:#}")),
            }
            tokio::time::sleep_until(begun + EVERY).await;
        }
    }
}

/// Compares what handshakes showed with the rotations in the process log.
pub fn judge(lines: &[Line], handshakes: &[Handshake]) -> Judgement {
    let rotations: Vec<(SystemTime, &str)> = lines
        .iter()
        .filter(|line| line.text("message") == "a new certificate is in force")
        .map(|line| (line.at, line.text("serial")))
        .collect();
    let shown: HashSet<&str> = handshakes.iter().map(|handshake| handshake.serial.as_str()).collect();
    let last = handshakes.iter().map(|handshake| handshake.begun).max().unwrap_or(SystemTime::UNIX_EPOCH);
    // One that came with the last handshakes need not have been in any of them.
    let due = || rotations.iter().filter(|(at, _)| *at + BOUND < last);
    let seen = due().filter(|(_, serial)| shown.contains(serial)).count();
    let stale = handshakes.iter().filter(|handshake| {
        !rotations.iter().enumerate().any(|(index, (at, serial))| {
            let replaced = rotations.get(index + 1).map(|(at, _)| *at + BOUND);
            *serial == handshake.serial && *at <= handshake.done && replaced.is_none_or(|replaced| handshake.begun <= replaced)
        })
    });
    Judgement { seen, unseen: due().count() - seen, stale: stale.count(), handshakes: handshakes.len() }
}
