//! Looks through lines for what a filter lets pass.

use super::extract::{Extract, Got};
use super::field::Field;
use super::filter::Filter;
use super::needles::{Needles, Search};
use std::ops::ControlFlow;

/// Looks through many lines.
pub struct Scan {
    filter: Filter,
    extract: Extract,
    needles: Needles,
    unreadable: u64,
}

/// A record that passed.
#[derive(Debug)]
pub struct Hit<'h> {
    /// Its line, newline excluded.
    pub line: &'h [u8],
    /// The values of the fields that were asked for, in their order.
    pub values: &'h [Got<'h>],
}

impl Scan {
    /// For what `filter` lets pass; `columns` are the fields whose values are wanted of it.
    pub fn new(filter: Filter, columns: &[Field]) -> Self {
        Self { extract: filter.extract(columns), needles: Needles::of(&filter), filter, unreadable: 0 }
    }

    /// Gives each record among `lines` that passes to `hit`, until that says that it is enough.
    pub fn lines(&mut self, lines: &[u8], mut hit: impl FnMut(Hit<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        let (mut search, mut values) = (Search::default(), Vec::new());
        while let Some(line) = self.needles.next_line(lines, &mut search) {
            let line = lines.get(line).unwrap_or_default();
            if self.extract.read(line, &mut values).is_none() {
                self.unreadable += u64::from(!line.trim_ascii().is_empty());
                continue;
            }
            let (own, columns) = values.split_at_checked(self.filter.width()).unwrap_or((&values, &[]));
            if self.filter.matches(own) {
                hit(Hit { line, values: columns })?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Lines that were no JSON, among those that had to be parsed.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }
}
