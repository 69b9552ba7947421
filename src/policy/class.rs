//! The rules that one connection can meet, found once per connection and table.

use super::rule::Effect;
use super::{Caller, Table};
use crate::identity::Principal;
use arc_swap::ArcSwapOption;
use std::sync::Arc;

/// The rules that an identity can meet on one local port, by index, in file order.
#[derive(Debug)]
pub(super) struct Class {
    generation: u64,
    pub(super) denies: Box<[u32]>,
    pub(super) allows: Box<[u32]>,
    pub(super) audits: Box<[u32]>,
    /// Whether one of the denies or allows is in shadow.
    pub(super) has_shadow: bool,
}

/// Where a [`Caller`] keeps its class for the table that it last met. Start with `ClassCache::default()`.
#[derive(Debug, Default)]
pub struct ClassCache(ArcSwapOption<Class>);

impl Clone for ClassCache {
    fn clone(&self) -> Self {
        Self(ArcSwapOption::new(self.0.load_full()))
    }
}

impl ClassCache {
    /// Gives `read` the caller's class under `table`; found anew when the table's generation moved.
    pub(super) fn with<T>(&self, table: &Table, caller: &Caller, principal: &Principal, read: impl FnOnce(&Class) -> T) -> T {
        let kept = self.0.load();
        if let Some(class) = kept.as_ref().filter(|class| class.generation == table.generation) {
            return read(class);
        }
        let class = Arc::new(Class::of(table, caller, principal));
        self.0.store(Some(class.clone()));
        read(&class)
    }
}

impl Class {
    fn of(table: &Table, caller: &Caller, principal: &Principal) -> Self {
        let met = |effect: Effect| {
            let rules = (0..).zip(&table.rules);
            rules
                .filter(|(_, rule)| rule.effect == effect && rule.concerns(principal, caller))
                .map(|(index, _)| index)
                .collect::<Box<[u32]>>()
        };
        let (denies, allows, audits) = (met(Effect::Deny), met(Effect::Allow), met(Effect::Audit));
        let has_shadow = denies.iter().chain(&allows).any(|index| table.rule(*index).is_some_and(super::rule::Rule::is_shadow));
        Self { generation: table.generation, denies, allows, audits, has_shadow }
    }
}
