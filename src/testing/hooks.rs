//! Hooks that provoke faults on the data path; compiled in with feature `testing` alone.

use http::HeaderMap;

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
