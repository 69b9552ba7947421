//! The record: what the request's thread fills in, by value and by reference count, and nothing formatted.

use crate::identity::{Group, PeerIdentity};
use crate::policy::{Caller, Facts, Part, TableFacts, Verdict};
use crate::request::CanonicalRequest;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

/// The id of one decision, given to a denied caller; a ULID: 48 bits of milliseconds, then what makes it unique.
// An alignment of 16 bytes would cost each place in the rings eight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(Rust, packed(8))]
pub struct DecisionId(pub u128);

/// Which way a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// A peer asks this service.
    Inbound,
    /// This service asks a peer.
    Outbound,
}

/// One decided request.
#[derive(Debug, Clone)]
pub struct Decision {
    /// When it was decided.
    pub at: SystemTime,
    /// Its id.
    pub id: DecisionId,
    /// Which way.
    pub direction: Direction,
    /// How it ended.
    pub verdict: Verdict,
    /// What it was made of.
    pub facts: Facts,
    /// The other end.
    pub caller: Arc<Caller>,
    /// Where it was meant to go; for outbound the upstream's identity, host and port.
    pub target: Option<Arc<Target>>,
    /// The request; `None` when it could not be made canonical (then `method` alone may be known).
    pub request: Option<CanonicalRequest>,
    /// The method of a request that could not be made canonical.
    pub method: Option<http::Method>,
    /// From the decision's begin to its end, nanoseconds.
    pub decide_ns: u32,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The status that the client got; 0 when it got none.
    pub status: u16,
    /// Body bytes from the client.
    pub bytes_in: u64,
    /// Body bytes to the client.
    pub bytes_out: u64,
    /// Request forwarded → response head, microseconds.
    pub upstream_us: Option<u64>,
    /// Decision → end, microseconds.
    pub total_us: u64,
    /// Why it was cut or failed, such as `app_unreachable`, `peer_identity_mismatch`, `client_closed`, `body_idle`; `None` when it ended well.
    pub close_reason: Option<&'static str>,
    /// Outbound: the key exchange group of the connection to the peer; `None` when there was none.
    pub group: Option<Group>,
    /// Which of its two records this is, for a request recorded twice.
    pub phase: Option<Phase>,
}

/// Which record of a request that has two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// While it goes on.
    Open,
    /// When it has ended.
    End,
}

impl Phase {
    /// The record's `phase`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::End => "end",
        }
    }
}

/// Where a request was meant to go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// The identity that the peer must have.
    pub id: Option<String>,
    /// Host.
    pub host: String,
    /// Port; 0 for a Unix socket.
    pub port: u16,
}

/// One refused handshake.
#[derive(Debug, Clone)]
pub struct RefusedHandshake {
    /// When.
    pub at: SystemTime,
    /// Its id.
    pub id: DecisionId,
    /// Inbound: a client was refused; outbound: a peer was.
    pub direction: Direction,
    /// The TCP peer; for outbound the endpoint that was dialled.
    pub source: SocketAddr,
    /// The local port of the listener; 0 for outbound.
    pub local_port: u16,
    /// The stable label, such as `unauthenticated:no_certificate`, `unauthenticated:two_uri_sans`, `handshake_timeout`.
    pub reason: std::borrow::Cow<'static, str>,
    /// What the certificate said, where there was one; not verified.
    pub claimed: Option<Claimed>,
    /// The server name that the client asked for, or that we asked for.
    pub server_name: Option<String>,
}

/// What a refused certificate said of itself; not verified.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claimed {
    /// Its URI or DNS SAN.
    pub id: Option<String>,
    /// Its serial number, hex.
    pub serial: Option<String>,
    /// SHA-256 of its DER, hex.
    pub fingerprint: Option<String>,
    /// Its issuer.
    pub issuer: Option<String>,
    /// The end of its validity.
    pub not_after: Option<SystemTime>,
}

/// Opens the log of one start of the process.
#[derive(Debug, Clone)]
pub struct BootFacts {
    /// The workload's SPIFFE id.
    pub workload: String,
    /// The program's version.
    pub version: &'static str,
    /// SHA-256 of the policy table that the process starts with, in hexadecimal digits, where it has one.
    pub policy_sha256: Option<String>,
}

/// A table was put in force.
#[derive(Debug, Clone)]
pub struct PolicyEvent {
    /// What it is for.
    pub part: Part,
    /// The table.
    pub table: Arc<TableFacts>,
    /// Its generation.
    pub generation: u64,
}

/// Something that went wrong in the control plane, and that leaves no record of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// A table or the configuration was not taken over, and why.
    ReloadFailed(String),
    /// Our certificate is past 80 % of its life, and there is no other one.
    RenewalLate {
        /// Its serial number.
        serial: String,
        /// Its end.
        not_after: SystemTime,
    },
}

/// Trust was withdrawn from a peer with open connections, which end now; one for each certificate.
#[derive(Debug, Clone)]
pub struct TrustEvent {
    /// Which way its connections go.
    pub direction: Direction,
    /// Who it is.
    pub peer: Arc<PeerIdentity>,
    /// The stable label, such as `denied_id` or `trust_revoked`.
    pub reason: &'static str,
    /// How many connections end.
    pub connections: u64,
}
