//! Signed policy bundles: a table with a manifest that says which one it is, in which order and until when, under a signature that a pinned key verifies.
//!
//! One JSON object, `{"manifest":{"name","version","sha256","sequence","not_after"},"table":"…","signature":"…"}`. The signature is ECDSA with P-256 and
//! SHA-256 over the [canonical form](Manifest::canonical) of the manifest, and `sha256` is over the bytes of the table's text, so every byte of the table is
//! signed for. A [`Bundle`] is what somebody sent; only [`Bundle::verified`] gives a [`Verified`], and only that has a table to give.

mod error;
mod manifest;
mod parts;
mod remote;
mod sealed;
mod sequences;
#[cfg(test)]
mod tests;

pub use error::BundleError;
pub use manifest::{LONGEST, Manifest, NotAfter};
pub use parts::Bundles;
pub use remote::{Fetched, Open, Remote, Standing};
pub use sealed::{Bundle, MAX_BYTES, Verified, looks_like, write};
pub use sequences::Sequences;
