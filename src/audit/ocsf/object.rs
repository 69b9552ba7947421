//! A JSON object of any depth, appended member by member; what would be empty is left out.

use std::fmt::Display;
use std::io::Write;

/// A value of one of OCSF's enumerations, with its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named(pub(super) u8, pub(super) &'static str);

/// An object under construction.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// A text of our own that needs no escapes.
    pub(super) fn label(&mut self, name: &str, text: &str) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
    }

    /// A number or a truth.
    pub(super) fn plain(&mut self, name: &str, value: impl Display) {
        self.name(name);
        // Writing into a Vec cannot fail.
        let _ = write!(self.out, "{value}");
    }

    /// JSON as it stands.
    pub(super) fn json(&mut self, name: &str, json: &str) {
        self.name(name);
        self.out.extend_from_slice(json.as_bytes());
    }

    pub(super) fn optional(&mut self, name: &str, json: Option<&str>) {
        if let Some(json) = json {
            self.json(name, json);
        }
    }

    pub(super) fn number(&mut self, name: &str, value: Option<i64>) {
        if let Some(value) = value {
            self.plain(name, value);
        }
    }

    /// A value of an enumeration, and its name in the member beside it.
    pub(super) fn named(&mut self, id: &str, name: &str, Named(value, caption): Named) {
        self.plain(id, value);
        self.label(name, caption);
    }

    /// An object inside, left out where nothing is put into it.
    pub(super) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        let (start, was_empty) = (self.out.len(), self.empty);
        self.name(name);
        if !braced(self.out, fill) {
            self.out.truncate(start);
            self.empty = was_empty;
        }
    }

    /// An object that is there even where it is empty.
    pub(super) fn required(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        braced(self.out, fill);
    }

    /// An object without its end.
    pub(super) fn unclosed(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        fill(&mut Object::begin(self.out));
    }

    /// An array of objects, left out where there are none.
    pub(super) fn array(&mut self, name: &str, fill: impl FnOnce(&mut Array<'_>)) {
        let (start, was_empty) = (self.out.len(), self.empty);
        self.name(name);
        self.out.push(b'[');
        let mut array = Array { out: self.out, empty: true };
        fill(&mut array);
        if array.empty {
            self.out.truncate(start);
            self.empty = was_empty;
        } else {
            self.out.push(b']');
        }
    }

    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

/// An array of objects under construction.
pub(super) struct Array<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl Array<'_> {
    pub(super) fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        braced(self.out, fill);
    }
}

/// Appends an object; says whether there is anything in it.
fn braced(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) -> bool {
    let mut object = Object::begin(out);
    fill(&mut object);
    let filled = !object.empty;
    out.push(b'}');
    filled
}
