//! Text → trees. What readers understand differently is refused by name: anchors and aliases (and so no text grows while it is read), tags, repeated
//! keys, keys that are no text.

use super::node::{Key, Node, Value};
use crate::document::{Position, Problem, Problems};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};
use std::collections::HashSet;

/// The most bytes of a text: a cluster's policies fit, an endless file does not fill the memory.
pub const MAX_BYTES: u64 = 8 << 20;

/// Values inside values.
const DEPTH: usize = 64;

/// The most values and keys of a text.
const NODES: usize = 200_000;

type Next<'t> = (Event<'t>, Span);

/// Reads every document of a text that says something; JSON is read as the YAML that it is.
pub(super) fn documents(file: &str, text: &str) -> Result<Vec<Node>, Problems> {
    if u64::try_from(text.len()).is_ok_and(|len| len > MAX_BYTES) {
        return Err(Problems::of_file(file, "is larger than 8 MiB", "import one service at a time"));
    }
    let mut reader = Reader { parser: Parser::new_from_str(text), nodes: 0 };
    reader.documents().map_err(|wrong| {
        let Wrong { at, what, instead } = *wrong;
        Problems::new(vec![Problem { file: file.to_owned(), place: at, what, instead: instead.to_owned() }])
    })
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    nodes: usize,
}

/// What ends the reading: after the first such thing nothing is certain any more.
struct Wrong {
    at: Position,
    what: String,
    instead: &'static str,
}

fn wrong(mark: &Marker, what: impl Into<String>, instead: &'static str) -> Box<Wrong> {
    Box::new(Wrong { at: Position { line: mark.line(), column: mark.col() + 1, key: String::new() }, what: what.into(), instead })
}

impl<'t> Reader<'t> {
    fn documents(&mut self) -> Result<Vec<Node>, Box<Wrong>> {
        let mut documents = Vec::new();
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                Event::StreamEnd => break,
                event => documents.push(self.node((event, span), DEPTH)?),
            }
        }
        documents.retain(|document| !document.is_null());
        Ok(documents)
    }

    fn next(&mut self) -> Result<Option<Next<'t>>, Box<Wrong>> {
        let next = self.parser.next_event().transpose();
        next.map_err(|error| wrong(error.marker(), format!("is no YAML: {}", error.info()), "write it as YAML 1.2 or JSON asks for"))
    }

    fn inner(&mut self, span: &Span) -> Result<Next<'t>, Box<Wrong>> {
        self.next()?.ok_or_else(|| wrong(&span.start, "ends in the middle", "give the whole file"))
    }

    fn node(&mut self, (event, span): Next<'t>, depth: usize) -> Result<Node, Box<Wrong>> {
        self.nodes += 1;
        if self.nodes > NODES {
            return Err(wrong(&span.start, format!("has more than {NODES} values"), "import one service at a time"));
        }
        if depth == 0 {
            return Err(wrong(&span.start, format!("is nested deeper than {DEPTH} levels"), "no policy is"));
        }
        check(&event, &span)?;
        let value = match event {
            Event::Scalar(text, style, ..) => Value::Scalar { text: text.into_owned(), quoted: style != ScalarStyle::Plain },
            Event::SequenceStart(..) => Value::List(self.list(&span, depth)?),
            Event::MappingStart(..) => Value::Map(self.map(&span, depth)?),
            _ => return Err(wrong(&span.start, "is no YAML", "write it as YAML 1.2 or JSON asks for")),
        };
        Ok(Node { line: span.start.line(), column: span.start.col() + 1, value })
    }

    fn list(&mut self, span: &Span, depth: usize) -> Result<Vec<Node>, Box<Wrong>> {
        let mut items = Vec::new();
        loop {
            match self.inner(span)? {
                (Event::SequenceEnd, _) => return Ok(items),
                next => items.push(self.node(next, depth - 1)?),
            }
        }
    }

    fn map(&mut self, span: &Span, depth: usize) -> Result<Vec<(Key, Node)>, Box<Wrong>> {
        let (mut entries, mut seen) = (Vec::new(), HashSet::new());
        loop {
            let next = self.inner(span)?;
            if next.0 == Event::MappingEnd {
                return Ok(entries);
            }
            let at = next.1.start;
            let Node { line, column, value } = self.node(next, depth - 1)?;
            let Value::Scalar { text, quoted } = value else {
                return Err(wrong(&at, "has a key that is no text", "write names of fields as keys"));
            };
            if text == "<<" && !quoted {
                return Err(wrong(&at, "has the merge key <<", "write the fields out"));
            }
            if !seen.insert(text.clone()) {
                return Err(wrong(
                    &at,
                    format!("has the key `{text}` twice in one mapping"),
                    "keep one of them: readers differ in which one counts",
                ));
            }
            let next = self.inner(span)?;
            entries.push((Key { line, column, text }, self.node(next, depth - 1)?));
        }
    }
}

/// Refuses what stands for something that is not written where it stands.
fn check(event: &Event<'_>, span: &Span) -> Result<(), Box<Wrong>> {
    let (anchor, tag) = match event {
        Event::Alias(_) => return Err(wrong(&span.start, "is an alias", "write what it stands for")),
        Event::Scalar(_, _, anchor, tag) | Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => (*anchor, tag),
        _ => return Ok(()),
    };
    if anchor > 0 {
        return Err(wrong(&span.start, "has an anchor", "remove it, and write out what its aliases stand for"));
    }
    match tag {
        Some(tag) => Err(wrong(&span.start, format!("has the tag {}{}", tag.handle, tag.suffix), "remove it; put texts in quotes")),
        None => Ok(()),
    }
}
