//! `[detect.<name>]`.

use std::time::Duration;

/// What is looked for, and what is done about it. Reloadable.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `[detect.denial_burst]`: requests denied by the table.
    pub denial_burst: Burst,
    /// The factor over what is usual for an identity that its denials must exceed as well.
    pub times_baseline: f64,
    /// `[detect.scanning]`: distinct paths denied to one certificate.
    pub scanning: Burst,
    /// `[detect.malformed_burst]`: requests refused as malformed.
    pub malformed_burst: Burst,
    /// `[detect.shared_certificate]`: one certificate from two addresses.
    pub shared_certificate: Watch,
    /// `[detect.promoted_denial]`: denials by a table that was tried before.
    pub promoted_denial: Watch,
    /// `[detect.new_edge]`: the first request that is allowed between two identities.
    pub new_edge: Watching,
    /// `[detect.new_issuer]`: the first certificate of an issuer since the start.
    pub new_issuer: Watching,
    /// `[detect.break_glass]`: a break-glass rule let pass.
    pub break_glass: Watching,
    /// `[detect.reload_failed]`: a table or the configuration was not taken over.
    pub reload_failed: Watching,
    /// `[detect.audit_gap]`: allows left no record of their own.
    pub audit_gap: Watching,
    /// `[detect.renewal_late]`: our certificate is past 80 % of its life.
    pub renewal_late: Watching,
}

/// What happens when something is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Nothing is looked for.
    Off,
    /// It is recorded and told.
    #[default]
    Advise,
    /// The certificate is put into quarantine as well.
    Act,
}

/// The same where there is nothing to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Watching {
    /// Nothing is looked for.
    Off,
    /// It is recorded and told.
    #[default]
    Advise,
}

/// So many within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burst {
    /// What happens.
    pub mode: Mode,
    /// One more than these is a finding.
    pub threshold: u32,
    /// From the first to the last that count together.
    pub window: Duration,
    /// From the finding to the end of the quarantine, where it acts.
    pub lasting: Duration,
}

/// Something within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// What happens.
    pub mode: Watching,
    /// From one event to the other.
    pub window: Duration,
}

impl Burst {
    /// More than `threshold` in a minute; acts for ten.
    const fn above(threshold: u32) -> Self {
        Self { mode: Mode::Advise, threshold, window: Duration::from_secs(60), lasting: Duration::from_secs(600) }
    }
}

impl Watch {
    const fn within(seconds: u64) -> Self {
        Self { mode: Watching::Advise, window: Duration::from_secs(seconds) }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let watching = Watching::Advise;
        Self {
            denial_burst: Burst::above(20),
            times_baseline: 5.0,
            scanning: Burst::above(10),
            malformed_burst: Burst::above(5),
            shared_certificate: Watch::within(300),
            promoted_denial: Watch::within(3_600),
            new_edge: watching,
            new_issuer: watching,
            break_glass: watching,
            reload_failed: watching,
            audit_gap: watching,
            renewal_late: watching,
        }
    }
}
