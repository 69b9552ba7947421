//! Values: how one is read, and how it is written.

use super::element::{Element, Wrong};
use crate::document::{self, Item, NoQuantity, Section};
use std::time::Duration;

/// A value of a key.
pub(in crate::config) trait Value: Sized {
    /// Reads it; what is wrong is noted as a problem of `section`.
    fn read(section: &Section<'_>, key: &'static str) -> Option<Item<Self>>;

    /// Writes it as TOML does.
    fn show(&self) -> String;
}

/// A number of bytes: `"64KiB"`, and plain 0.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(in crate::config) struct Size(pub(in crate::config) u64);

const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl<T: Element> Value for T {
    fn read(section: &Section<'_>, key: &'static str) -> Option<Item<Self>> {
        parsed(section, section.str(key)?, T::parse)
    }

    fn show(&self) -> String {
        format!("{:?}", Element::show(self))
    }
}

impl<T: Element + PartialEq> Value for Vec<T> {
    fn read(section: &Section<'_>, key: &'static str) -> Option<Item<Self>> {
        list(section, key, section.strings(key)?)
    }

    fn show(&self) -> String {
        format!("[{}]", self.iter().map(Value::show).collect::<Vec<_>>().join(", "))
    }
}

impl Value for bool {
    fn read(section: &Section<'_>, key: &'static str) -> Option<Item<Self>> {
        section.bool(key)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for f64 {
    fn read(section: &Section<'_>, key: &'static str) -> Option<Item<Self>> {
        section.number(key)
    }

    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl Value for usize {
    fn read(section: &Section<'_>, key: &'static str) -> Option<Item<Self>> {
        whole(section, key)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for u64 {
    fn read(section: &Section<'_>, key: &'static str) -> Option<Item<Self>> {
        whole(section, key)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for u32 {
    fn read(section: &Section<'_>, key: &'static str) -> Option<Item<Self>> {
        whole(section, key)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for Duration {
    fn read(section: &Section<'_>, key: &'static str) -> Option<Item<Self>> {
        amount(section, key, "s", "units are ms, s, m, h and d", duration)
    }

    fn show(&self) -> String {
        format!("\"{}\"", document::written(*self))
    }
}

impl Value for Size {
    fn read(section: &Section<'_>, key: &'static str) -> Option<Item<Self>> {
        amount(section, key, "B", "units are B, KiB, MiB and GiB", size)
    }

    fn show(&self) -> String {
        match SIZES.iter().find(|(_, factor)| self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) if self.0 > 0 => format!("\"{}{unit}\"", self.0 / factor),
            _ => "0".into(),
        }
    }
}

/// Reads the elements of a list; the same one twice is a mistake.
pub(super) fn list<T: Element + PartialEq>(section: &Section<'_>, key: &'static str, items: Vec<Item<String>>) -> Option<Item<Vec<T>>> {
    let mut values: Vec<T> = Vec::new();
    let count = items.len();
    for item in items {
        let place = item.place.clone();
        if let Some(item) = parsed(section, item, T::parse) {
            if values.contains(&item.value) {
                section.document().report(place, format!("{:?} is written twice", Element::show(&item.value)), "write it once");
            } else {
                values.push(item.value);
            }
        }
    }
    (values.len() == count).then(|| Item { value: values, place: section.place_of(key) })
}

fn parsed<T>(section: &Section<'_>, item: Item<String>, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<Item<T>> {
    match parse(&item) {
        Ok(value) => Some(item.with(value)),
        Err(Wrong { what, instead }) => {
            section.document().report(item.place, what, instead);
            None
        }
    }
}

fn whole<T: TryFrom<i64>>(section: &Section<'_>, key: &'static str) -> Option<Item<T>> {
    let item = section.integer(key)?;
    match T::try_from(item.value) {
        Ok(value) => Some(item.with(value)),
        Err(_) => {
            let instead = if item.value < 0 { "write a number that is not negative" } else { "write a smaller number" };
            section.problem(key, format!("is {}", item.value), instead);
            None
        }
    }
}

/// Reads a number with a unit; of bare numbers only 0 is clear enough.
fn amount<T>(
    section: &Section<'_>,
    key: &'static str,
    unit: &str,
    units: &str,
    parse: impl Fn(&str) -> Result<T, Wrong>,
) -> Option<Item<T>> {
    if section.kind(key) != Some("integer") {
        return parsed(section, section.str(key)?, |text| parse(text).map_err(|wrong| wrong.adding(units)));
    }
    let item = section.integer(key)?;
    if item.value == 0 {
        return parsed(section, item.with(format!("0{unit}")), parse);
    }
    section.problem(
        key,
        format!("is {} without a unit", item.value),
        format!("write it with its unit, such as \"{}{unit}\"; {units}", item.value),
    );
    None
}

/// Reads a duration: a whole number and a unit.
pub(in crate::config) fn duration(text: &str) -> Result<Duration, Wrong> {
    document::duration(text).map_err(wrong)
}

fn size(text: &str) -> Result<Size, Wrong> {
    let (number, factor) = document::quantity(text, &SIZES, "\"64KiB\" or \"1GiB\"").map_err(wrong)?;
    let bytes = number.checked_mul(factor).filter(|bytes| i64::try_from(*bytes).is_ok());
    bytes.map(Size).ok_or_else(|| Wrong::new(format!("is {text:?}, beyond 63 bits"), "write less"))
}

fn wrong(no: NoQuantity) -> Wrong {
    Wrong::new(no.what, no.instead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        let table = [
            ("500ms", 500, "\"500ms\""),
            ("30s", 30_000, "\"30s\""),
            ("60s", 60_000, "\"60s\""),
            ("1m", 60_000, "\"60s\""),
            ("10m", 600_000, "\"10m\""),
            ("90s", 90_000, "\"90s\""),
            ("60m", 3_600_000, "\"1h\""),
            ("1d", 86_400_000, "\"24h\""),
            ("0ms", 0, "\"0s\""),
            ("1500ms", 1_500, "\"1500ms\""),
        ];
        for (text, milliseconds, shown) in table {
            let value = duration(text).unwrap();
            assert_eq!(value, Duration::from_millis(milliseconds), "{text}");
            assert_eq!(value.show(), shown, "{text}");
        }
        for text in ["", "s", "30", "-1s", "1.5s", "1h30m", "30 s", "30S", "366d", "99999999999999999999s", "18446744073709551615d", "3µs"]
        {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn sizes_are_read_and_written() {
        let table = [("512B", 512, "\"512B\""), ("64KiB", 65_536, "\"64KiB\""), ("1024MiB", 1 << 30, "\"1GiB\""), ("0B", 0, "0")];
        for (text, bytes, shown) in table {
            let value = size(text).unwrap();
            assert_eq!(value.0, bytes, "{text}");
            assert_eq!(value.show(), shown, "{text}");
        }
        for text in ["", "64", "64kb", "64KB", "KiB", "-1B", "1.5GiB", "18446744073709551615GiB", "9223372036854775808B"] {
            assert!(size(text).is_err(), "{text:?}");
        }
    }
}
