//! An explanation as text and as JSON.

use crate::cli::policy::given::Given;
use crate::cli::terminal::printable;
use crate::policy::explain::{Bearing, Compared, Decided, Dimension, Explanation, Outcome, Record, RulePlace, Story};
use crate::policy::{Outline, TableFacts, Truth, Verdict};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// For people.
pub(in crate::cli) fn text(given: Option<&Given>, record: Option<&Record>, explanation: Option<&Explanation>, most: usize) -> String {
    let mut text = String::new();
    if let Some(record) = record {
        recorded(&mut text, record, given);
    }
    if let Some((given, explanation)) = given.zip(explanation) {
        outcome(&mut text, given, record, &explanation.outcome);
        rules(&mut text, given, explanation, most);
    }
    text
}

// Writing into a String cannot fail.
macro_rules! say {
    ($text:expr, $($what:tt)*) => { let _ = writeln!($text, $($what)*); };
}

/// What happened.
fn recorded(text: &mut String, record: &Record, given: Option<&Given>) {
    let by = record.rule.as_ref().map(|rule| format!(", rule {}", printable(rule))).unwrap_or_default();
    say!(text, "{}  {}{by}", if record.decision == "allow" { "ALLOWED" } else { "DENIED" }, printable(&record.reason));
    say!(text, "  decision  {} at {}", printable(&record.id), printable(&record.time));
    say!(text, "  caller    {}", record.caller.as_deref().map_or_else(|| "not known".to_owned(), printable));
    if let Some((name, version, hash)) = &record.table {
        say!(text, "  table     {}", table(name, version, hash));
        if let Some(given) = given.filter(|given| *hash != given.own().facts.sha256) {
            let TableFacts { name, version, sha256 } = &*given.own().facts;
            say!(text, "  OTHER TABLE: {} is {}; below is what that one says", given.file(), table(name, version, sha256));
        }
    }
    if let Story::Rules(ask) = &record.story {
        say!(text, "  request   {ask}");
    }
    match &record.story {
        Story::Before(why) => {
            say!(text, "\n{why}.");
        }
        Story::Incomplete(what) => {
            say!(text, "\nThe record cannot be explained: {what}.");
        }
        Story::Rules(_) => {}
    }
}

fn table(name: &str, version: &str, hash: &str) -> String {
    let (name, version, hash) = (printable(name), printable(version), printable(hash));
    let version = if version.is_empty() { version } else { format!(" {version}") };
    format!("{name}{version} ({})", hash.get(..12).unwrap_or(&hash))
}

/// What the table says.
fn outcome(text: &mut String, given: &Given, record: Option<&Record>, outcome: &Outcome) {
    let by = outcome.rule.map(|rule| (given.id(rule), given.place(rule)));
    match (&outcome.decided, record) {
        (Decided::Undecidable(conditions), _) => {
            say!(text, "\nThis table's answer hangs on what the record does not hold:");
            for condition in conditions {
                say!(text, "  {condition}");
            }
        }
        (Decided::As(verdict), None) => {
            say!(text, "{}  {}", if *verdict == Verdict::Allow { "ALLOWED" } else { "DENIED" }, outcome.reason);
        }
        (Decided::As(verdict), Some(record)) => {
            let same = record.table.as_ref().is_some_and(|(_, _, hash)| *hash == given.own().facts.sha256);
            if !same {
                say!(text, "\nThis table would say {} ({}).", verdict.as_str(), outcome.reason);
            } else if verdict.as_str() != record.decision {
                say!(text, "\nBy the rules alone it is {} ({}): something else than a rule decided.", verdict.as_str(), outcome.reason);
            }
        }
    }
    if let Some((id, place)) = by {
        say!(text, "  decided by {id}  ({place})");
    }
    if let Some((verdict, rule)) = &outcome.would {
        let by = rule.map_or_else(|| "by no rule".to_owned(), |rule| format!("by {}", given.id(rule)));
        say!(text, "  without shadow it would be {} {by}", verdict.as_str());
    }
}

fn rules(text: &mut String, given: &Given, explanation: &Explanation, most: usize) {
    let denied = explanation.outcome.decided != Decided::As(Verdict::Allow);
    let nearest = explanation.nearest_allow().filter(|_| denied);
    if let Some(rule) = nearest {
        say!(text, "\nnearest allow");
        one(text, given, rule);
    }
    let rest = |rule: &&Compared| nearest.is_none_or(|nearest| nearest.place != rule.place) && rule.bearing != Bearing::Decides;
    let others: Vec<&Compared> = explanation.rules.iter().filter(rest).collect();
    if others.is_empty() {
        return;
    }
    say!(text, "\nother rules, near misses first");
    for rule in others.iter().take(most) {
        one(text, given, rule);
    }
    if others.len() > most {
        say!(text, "  and {} more: --all shows them", others.len() - most);
    }
}

fn one(text: &mut String, given: &Given, rule: &Compared) {
    let shadow = if rule.is_shadow { ", in shadow" } else { "" };
    say!(text, "  {} ({}{shadow})  {}", rule.id, rule.effect, given.place(rule.place));
    match rule.bearing {
        Bearing::Decides => {
            say!(text, "    decides");
        }
        Bearing::Matches => {
            say!(text, "    matches too{}", if rule.effect == "audit" { ": a full record is kept" } else { ", and does not decide" });
        }
        Bearing::Fails(first) => {
            let Some(dimension) = rule.dimensions.get(first) else { return };
            say!(text, "    {}", compared(dimension));
            let later = rule.dimensions.iter().skip(first + 1).filter(|dimension| dimension.truth != Some(Truth::True));
            let later: Vec<&str> = later.map(|dimension| dimension.name.as_str()).collect();
            if !later.is_empty() {
                say!(text, "    nor would {}", later.join(", "));
            }
        }
    }
}

fn compared(dimension: &Dimension) -> String {
    let Dimension { name, wanted, found, .. } = dimension;
    format!("{name}: wanted {}, found {}", printable(wanted), printable(found))
}

/// For programs.
pub(in crate::cli) fn json(given: Option<&Given>, record: Option<&Record>, explanation: Option<&Explanation>, most: usize) -> Value {
    let table = given.map(|given| {
        let facts = &given.own().facts;
        json!({ "file": given.file(), "name": facts.name, "version": facts.version, "sha256": facts.sha256 })
    });
    let mut all = json!({ "table": table });
    if let Some(record) = record {
        all["record"] = record_json(record, given);
    }
    if let Some((given, explanation)) = given.zip(explanation) {
        let Outcome { decided, reason, part, rule, would } = &explanation.outcome;
        let id = |rule: &RulePlace| given.id(*rule);
        all["outcome"] = match decided {
            Decided::As(verdict) => {
                json!({ "decision": verdict.as_str(), "reason": reason, "table": part.as_str(), "rule": rule.as_ref().map(id) })
            }
            Decided::Undecidable(conditions) => json!({ "decision": null, "reason": reason, "conditions": conditions }),
        };
        if let Some((verdict, rule)) = would {
            all["outcome"]["would"] = json!({ "decision": verdict.as_str(), "rule": rule.as_ref().map(id) });
        }
        let denied = *decided != Decided::As(Verdict::Allow);
        all["nearest_allow"] = json!(explanation.nearest_allow().filter(|_| denied).map(|rule| &rule.id));
        all["rules"] = explanation.rules.iter().take(most).map(|rule| rule_json(rule, given)).collect();
        all["rules_left_out"] = json!(explanation.rules.len().saturating_sub(most));
    }
    all
}

fn record_json(record: &Record, given: Option<&Given>) -> Value {
    let hash = record.table.as_ref().map(|(_, _, hash)| hash);
    json!({
        "id": record.id,
        "time": record.time,
        "decision": record.decision,
        "reason": record.reason,
        "rule": record.rule,
        "caller": record.caller,
        "policy_sha256": hash,
        "same_table": hash.zip(given).map(|(hash, given)| *hash == given.own().facts.sha256),
        "unexplained": match &record.story {
            Story::Rules(_) => Value::Null,
            Story::Before(why) | Story::Incomplete(why) => json!(why),
        },
    })
}

fn rule_json(rule: &Compared, given: &Given) -> Value {
    let (bearing, fails) = match rule.bearing {
        Bearing::Decides => ("decides", None),
        Bearing::Matches => ("matches", None),
        Bearing::Fails(first) => ("fails", rule.dimensions.get(first).map(|dimension| &dimension.name)),
    };
    let dimensions = rule.dimensions.iter().map(|dimension| {
        let result = dimension.truth.map(Truth::letter);
        json!({ "name": dimension.name, "wanted": dimension.wanted, "found": dimension.found, "result": result })
    });
    json!({
        "id": rule.id,
        "effect": rule.effect,
        "shadow": rule.is_shadow,
        "table": rule.place.part.as_str(),
        "file": given.outline(rule.place.part).map(Outline::file),
        "line": given.outline(rule.place.part).and_then(|outline| outline.line(rule.place.index)),
        "standing": bearing,
        "fails": fails,
        "dimensions": dimensions.collect::<Vec<_>>(),
    })
}
