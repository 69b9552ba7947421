//! Which policies are about one service: a table is one service's.

use super::super::fields::{At, Fields, Findings};
use super::super::node::Value;
use super::Chosen;
use crate::document::Position;
use std::collections::{BTreeMap, BTreeSet};

/// A policy whose rules were not looked at.
pub(super) struct Policy<'n> {
    pub(super) name: &'n str,
    pub(super) namespace: Option<&'n str>,
    at: At<'n>,
    selector: BTreeMap<&'n str, &'n str>,
    has_targets: Option<At<'n>>,
    is_tried: bool,
    /// `None`: it has none, which is one that allows nothing.
    pub(super) spec: Option<Fields<'n, 'n>>,
}

impl<'n> Policy<'n> {
    /// Reads all but the rules.
    pub(super) fn read(fields: Fields<'n, 'n>, findings: &'n Findings<'n>) -> Option<Self> {
        let at = fields.at.clone();
        let metadata = fields.take("metadata").and_then(|metadata| metadata.fields(findings));
        let (mut name, mut namespace, mut is_tried) = (None, None, false);
        if let Some(metadata) = &metadata {
            // What else stands there says nothing about requests.
            (name, namespace) = (metadata.string("name"), metadata.string("namespace"));
            is_tried = metadata.take("annotations").is_some_and(|annotations| is_true(&annotations, "istio.io/dry-run"));
        }
        if name.is_none() {
            findings.problem(at.position(), "has no name", "write metadata.name");
        }
        fields.take("status");
        let spec = fields.take("spec").and_then(|spec| spec.fields(findings));
        fields.close();
        let mut selector = BTreeMap::new();
        let mut has_targets = None;
        if let Some(spec) = &spec {
            if let Some(fields) = spec.take("selector").and_then(|selector| selector.fields(findings)) {
                selector = fields.take("matchLabels").map(|labels| pairs(&labels, findings)).unwrap_or_default();
                fields.close();
            }
            let (one, many) = (spec.take("targetRef"), spec.take("targetRefs"));
            has_targets = one.or(many);
        }
        Some(Self { name: name?, namespace, at, selector, has_targets, is_tried, spec })
    }

    /// Namespace and name.
    pub(super) fn called(&self) -> String {
        self.namespace.map_or_else(|| self.name.to_owned(), |namespace| format!("{namespace}/{}", self.name))
    }

    /// What it is about, where that is no workload.
    pub(super) fn what_else(&self) -> Option<&'static str> {
        self.has_targets.as_ref().map(|_| "is about a gateway or a service by targetRefs, and not about a workload")
    }
}

/// The policies about the service; the others are noted.
pub(super) fn choose<'n>(all: Vec<Policy<'n>>, chosen: &Chosen, findings: &Findings<'_>, notes: &mut Vec<String>) -> Vec<Policy<'n>> {
    let is_root = |policy: &Policy<'_>| policy.namespace == Some(chosen.root_namespace.as_str());
    let of_workloads = all.iter().filter(|policy| !is_root(policy)).filter_map(|policy| policy.namespace);
    let namespaces: BTreeSet<&str> = of_workloads.collect();
    let namespace = match &chosen.namespace {
        Some(namespace) => Some(namespace.as_str()),
        None if namespaces.len() > 1 => {
            let names: Vec<&str> = namespaces.into_iter().collect();
            let what = format!("has policies of the namespaces {}", names.join(", "));
            findings.problem(Position::default(), what, "say with --namespace which one the service is in");
            return Vec::new();
        }
        None => namespaces.first().copied(),
    };
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|policy| is_root(policy) || policy.namespace.is_none() || policy.namespace == namespace);
    notes.extend(elsewhere.iter().map(|policy| format!("AuthorizationPolicy {} is about another namespace", policy.called())));
    let selectors: BTreeSet<&BTreeMap<&str, &str>> =
        here.iter().map(|policy| &policy.selector).filter(|labels| !labels.is_empty()).collect();
    if chosen.labels.is_empty() && selectors.len() > 1 {
        let at = here.iter().find(|policy| !policy.selector.is_empty()).map(|policy| policy.at.position()).unwrap_or_default();
        findings.problem(
            at,
            "is about one workload, and another policy about another",
            "say with --workload LABEL=VALUE which one the table is for",
        );
        return Vec::new();
    }
    let labels: BTreeSet<(&str, &str)> = chosen.labels.iter().map(|(label, value)| (label.as_str(), value.as_str())).collect();
    let selects =
        |policy: &Policy<'_>| labels.is_empty() || policy.selector.iter().all(|(label, value)| labels.contains(&(*label, *value)));
    let (selected, others): (Vec<_>, Vec<_>) = here.into_iter().partition(selects);
    notes.extend(others.iter().map(|policy| format!("AuthorizationPolicy {} is about another workload", policy.called())));
    let (tried, effective): (Vec<_>, Vec<_>) = selected.into_iter().partition(|policy| policy.is_tried);
    notes.extend(tried.iter().map(|policy| format!("AuthorizationPolicy {} is a dry run and changes nothing", policy.called())));
    if effective.is_empty() {
        findings.problem(
            Position::default(),
            "has no policy about this service",
            "correct --namespace and --workload: without any, everything is allowed",
        );
    }
    effective
}

/// Labels and their values.
fn pairs<'n>(at: &At<'n>, findings: &Findings<'_>) -> BTreeMap<&'n str, &'n str> {
    let Value::Map(entries) = &at.node.value else {
        findings.problem(at.position(), format!("is {} and no mapping", at.node.kind()), "write labels and their values");
        return BTreeMap::new();
    };
    let each = entries.iter().filter_map(|(key, node)| {
        let value = At { node, path: format!("{}.{}", at.path, key.text) };
        Some((key.text.as_str(), value.string(findings)?))
    });
    each.collect()
}

fn is_true(at: &At<'_>, name: &str) -> bool {
    let Value::Map(entries) = &at.node.value else { return false };
    entries.iter().any(|(key, node)| key.text == name && matches!(&node.value, Value::Scalar { text, .. } if text == "true"))
}
