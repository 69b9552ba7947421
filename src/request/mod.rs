//! What is asked: the canonical request, the authority, reserved header names. Pure; no I/O.

mod authority;
mod canonical;
mod content_type;
mod fields;
mod malformed;
mod mentioned;
mod path;
pub mod reserved;
#[cfg(test)]
mod tests;
mod trace;
mod upgrade;

pub(crate) use authority::canonical_host;
pub use authority::{Authority, AuthorityError};
pub use canonical::{CanonicalRequest, Framing, canonicalize};
pub use content_type::ContentType;
pub use malformed::Malformed;
pub use mentioned::{Field, Mentioned, Noted};
pub use path::{PathError, canonical_path};
pub use trace::{TRACEPARENT, TRACESTATE, Trace, TraceContext};
pub use upgrade::Offered;

/// How strictly a listener reads requests (`[inbound]`: `path_params`, `escapes`; `[limits] head_fields`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strictness {
    /// Whether `;name=value` inside a path segment is accepted.
    pub path_params: PathParams,
    /// Whether `%2F` and `%25` are accepted as opaque bytes of one segment.
    pub escapes: Escapes,
    /// The most header fields that a request may have; one more is refused with 431.
    pub head_fields: usize,
}

impl Default for Strictness {
    fn default() -> Self {
        Self { path_params: PathParams::Reject, escapes: Escapes::Reject, head_fields: 100 }
    }
}

/// Which listener a request came in by; each takes other forms of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// From peers, over TLS: origin-form only, `:scheme` is `https`.
    Inbound,
    /// From the app, plain: origin-form with Host, or absolute-form `http://` because `HTTP_PROXY` points here.
    Outbound,
}

/// What happens to `;` in a path segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PathParams {
    /// Refused with 400.
    #[default]
    Reject,
    /// Part of the segment, matched literally.
    Allow,
}

/// What happens to `%2F` and `%25` in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Escapes {
    /// Refused with 400.
    #[default]
    Reject,
    /// Kept, upper-case, as opaque bytes of one segment; forwarded as they are.
    Opaque,
}
