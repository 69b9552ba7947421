//! Our own answers.

use super::body::Download;
use super::grpc::{self, Speech};
use crate::audit::{DecisionId, Direction};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};

/// The id of the decision, for whoever asks the operator.
pub const DECISION: HeaderName = HeaderName::from_static("x-countersign-decision");
/// Why, told only to our own app.
pub const REASON: HeaderName = HeaderName::from_static("x-countersign-reason");

/// Our own answer, as the caller understands it. A peer learns the decision's id and nothing about rules; our own app also learns the reason.
pub fn refusal(status: StatusCode, id: DecisionId, direction: Direction, reason: &str, speech: Speech) -> Response<Download> {
    let text = match direction {
        Direction::Inbound => format!("{} {}", status.as_str(), status.canonical_reason().unwrap_or("")),
        Direction::Outbound => format!("countersign: {reason}"),
    };
    let mut response = match speech {
        Speech::Http => plain(text),
        Speech::Grpc => without_message(status, text),
    };
    *response.status_mut() = speech.sent(status);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        headers.insert(DECISION, value);
    }
    if direction == Direction::Outbound
        && let Ok(value) = HeaderValue::try_from(reason)
    {
        headers.insert(REASON, value);
    }
    response
}

fn plain(mut text: String) -> Response<Download> {
    text.push('\n');
    let mut response = Response::new(Download::Own(Some(Bytes::from(text))));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// gRPC's "Trailers-Only": the status stands in the head, and no message follows. Our words need no percent-encoding.
fn without_message(status: StatusCode, text: String) -> Response<Download> {
    let mut response = Response::new(Download::Own(None));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(grpc::STATUS, HeaderValue::from_static(grpc::status(status)));
    if let Ok(text) = HeaderValue::try_from(text) {
        headers.insert(grpc::MESSAGE, text);
    }
    response
}
