//! Tables of others become tables of ours: Istio's `AuthorizationPolicy` and Envoy's RBAC.
//!
//! A text becomes a tree ([`yaml`]), the tree formulas ([`istio`], [`envoy`], by way of [`terms`]), the formulas cases without alternatives ([`expr`]), and
//! the cases rules ([`mod@compile`], [`write`]). What a table cannot say is a [`Gap`]: an allow with one is left out as a whole, a deny with one is about more
//! requests than it was. So a table with gaps allows less than its origin, and never more.

mod compile;
mod envoy;
mod expr;
mod fields;
mod istio;
mod matching;
mod node;
mod overlap;
mod terms;
#[cfg(test)]
mod tests;
mod write;
mod yaml;

pub use istio::Chosen;
pub use yaml::MAX_BYTES;

use super::{Listeners, Outline, parse};
use crate::document::{Problem, Problems};
use compile::{Asked, compile};
use fields::Findings;

/// What a text is.
#[derive(Debug, Clone)]
pub enum Origin {
    /// `AuthorizationPolicy` documents of Istio, and which of them count.
    Istio(Chosen),
    /// One RBAC filter, or its rules, of Envoy.
    EnvoyRbac,
}

/// What a table cannot say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The rule that says it.
    pub rule: String,
    /// Where, what, and what to write by hand.
    pub problem: Problem,
}

/// A table that was made of something else.
#[derive(Debug, Clone)]
pub struct Imported {
    /// Its text; it loads, for listeners of the ports that it names.
    pub toml: String,
    /// How many rules it has.
    pub rules: usize,
    /// What to know about it: what was left out, and what was not about this service.
    pub notes: Vec<String>,
    /// What it does not say; without any it decides as its origin did.
    pub gaps: Vec<Gap>,
}

/// What stands above the rules.
struct Header<'h> {
    name: &'h str,
    origin: &'h str,
    premises: &'h [String],
}

/// What was read of a text.
struct Read {
    rules: Vec<Asked>,
    notes: Vec<String>,
    premises: Vec<String>,
    origin: String,
}

/// Makes a table called `name` of a text that problems call `file`.
///
/// # Errors
/// The text cannot be used: it is not what it should be, or says what is not known here.
pub fn import(file: &str, text: &str, origin: &Origin, name: &str) -> Result<Imported, Problems> {
    let documents = yaml::documents(file, text)?;
    let findings = Findings::new(file);
    let read = match origin {
        Origin::Istio(chosen) => istio::read(&documents, chosen, &findings),
        Origin::EnvoyRbac => envoy::read(&documents, &findings),
    };
    let Read { rules, mut notes, premises, origin } = read;
    let made = compile(rules, &findings, &mut notes);
    let gaps = findings.finish()?;
    let head = Header { name, origin: &origin, premises: &premises };
    let toml = write::table(&head, &made, &notes, &gaps);
    // Nothing is handed out that a sidecar would refuse.
    let listeners = Listeners { ports: Outline::read(file, &toml).ports().to_vec(), ..Listeners::default() };
    parse("the imported table", &toml, &listeners)?;
    Ok(Imported { toml, rules: made.len(), notes, gaps })
}
