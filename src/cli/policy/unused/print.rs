//! What is unused, as text and as JSON.

use super::{Answer, Args, Told};
use crate::cli::policy::given::Given;
use crate::cli::terminal::printable;
use crate::policy::explain::RulePlace;
use crate::policy::usage::{Known, List, Member, Replica, moment};
use serde_json::{Value, json};
use std::fmt::Write as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Seconds of a day: a replica that is silent for longer is told of.
const DAY: u64 = 86_400;

// Writing into a String cannot fail.
macro_rules! say {
    ($text:expr, $($what:tt)*) => {{ let _ = writeln!($text, $($what)*); }};
}

/// For people.
pub(super) fn text(given: &Given, told: &[Told<'_>], args: &Args, answer: Answer) -> String {
    let mut text = String::new();
    for told in told {
        table(&mut text, given, told, args);
    }
    let days = args.days;
    let end = match answer {
        Answer::AllUsed => "nothing that is old enough is unused",
        Answer::Unused => "what allows have unused can go, all of it at once: no request that was seen needs it",
        Answer::NotKnown => "not enough was observed to say",
    };
    say!(text, "{days} days: {end}");
    text
}

fn table(text: &mut String, given: &Given, told: &Told<'_>, args: &Args) {
    let Told { part, table, report, .. } = told;
    let (name, days) = (printable(&table.facts.name), args.days);
    say!(text, "{name} ({}): {} rules", part.as_str(), report.rules);
    if report.replicas.is_empty() {
        say!(text, "  none of {} counts a table of this name as {}", plural(report.others, "replica"), part.as_str());
        return;
    }
    let since = report.replicas.iter().map(|replica| replica.since).min().unwrap_or_default();
    say!(text, "  {} since {}, as of {}", plural(report.replicas.len(), "replica"), written(since), written(report.until));
    if report.others > 0 {
        say!(text, "  {} without a table of this name left out", plural(report.others, "replica"));
    }
    for Replica { observer, workload, since, .. } in report.young_replicas(days) {
        let accepted = if args.accept_young { "; accepted" } else { "" };
        say!(text, "  young     {} of {} counts since {} only{accepted}", printable(observer), printable(workload), written(*since));
    }
    for Replica { observer, workload, until, .. } in
        report.replicas.iter().filter(|replica| replica.until.saturating_add(DAY) < report.until)
    {
        say!(text, "  ended     {} of {}, or not collected since {}", printable(observer), printable(workload), written(*until));
    }
    let young = |known: &Option<Known>| known.as_ref().map_or_else(|| "not counted yet as it is".to_owned(), used);
    let (id, place) = (|index| rule(given, told, index).0, |index| rule(given, told, index).1);
    for unused in &report.unused {
        say!(text, "  unused    {}  {}  {}  ({})", id(unused.rule), unused.effect, used(&unused.known), place(unused.rule));
    }
    report.members.iter().for_each(|member| say!(text, "  unused    {}", listed(given, told, member)));
    for (index, known) in &report.young {
        say!(text, "  too young {}  {}  ({})", id(*index), young(known), place(*index));
    }
    report.young_members.iter().for_each(|member| say!(text, "  too young {}", listed(given, told, member)));
    for index in &report.blurred {
        say!(text, "  blurred   {}  is used; its members were too many to tell apart  ({})", id(*index), place(*index));
    }
}

/// The id of a rule, and its file and line.
fn rule(given: &Given, told: &Told<'_>, index: usize) -> (String, String) {
    let place = RulePlace { part: told.given_as, index };
    (printable(&given.id(place)), given.place(place))
}

fn listed(given: &Given, told: &Told<'_>, member: &Member) -> String {
    let (text, used) = (printable(&member.member), used(&member.known));
    match &member.list {
        List::Rule(index, dimension) => {
            let (id, place) = rule(given, told, *index);
            format!("{id}: {} {text}  {used}  ({place})", dimension.as_str())
        }
        List::Set(name) => format!("set @{}: {text}  {used}", printable(name)),
    }
}

fn used(known: &Known) -> String {
    match known.last {
        None => format!("never used since {}", written(known.since)),
        Some(last) => format!("last used {}, {} since {}", written(last), plural(known.hits, "time"), written(known.since)),
    }
}

fn plural(count: impl TryInto<u64>, what: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn written(seconds: u64) -> String {
    OffsetDateTime::from(moment(seconds)).format(&Rfc3339).unwrap_or_default()
}

/// For programs.
pub(super) fn json(given: &Given, told: &[Told<'_>], args: &Args, answer: Answer) -> Value {
    let answer = match answer {
        Answer::AllUsed => "all_used",
        Answer::Unused => "unused",
        Answer::NotKnown => "not_known",
    };
    json!({
        "days": args.days,
        "answer": answer,
        "tables": told.iter().map(|told| table_json(given, told, args)).collect::<Vec<_>>(),
    })
}

fn table_json(given: &Given, told: &Told<'_>, args: &Args) -> Value {
    let Told { given_as, part, table, report } = told;
    let id = |index: usize| given.id(RulePlace { part: *given_as, index });
    let place = |index: usize| given.place(RulePlace { part: *given_as, index });
    let member = |member: &Member| {
        let (rule, set, list) = match &member.list {
            List::Rule(place, dimension) => (Some(id(*place)), None, dimension.as_str()),
            List::Set(name) => (None, Some(name), "set"),
        };
        json!({ "rule": rule, "set": set, "list": list, "member": member.member, "use": known(&member.known) })
    };
    let unused = report.unused.iter().map(
        |unused| json!({ "rule": id(unused.rule), "place": place(unused.rule), "effect": unused.effect, "use": known(&unused.known) }),
    );
    let young =
        report.young.iter().map(|(index, use_)| json!({ "rule": id(*index), "place": place(*index), "use": use_.as_ref().map(known) }));
    json!({
        "table": table.facts.name,
        "part": part.as_str(),
        "rules": report.rules,
        "replicas": report.replicas.iter().map(replica).collect::<Vec<_>>(),
        "young_replicas": report.young_replicas(args.days).map(replica).collect::<Vec<_>>(),
        "other_replicas": report.others,
        "as_of": written(report.until),
        "unused": unused.collect::<Vec<_>>(),
        "unused_members": report.members.iter().map(member).collect::<Vec<_>>(),
        "too_young": young.collect::<Vec<_>>(),
        "too_young_members": report.young_members.iter().map(member).collect::<Vec<_>>(),
        "blurred": report.blurred.iter().map(|index| id(*index)).collect::<Vec<_>>(),
    })
}

fn replica(replica: &Replica) -> Value {
    let Replica { observer, workload, since, until } = replica;
    json!({ "observer": observer, "workload": workload, "since": written(*since), "until": written(*until) })
}

fn known(known: &Known) -> Value {
    json!({ "since": written(known.since), "hits": known.hits, "last": known.last.map(written) })
}
