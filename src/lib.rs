//! Countersign is an L7 proxy that sits beside one service. It terminates and originates mutual TLS with short-lived certificates that it obtains
//! and renews itself, decides every request by the caller's cryptographic identity against a local policy table, and writes every decision to a
//! log. One binary, no control plane, no agent, no kernel capability. This page is its architecture; README.md is where users begin.
//!
//! # One request, inbound: peer → this service
//!
//! ```text
//! acceptor ─► shard ─► TLS accept ─► peer identity ─► register connection ─► serve h1/h2
//!                                                                              │ per request
//!       app ◄─ forward ◄─ identity headers ◄─ Permit ◄─ decide ◄─ canonical request
//!        └────► response ─► cleaned ─► body (counted) ─► decision record + metrics
//! ```
//!
//! 1. [`runtime::listener`] takes a connection permit, accepts, and hands the standard socket to the least busy shard ([`runtime::shards`]): a tokio
//!    socket belongs to the runtime that registered it, and `SO_REUSEPORT` would spread by hash, not by load.
//! 2. [`tls::accept`] shakes hands under a time-out. The chain is verified ([`trust::verify`]) against the bundle of the leaf's *own* trust domain.
//!    Who is refused leaves a record with what their certificate said.
//! 3. The leaf gives an [`identity::PeerIdentity`]: exactly one URI SAN that is a SPIFFE id; or, without any URI SAN and only under a bundle that lists
//!    DNS names, exactly one DNS SAN among them.
//! 4. `proxy::connections` registers the connection with its deadline before the first decision: it ends with the peer's certificate or with ours,
//!    whichever ends first.
//! 5. `proxy::serve` speaks HTTP/1.1 or HTTP/2, as ALPN said.
//! 6. [`request::canonicalize`] makes a [`request::CanonicalRequest`] or refuses. What is decided on is exactly what is forwarded.
//! 7. [`policy::decide`] gives a [`policy::Permit`], the only way to forward, or a [`policy::Denial`]. A denial's record is in its ring before the 403
//!    is written.
//! 8. `proxy::headers` removes hop-by-hop fields and every identity header that a client could forge, then sets ours.
//! 9. `proxy::forward` sends the request to the app from the shard's own pool, and cleans what comes back. Permit and canonical request are consumed.
//! 10. `proxy::body` counts bytes both ways and never holds a body whole. `proxy::exchange` writes the record when the request is over. Time is kept by
//!     the shard's sweep, as a body is not polled while its reader stalls.
//! 11. `proxy::upgrade` reads what asks for another protocol, such as a WebSocket, before the request is decided. Where the other side then agrees, the
//!     exchange goes on as a `proxy::tunnel`, under the same deadlines, until it ends.
//!
//! # One request, outbound: this service → peer
//!
//! 1. The app speaks plain HTTP to a loopback listener, with the peer in `Host` or as a proxy in the request line.
//! 2. `proxy::outbound` finds the upstream by canonical host in [`upstream::Routes`]; the match is a permit of its own kind and is recorded. No route: 502,
//!    recorded too. There is no open relay, and a plain `CONNECT` gets 405.
//! 3. Identity headers that the app sends are removed: an app cannot assert an identity to a peer.
//! 4. Of several endpoints the less loaded of two random ones is chosen. The names among them are resolved beforehand, on the control runtime
//!    ([`upstream::Names`]): a request never waits for DNS. The pool hands out a connection by [`upstream::PoolKey`]: endpoint,
//!    expected identity, generation of our own certificate and trust, protocols.
//! 5. [`tls::connect`] verifies the peer's identity inside the handshake: with a wrong one no byte of a request is sent.
//! 6. A pooled connection found dead before a byte was written is replaced; another endpoint is tried only as often as `retries` says.
//!
//! # Threads
//!
//! - **Data plane**: one shard per core. A shard is a thread with a single-threaded runtime and a `LocalSet`, and has its own connections, pools and rings
//!   of the decision log. What is shared is read-only and published as a complete snapshot behind an `Arc`; a generation number tells when it has moved.
//! - **Control plane**: one runtime for renewal, reloads, file watches, names of upstreams and the admin ports; one more for the acceptors; one thread
//!   that writes the decision log. A slow scrape or a slow disk delays no request.
//!
//! # The house
//!
//! | room | what is in it | may name |
//! |---|---|---|
//! | [`identity`] | SPIFFE ids, patterns, what a certificate says; pure | |
//! | [`request`] | the canonical request, reserved names; pure | |
//! | [`telemetry`] | metrics, process log | |
//! | [`document`] | reads TOML with every problem and its place | |
//! | [`runtime`] | shards, drain, readiness, limits, listeners, file watches, clock, who seals and who signs | `telemetry` |
//! | [`fetch`] | the HTTP client of the control runtime: no proxy, no redirects, no metadata addresses | `runtime`, `telemetry` |
//! | [`trust`] | bundles by trust domain, revocation, the chain verifier | `identity`, `runtime`, `telemetry`, `fetch` |
//! | [`credentials`] | our own certificate: sources, schedule, renewal | `trust`, `identity`, `runtime`, `telemetry` |
//! | [`tls`] | handshakes, and the state that they use | `credentials`, `trust`, `identity`, `runtime`, `telemetry` |
//! | [`policy`] | the table: parser, decision, publisher | `identity`, `request`, `runtime`, `telemetry`, `document` |
//! | [`audit`] | the decision log: rings, writer, sinks | `policy`, `identity`, `request`, `runtime`, `telemetry` |
//! | [`upstream`] | where to: routes, pools, dialling | `tls`, `identity`, `request`, `runtime`, `telemetry` |
//! | [`proxy`] | the request's way, both directions | `upstream`, `tls`, `trust`, `policy`, `audit`, `identity`, `request`, `runtime`, `telemetry` |
//! | `aws` | what asks AWS: our certificate from a private CA, the root above it, keys of KMS that seal and sign; behind the feature of that name | `credentials`, `trust`, `identity`, `runtime`, `telemetry` |
//! | [`config`] | text to typed settings, all problems at once | each room's settings |
//! | [`admin`] | health and metrics ports, control socket and its client | `runtime`, `telemetry` |
//! | [`app`] | the only wiring: starts, reloads and ends a sidecar | all |
//! | [`cli`] | one file for each command | all |
//! | `testing` | fixtures, behind the feature of that name | all |
//!
//! `tests/architecture` holds this table too, and fails on an import that is not in it. Every room owns its `Settings`; nobody is handed the whole
//! configuration. States are types: a `Permit` has no public constructor, and forwarding consumes it.
//!
//! # What must never happen
//!
//! - A request is forwarded without a `Permit`, or differs from what was decided on.
//! - A condition, rule, field or file that cannot be parsed is skipped. The whole is refused, and the last good one stays. At start, what is there and
//!   malformed ends the process with every problem; what is not there yet means: start, deny everything, not ready.
//! - A connection outlives the certificates it was authenticated with.
//! - A denial is lost from the log. Anything else that is lost is counted and leaves a gap record.
//! - A private key is written in the clear or printed; the development CA and `certs issue` are the exception, under names that say so.
//! - Development roots are believed in production, unless `--allow-development-roots` says so.
//! - The data plane waits for the control plane; `audit.on_full = "block"`, off by default, is the one wait, and it is bounded.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod admin;
pub mod app;
pub mod audit;
#[cfg(feature = "aws")]
pub mod aws;
pub mod cli;
pub mod config;
pub mod credentials;
pub mod document;
pub mod fetch;
pub mod identity;
pub mod policy;
pub mod proxy;
pub mod request;
pub mod runtime;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tls;
pub mod trust;
pub mod upstream;
