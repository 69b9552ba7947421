//! What a segment of a path looks like: an id, or a word.

use crate::policy::pattern::segments;

/// The least digits of a hexadecimal value: as many as the short form of a commit.
const HEX: usize = 7;

/// A kind of values that ids have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// As in `6f1c02b8-2a55-4d0e-9a3c-1f6e0d7b9a10`.
    Uuid,
    /// As in `2026-11-22`.
    Date,
    /// Decimal digits.
    Integer,
    /// Hexadecimal digits.
    Hex,
}

impl Class {
    /// All of them; of several that fit, the first one is meant.
    pub(super) const ALL: [Self; 4] = [Self::Uuid, Self::Date, Self::Integer, Self::Hex];

    /// What a placeholder for its values is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Uuid => "uuid",
            Self::Date => "date",
            Self::Integer => "id",
            Self::Hex => "hex",
        }
    }

    /// The class of a segment by its looks; a word that happens to have no letter beyond f has none.
    pub(super) fn of(segment: &str) -> Option<Self> {
        let is_word = || !segment.bytes().any(|byte| byte.is_ascii_digit());
        Self::ALL.into_iter().find(|class| class.takes(segment) && !is_word())
    }

    /// Whether a segment may be such a value where others beside it are.
    pub(super) fn takes(self, segment: &str) -> bool {
        let bytes = segment.as_bytes();
        match self {
            Self::Uuid => groups(segment, &[8, 4, 4, 4, 12], |byte| byte.is_ascii_hexdigit()),
            Self::Date => groups(segment, &[4, 2, 2], |byte| byte.is_ascii_digit()) && is_day(segment),
            Self::Integer => !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit),
            Self::Hex => bytes.len() >= HEX && bytes.iter().all(u8::is_ascii_hexdigit),
        }
    }
}

/// Whether it is groups of so many characters with dashes between.
fn groups(segment: &str, lengths: &[usize], is_of: fn(u8) -> bool) -> bool {
    let total = lengths.iter().sum::<usize>() + lengths.len() - 1;
    segment.len() == total
        && segment.split('-').map(str::len).eq(lengths.iter().copied())
        && segment.bytes().all(|byte| byte == b'-' || is_of(byte))
}

fn is_day(date: &str) -> bool {
    let number = |text: &str| text.parse::<u8>().unwrap_or_default();
    let (month, day) = (date.get(5..7).map_or(0, number), date.get(8..).map_or(0, number));
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// A path with a placeholder for each segment that is an id by its looks: requests about different ids have it in common.
pub(in crate::policy) fn general(path: &str) -> String {
    let named =
        segments(path).map(|segment| Class::of(segment).map_or_else(|| segment.to_owned(), |class| format!("{{{}}}", class.name())));
    named.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_told_by_their_looks() {
        for (segment, class) in [
            ("6f1c02b8-2a55-4d0e-9a3c-1f6e0d7b9a10", Some(Class::Uuid)),
            ("6F1C02B8-2A55-4D0E-9A3C-1F6E0D7B9A10", Some(Class::Uuid)),
            ("6f1c02b8-2a55-4d0e-9a3c-1f6e0d7b9a1g", None),
            ("6f1c02b82a554d0e9a3c1f6e0d7b9a10", Some(Class::Hex)),
            ("2026-11-22", Some(Class::Date)),
            ("2026-13-22", None),
            ("2026-11-00", None),
            ("17", Some(Class::Integer)),
            ("20261122", Some(Class::Integer)),
            ("a1b2c3d", Some(Class::Hex)),
            ("a1b2c3", None),
            ("defaced", None),
            ("v1", None),
            ("orders", None),
            ("-5", None),
            ("", None),
            ("%31", None),
        ] {
            assert_eq!(Class::of(segment), class, "{segment}");
        }
        assert!(Class::Hex.takes("defaced") && Class::Hex.takes("20261122") && !Class::Integer.takes("a1b2c3d"));
    }

    #[test]
    fn paths_about_different_ids_have_a_form_in_common() {
        assert_eq!(general("/orders/17/lines/2026-11-22"), "/orders/{id}/lines/{date}");
        assert_eq!(general("/"), "/");
        assert_eq!(general("*"), "*");
    }
}
