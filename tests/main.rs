//! Black-box tests, one property a file: the real binary, real sockets, real TLS.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod policy_reload_reaches_open_connections;
mod support;
