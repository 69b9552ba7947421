//! Whom we believe: trust bundles by trust domain, and the chain verifier.

mod authority;
mod bundle;
mod pem;
mod refused;
mod reload;
mod settings;
mod source;
#[cfg(all(test, feature = "testing"))]
mod tests;
mod verify;

pub use authority::Authority;
pub use bundle::{Bundle, Bundles, DevelopmentRoots, TrustError};
pub use pem::{PemError, certificates, has_private_key};
pub use refused::RefusedPeer;
pub use reload::Trusting;
pub use settings::{Settings, Source};
pub use source::{BoxFuture, DEVELOPMENT_ROOT_FILE, Factory, FileSource, TrustSource};
pub use verify::{MAX_CHAIN_BYTES, MAX_INTERMEDIATES, Usage, identify, verify};
