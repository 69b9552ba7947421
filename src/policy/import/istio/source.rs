//! `source` of a rule: who calls.

use super::super::expr::Expr;
use super::super::fields::{At, Fields};
use super::super::terms::{self, Said, Text};
use super::DEFAULT_DOMAIN;
use super::rule::{Reading, Sense};
use crate::policy::rule::Effect;

/// What to write in place of what only an end user's token says.
pub(super) const TOKEN: &str =
    "write [[jwt_issuer]] with iss, aud, jwks and algs, and [rule.claims], such as iss = { eq = \"…\" } and sub = { eq = \"…\" }";

/// What to write in place of an address that a header names.
pub(super) const REMOTE: &str = "write when.source_ip where the TCP peer is meant; what x-forwarded-for says is never decided on";

impl Reading<'_> {
    pub(super) fn source(&self, fields: &Fields<'_, '_>) -> Expr {
        let all = [
            self.both(fields, "principals", "notPrincipals", |list, _| self.list(list, |text| self.principal(text))),
            self.both(fields, "namespaces", "notNamespaces", |list, sense| self.namespaces(list, sense)),
            self.both(fields, "serviceAccounts", "notServiceAccounts", |list, sense| self.accounts(list, sense)),
            self.both(fields, "ipBlocks", "notIpBlocks", |list, _| self.list(list, network)),
            self.both(fields, "remoteIpBlocks", "notRemoteIpBlocks", |list, _| {
                self.gap(list, "is about an address that a header names", REMOTE)
            }),
            self.both(fields, "requestPrincipals", "notRequestPrincipals", |list, _| self.gap(list, "is about an end user's token", TOKEN)),
        ];
        self.all(fields, all)
    }

    /// An identity without its scheme; the mesh's own trust domain stands for all that are said.
    pub(super) fn principal(&self, text: &str) -> Said {
        let (begin, end) = match Text::starred(text) {
            Text::Exact(text) => (text, ""),
            Text::Prefix(text) => (text, "*"),
            other => return terms::spiffe(other),
        };
        let (domain, rest) = begin.split_at(begin.find('/').unwrap_or(begin.len()));
        let is_ours = domain == DEFAULT_DOMAIN || self.domains.iter().any(|known| known == domain);
        let domains = if is_ours { self.domains.to_vec() } else { vec![domain.to_owned()] };
        let each = domains.iter().map(|domain| {
            let id = format!("spiffe://{domain}{rest}");
            terms::spiffe(if end.is_empty() { Text::Exact(&id) } else { Text::Prefix(&id) })
        });
        Ok(Expr::any(each.collect::<Result<Vec<_>, _>>()?))
    }

    /// Namespaces, in every trust domain that there is.
    pub(super) fn namespaces(&self, list: &At<'_>, sense: Sense) -> Expr {
        if let Some(gap) = self.unknown_domains(list, sense) {
            return gap;
        }
        self.list(list, |text| match text {
            "*" => self.everywhere("ns/*/**"),
            name if name.contains('*') => Err(("compares the namespace by a part of it".to_owned(), "list the namespaces".to_owned())),
            name => self.everywhere(&format!("ns/{name}/**")),
        })
    }

    /// `namespace/account`, or an account of the policy's own namespace.
    fn accounts(&self, list: &At<'_>, sense: Sense) -> Expr {
        if let Some(gap) = self.unknown_domains(list, sense) {
            return gap;
        }
        self.list(list, |text| {
            let missing = || ("has no namespace, and neither has the policy".to_owned(), "write namespace/account".to_owned());
            let (namespace, account) = match text.split_once('/') {
                Some(both) => both,
                None => (self.namespace.ok_or_else(missing)?, text),
            };
            if account.contains(['/', '*']) || namespace.contains('*') {
                return Err(("is no account".to_owned(), "write namespace/account".to_owned()));
            }
            self.everywhere(&format!("ns/{namespace}/sa/{account}"))
        })
    }

    fn everywhere(&self, path: &str) -> Said {
        let each = self.domains.iter().map(|domain| terms::principal_pattern(&format!("spiffe://{domain}/{path}")));
        Ok(Expr::any(each.collect::<Result<Vec<_>, _>>()?))
    }

    /// A trust domain that nobody thought of makes an allow narrower, and all else wider.
    fn unknown_domains(&self, list: &At<'_>, sense: Sense) -> Option<Expr> {
        const INSTEAD: &str = "give --trust-domain for each that callers come from";
        let narrows = sense == Sense::Is && self.effect != Effect::Deny;
        let what = "is about every trust domain, and nobody said which there are";
        (!self.domains_are_said && !narrows).then(|| self.gap(list, what, INSTEAD))
    }
}

/// An address or a network.
pub(super) fn network(text: &str) -> Said {
    let (address, len) = text.split_once('/').map_or((text, None), |(address, len)| (address, Some(len)));
    terms::network(address, len)
}
