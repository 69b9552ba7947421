//! Tokens of end users (RFC 7519, RFC 9068): whose are believed, by which keys, and what they say.
//!
//! The parts of the library for JSON Web Tokens that the field uses would leave us the strictness that counts here (one reading of each member, one
//! algorithm and one key that can be meant) and the memory of what was verified; what is left is one call of aws-lc-rs, so it is called directly.

mod algorithm;
mod claims;
mod compact;
mod end_user;
mod issuer;
mod keeper;
mod keepers;
mod key_set;
mod keys;
mod remember;
#[cfg(test)]
mod tests;
#[cfg(feature = "testing")]
pub(crate) mod trial;
mod user;
mod verify;

pub use algorithm::Algorithm;
pub use claims::Claims;
pub(super) use claims::{Found, date};
pub(super) use end_user::{EndUser, Known};
pub use issuer::{Issuer, Issuers, Source};
pub use keeper::{KeysError, KeysStanding};
pub use keepers::Keepers;
pub use key_set::{KeySet, KeySetError};
pub use user::User;
pub(super) use verify::LEEWAY;
