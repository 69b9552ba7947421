//! Durations, as every file writes them: a whole number and a unit.

use std::time::Duration;

/// Longer waits than this are mistakes, and later arithmetic with instants could overflow.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const EXAMPLE: &str = "\"30s\" or \"500ms\"";

/// Why a text is no duration, or no other quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoQuantity {
    /// What is wrong, such as `is "3 s"`.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

/// Reads a duration such as `30s` or `24h`, up to 365 days.
///
/// # Errors
/// What is wrong with it.
pub fn duration(text: &str) -> Result<Duration, NoQuantity> {
    let (number, factor) = quantity(text, &UNITS, EXAMPLE)?;
    let span = number.checked_mul(factor).map(Duration::from_millis).filter(|span| *span <= LONGEST);
    span.ok_or_else(|| NoQuantity { what: format!("is {text:?}, more than 365 days"), instead: "write less".into() })
}

/// Writes a duration as [`duration`] reads it, in the largest unit that fits.
pub fn written(span: Duration) -> String {
    let milliseconds = span.as_millis();
    let fits = |(unit, factor): &&(&str, u64)| {
        let factor = u128::from(*factor);
        *unit != "d" && milliseconds.is_multiple_of(factor) && (*unit != "m" || milliseconds >= 2 * factor)
    };
    match UNITS.iter().rev().find(fits) {
        _ if milliseconds == 0 => "0s".into(),
        Some((unit, factor)) => format!("{}{unit}", milliseconds / u128::from(*factor)),
        None => format!("{milliseconds}ms"),
    }
}

/// Takes a whole number and its unit apart; gives the number and what the unit stands for.
///
/// # Errors
/// There is no number, or another unit.
pub fn quantity(text: &str, units: &[(&str, u64)], example: &str) -> Result<(u64, u64), NoQuantity> {
    let wrong = || NoQuantity { what: format!("is {text:?}"), instead: format!("write a whole number and a unit, such as {example}") };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or(("", text));
    let factor = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    number.parse().ok().zip(factor).ok_or_else(wrong)
}
