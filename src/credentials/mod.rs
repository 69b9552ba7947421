//! Our own certificate: sources, schedule, renewal.

mod cache;
mod csr;
pub mod dev;
mod file;
mod issued;
mod renewal;
mod schedule;
mod settings;
mod source;
#[cfg(all(test, feature = "testing"))]
mod tests;

pub use cache::{Cache, Kept};
pub use csr::{SigningRequest, SigningRequestError};
pub use file::FilePair;
pub use issued::{Issued, KeyError};
pub use renewal::Renewal;
pub use schedule::{back_off, not_ready_before, renew_at};
pub use settings::{AcmPca, Renew, Settings, SigningAlgorithm, Source, Template};
pub use source::{CertificateSource, Factory, SourceError};
