//! The conditions that a decision looked at, for the record.

use super::Truth;
use std::cell::RefCell;
use std::sync::Arc;

/// What a record says about a condition of the table. Shared by reference between table and records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What it is about, such as `header:x-tenant`.
    pub name: Box<str>,
    /// The first 16 hexadecimal digits of the SHA-256 of its canonical text: the same in every table that has the same condition.
    pub hash: Box<str>,
}

/// A condition together with what came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The condition.
    pub condition: Arc<Condition>,
    /// Whether it held.
    pub result: Truth,
}

/// Collects them during one decision. A table without conditions allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Looking(RefCell<Vec<Looked>>);

impl Looking {
    /// Notes a condition; the same one in several rules is noted once.
    pub(super) fn note(&self, condition: &Arc<Condition>, result: Truth) {
        let mut looked = self.0.borrow_mut();
        if !looked.iter().any(|known| known.condition == *condition) {
            looked.push(Looked { condition: Arc::clone(condition), result });
        }
    }

    pub(super) fn finish(self) -> Option<Arc<[Looked]>> {
        let looked = self.0.into_inner();
        (!looked.is_empty()).then(|| looked.into())
    }
}
