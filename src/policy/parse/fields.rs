//! Fields that tables, rules and cases have in common.

use crate::document::{self, Item, Place, Section};
use crate::policy::moment;
use crate::policy::rule::Mode;
use crate::policy::standing::Percent;
use std::time::{Duration, SystemTime};

/// The longest trial ahead, from the load to `shadow_until`: one that lasts for ever is a table that nobody enforces.
const LONGEST_SHADOW: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Refuses a field of the format that this version does not act on: leaving a condition out would widen an allow.
pub(super) fn not_built(section: &Section<'_>, key: &'static str) {
    section.refuse(key, "is not built yet", "remove it; a condition that is not checked would only look like one");
}

/// A time.
pub(super) fn time(section: &Section<'_>, key: &'static str) -> Option<SystemTime> {
    let text = section.str(key)?;
    let at = moment::parse(&text);
    if at.is_none() {
        section.problem(key, format!("`{}` is no time", text.value), "write it as in \"2026-12-05T00:00:00Z\"");
    }
    at
}

/// A duration of more than nothing.
pub(super) fn duration(section: &Section<'_>, key: &'static str) -> Option<Duration> {
    let text = section.str(key)?;
    match document::duration(&text) {
        Ok(span) if !span.is_zero() => return Some(span),
        Ok(_) => section.problem(key, "is no time at all", "write more, as in \"24h\""),
        Err(wrong) => section.problem(key, wrong.what, wrong.instead),
    }
    None
}

/// `mode` and `shadow_until`.
pub(super) fn mode(section: &Section<'_>, now: SystemTime) -> Mode {
    let until = time(section, "shadow_until");
    match section.str("mode").as_deref().map(String::as_str) {
        Some("shadow") => shadow(section, until, now),
        Some("enforce") | None => {
            if section.has("shadow_until") {
                section.problem("shadow_until", "stands without a shadow", "remove it, or write mode = \"shadow\"");
            }
            Mode::Enforce
        }
        Some(other) => {
            section.problem("mode", format!("is `{other}`"), "write \"enforce\" or \"shadow\"");
            Mode::Enforce
        }
    }
}

/// `enforce_percent`: of how many identities `mode = "enforce"` is about.
pub(super) fn percent(section: &Section<'_>, mode: Mode) -> Percent {
    let Some(item) = section.integer("enforce_percent") else { return Percent::ALL };
    if mode != Mode::Enforce {
        section.problem("enforce_percent", "stands beside mode = \"shadow\", which enforces nothing", "remove one of them");
    }
    let percent = Percent::new(item.value);
    if percent.is_none() {
        section.problem("enforce_percent", format!("is {}", item.value), "write 1 to 100; for nobody, mode = \"shadow\"");
    }
    percent.unwrap_or(Percent::ALL)
}

fn shadow(section: &Section<'_>, until: Option<SystemTime>, now: SystemTime) -> Mode {
    if !section.has("shadow_until") {
        section.problem("mode", "is shadow without an end", "add shadow_until = \"…\", at most 30 days ahead");
    }
    let until = until.unwrap_or(now);
    if until.duration_since(now).is_ok_and(|ahead| ahead > LONGEST_SHADOW) {
        section.problem("shadow_until", "is more than 30 days ahead", "write a time within 30 days; it can be moved on later");
    }
    Mode::Shadow { until }
}

/// A list of strings with at least one in it; absent is `None`.
pub(super) fn list(section: &Section<'_>, key: &'static str, instead: &str) -> Option<Vec<Item<String>>> {
    let items = section.strings(key)?;
    if items.is_empty() {
        section.problem(key, "is an empty list", instead);
        return None;
    }
    Some(items)
}

/// A list with each item read by `read`, whose error is what is wrong and what to write instead.
pub(super) fn list_of<T>(
    section: &Section<'_>,
    key: &'static str,
    instead: &str,
    read: impl Fn(&str) -> Result<T, (String, String)>,
) -> Option<Vec<T>> {
    let items = list(section, key, instead)?;
    let read = items.into_iter().map(|item| each(section, item, &read)).collect::<Vec<_>>();
    read.into_iter().collect()
}

/// One item read by `read`; its problem is noted where the item stands.
pub(super) fn each<T>(section: &Section<'_>, item: Item<String>, read: impl Fn(&str) -> Result<T, (String, String)>) -> Option<T> {
    match read(&item.value) {
        Ok(value) => Some(value),
        Err((what, instead)) => {
            section.document().report(item.place, format!("`{}` {what}", item.value), instead);
            None
        }
    }
}

/// Any port.
pub(super) fn any_port(section: &Section<'_>, place: &Place, value: i64) -> Option<u16> {
    let port = u16::try_from(value).ok().filter(|port| *port != 0);
    if port.is_none() {
        section.document().report(place.clone(), format!("{value} is no port"), "write a number from 1 to 65535");
    }
    port
}

/// The port of a rule or a case, which must be the port of a listener.
pub(super) fn port(section: &Section<'_>, place: &Place, value: i64, ports: &[u16]) -> Option<u16> {
    let port = u16::try_from(value).ok().filter(|port| ports.contains(port));
    if port.is_none() {
        let known: Vec<String> = ports.iter().map(u16::to_string).collect();
        let known =
            if known.is_empty() { "there is no inbound listener".to_owned() } else { format!("listeners have: {}", known.join(", ")) };
        section.document().report(place.clone(), format!("{value} is the port of no inbound listener"), known);
    }
    port
}
