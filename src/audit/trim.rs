//! Bounds what one queued record can hold on to: a stalled sink must not turn long paths into memory.

use super::json::MAX_TEXT;
use super::{Decision, RefusedHandshake};
use http::uri::PathAndQuery;

/// One byte-length more than the renderer keeps, so that it still sees that the text was cut (a character has at most four bytes).
const KEPT: usize = MAX_TEXT + 4;

/// Cuts a long target to its path's beginning. Nothing is copied otherwise.
pub(super) fn decision(decision: &mut Decision) {
    let Some(request) = &mut decision.request else { return };
    if request.target.as_str().len() <= KEPT {
        return;
    }
    let path = request.target.path();
    let kept = path.get(..path.floor_char_boundary(KEPT)).unwrap_or_default();
    if let Ok(target) = PathAndQuery::try_from(kept) {
        request.target = target;
    }
}

/// Cuts what a certificate or a client hello said.
pub(super) fn handshake(refused: &mut RefusedHandshake) {
    let claimed = refused
        .claimed
        .iter_mut()
        .flat_map(|claimed| [&mut claimed.id, &mut claimed.serial, &mut claimed.fingerprint, &mut claimed.issuer]);
    for text in claimed.chain([&mut refused.server_name]).flatten() {
        if text.len() > KEPT {
            text.truncate(text.floor_char_boundary(KEPT));
            text.shrink_to_fit();
        }
    }
}
