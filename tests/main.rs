//! Black-box tests, one property a file: the real binary, real sockets, real TLS.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod policy_reload_reaches_open_connections;
mod pool_never_crosses_identity;
mod support;
mod wrong_peer_identity_sends_nothing;
