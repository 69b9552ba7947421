//! Our own answers.

use super::body::Download;
use crate::audit::{DecisionId, Direction};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};

/// The id of the decision, for whoever asks the operator.
pub const DECISION: HeaderName = HeaderName::from_static("x-countersign-decision");
/// Why, told only to our own app.
pub const REASON: HeaderName = HeaderName::from_static("x-countersign-reason");

/// Our own answer. A peer learns the decision's id and nothing about rules; our own app also learns the reason.
pub fn refusal(status: StatusCode, id: DecisionId, direction: Direction, reason: &str) -> Response<Download> {
    let text = match direction {
        Direction::Inbound => format!("{} {}\n", status.as_str(), status.canonical_reason().unwrap_or("")),
        Direction::Outbound => format!("countersign: {reason}\n"),
    };
    let mut response = Response::new(Download::Own(Some(Bytes::from(text))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
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
