//! What is imported decides as its origin did: by the real evaluator, against what the documentation says and against an oracle of a few lines.

mod agreement;
mod envoy;
mod istio;
mod texts;

use super::*;
use crate::policy::parse::{case, parse_at};
use crate::policy::{Table, Verdict};
use std::sync::Arc;
use std::time::SystemTime;

/// A policy of this name in the namespace `shop`.
fn policy(name: &str, action: &str, rules: &str) -> String {
    let head = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy";
    format!("---\n{head}\nmetadata: {{ name: {name}, namespace: shop }}\nspec:\n  action: {action}\n  rules: {rules}\n")
}

fn chosen() -> Chosen {
    Chosen { trust_domains: vec!["cluster.local".to_owned()], root_namespace: "istio-system".to_owned(), ..Chosen::default() }
}

fn imported(yaml: &str) -> Imported {
    imported_for(yaml, chosen())
}

fn imported_for(yaml: &str, chosen: Chosen) -> Imported {
    import("policies.yaml", yaml, &Origin::Istio(chosen), "t").unwrap_or_else(|problems| panic!("{problems}\n{yaml}"))
}

/// The fields that cannot be expressed.
fn gaps(imported: &Imported) -> Vec<&str> {
    imported.gaps.iter().map(|gap| gap.problem.place.key.as_str()).collect()
}

/// A request, as in `GET /a from web/frontend host=a.foo source=10.0.0.1 port=8443 x-tenant=eu`.
#[derive(Debug, Clone)]
struct Ask {
    toml: String,
    port: u16,
}

impl Ask {
    fn read(text: &str) -> Self {
        let mut words = text.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let mut toml = format!("name = 'x'\nmethod = '{method}'\npath = '{path}'\nexpect = 'allow'\n");
        let (mut from, mut host, mut headers, mut port) =
            ("spiffe://cluster.local/ns/other/sa/someone".to_owned(), "a.foo", Vec::new(), 8_443);
        while let Some(word) = words.next() {
            match word.split_once('=') {
                None => from = Self::caller(words.next().unwrap()),
                Some(("host", name)) => host = name,
                Some(("source", address)) => toml.push_str(&format!("source_ip = '{address}'\n")),
                Some(("port", number)) => port = number.parse().unwrap(),
                Some((name, value)) => headers.push(format!("{name} = '{value}'")),
            }
        }
        toml.push_str(&format!("from = '{from}'\nhost = '{host}'\nport = {port}\nheaders = {{ {} }}\n", headers.join(", ")));
        Self { toml, port }
    }

    fn caller(text: &str) -> String {
        match text.split_once('/') {
            _ if text.contains("://") || text.contains('.') && !text.contains('/') => text.to_owned(),
            Some((namespace, account)) => format!("spiffe://cluster.local/ns/{namespace}/sa/{account}"),
            None => text.to_owned(),
        }
    }

    fn decided(&self, toml: &str) -> Verdict {
        self.decided_by(&table(toml, &[self.port]))
    }

    fn decided_by(&self, table: &Arc<Table>) -> Verdict {
        let listeners = Listeners { ports: vec![self.port], ..Listeners::default() };
        let case = case("case", &self.toml, table.issuers(), &listeners, SystemTime::now()).unwrap_or_else(|wrong| panic!("{wrong}"));
        case.decide(&Some(Arc::new(Arc::clone(table).into())), SystemTime::now()).0
    }
}

fn table(toml: &str, more: &[u16]) -> Arc<Table> {
    let ports = Outline::read("t", toml).ports().iter().chain(more).copied().collect();
    let listeners = Listeners { ports, ..Listeners::default() };
    parse_at("t", toml, &listeners, SystemTime::now()).unwrap_or_else(|problems| panic!("{problems}\n{toml}"))
}

/// Each request with what it must get.
fn decides(toml: &str, asks: &[(&str, Verdict)]) {
    for (ask, wanted) in asks {
        assert_eq!(Ask::read(ask).decided(toml), *wanted, "{ask}\n{toml}");
    }
}
