//! What a decision looked at, for the record: conditions, and the end user whose token they were about.

use super::Truth;
use super::jwt::User;
use std::cell::{OnceCell, RefCell};
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

/// All that a decision looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looks {
    /// The conditions, each once; at least one.
    pub conditions: Vec<Looked>,
    /// On whose behalf the request was made, where a rule looked at the token and the token was verified.
    pub user: Option<Arc<User>>,
}

/// Collects it during one decision. A table without conditions allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Looking {
    conditions: RefCell<Vec<Looked>>,
    user: OnceCell<Arc<User>>,
}

impl Looking {
    /// Notes a condition; the same one in several rules is noted once.
    pub(super) fn note(&self, condition: &Arc<Condition>, result: Truth) {
        let mut looked = self.conditions.borrow_mut();
        if !looked.iter().any(|known| known.condition == *condition) {
            looked.push(Looked { condition: Arc::clone(condition), result });
        }
    }

    /// Notes the end user of a verified token; what the first table said of it counts.
    pub(super) fn user(&self, user: Option<&Arc<User>>) {
        if let Some(user) = user {
            self.user.get_or_init(|| Arc::clone(user));
        }
    }

    pub(super) fn finish(self) -> Option<Arc<Looks>> {
        let conditions = self.conditions.into_inner();
        (!conditions.is_empty()).then(|| Arc::new(Looks { conditions, user: self.user.into_inner() }))
    }
}
