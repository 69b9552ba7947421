//! `when` of a rule: conditions by the names of attributes.

use super::super::expr::Expr;
use super::super::fields::At;
use super::super::terms::{self, Text};
use super::rule::Reading;
use super::source::{REMOTE, TOKEN, network};

impl Reading<'_> {
    pub(super) fn condition(&self, at: &At<'_>) -> Expr {
        let findings = self.findings;
        let Some(fields) = at.fields(findings) else { return Expr::Gap };
        let Some(key) = fields.string("key") else {
            findings.problem(at.position(), "has no key", "write key, and values or notValues");
            return Expr::Gap;
        };
        let both = |read: &dyn Fn(&At<'_>) -> Expr| self.both(&fields, "values", "notValues", |list, _| read(list));
        let gap = |what: &'static str, instead: &'static str| both(&|list| self.gap(list, what, instead));
        let exprs = match key {
            "source.ip" => both(&|list| self.list(list, network)),
            "source.principal" => both(&|list| self.list(list, |text| self.principal(text))),
            "source.namespace" => self.both(&fields, "values", "notValues", |list, sense| self.namespaces(list, sense)),
            "destination.port" => both(&|list| self.list(list, |text| terms::port(text.parse().ok()))),
            "remote.ip" => gap("is about an address that a header names", REMOTE),
            "destination.ip" => gap("is about the address that the caller wanted", "write hosts or ports"),
            "connection.sni" => gap("is about the name in the handshake", "write hosts, which the request names"),
            _ if key.starts_with("request.auth.") => gap("is about an end user's token", TOKEN),
            _ if key.starts_with("experimental.") => gap("is about what a filter of Envoy left", "decide it in the app"),
            _ => match key.strip_prefix("request.headers[").and_then(|name| name.strip_suffix(']')) {
                Some(name) => both(&|list| self.header(name, list)),
                None => {
                    findings.problem(at.position(), format!("has the key `{key}`, which is no attribute"), "correct its name");
                    vec![Expr::Gap]
                }
            },
        };
        fields.close();
        if exprs.is_empty() {
            findings.problem(at.position(), "has neither values nor notValues", "write one of them");
        }
        Expr::all(exprs)
    }

    fn header(&self, name: &str, list: &At<'_>) -> Expr {
        let texts = list.strings(self.findings);
        let starred: Vec<Text<'_>> = texts.iter().map(|text| Text::starred(text)).collect();
        self.said(list, &texts.join("`, `"), terms::header(name, &starred))
    }
}
