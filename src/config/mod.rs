//! Text → typed settings.

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
    /// `[limits]`.
    pub limits: runtime::limits::Limits,
    /// `[timeouts]`.
    pub timeouts: runtime::limits::Timeouts,
    /// `[health]`, `[admin]`.
    pub admin: admin::Settings,
    /// `[log]`.
    pub log: telemetry::log::Settings,
}
