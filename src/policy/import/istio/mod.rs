//! `AuthorizationPolicy` of Istio, security.istio.io/v1 and v1beta1.

mod choose;
mod rule;
mod source;
mod when;

use super::Read;
use super::compile::Asked;
use super::expr::Expr;
use super::fields::{At, Fields, Findings};
use super::node::Node;
use crate::document::Position;
use crate::policy::rule::Effect;
use choose::{Policy, choose};
use rule::Reading;

/// Which policies count, and who calls.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    /// The trust domains that all callers come from; `cluster.local` stands for each of them. None: `cluster.local` itself.
    pub trust_domains: Vec<String>,
    /// The namespace of the service; absent: the one that all policies are in.
    pub namespace: Option<String>,
    /// The namespace whose policies are about every workload.
    pub root_namespace: String,
    /// The labels of the service; none: those that all policies select.
    pub labels: Vec<(String, String)>,
}

const DEFAULT_DOMAIN: &str = "cluster.local";

/// Reads every policy that is about the service.
pub(super) fn read(documents: &[Node], chosen: &Chosen, findings: &Findings<'_>) -> Read {
    let mut policies = Vec::new();
    for (index, node) in documents.iter().enumerate() {
        let path = if documents.len() == 1 { String::new() } else { format!("document[{index}]") };
        document(At { node, path }, findings, &mut policies);
    }
    if policies.is_empty() {
        findings.problem(Position::default(), "has no AuthorizationPolicy", "give the policies of a service");
    }
    let mut notes = Vec::new();
    let count = policies.len();
    let chosen_policies = choose(policies, chosen, findings, &mut notes);
    let domains = if chosen.trust_domains.is_empty() { vec![DEFAULT_DOMAIN.to_owned()] } else { chosen.trust_domains.clone() };
    let premise = format!("Every caller is of the trust domain {}, with an id as Istio makes them.", domains.join(" or "));
    let mut reading = Read {
        rules: Vec::new(),
        notes,
        premises: vec![premise],
        origin: format!("{}, {} of {count} AuthorizationPolicies", findings.file, chosen_policies.len()),
    };
    let mut allows = false;
    let is_empty = chosen_policies.is_empty();
    for policy in chosen_policies {
        allows |= self::policy(policy, &domains, !chosen.trust_domains.is_empty(), findings, &mut reading);
    }
    // Without any policy that allows, everything is allowed that none denies.
    if !allows && !is_empty {
        reading.rules.push(Asked {
            id: "everything-else".to_owned(),
            origin: "no policy with action ALLOW".to_owned(),
            at: Position::default(),
            effect: Effect::Allow,
            expr: Expr::ALWAYS,
        });
    }
    reading
}

/// A policy, or a list of some, as `kubectl get -o yaml` prints them.
fn document<'n>(at: At<'n>, findings: &'n Findings<'n>, policies: &mut Vec<Policy<'n>>) {
    let Some(fields) = at.fields(findings) else { return };
    let (kind, version) = (fields.string("kind").unwrap_or_default(), fields.string("apiVersion").unwrap_or_default());
    match (kind, version) {
        ("AuthorizationPolicy", "security.istio.io/v1" | "security.istio.io/v1beta1") => policies.extend(Policy::read(fields, findings)),
        ("List" | "AuthorizationPolicyList", _) => {
            fields.take("metadata");
            let items = fields.take("items").map(|items| items.items(findings)).unwrap_or_default();
            fields.close();
            items.into_iter().for_each(|item| document(item, findings, policies));
        }
        ("AuthorizationPolicy", version) => {
            findings.problem(at.position(), format!("is of `{version}`"), "write security.istio.io/v1 or security.istio.io/v1beta1");
        }
        (kind, _) => {
            findings.problem(at.position(), format!("is a `{kind}` and no AuthorizationPolicy"), "give the policies alone");
        }
    }
}

/// Reads the rules of one; whether it is one that allows.
fn policy(policy: Policy<'_>, domains: &[String], said: bool, findings: &Findings<'_>, read: &mut Read) -> bool {
    let (called, about) = (policy.called(), policy.what_else());
    let Some(spec) = policy.spec else {
        read.notes.push(format!("AuthorizationPolicy {called} has no rules: nothing meets it"));
        return true;
    };
    let (action, asks) = action(&spec, findings);
    let rules = spec.take("rules").map(|rules| rules.items(findings)).unwrap_or_default();
    spec.close();
    if rules.is_empty() {
        read.notes.push(format!("AuthorizationPolicy {called} has no rules: nothing meets it"));
    }
    for (index, at) in rules.iter().enumerate() {
        let origin = format!("AuthorizationPolicy {called}, rule {index}");
        let reading = Reading { findings, domains, domains_are_said: said, rule: &origin, namespace: policy.namespace, effect: action };
        let mut all = vec![reading.rule(at)];
        if asks {
            let what = "asks an authorizer outside";
            all.push(findings.gap(&origin, at.position(), what, "decide it in the app, or write allow rules for what it lets pass"));
        }
        if let Some(what) = about {
            all.push(findings.gap(&origin, at.position(), what, "import it alone where it is about this service"));
        }
        let id = if rules.len() == 1 { policy.name.to_owned() } else { format!("{}-{index}", policy.name) };
        read.rules.push(Asked { id, origin, at: at.position(), effect: action, expr: Expr::all(all) });
    }
    action == Effect::Allow
}

/// What it does, and whether somebody else is asked first: what they might refuse is then refused.
fn action(spec: &Fields<'_, '_>, findings: &Findings<'_>) -> (Effect, bool) {
    let provider = spec.take("provider");
    let Some(action) = spec.take("action") else { return (Effect::Allow, provider.is_some()) };
    match action.string(findings) {
        Some("ALLOW") => (Effect::Allow, provider.is_some()),
        Some("DENY") => (Effect::Deny, provider.is_some()),
        Some("AUDIT") => (Effect::Audit, provider.is_some()),
        Some("CUSTOM") => (Effect::Deny, true),
        other => {
            if let Some(other) = other {
                findings.problem(action.position(), format!("is `{other}`"), "write ALLOW, DENY, AUDIT or CUSTOM");
            }
            (Effect::Deny, false)
        }
    }
}
