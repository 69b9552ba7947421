//! What replay says that another table would have said is what that table says.

use super::agreement::{Ask as Random, Tables as RandomTables};
use super::explanations::{caller_of, claims_of, record};
use super::*;
use crate::policy::decide::decide_given;
use crate::policy::record::Line;
use crate::policy::replay::{Change, Replay, Report, Trials};
use fastrand::Rng;

fn decision(table: &Arc<Table>, ask: &Random) -> (bool, String) {
    let tables = Some(Arc::new(Arc::clone(table).into()));
    let decision = decide_given(&tables, &caller_of(ask), &ask.request(table), ask.now(), claims_of(ask).as_ref());
    match &decision {
        Ok(permit) => (true, record(table, ask, permit.facts(), true)),
        Err(denial) => (false, record(table, ask, &denial.facts, false)),
    }
}

fn replay<'l>(table: &Arc<Table>, lines: impl IntoIterator<Item = &'l str>, trials: Trials) -> Report {
    let mut replay = Replay::new(Arc::new(Arc::clone(table).into()), trials);
    lines.into_iter().for_each(|line| replay.record(&Line::read(line.as_bytes()).unwrap()).unwrap());
    replay.finish()
}

/// Thrice each: a class is compiled at the second time.
#[test]
fn replay_agrees_with_the_decision_that_would_have_been() {
    let mut rng = Rng::with_seed(7);
    let (mut decided, mut changed, mut undecidable) = (0, 0, 0);
    for _ in 0..300 {
        let (then, now) = (RandomTables::random(&mut rng), RandomTables::random(&mut rng));
        for _ in 0..3 {
            let ask = Random::random(&mut rng);
            let (was, line) = decision(&then.table, &ask);
            let same = replay(&then.table, [&*line, &*line, &*line], Trials::AsWritten);
            assert_eq!((same.decided, same.changed(), same.by_another_rule, same.undecidable), (3, 0, 0, 0), "{ask:?}\n{}", then.text);
            let report = replay(&now.table, [&*line, &*line, &*line], Trials::AsWritten);
            assert_eq!(report.decided + report.undecidable, 3, "{ask:?}");
            let (is, _) = decision(&now.table, &ask);
            if report.undecidable > 0 {
                undecidable += 1;
            } else {
                let wanted = if was == is {
                    (0, 0)
                } else if is {
                    (0, 3)
                } else {
                    (3, 0)
                };
                assert_eq!((report.denied, report.allowed), wanted, "{ask:?}\n{}\n{}", then.text, now.text);
                decided += 1;
                changed += u64::from(was != is);
            }
        }
    }
    assert!(decided > 600 && changed > 50 && undecidable > 10, "{decided} {changed} {undecidable}");
}

fn line(more: &str) -> String {
    format!(
        r#"{{"kind":"decision","id":"1","time":"2026-11-21T12:00:00Z","dir":"inbound","decision":"allow","reason":"rule","rule":"old","src":{{"id":"{WEB}"}},"dst":{{"host":"a","port":{PORT}}},"http":{{"method":"GET","path":"/orders/17","ctype":"none"}}{more}}}"#
    )
}

#[test]
fn a_condition_that_was_not_looked_at_is_named_where_the_verdict_hangs_on_it() {
    let from = &format!("{{ spiffe = ['{WEB}'] }}");
    let with = |id: &str, effect: &str, name: &str| {
        rule(id, effect, from, &format!("methods = ['GET']\npaths = ['/orders/{{id}}']\nheaders = [{{ name = '{name}', present = true }}]"))
    };
    let plain = rule("old", "allow", from, "methods = ['GET']\npaths = ['/orders/{id}']");
    let report = replay(&parsed("", &with("new", "allow", "x-a")), [&*line("")], Trials::AsWritten);
    assert_eq!((report.decided, report.undecidable), (0, 1));
    assert_eq!(report.missing.keys().collect::<Vec<_>>(), [r#"header:x-a {"header":{"name":"x-a","present":true}}"#]);
    // Where it makes no difference it is not asked for: another rule lets it pass, or the rule is in shadow.
    for rules in [plain.clone() + &with("new", "allow", "x-a"), with("new", "allow", "x-a") + &plain] {
        let report = replay(&parsed("", &rules), [&*line("")], Trials::AsWritten);
        assert_eq!((report.decided, report.changed(), report.by_another_rule, report.undecidable), (1, 0, 0, 0), "{rules}");
    }
    let shadow = with("new", "deny", "x-a") + "mode = 'shadow'\nshadow_until = '2026-11-28T00:00:00Z'\n" + &plain;
    assert_eq!(replay(&parsed("", &shadow), [&*line("")], Trials::AsWritten).undecidable, 0);
    assert_eq!(replay(&parsed("", &shadow), [&*line("")], Trials::Enforced).undecidable, 1);
    // Seven at one place are more than are tried.
    let seven: String = (0..7).map(|number| with(&format!("r{number}"), "allow", &format!("x-{number}"))).collect();
    assert_eq!(replay(&parsed("", &seven), [&*line("")], Trials::AsWritten).undecidable, 1);
}

#[test]
fn what_rules_did_not_decide_is_counted_apart() {
    let table = parsed("", "");
    let aggregate = r#"{"kind":"aggregate","time":"2026-11-21T12:00:00Z","dir":"inbound","decision":"deny","reason":"implicit_deny","of":"decision","count":40}"#;
    let lines = [
        line("").replace(r#""reason":"rule""#, r#""reason":"malformed:path""#),
        line("").replace(r#""reason":"rule""#, r#""reason":"quarantined""#),
        line("").replace(r#""reason":"rule""#, r#""reason":"shed""#),
        line("").replace("inbound", "outbound"),
        line(r#","cut":true"#),
        line(r#","phase":"open""#),
        aggregate.to_owned(),
        aggregate.replace("implicit_deny", "unauthenticated:expired"),
        r#"{"kind":"gap","cause":"ring_full","count":9}"#.to_owned(),
        r#"{"kind":"checkpoint"}"#.to_owned(),
        line(""),
    ];
    let report = replay(&table, lines.iter().map(String::as_str), Trials::AsWritten);
    let apart: Vec<(&str, u64)> = report.apart.iter().map(|(apart, count)| (apart.label(), *count)).collect();
    assert_eq!(apart, [("malformed", 1), ("unauthenticated", 40), ("quarantined", 1), ("refused", 1), ("outbound", 1), ("gap", 9)]);
    let missing: Vec<(&str, u64)> = report.missing.iter().map(|(what, count)| (&**what, *count)).collect();
    assert_eq!((missing, report.undecidable), (vec![("aggregate", 40), ("cut", 1)], 41));
    let [(group, changed)] = &report.groups[..] else { panic!("{:?}", report.groups) };
    assert_eq!((group.change, &*group.template, &*group.was, &*group.now), (Change::Denied, "/orders/{id}", "old", "implicit_deny"));
    assert_eq!((changed.count, &*changed.example, report.decided), (1, "1", 1));
}
