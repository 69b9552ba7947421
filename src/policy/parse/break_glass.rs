//! `break_glass` of a rule.

use crate::document::Section;
use crate::policy::rule::Effect;
use std::time::{Duration, SystemTime};

/// The longest that a break-glass rule may last, from the load to `expires`.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// Reads the ticket, and what such a rule has to have beside it; what is wrong is noted.
pub(super) fn read(
    rule: &Section<'_>,
    effect: Option<Effect>,
    expires: Option<SystemTime>,
    why: Option<&str>,
    now: SystemTime,
) -> Option<Box<str>> {
    const TICKET: &str = "write break_glass = { ticket = \"INC-4711\" }, what the records of its use shall name";
    let section = rule.section("break_glass")?;
    let ticket = section.str("ticket").map(|ticket| ticket.value).filter(|ticket| !ticket.trim().is_empty());
    if ticket.is_none() {
        rule.problem("break_glass", "has no ticket", TICKET);
    }
    section.close();
    if matches!(effect, Some(Effect::Deny | Effect::Audit)) {
        rule.problem("break_glass", "stands in a rule that lets nothing pass", "remove it, or write effect = \"allow\"");
    }
    if !rule.has("expires") {
        rule.problem("break_glass", "stands in a rule without an end", "add expires = \"…\", at most 24 hours ahead");
    }
    if expires.and_then(|end| end.duration_since(now).ok()).is_some_and(|ahead| ahead > LONGEST) {
        rule.problem(
            "expires",
            "is more than 24 hours ahead in a break-glass rule",
            "write a time within 24 hours; it can be moved on later",
        );
    }
    if why.is_none() {
        rule.problem("why", "is missing in a break-glass rule", "add why = \"…\"");
    }
    ticket.map(String::into_boxed_str)
}
