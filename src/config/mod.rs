//! Text → typed settings.
//!
//! [`load`] reads a TOML text and gives either a [`Config`] that is valid as a whole or every problem at once. One file of `read` belongs to each
//! section; `keys` is the layer under them, which also keeps the [`Effective`] list; `cross` compares what several sections say;
//! [`reload`] tells what a running process may take over.

mod cross;
mod effective;
mod environment;
mod keys;
mod read;
mod references;
pub mod reload;
#[cfg(test)]
mod tests;

pub use effective::{Effective, Entry, Origin};
pub use environment::Environment;
pub use references::{References, Survey};

use crate::document::{self, Document, Problem, Problems};
use crate::{admin, audit, credentials, policy, proxy, runtime, telemetry, tls, trust, upstream};

/// The whole configuration, valid. Each part belongs to its module.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[runtime]`.
    pub runtime: runtime::Settings,
    /// `[tls]`.
    pub tls: tls::Settings,
    /// `[workload]`, `[credentials]`.
    pub credentials: credentials::Settings,
    /// `[[trust]]`.
    pub trust: Vec<trust::Settings>,
    /// `[inbound]`.
    pub inbound: Option<proxy::Inbound>,
    /// `[outbound]`.
    pub outbound: Option<proxy::Outbound>,
    /// `[[upstream]]`.
    pub upstreams: Vec<upstream::Settings>,
    /// `[policy]`.
    pub policy: policy::Settings,
    /// `[audit]`, `[workload] labels`.
    pub audit: audit::Settings,
    /// `[detect.…]`.
    pub detect: audit::detect::Settings,
    /// `[webhook]`.
    pub webhook: Option<audit::webhook::Settings>,
    /// `[quarantine]`.
    pub quarantine: policy::quarantine::Settings,
    /// `[limits]`.
    pub limits: runtime::limits::Limits,
    /// `[timeouts]`.
    pub timeouts: runtime::limits::Timeouts,
    /// `[health]`, `[admin]`.
    pub admin: admin::Settings,
    /// `[log]`.
    pub log: telemetry::log::Settings,
    /// `[metrics]`.
    pub metrics: telemetry::emf::Settings,
    /// `[trace]`.
    pub trace: telemetry::Tracing,
}

/// A configuration that was read, and what there is to say about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is valid and probably not meant.
    pub warnings: Vec<Problem>,
    /// Every key with its value, its default and where it came from.
    pub effective: Effective,
}

/// Reads the configuration from `source`: a path, or `env:NAME` for the value of a variable, plain or base64.
///
/// # Errors
/// Every problem of it at once, each with its place and what to write instead.
pub fn load(source: &str) -> Result<Loaded, Problems> {
    parse(source, &document::read(source)?, &Environment::of_process())
}

/// Reads the configuration from `text`; `file` is only what problems call it.
///
/// # Errors
/// Every problem of it at once, each with its place and what to write instead.
pub fn parse(file: &str, text: &str, environment: &Environment) -> Result<Loaded, Problems> {
    survey(file, text, environment).loaded
}

/// Like [`load`], and also gives what can be known of a configuration with problems.
pub fn survey_source(source: &str) -> Survey {
    match document::read(source) {
        Ok(text) => survey(source, &text, &Environment::of_process()),
        Err(problems) => unreadable(problems),
    }
}

/// Like [`parse`], and also gives what can be known of a configuration with problems.
pub fn survey(file: &str, text: &str, environment: &Environment) -> Survey {
    let used = environment::Used::default();
    let document = match Document::parse(file, text) {
        Ok(document) => document.expanding(environment.expander(&used)),
        Err(problems) => return unreadable(problems),
    };
    let ledger = effective::Ledger::new(used);
    let draft = read::document(&document, &ledger);
    let warnings = cross::check(&draft, &document, &ledger);
    let (references, admin) = (References::of_draft(&draft, &ledger), draft.admin.clone());
    let loaded = document.finish(draft.complete()).map(|config| Loaded { config, warnings, effective: ledger.close(file) });
    Survey { loaded, references, admin }
}

/// Reads a duration as the configuration writes it, such as `30s` or `24h`.
///
/// # Errors
/// What is wrong with it and what to write instead.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    keys::duration(text).map_err(|wrong| format!("{}; {}", wrong.what, wrong.instead))
}

fn unreadable(problems: Problems) -> Survey {
    Survey { loaded: Err(problems), references: References::default(), admin: admin::Settings::default() }
}
