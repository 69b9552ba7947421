//! Whom we believe: trust bundles by trust domain, and the chain verifier.

mod authority;
mod bundle;
mod confirm;
mod crl;
mod deny;
mod fetching;
mod judge;
mod live;
mod pem;
mod refused;
mod reload;
mod remote;
mod report;
mod revocation;
mod settings;
mod source;
#[cfg(all(test, feature = "testing"))]
mod tests;
mod verify;

pub use authority::Authority;
pub use bundle::{Bundle, Bundles, DevelopmentRoots, TrustError};
pub use confirm::Way;
pub use crl::{Crl, CrlError, Crls};
pub use deny::{BadLine, DENIED_ID, DENIED_SERIAL, DenyList};
pub use judge::{Judging, TRUST_REVOKED, Withdrawn};
pub use live::{Live, LivePeer, LivePeers};
pub use pem::{PemError, certificates, has_private_key};
pub use refused::RefusedPeer;
pub use reload::Trusting;
pub use remote::{Fetching, RemoteLists};
pub use report::{PeerUse, RootUse, report};
pub use revocation::{MAX_CRL_BYTES, Revocation};
pub use settings::{CrlMode, CrlSource, Settings, Source};
pub use source::{BoxFuture, DEVELOPMENT_ROOT_FILE, Factory, FileSource, TrustSource};
pub use verify::{MAX_CHAIN_BYTES, MAX_INTERMEDIATES, REVOCATION_UNKNOWN, REVOKED, Usage, identify, verify};
