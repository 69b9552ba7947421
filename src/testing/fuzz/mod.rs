//! What must hold for any bytes, one function a parser. The fuzzer in `tests/fuzz` calls them with what it invents, and the test `corpus` with every
//! input that was kept. A function panics when its property is broken, and does nothing otherwise.

mod asked;
mod bundles;
mod records;
mod text;
mod tokens;
mod who;
mod wire;

/// One property over arbitrary bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name, also of its folder of inputs.
    pub name: &'static str,
    /// Holds, or panics.
    pub check: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "spiffe_id", check: who::spiffe_id },
    Target { name: "x509", check: who::x509 },
    Target { name: "forwarded_client_cert", check: who::forwarded_client_cert },
    Target { name: "canonical_request", check: asked::canonical_request },
    Target { name: "traceparent", check: asked::traceparent },
    Target { name: "configuration", check: text::configuration },
    Target { name: "policy", check: text::policy },
    Target { name: "policy_import", check: text::policy_import },
    Target { name: "audit_filter", check: text::audit_filter },
    Target { name: "token", check: tokens::token },
    Target { name: "key_set", check: tokens::key_set },
    Target { name: "bundle", check: bundles::bundle },
    Target { name: "http2_frames", check: wire::http2_frames },
    Target { name: "audit_log", check: records::audit_log },
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}
