//! May they: the policy table, its parser and the decision.

mod caller;
mod decide;
mod settings;
mod table;

pub use caller::Caller;
pub use decide::{Denial, Facts, Permit, PermitKind, Reason, Would, decide, permit_route};
pub use settings::{Settings, Source};
pub use table::{RuleFacts, Table, TableFacts, Verdict, parse};

use std::sync::Arc;

/// The table in force, as published to the shards; `None`: no usable source yet, deny everything with `no_policy`.
pub type Snapshot = Option<Arc<Table>>;
