//! What is known of a decision that left no record of its own.

use super::search::{COLUMNS, Clues, Counted};
use crate::audit::DecisionId;
use crate::cli::terminal::printable;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

// Writing into a String cannot fail.
macro_rules! say {
    ($text:expr, $($what:tt)*) => { let _ = writeln!($text, $($what)*); };
}

fn given(id: DecisionId) -> String {
    OffsetDateTime::from(id.at()).format(&Rfc3339).unwrap_or_default()
}

/// For people.
pub(super) fn text(id: DecisionId, clues: &Clues) -> String {
    let mut text = String::new();
    say!(text, "There is no record with the id {id}.");
    say!(text, "  given     {}", given(id));
    match &clues.boot {
        Some((boot, workload)) => {
            say!(text, "  by        the sidecar of {} (boot {})", printable(workload), printable(boot));
        }
        None => {
            say!(
                text,
                "  by        a sidecar whose boot ends in {}: its start is not in this log, so look in the one of another task or time",
                id.boot_end()
            );
        }
    }
    let (denials, allows): (Vec<&Counted>, Vec<&Counted>) = clues.counts.iter().partition(|count| count.is_denials);
    if !denials.is_empty() {
        say!(text, "\nDenials came too fast for a record each. Of that moment these are counted, and it is one of them if it was denied:");
        denials.iter().for_each(|count| one(&mut text, count));
    }
    if !allows.is_empty() {
        say!(text, "\nIf it was allowed it is one of those that left no record of their own:");
        allows.iter().for_each(|count| one(&mut text, count));
    }
    if denials.is_empty() && clues.boot.is_some() {
        say!(text, "\nNo count of denials covers that moment, so it was not denied, or its file is gone (max_bytes) or was not read.");
        say!(text, "What is allowed may be left out where [audit] sample is below 1, and is written when it ends, which it may not have.");
    }
    text
}

fn one(text: &mut String, count: &Counted) {
    let value = |name: &str| COLUMNS.iter().zip(&count.values).find(|(known, _)| **known == name).map(|(_, value)| printable(value));
    let value = |name: &str| value(name).filter(|value| value != "-");
    let what = ["reason", "rule", "src.id", "http.method", "cause"]
        .into_iter()
        .filter_map(|name| value(name).map(|value| format!("{name} {value}")));
    let what = what.collect::<Vec<_>>().join(", ");
    let (first, last) = (value("first").unwrap_or_default(), value("last").unwrap_or_default());
    say!(
        text,
        "  {} of them: {what}\n    from {first} to {last}  (record {})",
        value("count").unwrap_or_default(),
        value("id").unwrap_or_default()
    );
}

/// For programs.
pub(super) fn json(id: DecisionId, clues: &Clues) -> Value {
    let counts = clues.counts.iter().map(|count| {
        let values = COLUMNS.iter().zip(&count.values).filter(|(_, value)| *value != "-");
        let values = values.map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())));
        let kind = if count.is_denials { "aggregate" } else { "gap" };
        Value::Object(values.chain([("kind".to_owned(), Value::from(kind))]).collect::<Map<_, _>>())
    });
    json!({
        "id": id.to_string(),
        "record": null,
        "given": given(id),
        "boot": clues.boot.as_ref().map(|(boot, _)| boot),
        "workload": clues.boot.as_ref().map(|(_, workload)| workload),
        "counted_in": counts.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::read::inputs;
    use crate::cli::Outcome;
    use crate::cli::audit::why::search::{Found, search};

    #[test]
    fn a_decision_without_a_record_is_told_by_what_counts_it() {
        let dir = tempfile::tempdir().unwrap();
        let id = DecisionId(1_795_348_800_123_u128 << 80 | 0x12_3456_789a_u128 << 40 | 7);
        let boot = "000000000000000000000000aabb123456789a".get(6..).unwrap();
        let time = |millis: u32| format!("2026-11-22T12:00:00.{millis:03}000000Z");
        let count = |kind: &str, boot: &str, from: u32, to: u32| json!({ "kind": kind, "id": "X", "boot": boot, "count": 17, "reason": "implicit_deny", "first": time(from), "last": time(to), "src": { "id": "a\u{1b}b" } });
        let mut lines = vec![
            json!({ "kind": "boot", "boot": boot, "workload": "spiffe://d/orders" }),
            json!({ "kind": "decision", "id": "Y", "http": { "path": format!("/{id}") } }),
        ];
        let found = |lines: &[Value]| {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            std::fs::write(dir.path().join("a.ndjson"), text).unwrap();
            match search(id, &inputs(&[dir.path().to_owned()]).unwrap()).unwrap() {
                Found::Clues(clues) => Ok(clues),
                Found::Record(_, line) => Err(line),
            }
        };
        let clues = found(&lines).unwrap();
        assert_eq!(clues.outcome(), Outcome::Unusable);
        let told = text(id, &clues);
        assert!(
            told.contains("  given     2026-11-22T12:00:00.123Z\n  by        the sidecar of spiffe://d/orders")
                && told.contains("it was not denied"),
            "{told}"
        );

        lines.extend([
            count("aggregate", boot, 100, 200),
            count("aggregate", boot, 200, 300),
            count("aggregate", "other", 100, 200),
            count("gap", boot, 123, 123),
        ]);
        let clues = found(&lines).unwrap();
        assert_eq!((clues.outcome(), clues.counts.len()), (Outcome::Findings, 2));
        let told = text(id, &clues);
        assert!(told.contains("17 of them: reason implicit_deny, src.id a\u{fffd}b\n") && told.contains("If it was allowed"), "{told}");
        assert_eq!(json(id, &clues)["counted_in"][0]["count"], "17");

        lines.push(json!({ "kind": "handshake", "id": id.to_string() }));
        assert!(found(&lines).unwrap_err().contains("handshake"));
    }
}
