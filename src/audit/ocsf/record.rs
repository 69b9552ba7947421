//! A record as it was written, member by member, its values still the text that stood in the line.

use memchr::memchr2;
use serde::de::IgnoredAny;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Members of one record; ordinary ones have some forty.
const MEMBERS: usize = 64;

/// A line that cannot be mapped. Trying again does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotARecord {
    /// It was cut short, or something else was written between the records.
    #[error("is no JSON object")]
    NoObject,
    /// It is JSON that somebody else wrote.
    #[error("is no record of this log: it has no \"v\" and \"time\" of one")]
    Foreign,
}

/// The members of a record that have no place in the event yet.
pub(super) struct Record<'l> {
    members: Vec<Member<'l>>,
}

/// One member; those of an object in it stand beside it, with the object's name as their group.
struct Member<'l> {
    group: &'l str,
    name: &'l str,
    value: &'l str,
    taken: bool,
}

impl<'l> Record<'l> {
    /// Reads a line that anybody may have written.
    pub(super) fn read(line: &'l str) -> Result<Self, NotARecord> {
        let line = line.trim_ascii();
        if !line.starts_with('{') || serde_json::from_str::<IgnoredAny>(line).is_err() {
            return Err(NotARecord::NoObject);
        }
        Self::trusted(line)
    }

    /// Reads a line that our own renderer wrote.
    pub(super) fn trusted(line: &'l str) -> Result<Self, NotARecord> {
        let mut members = Vec::with_capacity(MEMBERS);
        for (name, value) in Members::of(line) {
            let before = members.len();
            if value.starts_with('{') {
                members.extend(Members::of(value).map(|(inner, value)| Member { group: name, name: inner, value, taken: false }));
            }
            if members.len() == before {
                members.push(Member { group: "", name, value, taken: false });
            }
        }
        let record = Self { members };
        let known = record.seen("", "v").is_some_and(|schema| schema.starts_with("\"countersign."));
        if known && record.seen("", "time").and_then(millis).is_some() { Ok(record) } else { Err(NotARecord::Foreign) }
    }

    /// A value that stays.
    pub(super) fn seen(&self, group: &str, name: &str) -> Option<&'l str> {
        self.find(group, name).map(|member| member.value)
    }

    /// Whether a member is this text.
    pub(super) fn is(&self, group: &str, name: &str, text: &str) -> bool {
        self.seen(group, name).and_then(unquoted) == Some(text)
    }

    pub(super) fn has(&self, group: &str, name: &str) -> bool {
        self.find(group, name).is_some()
    }

    /// Takes a text, quotes and escapes included.
    pub(super) fn text(&mut self, group: &str, name: &str) -> Option<&'l str> {
        self.take(group, name, |value| value.starts_with('"').then_some(value))
    }

    /// Takes a whole number that is not negative.
    pub(super) fn number(&mut self, group: &str, name: &str) -> Option<i64> {
        self.take(group, name, |value| value.parse().ok().filter(|number| *number >= 0))
    }

    /// Takes a time, as milliseconds since 1970.
    pub(super) fn time(&mut self, group: &str, name: &str) -> Option<i64> {
        self.take(group, name, millis)
    }

    /// Takes a member that is true.
    pub(super) fn truth(&mut self, group: &str, name: &str) -> bool {
        self.take(group, name, |value| (value == "true").then_some(())).is_some()
    }

    /// Takes an array of texts.
    pub(super) fn list(&mut self, group: &str, name: &str) -> Vec<&'l str> {
        self.take(group, name, texts).unwrap_or_default()
    }

    /// Takes the texts of an object, which may have any names.
    pub(super) fn texts(&mut self, group: &str) -> Vec<(&'l str, &'l str)> {
        let texts = self.members.iter_mut().filter(|member| member.group == group && member.value.starts_with('"'));
        texts
            .map(|member| {
                member.taken = true;
                (member.name, member.value)
            })
            .collect()
    }

    /// What was not taken, in the order of the line: group, name, value.
    pub(super) fn rest(&self) -> impl Iterator<Item = (&'l str, &'l str, &'l str)> {
        self.members.iter().filter(|member| !member.taken).map(|member| (member.group, member.name, member.value))
    }

    fn find(&self, group: &str, name: &str) -> Option<&Member<'l>> {
        self.members.iter().find(|member| !member.taken && member.name == name && member.group == group)
    }

    /// Takes a member if it reads as what is wanted; otherwise it stays where it is.
    fn take<T>(&mut self, group: &str, name: &str, read: impl Fn(&'l str) -> Option<T>) -> Option<T> {
        let member = self.members.iter_mut().find(|member| !member.taken && member.name == name && member.group == group)?;
        let read = read(member.value)?;
        member.taken = true;
        Some(read)
    }
}

/// A text without its quotes.
pub(super) fn unquoted(value: &str) -> Option<&str> {
    value.strip_prefix('"')?.strip_suffix('"')
}

/// Milliseconds since 1970 of a time in RFC 3339.
pub(super) fn millis(value: &str) -> Option<i64> {
    let at = OffsetDateTime::parse(unquoted(value)?, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

/// The members of an object whose text is well-formed: each name without quotes and each value as it stands. Ends early where it is not.
struct Members<'l> {
    rest: &'l str,
}

impl<'l> Members<'l> {
    fn of(object: &'l str) -> Self {
        Self { rest: object.strip_prefix('{').unwrap_or_default() }
    }
}

impl<'l> Iterator for Members<'l> {
    type Item = (&'l str, &'l str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.trim_ascii_start();
        let rest = rest.strip_prefix(',').unwrap_or(rest).trim_ascii_start();
        let (name, rest) = rest.split_at_checked(string(rest)?)?;
        let rest = rest.trim_ascii_start().strip_prefix(':')?.trim_ascii_start();
        let (value, rest) = rest.split_at_checked(value(rest)?)?;
        self.rest = rest;
        Some((unquoted(name)?, value))
    }
}

/// The elements of an array; `None` where one is no text.
fn texts(array: &str) -> Option<Vec<&str>> {
    let mut rest = array.strip_prefix('[')?.trim_ascii_start();
    let mut texts = Vec::new();
    while !rest.starts_with(']') {
        let (text, after) = rest.split_at_checked(string(rest)?)?;
        texts.push(text);
        let after = after.trim_ascii_start();
        rest = after.strip_prefix(',').unwrap_or(after).trim_ascii_start();
    }
    Some(texts)
}

/// The length of the string that a text begins with, quotes included.
fn string(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = usize::from(text.starts_with('"'));
    while at > 0 {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
    None
}

/// The length of the value that a text begins with.
fn value(text: &str) -> Option<usize> {
    match text.as_bytes().first()? {
        b'"' => string(text),
        b'{' | b'[' => nested(text),
        _ => text.find([',', '}', ']', ' ', '\t', '\r', '\n']),
    }
}

/// The length of the object or array that a text begins with.
fn nested(text: &str) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'"' => at += string(text.get(at..)?)? - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}
