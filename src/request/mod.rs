//! What is asked: the canonical request, the authority, reserved header names. Pure; no I/O.

mod authority;
mod canonical;
mod path;
pub mod reserved;
#[cfg(test)]
mod tests;

pub use authority::Authority;
pub use canonical::{CanonicalRequest, ContentType, Malformed, canonicalize};
pub use path::{PathError, canonical_path};

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
