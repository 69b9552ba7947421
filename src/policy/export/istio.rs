//! A table as documents of Istio's `AuthorizationPolicy`, one for each rule.

use super::{Gap, headers, is_about_every_path, methods, of_rule, of_table, source};
use crate::identity::pattern::{Part, PrincipalPattern};
use crate::policy::Table;
use crate::policy::condition::Operator;
use crate::policy::pattern::{HostPattern, PathPattern, Step};
use crate::policy::rule::{Effect, Rule};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What the documents are called, and whom they are about.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// What the name of each begins with.
    pub name: String,
    /// Their namespace.
    pub namespace: Option<String>,
    /// The labels of the workload; none: every one of the namespace.
    pub labels: Vec<(String, String)>,
}

/// The documents: several, in YAML.
///
/// # Errors
/// What they cannot say; nothing is left out.
pub fn istio(table: &Table, named: &Named) -> Result<String, Vec<Gap>> {
    let mut gaps = of_table(table);
    let mut documents = Vec::new();
    for rule in &table.rules {
        gaps.extend(of_rule(rule));
        match spec(rule) {
            Ok(spec) => documents.push((rule.facts.id.as_str(), spec)),
            Err(more) => gaps.extend(more),
        }
    }
    // Without any policy that allows, everything is allowed there that none denies.
    if !table.rules.iter().any(|rule| rule.effect == Effect::Allow) {
        documents.push(("nothing-else", json!({ "action": "ALLOW" })));
    }
    if !gaps.is_empty() {
        return Err(gaps);
    }
    let mut text = String::new();
    for (id, spec) in documents {
        let _ = write!(text, "---\n{}", document(id, spec, named));
    }
    Ok(text)
}

/// YAML, of which JSON is a part: values are spelled as JSON, where no reader takes a text for something else.
fn document(id: &str, mut spec: Value, named: &Named) -> String {
    let Named { name, namespace, labels } = named;
    let mut metadata = json!({ "name": format!("{name}-{id}") });
    if let (Some(namespace), Some(metadata)) = (namespace, metadata.as_object_mut()) {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    if let (false, Some(spec)) = (labels.is_empty(), spec.as_object_mut()) {
        let labels: serde_json::Map<String, Value> = labels.iter().map(|(label, value)| (label.clone(), json!(value))).collect();
        spec.insert("selector".to_owned(), json!({ "matchLabels": labels }));
    }
    let spec = format!("{spec:#}").replace('\n', "\n  ");
    format!("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {metadata}\nspec:\n  {spec}\n")
}

fn spec(rule: &Rule) -> Result<Value, Vec<Gap>> {
    let mut gaps = Vec::new();
    let mut take = |result: Result<Vec<String>, Gap>| result.map_err(|gap| gaps.push(gap)).unwrap_or_default();
    let mut source_fields = vec![("principals", take(principals(rule)))];
    source_fields.extend(source(rule).map(|networks| ("ipBlocks", networks)));
    let mut operation = Vec::new();
    if !is_about_every_path(rule) {
        operation.push(("paths", take(paths(rule))));
    }
    if let Some(methods) = methods(rule) {
        operation.push(("methods", take(each(methods.into_iter().map(|method| plain(rule, "methods", method).map(str::to_owned))))));
    }
    if !rule.hosts.is_empty() {
        let hosts = take(each(rule.hosts.iter().map(|host| self::host(rule, host))));
        operation.push(("hosts", hosts.into_iter().flat_map(|host| [host.clone(), format!("{host}:*")]).collect()));
    }
    if !rule.ports.is_empty() {
        operation.push(("ports", rule.ports.iter().map(u16::to_string).collect()));
    }
    let when: Vec<Value> = headers(rule)
        .map(|test| {
            let values = take(values(rule, &test.operator));
            json!({ "key": format!("request.headers[{}]", test.name), "values": values })
        })
        .collect();
    if !gaps.is_empty() {
        return Err(gaps);
    }
    let mut asked = json!({ "from": [{ "source": object(source_fields) }] });
    if let Some(asked) = asked.as_object_mut() {
        if !operation.is_empty() {
            asked.insert("to".to_owned(), json!([{ "operation": object(operation) }]));
        }
        if !when.is_empty() {
            asked.insert("when".to_owned(), when.into());
        }
    }
    let action = match rule.effect {
        Effect::Allow => "ALLOW",
        Effect::Deny => "DENY",
        Effect::Audit => "AUDIT",
    };
    Ok(json!({ "action": action, "rules": [asked] }))
}

fn object(fields: Vec<(&str, Vec<String>)>) -> Value {
    Value::Object(fields.into_iter().map(|(name, values)| (name.to_owned(), json!(values))).collect())
}

fn each(all: impl Iterator<Item = Result<String, Gap>>) -> Result<Vec<String>, Gap> {
    all.collect()
}

/// A text in which no star stands at an end, where it would stand for something.
fn plain<'t>(rule: &Rule, field: &'static str, text: &'t str) -> Result<&'t str, Gap> {
    if text.is_empty() || text.starts_with('*') || text.ends_with('*') {
        return Err(Gap::new(rule, field, format!("`{text}` would be taken for a wildcard there")));
    }
    Ok(text)
}

fn principals(rule: &Rule) -> Result<Vec<String>, Gap> {
    if rule.from.any_authenticated {
        return Ok(vec!["*".to_owned()]);
    }
    each(rule.from.patterns().map(|pattern| principal(rule, pattern)))
}

fn principal(rule: &Rule, pattern: &PrincipalPattern) -> Result<String, Gap> {
    let gap = |what: &str| Err(Gap::new(rule, "from", format!("`{}` {what}", pattern.as_str())));
    let Some(id) = pattern.as_str().strip_prefix("spiffe://") else { return gap("is a DNS name, and callers have SPIFFE ids there") };
    if pattern.parts().any(|part| part == Part::Any) {
        return gap("has a wildcard for one segment, and a star is any number of them there");
    }
    Ok(id.strip_suffix("**").map_or_else(|| id.to_owned(), |begin| format!("{begin}*")))
}

/// Each path; those that together are all that begins in some way are one there.
fn paths(rule: &Rule) -> Result<Vec<String>, Gap> {
    let all: BTreeSet<&str> = rule.facts.templates().collect();
    let (mut paths, mut told) = (Vec::new(), BTreeSet::new());
    for longer in &all {
        let begin = longer.strip_suffix('}').and_then(|text| text.split_once('{')).map(|(begin, _)| begin);
        let Some(begin) = begin.filter(|begin| !begin.ends_with('/') && !begin.contains(['%', '*'])) else { continue };
        let group = [begin.to_owned(), format!("{begin}/**"), (*longer).to_owned(), format!("{longer}/**")];
        if group.iter().all(|path| all.contains(path.as_str())) {
            paths.push(format!("{begin}*"));
            told.extend(group);
        }
    }
    let others = rule.paths().filter(|path| !told.contains(path.as_str()));
    paths.extend(each(others.map(|path| self::path(rule, &path)))?);
    Ok(paths)
}

fn path(rule: &Rule, pattern: &PathPattern<'_>) -> Result<String, Gap> {
    let gap = |what: &str| Err(Gap::new(rule, "paths", format!("`{}` {what}", pattern.as_str())));
    let shape = pattern.shape();
    if pattern.is_asterisk() {
        return gap("would be taken for a wildcard there");
    }
    if pattern.as_str().contains('%') {
        return gap("has an escape, and requests may spell it otherwise there");
    }
    let mut segments = Vec::with_capacity(shape.steps.len());
    let has_names = shape.steps.contains(&Step::Any);
    for step in &shape.steps {
        match step {
            Step::Literal(text) if has_names && text.contains('*') => return gap("has a star beside a name"),
            Step::Literal(text) => segments.push(*text),
            Step::Any => segments.push("{*}"),
            Step::Between(_) => return gap("has a name inside a segment"),
        }
    }
    let path = segments.join("/");
    match (has_names, shape.rest) {
        (true, true) => Ok(format!("{path}/{{**}}")),
        (true, false) => Ok(path),
        (false, true) => Ok(format!("{path}/*")),
        (false, false) => plain(rule, "paths", &path).map(str::to_owned),
    }
}

fn host(rule: &Rule, pattern: &HostPattern) -> Result<String, Gap> {
    if pattern.is_wild() {
        return Err(Gap::new(rule, "hosts", format!("`{}` is one label, and a star is any number of them there", pattern.as_str())));
    }
    Ok(pattern.as_str().to_owned())
}

fn values(rule: &Rule, operator: &Operator) -> Result<Vec<String>, Gap> {
    match operator {
        Operator::In(values) => each(values.iter().map(|value| plain(rule, "headers", value).map(str::to_owned))),
        Operator::Prefix(begin) if begin.starts_with('*') => {
            Err(Gap::new(rule, "headers", format!("`{begin}` would be taken for a wildcard there")))
        }
        Operator::Prefix(begin) => Ok(vec![format!("{begin}*")]),
        Operator::Present => Ok(vec!["*".to_owned()]),
    }
}
