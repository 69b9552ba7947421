//! Takes the few values out of a record that somebody looks at, and passes over the rest: nothing is allocated for a value without an escape.

use super::field::Field;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A value of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Got<'r> {
    /// It is not there.
    Absent,
    /// A text.
    Text(Cow<'r, str>),
    /// A whole number.
    Number(u64),
    /// True or false.
    Flag(bool),
    /// Something of another kind.
    Other,
}

/// As a cell of a table shows it.
impl fmt::Display for Got<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("-"),
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Other => f.write_str("…"),
        }
    }
}

/// Which values, in which order.
#[derive(Debug, Clone)]
pub struct Extract {
    wanted: Vec<Wanted>,
}

#[derive(Debug, Clone)]
struct Wanted {
    group: Option<String>,
    name: String,
}

impl Extract {
    /// The values of these fields, in their order.
    pub fn new<'f>(fields: impl IntoIterator<Item = &'f Field>) -> Self {
        let wanted = fields.into_iter().map(|field| {
            let (group, name) = field.path();
            Wanted { group: group.map(str::to_owned), name: name.to_owned() }
        });
        Self { wanted: wanted.collect() }
    }

    /// Reads a line; `None` for one that is no object in JSON.
    pub fn read<'r>(&self, line: &'r [u8], values: &mut Vec<Got<'r>>) -> Option<()> {
        values.clear();
        values.resize(self.wanted.len(), Got::Absent);
        let mut json = serde_json::Deserializer::from_slice(line);
        Members { wanted: &self.wanted, group: None, values }.deserialize(&mut json).ok()?;
        json.end().ok()
    }
}

/// The members of the record, or of one of its objects.
struct Members<'x, 'r> {
    wanted: &'x [Wanted],
    group: Option<&'x str>,
    values: &'x mut Vec<Got<'r>>,
}

impl<'r> DeserializeSeed<'r> for Members<'_, 'r> {
    type Value = ();

    fn deserialize<D: Deserializer<'r>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'r> Visitor<'r> for Members<'_, 'r> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'r>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(Text(name)) = members.next_key()? {
            let is_wanted = |wanted: &&Wanted| wanted.group.as_deref() == self.group && wanted.name == name;
            if self.wanted.iter().any(|wanted| is_wanted(&wanted)) {
                let found: Got<'r> = members.next_value()?;
                for (value, _) in self.values.iter_mut().zip(self.wanted).filter(|(_, wanted)| is_wanted(wanted)) {
                    value.clone_from(&found);
                }
                continue;
            }
            match self.wanted.iter().find(|wanted| self.group.is_none() && wanted.group.as_deref() == Some(&*name)) {
                Some(Wanted { group, .. }) => {
                    members.next_value_seed(Group(Members { wanted: self.wanted, group: group.as_deref(), values: self.values }))?;
                }
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// What should be an object; anything else has no members.
struct Group<'x, 'r>(Members<'x, 'r>);

impl<'r> DeserializeSeed<'r> for Group<'_, 'r> {
    type Value = ();

    fn deserialize<D: Deserializer<'r>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

macro_rules! nothing {
    ($($visit:ident($kind:ty)),*) => {
        $(fn $visit<E>(self, _: $kind) -> Result<(), E> { Ok(()) })*
    };
}

impl<'r> Visitor<'r> for Group<'_, 'r> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'r>>(self, members: A) -> Result<(), A::Error> {
        self.0.visit_map(members)
    }

    fn visit_seq<A: SeqAccess<'r>>(self, members: A) -> Result<(), A::Error> {
        IgnoredAny.visit_seq(members).map(drop)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    nothing!(visit_bool(bool), visit_u64(u64), visit_i64(i64), visit_f64(f64), visit_str(&str));
}

/// A text, without a copy where it has no escape.
struct Text<'r>(Cow<'r, str>);

impl<'r> Deserialize<'r> for Text<'r> {
    fn deserialize<D: Deserializer<'r>>(json: D) -> Result<Self, D::Error> {
        struct Borrows;
        impl<'r> Visitor<'r> for Borrows {
            type Value = Text<'r>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'r str) -> Result<Text<'r>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'r>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        json.deserialize_str(Borrows)
    }
}

impl<'r> Deserialize<'r> for Got<'r> {
    fn deserialize<D: Deserializer<'r>>(json: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'r> Visitor<'r> for Any {
            type Value = Got<'r>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_borrowed_str<E>(self, text: &'r str) -> Result<Got<'r>, E> {
                Ok(Got::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Got<'r>, E> {
                Ok(Got::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Got<'r>, E> {
                Ok(Got::Number(number))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Got<'r>, E> {
                Ok(Got::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Got<'r>, E> {
                Ok(Got::Other)
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Got<'r>, E> {
                Ok(Got::Flag(flag))
            }

            fn visit_unit<E>(self) -> Result<Got<'r>, E> {
                Ok(Got::Absent)
            }

            fn visit_map<A: MapAccess<'r>>(self, members: A) -> Result<Got<'r>, A::Error> {
                IgnoredAny.visit_map(members).map(|_| Got::Other)
            }

            fn visit_seq<A: SeqAccess<'r>>(self, members: A) -> Result<Got<'r>, A::Error> {
                IgnoredAny.visit_seq(members).map(|_| Got::Other)
            }
        }
        json.deserialize_any(Any)
    }
}
