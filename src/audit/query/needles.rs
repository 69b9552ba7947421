//! What a line must have in it, letter by letter, for a filter to let it pass: most lines are then passed over without being parsed.
//!
//! Never too much is asked: what JSON may write in several ways is left out, and since a backslash may stand for any letter, lines with one are always parsed.

use super::field::Field;
use super::filter::{Expr, Filter, Value};
use memchr::memmem::Finder;
use memchr::{memchr, memrchr};

/// What stands before the letters of an escape.
const ESCAPE: u8 = b'\\';

/// Finds the lines that are worth parsing.
pub(super) struct Needles {
    all: Vec<Finder<'static>>,
    /// Which of them is looked for in many lines at once; known when the first lines are.
    rarest: Option<usize>,
}

impl Needles {
    pub(super) fn of(filter: &Filter) -> Self {
        let mut all = Vec::new();
        demanded(&filter.expr, &filter.fields, &mut all);
        all.sort();
        all.dedup();
        Self { all: all.iter().map(|needle| Finder::new(needle).into_owned()).collect(), rarest: None }
    }

    /// Where the next line worth parsing lies in `lines`, at `from` or after it; the newline excluded.
    pub(super) fn next_line(&mut self, lines: &[u8], search: &mut Search) -> Option<std::ops::Range<usize>> {
        self.choose(lines);
        let Some(rarest) = self.rarest.and_then(|rarest| self.all.get(rarest)) else {
            let start = search.from;
            let end = start + memchr(b'\n', lines.get(start..)?)?;
            search.from = end + 1;
            return Some(start..end);
        };
        loop {
            let after = |index: &Option<usize>| index.is_some_and(|index| index < search.from);
            let rest = lines.get(search.from..)?;
            if search.needle.is_none_or(|found| after(&found)) {
                search.needle = Some(rarest.find(rest).map(|index| search.from + index));
            }
            if search.escape.is_none_or(|found| after(&found)) {
                search.escape = Some(memchr(ESCAPE, rest).map(|index| search.from + index));
            }
            let found = [search.needle.flatten(), search.escape.flatten()].into_iter().flatten().min()?;
            let start = search.from + memrchr(b'\n', lines.get(search.from..found)?).map_or(0, |newline| newline + 1);
            let end = found + memchr(b'\n', lines.get(found..)?)?;
            search.from = end + 1;
            let line = lines.get(start..end)?;
            if self.all.iter().all(|needle| needle.find(line).is_some()) || memchr(ESCAPE, line).is_some() {
                return Some(start..end);
            }
        }
    }

    /// Takes the needle that the first lines have the fewest of.
    fn choose(&mut self, lines: &[u8]) {
        if self.rarest.is_none() {
            self.rarest = (0..self.all.len()).min_by_key(|index| self.all.get(*index).map(|needle| needle.find_iter(lines).count()));
        }
    }
}

/// How far a block is looked through: what was found and is not used up is not looked for again.
#[derive(Default)]
pub(super) struct Search {
    from: usize,
    needle: Option<Option<usize>>,
    escape: Option<Option<usize>>,
}

/// The letters that every match has. What stands beside `or` or behind `not` demands nothing.
fn demanded(expr: &Expr, fields: &[Field], all: &mut Vec<Vec<u8>>) {
    let name =
        |field: &usize| fields.get(*field).map(|field| format!("\"{}\"", field.path().1)).filter(|name| is_plain(&name[1..name.len() - 1]));
    let needle = match expr {
        Expr::All(exprs) => return exprs.iter().for_each(|expr| demanded(expr, fields, all)),
        Expr::Any(_) | Expr::Not(_) => return,
        Expr::Is(field, values) => match values.as_slice() {
            // It may be no text.
            [Value::Text(text)] if text == "true" || text == "false" => Some(text.clone()),
            [Value::Text(text)] if is_plain(text) => Some(format!("\"{text}\"")),
            [Value::Number(number)] => Some(number.to_string()),
            _ => name(field),
        },
        Expr::Like(field, pattern) => {
            Some(pattern.literal()).filter(|literal| !literal.is_empty() && is_plain(literal)).map(str::to_owned).or_else(|| name(field))
        }
        Expr::Has(field) | Expr::Order(field, ..) => name(field),
    };
    all.extend(needle.map(String::into_bytes));
}

/// Whether JSON writes it as it is, unless it has escapes that it does not need.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != ESCAPE)
}
