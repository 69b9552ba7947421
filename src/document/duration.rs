//! Durations as both files write them.

use std::time::Duration;

/// Reads a duration such as `90s`, `15m`, `12h` or `7d`; at least a second, at most 3,650 days.
pub fn duration(text: &str) -> Option<Duration> {
    const LONGEST: u64 = 3_650 * 86_400;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = number.parse::<u64>().ok().filter(|_| plain)?.checked_mul(seconds)?;
    (1..=LONGEST).contains(&seconds).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn a_number_and_a_unit() {
        for (text, seconds) in [("1s", Some(1)), ("15m", Some(900)), ("12h", Some(43_200)), ("7d", Some(604_800))] {
            assert_eq!(duration(text).map(|duration| duration.as_secs()), seconds, "{text}");
        }
        for text in ["", "s", "0s", "1", "-1s", "+1s", "1.5h", "1 h", "1h ", "1w", "9999999d", "99999999999999999999s", "1é"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
