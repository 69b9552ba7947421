//! Our own certificate: sources, schedule, renewal.

mod settings;

pub use settings::{Renew, Settings, Source};
