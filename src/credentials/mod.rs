//! Our own certificate: sources, schedule, renewal.

pub mod dev;
mod file;
mod issued;
mod renewal;
mod schedule;
mod settings;
mod source;
mod standing;
#[cfg(all(test, feature = "testing"))]
mod tests;

pub use file::FilePair;
pub use issued::{Issued, KeyError};
pub use renewal::Renewal;
pub use schedule::{back_off, not_ready_before, renew_at};
pub use settings::{Renew, Settings, Source};
pub use source::{CertificateSource, SourceError, source};
