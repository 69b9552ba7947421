//! What came of it: severity, status, and the action and disposition of the security_control profile.

use super::class::Class;
use super::object::{Named, Object};
use super::record::{Record, unquoted};

const INFORMATIONAL: Named = Named(1, "Informational");
const LOW: Named = Named(2, "Low");
const MEDIUM: Named = Named(3, "Medium");
const HIGH: Named = Named(4, "High");
const CRITICAL: Named = Named(5, "Critical");

const ALLOWED: Named = Named(1, "Allowed");
const DENIED: Named = Named(2, "Denied");
const OBSERVED: Named = Named(3, "Observed");

/// What was done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Control {
    /// It passed.
    Allowed,
    /// It passed only because a shadow table or rule does not enforce.
    Observed,
    /// It was refused.
    Denied,
    /// Trust was withdrawn from an open connection.
    Revoked,
    /// A detector told of it.
    Detected,
    /// A detector had the certificate put into quarantine.
    Quarantined,
}

impl Control {
    fn of(record: &mut Record<'_>) -> Option<Self> {
        if record.is("", "kind", "finding") {
            let acted = ["quarantined", "already_quarantined"].iter().any(|response| record.is("", "response", response));
            return Some(if acted { Self::Quarantined } else { Self::Detected });
        }
        let would_deny = record.is("", "would", "deny") && !record.has("", "would_sha256");
        let shadowed = record.is("", "reason", "shadow") || would_deny;
        match record.text("", "decision").and_then(unquoted)? {
            "allow" if shadowed => Some(Self::Observed),
            "allow" => Some(Self::Allowed),
            "deny" if record.is("", "kind", "trust") => Some(Self::Revoked),
            "deny" => Some(Self::Denied),
            _ => None,
        }
    }

    fn action(self) -> Named {
        match self {
            Self::Allowed => ALLOWED,
            Self::Observed | Self::Detected => OBSERVED,
            Self::Denied | Self::Revoked | Self::Quarantined => DENIED,
        }
    }

    fn disposition(self) -> Named {
        match self {
            Self::Allowed => Named(1, "Allowed"),
            Self::Observed => Named(17, "Logged"),
            Self::Denied => Named(2, "Blocked"),
            Self::Revoked => Named(24, "Access Revoked"),
            Self::Detected => Named(15, "Detected"),
            Self::Quarantined => Named(3, "Quarantined"),
        }
    }
}

pub(super) fn write(event: &mut Object<'_>, record: &mut Record<'_>, class: Class) {
    let control = Control::of(record);
    let severity = severity(record, class, control);
    event.named("severity_id", "severity", severity);
    if class != Class::Finding {
        status(event, record, control);
    }
    if let Some(control) = control {
        event.named("action_id", "action", control.action());
        event.named("disposition_id", "disposition", control.disposition());
    }
    let least = if class == Class::Finding { MEDIUM } else { HIGH };
    if severity.0 >= least.0 {
        event.plain("is_alert", true);
    }
}

/// Whether it came out as it was meant to, why it was decided so, and what ended it where it did not end well.
fn status(event: &mut Object<'_>, record: &mut Record<'_>, control: Option<Control>) {
    let ended_badly = record.has("", "close_reason");
    match control {
        Some(Control::Allowed | Control::Observed) if !ended_badly => event.named("status_id", "status", Named(1, "Success")),
        Some(_) => event.named("status_id", "status", Named(2, "Failure")),
        None => {}
    }
    event.optional("status_code", record.text("", "reason"));
    event.optional("status_detail", record.text("", "close_reason"));
}

fn severity(record: &mut Record<'_>, class: Class, control: Option<Control>) -> Named {
    let kind = record.seen("", "kind").and_then(unquoted).unwrap_or_default();
    match (class, kind, control) {
        (Class::Finding, ..) => said(record),
        // A rule for emergencies let it pass, or records are missing.
        _ if record.has("", "break_glass") || kind == "gap" => HIGH,
        // A flood; trust withdrawn; somebody or something changed what is enforced.
        (_, "aggregate" | "trust" | "action", _) => MEDIUM,
        (_, _, Some(Control::Denied | Control::Observed)) => LOW,
        _ => INFORMATIONAL,
    }
}

/// A finding's own.
fn said(record: &mut Record<'_>) -> Named {
    let known = match record.seen("", "severity").and_then(unquoted) {
        Some("informational") => INFORMATIONAL,
        Some("low") => LOW,
        Some("medium") => MEDIUM,
        Some("high") => HIGH,
        Some("critical") => CRITICAL,
        _ => return MEDIUM,
    };
    record.text("", "severity");
    known
}
