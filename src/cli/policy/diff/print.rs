//! Differences as text and as JSON.

use super::pair::{Pair, Side};
use crate::policy::Part;
use crate::policy::diff::{ALLOWED, Beside, By, Change, Changes, DENIED, Difference, Host, Leaving, Relation, Sought, Witness};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Patterns of callers that one line names.
const NAMED: usize = 3;

/// The most lines about what is beside the answer.
const BESIDE: usize = 10;

pub(super) fn text(pair: &Pair, difference: &Difference) -> Result<String, std::fmt::Error> {
    let [a, b] = &pair.sides;
    let (first, second) = (a.file(), b.file());
    let mut text = match difference.relation {
        Relation::Equal => format!("equal: {second} lets pass what {first} does, and nothing else\n"),
        Relation::Narrower => format!("narrower: {second} lets less pass than {first}, and nothing else\n"),
        Relation::Wider => format!("wider: {second} lets more pass than {first}\n"),
        Relation::Incomparable if difference.limits.is_empty() => {
            format!("incomparable: {first} and {second} let each something pass that the other does not\n")
        }
        Relation::Incomparable => format!("incomparable: it was not found out how {second} stands to {first}\n"),
    };
    for limit in &difference.limits {
        writeln!(text, "  since {limit}")?;
    }
    for (direction, head) in [(ALLOWED, "allowed now"), (DENIED, "denied now")] {
        let (Some(changes), Some(leaving)) = (difference.changes.get(direction), difference.leaving.get(direction)) else { continue };
        if changes.shown.is_empty() && leaving.is_none() {
            continue;
        }
        writeln!(text, "{head}:")?;
        for change in &changes.shown {
            change_text(&mut text, pair, change)?;
        }
        if changes.left_out > 0 {
            writeln!(text, "  and {} more: --all shows them", changes.left_out)?;
        }
        if let Some(Leaving { to, by }) = leaving {
            let tls = if to.tls { "with TLS" } else { "without TLS" };
            writeln!(text, "  connections of the service itself\n    as in    {}:{} {tls}", to.host, to.port)?;
            let entry = |by: &Option<String>| by.as_ref().map_or_else(|| "no entry".to_owned(), |id| format!("`{id}`"));
            writeln!(text, "    before   {}\n    now      {}", entry(&by[0]), entry(&by[1]))?;
        }
    }
    beside_text(&mut text, pair, &difference.beside)?;
    Ok(text)
}

fn change_text(text: &mut String, pair: &Pair, change: &Change) -> std::fmt::Result {
    let Change { callers, template, witness, .. } = change;
    let named = callers.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = callers.len().checked_sub(NAMED + 1).map(|more| format!(" and {} more", more + 1)).unwrap_or_default();
    match template {
        Some(template) => writeln!(text, "  {named}{more}: {} {template}", methods(change))?,
        None => writeln!(text, "  {named}{more}: TCP connections")?,
    }
    let Witness { caller, port, sought, given, by } = witness;
    let port = port.map(|port| format!(", port {port}")).unwrap_or_default();
    writeln!(text, "    as in    {sought}{port}, by {}", caller.as_str())?;
    for clause in given {
        writeln!(text, "    where    {clause}")?;
    }
    for (how, (side, by)) in ["before", "now"].into_iter().zip(pair.sides.iter().zip(by)) {
        writeln!(text, "    {how:8} {}", by_text(side, *by))?;
    }
    Ok(())
}

fn methods(change: &Change) -> String {
    if change.is_any_method {
        return "any method".to_owned();
    }
    let named: Vec<&str> = change.methods.iter().map(String::as_str).filter(|method| *method != "*").collect();
    let others = change.methods.iter().any(|method| method == "*").then_some("others that no rule here names");
    named.into_iter().chain(others).collect::<Vec<_>>().join(" ")
}

fn by_text(side: &Side, by: By) -> String {
    match by {
        By::Rule(rule) => format!("`{}`  ({})", side.id(rule), side.place(rule)),
        By::Nothing(Part::Boundary) => "no rule of the boundary allows it".to_owned(),
        By::Nothing(_) => "no rule allows it".to_owned(),
        By::Shadow => "allowed, since nothing is enforced for it".to_owned(),
    }
}

fn beside_text(text: &mut String, pair: &Pair, all: &[Beside]) -> std::fmt::Result {
    if all.is_empty() {
        return Ok(());
    }
    writeln!(text, "not compared:")?;
    for Beside { what, only_in } in all.iter().take(BESIDE) {
        match only_in.and_then(|side| pair.sides.get(side)) {
            Some(side) => writeln!(text, "  {what} is only in {}", side.file())?,
            None => writeln!(text, "  {what}")?,
        }
    }
    if all.len() > BESIDE {
        writeln!(text, "  and {} more: --format json has them", all.len() - BESIDE)?;
    }
    Ok(())
}

pub(super) fn json(pair: &Pair, difference: &Difference) -> Value {
    let direction = |direction: usize| {
        let changes = difference.changes.get(direction);
        let left_out = changes.map_or(0, |changes| changes.left_out);
        json!({
            "requests": changes.map(|Changes { shown, .. }| shown.iter().map(|change| change_json(pair, change)).collect::<Vec<_>>()),
            "requests_left_out": left_out,
            "destination": difference.leaving.get(direction).and_then(Option::as_ref).map(leaving_json),
        })
    };
    let [a, b] = &pair.sides;
    json!({
        "relation": difference.relation.as_str(),
        "a": a.file(),
        "b": b.file(),
        "allowed": direction(ALLOWED),
        "denied": direction(DENIED),
        "not_found_out": difference.limits.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "not_compared": difference.beside.iter().map(|beside| json!({
            "what": beside.what,
            "only_in": beside.only_in.and_then(|side| pair.sides.get(side)).map(Side::file),
        })).collect::<Vec<_>>(),
    })
}

fn change_json(pair: &Pair, change: &Change) -> Value {
    let Change { callers, template, methods, is_any_method, witness } = change;
    let Witness { caller, port, sought, given, by } = witness;
    let mut example = json!({ "caller": caller.as_str(), "port": port, "where": given });
    if let Sought::Request { method, path, host, grpc } = sought {
        example["method"] = json!(method.as_str());
        example["path"] = json!(path);
        example["grpc"] = json!(grpc);
        example["host"] = match host {
            Host::Named(host) => json!(host),
            Host::Any | Host::Missing => Value::Null,
        };
        example["without_host"] = json!(*host == Host::Missing);
    }
    let [before, now] = by;
    let [a, b] = &pair.sides;
    json!({
        "callers": callers,
        "template": template,
        "methods": methods,
        "any_method": is_any_method,
        "example": example,
        "before": by_json(a, *before),
        "now": by_json(b, *now),
    })
}

fn by_json(side: &Side, by: By) -> Value {
    match by {
        By::Rule(rule) => json!({ "rule": side.id(rule), "table": rule.part.as_str(), "place": side.place(rule) }),
        By::Nothing(part) => json!({ "rule": null, "table": part.as_str() }),
        By::Shadow => json!({ "rule": null, "table": null }),
    }
}

fn leaving_json(leaving: &Leaving) -> Value {
    let Leaving { to, by: [before, now] } = leaving;
    json!({ "host": to.host, "port": to.port, "tls": to.tls, "before": before, "now": now })
}
