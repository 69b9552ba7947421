//! The table: text → rules.

use crate::document::Problems;
use std::sync::Arc;

/// What a rule does, and how a decision ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The request may pass.
    Allow,
    /// The request is refused.
    Deny,
}

/// What a record says about the table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableFacts {
    /// The table's `name`.
    pub name: String,
    /// The table's `version`.
    pub version: String,
    /// SHA-256 over the table's canonical JSON, lower-case hex.
    pub sha256: String,
}

/// What a record says about a rule. Shared by reference between table, permits and records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFacts {
    /// The rule's `id`, or `upstream:<host>` for a matched route.
    pub id: String,
    /// The path patterns of the rule, as written; the record's `http.template` is the one that matched.
    pub templates: Vec<Arc<str>>,
}

/// One immutable policy table.
#[derive(Debug)]
pub struct Table {
    /// Counts up with every table that is published.
    pub generation: u64,
    /// Name, version and hash.
    pub facts: Arc<TableFacts>,
}

/// Reads a table; `file` is only what problems call it, `ports` are the local ports of the inbound listeners.
///
/// # Errors
/// Every problem of the text, and every `[[case]]` that does not hold.
pub fn parse(_file: &str, _text: &str, _ports: &[u16]) -> Result<Table, Problems> {
    todo!()
}
