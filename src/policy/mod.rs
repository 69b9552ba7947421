//! May they: the policy table, its parser and the decision.

mod caller;
mod canonical_json;
mod class;
mod decide;
mod evaluate;
mod index;
mod load;
mod methods;
mod moment;
mod parse;
mod pattern;
mod publish;
mod rule;
mod settings;
mod table;
#[cfg(test)]
mod tests;
mod truth;

pub use caller::{Caller, Rendered};
pub use class::ClassCache;
pub use decide::{Denial, Facts, Permit, PermitKind, Reason, Would, decide, permit_route};
pub use load::{LoadError, load};
pub use parse::parse;
pub use publish::{Published, Publisher, Reader};
pub use rule::Mode;
pub use settings::{Settings, Source};
pub use table::{OverdueShadow, RuleFacts, Table, TableFacts, Verdict};
pub use truth::Truth;

use std::sync::Arc;

/// The table in force, as published to the shards; `None`: no usable source yet, deny everything with `no_policy`.
pub type Snapshot = Option<Arc<Table>>;
