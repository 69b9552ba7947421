//! JSON from strangers: one object, no member twice, no depth without end.
//!
//! Of a member that is there twice, readers take the first or the last (RFC 8259 section 4): whoever decides and whoever acts must not differ.

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Error as JsonError, Map, Number, Value};
use std::fmt;

/// Objects and lists inside each other.
const DEPTH: u8 = 16;

/// Reads one JSON object and nothing behind it.
pub(super) fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    read(bytes).ok()
}

/// As [`object`], and says what is wrong.
///
/// # Errors
/// What is wrong, with its line and column.
pub(super) fn read(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = reader.deserialize_any(Strict { left: DEPTH })?;
    reader.end()?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(JsonError::custom("it is no object")),
    }
}

/// Whether every member was taken out.
///
/// # Errors
/// The name of one that is left.
pub(super) fn nothing_else(members: &Map<String, Value>) -> Result<(), String> {
    members.keys().next().map_or(Ok(()), |name| Err(name.chars().take(64).collect()))
}

/// A value that may hold so many levels.
#[derive(Clone, Copy)]
struct Strict {
    left: u8,
}

impl Strict {
    fn below<E: Error>(self) -> Result<Self, E> {
        self.left.checked_sub(1).map(|left| Self { left }).ok_or_else(|| E::custom("too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("no number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(below)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(below)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is there twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let fine = r#" {"a":[1,-2,3.5,"x",null,true,{"b":{}}],"c":"\u00e9"} "#;
        assert_eq!(Value::Object(object(fine.as_bytes()).unwrap()), serde_json::from_str::<Value>(fine).unwrap());
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[{"a":1,"a":2}]}"#,
            r#"{"a":1} x"#,
            r#"{"a":1}{"a":1}"#,
            r#"{"a":1e400}"#,
            r#"{"a":NaN}"#,
            r#"{"a":01}"#,
            r#"{"a":1,}"#,
            "[1]",
            "\"a\"",
            "",
            "{\"a\":\"\u{1}\"}",
        ] {
            assert!(object(text.as_bytes()).is_none(), "{text}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_none());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert!(object(nested(16).as_bytes()).is_some());
        assert!(object(nested(17).as_bytes()).is_none());
        assert!(object("{\"a\":[".repeat(100_000).as_bytes()).is_none());
    }
}
