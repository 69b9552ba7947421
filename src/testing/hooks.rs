//! Hooks that provoke faults on the data path; compiled in with feature `testing` alone.

use http::HeaderMap;
use std::path::PathBuf;

/// Panics in the decision when a request carries `x-test-panic: decision`.
pub fn decision(headers: &HeaderMap) {
    if headers.get("x-test-panic").is_some_and(|value| value == "decision") {
        panic!("provoked in the decision");
    }
}

/// Panics in the body when a response chunk contains `panic-in-body`.
pub fn body(data: &[u8]) {
    const MARK: &[u8] = b"panic-in-body";
    if data.len() < 4_096 && data.windows(MARK.len()).any(|window| window == MARK) {
        panic!("provoked in the body");
    }
}

/// `COUNTERSIGN_TEST_RESOLV_CONF` and `COUNTERSIGN_TEST_DNS_PORT`: a resolver configuration of the test's own, and the port of its name servers.
pub fn resolver() -> Option<(PathBuf, u16)> {
    let path = std::env::var_os("COUNTERSIGN_TEST_RESOLV_CONF")?;
    let port = std::env::var("COUNTERSIGN_TEST_DNS_PORT").ok()?.parse().ok()?;
    Some((path.into(), port))
}
