//! Where a record stands in its log, read back from its line, of either format.
//!
//! Lines come from whoever wrote the file: nothing of them is believed, and a member that is there twice makes a line none of ours.

use super::chain::{Link, MARK};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

pub(super) use crate::policy::record::SCHEMA;

/// The place of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp<'l> {
    /// The boot's id.
    pub boot: Cow<'l, str>,
    /// The record's number in its boot.
    pub seq: u64,
    /// Its shard, and its number there; `None` for what the writer itself says.
    pub shard: Option<(u64, u64)>,
    /// What it is.
    pub kind: Cow<'l, str>,
    /// How many it stands for, where it is a count.
    pub count: Option<u64>,
    /// Its link of the chain, as it says.
    pub chain: Link,
    /// The bytes that the link is over.
    pub hashed: &'l [u8],
}

/// Why a line is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRecord {
    /// It is no JSON, or has other types or a member twice; half a line is.
    #[error("it is no JSON object as records are")]
    Json,
    /// It is JSON and none of our records.
    #[error("it is no record: v is not countersign.decision/1, or seq, boot or kind is missing")]
    Other,
    /// It does not end in its link.
    #[error("it does not end in its chain")]
    Chain,
}

impl<'l> Stamp<'l> {
    /// Reads one line, newline excluded.
    ///
    /// # Errors
    /// It is no record.
    pub fn read(line: &'l [u8]) -> Result<Self, NoRecord> {
        let mut found = Found::default();
        let mut deserializer = serde_json::Deserializer::from_slice(line);
        Members { found: &mut found, place: Place::Top }.deserialize(&mut deserializer).map_err(|_| NoRecord::Json)?;
        deserializer.end().map_err(|_| NoRecord::Json)?;
        let (Some(boot), Some(seq), Some(kind), Some(SCHEMA)) = (found.boot, found.seq, found.kind, found.v.as_deref()) else {
            return Err(NoRecord::Other);
        };
        let (hashed, chain) = split(line).ok_or(NoRecord::Chain)?;
        Ok(Self { boot, seq, shard: found.shard.zip(found.shard_seq), kind, count: found.count, chain, hashed })
    }
}

/// The bytes before the chain, and the chain: the last member of the object, or of the last object in it.
fn split(line: &[u8]) -> Option<(&[u8], Link)> {
    let rest = line.strip_suffix(b"}")?;
    let rest = rest.strip_suffix(b"}").unwrap_or(rest).strip_suffix(b"\"")?;
    let (rest, link) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
    Some((rest.strip_suffix(MARK)?, Link::parse(link)?))
}

/// The members that were met so far.
#[derive(Default)]
struct Found<'l> {
    v: Option<Cow<'l, str>>,
    boot: Option<Cow<'l, str>>,
    kind: Option<Cow<'l, str>>,
    seq: Option<u64>,
    shard: Option<u64>,
    shard_seq: Option<u64>,
    count: Option<u64>,
}

/// Whether members of `unmapped` are looked at as well, where OCSF has no place for ours.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Top,
    Unmapped,
}

struct Members<'f, 'l> {
    found: &'f mut Found<'l>,
    place: Place,
}

impl<'l> DeserializeSeed<'l> for Members<'_, 'l> {
    type Value = ();

    fn deserialize<D: Deserializer<'l>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'l> Visitor<'l> for Members<'_, 'l> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'l>>(self, mut map: A) -> Result<(), A::Error> {
        let found = self.found;
        while let Some(name) = map.next_key_seed(Text)? {
            match &*name {
                "v" => once(&mut found.v, map.next_value_seed(Text)?)?,
                "boot" => once(&mut found.boot, map.next_value_seed(Text)?)?,
                "kind" => once(&mut found.kind, map.next_value_seed(Text)?)?,
                "seq" => once(&mut found.seq, map.next_value()?)?,
                "shard" => once(&mut found.shard, map.next_value()?)?,
                "shard_seq" => once(&mut found.shard_seq, map.next_value()?)?,
                "count" => once(&mut found.count, map.next_value()?)?,
                "unmapped" if self.place == Place::Top => map.next_value_seed(Members { found, place: Place::Unmapped })?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

fn once<T, E: serde::de::Error>(place: &mut Option<T>, value: T) -> Result<(), E> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::custom("a member is there twice")),
    }
}

/// A string, borrowed from the line where it has no escapes.
struct Text;

impl<'l> DeserializeSeed<'l> for Text {
    type Value = Cow<'l, str>;

    fn deserialize<D: Deserializer<'l>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'l> Visitor<'l> for Text {
    type Value = Cow<'l, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'l str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(members: &str) -> String {
        format!("{{{members},\"chain\":\"{}\"}}", "0".repeat(64))
    }

    const NATIVE: &str =
        r#""v":"countersign.decision/1","seq":7,"shard":1,"shard_seq":3,"boot":"b","kind":"gap","x":{"seq":[1]},"count":5"#;

    #[test]
    fn both_formats_say_the_same() {
        let native = line(NATIVE);
        let read = Stamp::read(native.as_bytes()).unwrap();
        assert_eq!((read.seq, read.shard, &*read.boot, &*read.kind, read.count), (7, Some((1, 3)), "b", "gap", Some(5)));
        assert_eq!(read.hashed, format!("{{{NATIVE}").as_bytes());
        let ocsf = format!("{{\"class_uid\":0,\"unmapped\":{}}}", line(NATIVE));
        let other = Stamp::read(ocsf.as_bytes()).unwrap();
        assert_eq!((other.seq, &other.boot, other.count, other.chain), (read.seq, &read.boot, read.count, read.chain));
        assert!(other.hashed.ends_with(b"\"count\":5"));
    }

    #[test]
    fn what_is_no_record_is_none() {
        let twice = line(&format!("{NATIVE},\"seq\":8"));
        let nested = line(&format!("{NATIVE},\"unmapped\":{{\"boot\":\"c\"}}"));
        for wrong in ["", "{", "[]", "null", &twice, &nested, &format!("{} x", line(NATIVE)), &line(&NATIVE.replace(":7", ":-7"))] {
            assert_eq!(Stamp::read(wrong.as_bytes()), Err(NoRecord::Json), "{wrong}");
        }
        for wrong in [&line("\"a\":1"), &line(&NATIVE.replace("/1", "/2")), &line(&NATIVE.replace("\"boot\"", "\"b\""))] {
            assert_eq!(Stamp::read(wrong.as_bytes()), Err(NoRecord::Other), "{wrong}");
        }
        let bare = format!("{{{NATIVE}}}");
        let after = line(NATIVE).replace('}', ",\"more\":1}");
        for wrong in [&bare, &line(NATIVE).replace("\"00", "\"0g"), &format!("{{{NATIVE},\"chain\":\"\"}}"), &after] {
            assert!(matches!(Stamp::read(wrong.as_bytes()), Err(NoRecord::Chain | NoRecord::Json)), "{wrong}");
        }
    }
}
