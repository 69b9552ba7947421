//! Our own certificate: sources, schedule, renewal.

mod budget;
mod cache;
mod csr;
pub mod dev;
mod file;
mod forecast;
mod issued;
mod issuing;
mod renewal;
mod schedule;
mod settings;
mod source;
mod standing;
#[cfg(all(test, feature = "testing"))]
mod tests;

pub use budget::{Budget, Ceilings, Exhausted};
pub use cache::Cache;
pub use csr::{SigningRequest, SigningRequestError};
pub use file::FilePair;
pub use forecast::{Forecast, Terms};
pub use issued::{Issued, KeyError};
pub use issuing::Issuing;
pub use renewal::Renewal;
pub use schedule::{Attempts, Life, Setback};
pub use settings::{AcmPca, Renew, SealingKey, Settings, SigningAlgorithm, Source, Template};
pub use source::{CertificateSource, Factory, SourceError};
