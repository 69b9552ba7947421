//! One rule: `from`, `to` and `when`, all of which must be met.

use super::super::expr::Expr;
use super::super::fields::{At, Fields, Findings};
use super::super::terms::{self, Said, Text};
use crate::policy::rule::Effect;

/// What a rule is read with.
pub(super) struct Reading<'r> {
    pub(super) findings: &'r Findings<'r>,
    pub(super) domains: &'r [String],
    /// Whether somebody said which trust domains there are.
    pub(super) domains_are_said: bool,
    /// What gaps call the rule.
    pub(super) rule: &'r str,
    /// That of the policy.
    pub(super) namespace: Option<&'r str>,
    pub(super) effect: Effect,
}

/// Whether a list says who is meant, or who is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sense {
    Is,
    IsNot,
}

impl Reading<'_> {
    /// Reads one; `{}` is met by everything.
    pub(super) fn rule(&self, at: &At<'_>) -> Expr {
        let Some(fields) = at.fields(self.findings) else { return Expr::Gap };
        let from = self.each(&fields, "from", "source", |source| self.source(source));
        let to = self.each(&fields, "to", "operation", |operation| self.operation(operation));
        let when = fields.take("when").map(|when| when.items(self.findings)).unwrap_or_default();
        let when: Vec<Expr> = when.iter().map(|condition| self.condition(condition)).collect();
        fields.close();
        Expr::all(from.into_iter().chain(to).chain(when))
    }

    /// One of a list of wrapped mappings.
    fn each(&self, fields: &Fields<'_, '_>, list: &str, name: &str, read: impl Fn(&Fields<'_, '_>) -> Expr) -> Option<Expr> {
        let items = fields.take(list)?.items(self.findings);
        let each = items.iter().filter_map(|item| {
            let wrapper = item.fields(self.findings)?;
            let inner = wrapper.take(name);
            wrapper.close();
            let Some(inner) = inner else {
                self.findings.problem(item.position(), format!("has no {name}"), format!("write {name}: and its fields"));
                return None;
            };
            let fields = inner.fields(self.findings)?;
            let expr = read(&fields);
            fields.close();
            Some(expr)
        });
        Some(Expr::any(each.collect::<Vec<_>>()))
    }

    fn operation(&self, fields: &Fields<'_, '_>) -> Expr {
        let all = [
            self.both(fields, "hosts", "notHosts", |list, _| self.hosts(list)),
            self.both(fields, "ports", "notPorts", |list, _| self.list(list, |text| terms::port(text.parse().ok()))),
            self.both(fields, "methods", "notMethods", |list, _| self.list(list, |text| terms::method(Text::starred(text)))),
            self.both(fields, "paths", "notPaths", |list, _| self.list(list, path)),
        ];
        self.all(fields, all)
    }

    /// All of them; a mapping without any field is no rule.
    pub(super) fn all(&self, fields: &Fields<'_, '_>, all: impl IntoIterator<Item = Vec<Expr>>) -> Expr {
        let all: Vec<Expr> = all.into_iter().flatten().collect();
        if all.is_empty() {
            self.findings.problem(fields.at.position(), "says nothing", "write a field, or remove it");
        }
        Expr::all(all)
    }

    /// A field, and the one that excludes.
    pub(super) fn both(&self, fields: &Fields<'_, '_>, name: &str, not: &str, read: impl Fn(&At<'_>, Sense) -> Expr) -> Vec<Expr> {
        let is = fields.take(name).map(|list| read(&list, Sense::Is));
        let is_not = fields.take(not).map(|list| read(&list, Sense::IsNot).not());
        is.into_iter().chain(is_not).collect()
    }

    /// One of the texts of a list.
    pub(super) fn list(&self, list: &At<'_>, read: impl Fn(&str) -> Said) -> Expr {
        let items = list.items(self.findings);
        let each = items.iter().filter_map(|item| Some((item, item.string(self.findings)?)));
        let each = each.map(|(item, text)| self.said(item, text, read(text)));
        Expr::any(each.collect::<Vec<_>>())
    }

    fn hosts(&self, list: &At<'_>) -> Expr {
        let items = list.items(self.findings);
        let texts: Vec<&str> = items.iter().filter_map(|item| item.string(self.findings)).collect();
        let said = terms::hosts(&texts.iter().map(|text| Text::starred(text)).collect::<Vec<_>>());
        let each = items.iter().zip(texts).zip(said).map(|((item, text), said)| self.said(item, text, said));
        Expr::any(each.collect::<Vec<_>>())
    }

    /// The term, or a gap.
    pub(super) fn said(&self, at: &At<'_>, text: &str, said: Said) -> Expr {
        said.unwrap_or_else(|(what, instead)| self.findings.gap(self.rule, at.position(), format!("`{text}` {what}"), instead))
    }

    /// A field that no table has a counterpart of.
    pub(super) fn gap(&self, at: &At<'_>, what: &str, instead: &str) -> Expr {
        self.findings.gap(self.rule, at.position(), what, instead)
    }
}

fn path(text: &str) -> Said {
    if text.contains("{*}") || text.contains("{**}") { terms::path_template(text) } else { terms::path(Text::starred(text)) }
}
