//! gRPC as far as a proxy speaks it: who does, how long they wait, and our own answers in their words.

use crate::request::ContentType;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, Method, StatusCode};
use std::time::Duration;

/// The status of a call, in the trailers, or in the header of an answer without a message.
pub const STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// The status in words, percent-encoded.
pub const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// How long the caller waits.
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// What a caller understands as an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// A status and a text.
    Http,
    /// A `grpc-status` under HTTP's 200.
    Grpc,
}

impl Speech {
    /// What the sender of this head speaks.
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        // Every gRPC call is a POST: the others are not looked at.
        if *method == Method::POST && headers.get(CONTENT_TYPE).is_some_and(|value| ContentType::of(value.as_bytes()) == ContentType::Grpc)
        {
            Self::Grpc
        } else {
            Self::Http
        }
    }

    /// The HTTP status under which our own answer `status` is sent.
    pub fn sent(self, status: StatusCode) -> StatusCode {
        match self {
            Self::Http => status,
            Self::Grpc => StatusCode::OK,
        }
    }
}

/// How long the caller waits for its answer, where it says so in the way that it must: one to eight digits and a unit.
pub fn timeout(head: &HeaderMap) -> Option<Duration> {
    let (unit, digits) = head.get(TIMEOUT)?.as_bytes().split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 3_600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The gRPC status that says what our own answer `status` says in HTTP.
pub fn status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        // DEADLINE_EXCEEDED: the other side, or the caller itself, took too long.
        408 | 504 => "4",
        // PERMISSION_DENIED.
        403 => "7",
        // RESOURCE_EXHAUSTED: too large, or too much.
        413 | 429 | 431 => "8",
        // UNIMPLEMENTED.
        404 | 405 | 501 => "12",
        // UNAVAILABLE: trying again may help.
        502 | 503 => "14",
        // UNAUTHENTICATED.
        401 => "16",
        // INTERNAL: the request broke HTTP's rules (400, 417), or somebody's set-up is broken (500, 508). Trying again does not help.
        _ => "13",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(text: &'static str) -> Option<Duration> {
        timeout(&HeaderMap::from_iter([(TIMEOUT, HeaderValue::from_static(text))]))
    }

    #[test]
    fn timeouts_are_read_as_they_are_specified() {
        let fine = [
            ("1H", Duration::from_secs(3_600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("100m", Duration::from_millis(100)),
            ("99999999u", Duration::from_micros(99_999_999)),
            ("7n", Duration::from_nanos(7)),
            ("0n", Duration::ZERO),
            ("99999999H", Duration::from_secs(99_999_999 * 3_600)),
        ];
        for (text, duration) in fine {
            assert_eq!(read(text), Some(duration), "{text}");
        }
        for text in ["", "S", "1", "1s", "1h", "100000000S", "-1S", "+1S", "1.5S", " 1S", "1 S", "1SS", "0x1S"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(timeout(&HeaderMap::new()), None);
    }

    #[test]
    fn statuses_are_translated() {
        let pairs = [(400, "13"), (403, "7"), (413, "8"), (431, "8"), (502, "14"), (503, "14"), (504, "4"), (405, "12"), (508, "13")];
        for (http, grpc) in pairs {
            assert_eq!(status(StatusCode::from_u16(http).unwrap()), grpc, "{http}");
        }
    }
}
