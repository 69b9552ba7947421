//! A suggestion as the text of a table.

use super::Suggestion;
use super::rules::{Callers, Rule, Source, What};
use super::trie::WORDS;
use crate::policy::moment;
use crate::request::{Strictness, canonical_path};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The most cases, and the most rules that all of them together may look at: each load runs them.
const CASES: usize = 5_000;
const ASKED: usize = 25_000_000;

/// Sets, by their members.
type Sets<'s> = BTreeMap<Vec<&'s str>, String>;

// Writing into a String cannot fail.
macro_rules! say {
    ($text:expr, $($what:tt)*) => { let _ = writeln!($text, $($what)*); };
}

impl Suggestion {
    /// The table, called `name`: the same text for the same log.
    pub fn toml(&self, name: &str) -> String {
        let mut text = self.head();
        say!(text, "schema = 1\nname = {}", json!(name));
        let sets = self.sets();
        if !sets.is_empty() {
            say!(text, "\n[sets.principals]");
            let mut by_name: Vec<_> = sets.iter().map(|(members, name)| (name, members)).collect();
            by_name.sort_by_key(|(name, _)| (name.len(), *name));
            for (name, members) in by_name {
                say!(text, "{name} = {}", json!(members));
            }
        }
        self.rules.iter().for_each(|rule| rule.write(&mut text, &sets));
        let cases = CASES.min(ASKED / self.rules.len().max(1));
        self.rules.iter().filter(|rule| rule.is_askable()).take(cases).for_each(|rule| rule.write_case(&mut text));
        text
    }

    /// What it was made of, and of what not.
    fn head(&self) -> String {
        let mut text = String::new();
        let span = self.span().map(|(first, last)| format!(", from {} to {}", second(first), second(last))).unwrap_or_default();
        say!(text, "# Suggested from {} that {} allowed{span}.", requests(self.learnt()), if self.learnt() == 1 { "was" } else { "were" });
        if !self.left_out.is_empty() {
            let left_out: Vec<String> = self.left_out.iter().map(|(why, count)| format!("{count} {why}")).collect();
            say!(text, "# Nothing is learnt from: {}.", left_out.join(", "));
        }
        if self.has_too_many_hosts {
            say!(text, "# There were too many different hosts to tell apart: the rules say nothing of hosts.");
        }
        for unlearnt in &self.unlearnt {
            say!(text, "# NOT LEARNT: {unlearnt}.");
        }
        text
    }

    /// The lists of callers that several rules have.
    fn sets(&self) -> Sets<'_> {
        let mut uses: BTreeMap<Vec<&str>, usize> = BTreeMap::new();
        for rule in &self.rules {
            *uses.entry(spiffe(&rule.callers)).or_default() += 1;
        }
        let shared = uses.into_iter().filter(|(members, uses)| members.len() > 1 && *uses > 1);
        (1..).zip(shared).map(|(number, (members, _))| (members, format!("callers-{number}"))).collect()
    }
}

impl std::fmt::Display for super::Unlearnt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { caller, method, pattern, .. } = self;
        write!(
            f,
            "{pattern} has more than {WORDS} different children of no class: write this template by hand ({}, {method} by {caller})",
            requests(self.requests)
        )
    }
}

impl Rule {
    fn write(&self, text: &mut String, sets: &Sets<'_>) {
        let Self { id, callers, what, hosts, evidence, .. } = self;
        say!(text, "\n# {}, from {} to {}", requests(evidence.count), second(evidence.first), second(evidence.last));
        say!(text, "[[rule]]\nid = {}\neffect = \"allow\"\nfrom = {}", json!(id), from(callers, sets));
        match what {
            What::Http { path, methods } => {
                say!(text, "methods = {}\npaths = {}", json!(methods), json!([path.text()]));
            }
            What::Grpc { service, methods } => {
                let calls: Vec<String> = methods.iter().map(|method| format!("{service}/{method}")).collect();
                say!(text, "grpc = {}", json!(calls));
            }
        }
        if !hosts.is_empty() {
            say!(text, "hosts = {}", json!(hosts));
        }
    }

    /// Whether its example is a request for every listener: cases are asked by the strictest.
    fn is_askable(&self) -> bool {
        let path = &*self.evidence.example;
        path == "*" || canonical_path(path, &Strictness::default()).is_ok_and(|canonical| canonical == path)
    }

    fn write_case(&self, text: &mut String) {
        let Self { id, what, evidence, example: Source { caller, method, host, .. }, .. } = self;
        say!(text, "\n[[case]]\nname = {}", json!(format!("{method} {} by {caller}", evidence.example)));
        say!(text, "from = {}\nmethod = {}\npath = {}", json!(caller), json!(method), json!(evidence.example));
        if let Some(host) = host {
            say!(text, "host = {}", json!(host));
        }
        if matches!(what, What::Grpc { .. }) {
            say!(text, "ctype = \"grpc\"");
        }
        say!(text, "expect = \"allow\"\nrule = {}", json!(id));
    }
}

fn spiffe(callers: &Callers) -> Vec<&str> {
    callers.iter().map(|caller| &**caller).filter(|caller| caller.contains("://")).collect()
}

fn from(callers: &Callers, sets: &Sets<'_>) -> String {
    let ids = spiffe(callers);
    let names: Vec<&str> = callers.iter().map(|caller| &**caller).filter(|caller| !caller.contains("://")).collect();
    let ids = match sets.get(&ids) {
        Some(set) => Some(json!([format!("@{set}")])),
        None => (!ids.is_empty()).then(|| json!(ids)),
    };
    let names = (!names.is_empty()).then(|| json!(names));
    let kinds = [("spiffe", ids), ("dns_san", names)];
    let kinds: Vec<String> = kinds.into_iter().filter_map(|(kind, list)| Some(format!("{kind} = {}", list?))).collect();
    format!("{{ {} }}", kinds.join(", "))
}

fn requests(count: u64) -> String {
    if count == 1 { "1 request".to_owned() } else { format!("{count} requests") }
}

/// A time, its fraction of a second left out.
fn second(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    moment::format(UNIX_EPOCH + Duration::from_secs(since.as_secs()))
}
