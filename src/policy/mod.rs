//! May they: the policy table, its parser and the decision.

mod automaton;
pub mod bundle;
mod caller;
mod canonical_json;
mod class;
mod compiled;
mod condition;
mod decide;
pub mod diff;
mod egress;
mod evaluate;
pub mod explain;
pub mod export;
pub mod import;
mod json;
pub mod jwt;
pub mod lint;
mod lists;
mod load;
mod looked;
mod methods;
mod moment;
mod outline;
mod parse;
mod pattern;
mod principals;
mod publish;
pub mod quarantine;
pub mod record;
pub mod replay;
mod rule;
mod ruling;
mod settings;
mod space;
mod standing;
pub mod suggest;
pub mod suite;
mod table;
mod tables;
#[cfg(test)]
mod tests;
mod truth;
pub mod usage;

pub use caller::{Caller, Rendered};
pub use class::ClassCache;
pub use decide::{Denial, Facts, Permit, PermitKind, Reason, Trial, Would, decide, decide_connection, decide_counted, permit_route};
pub use egress::{Destination, Outgoing, decide_destination};
pub use jwt::User;
pub use load::{Given, Judging, LoadError, LoadedTables, Text, load_all, read};
pub use looked::{Condition, Looked, Looks};
pub use outline::Outline;
pub use parse::parse;
pub use publish::{Published, Publisher, Reader};
pub use rule::Mode;
pub use settings::{Accepted, Listeners, Settings, Signed, Source};
pub use table::{OverdueShadow, RuleFacts, Table, TableFacts, Verdict};
pub use tables::{Part, Tables};
pub use truth::Truth;

use crate::request::Mentioned;
use std::sync::Arc;

/// The tables in force, as published to the shards; `None`: no usable source yet, deny everything with `no_policy`.
pub type Snapshot = Option<Arc<Tables>>;

/// The header names that the rules in force mention; the next decision is on a request that was read with them.
pub fn mentioned(snapshot: &Snapshot) -> Mentioned {
    snapshot.as_ref().map_or_else(Mentioned::default, |tables| tables.mentioned().clone())
}
