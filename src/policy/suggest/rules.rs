//! From tries to rules: methods of one caller and template together, then hosts, then callers with equal rights.

use super::evidence::Evidence;
use super::trie::{Crowd, Node, Template};
use crate::policy::canonical_json::sha256;
use std::collections::{BTreeMap, BTreeSet};

/// The longest id of a rule.
const ID: usize = 64;

/// Hexadecimal digits that tell rules apart whose ids would be the same.
const DIGITS: usize = 8;

/// Whose paths a trie has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    pub(super) caller: Box<str>,
    pub(super) method: Box<str>,
    /// `None`: rules say nothing of hosts.
    pub(super) host: Option<Box<str>>,
    pub(super) is_grpc: bool,
}

/// A place where too many words follow for them to be told apart: values of something that has no lexical class, such as names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unlearnt {
    /// Who asked.
    pub caller: String,
    /// How.
    pub method: String,
    /// The pattern of the place.
    pub pattern: String,
    /// Requests beyond it.
    pub requests: u64,
}

/// One allow.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) callers: Callers,
    pub(super) what: What,
    pub(super) hosts: Hosts,
    pub(super) evidence: Evidence,
    /// One of its requests, whose path is the evidence's.
    pub(super) example: Source,
}

/// In the order of letters.
pub(super) type Callers = BTreeSet<Box<str>>;
type Hosts = BTreeSet<Box<str>>;

/// What a rule is about. In this order they stand in the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// First: one about the same path and any content type stands behind it.
    Grpc {
        service: String,
        methods: BTreeSet<String>,
    },
    Http {
        path: Pattern,
        methods: BTreeSet<Box<str>>,
    },
}

/// A template; literal segments come before placeholders, so that the narrower rule is the one that decides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pattern(Vec<(bool, String)>);

impl Pattern {
    fn of(text: &str) -> Self {
        Self(text.split('/').map(|segment| (segment.starts_with('{'), segment.to_owned())).collect())
    }

    pub(super) fn text(&self) -> String {
        self.0.iter().map(|(_, segment)| segment.as_str()).collect::<Vec<_>>().join("/")
    }
}

/// A right on its way to a rule: the evidence, and one of its requests.
struct Seen(Evidence, Source);

impl Seen {
    fn unite(known: &mut Option<Self>, Self(evidence, source): Self) {
        let Some(Self(all, example)) = known else {
            *known = Some(Self(evidence, source));
            return;
        };
        // The example is a request as a whole: its path and who sent it go together.
        if (&evidence.example, &source) < (&all.example, &*example) {
            *example = source;
        }
        let mut united = Some(all.clone());
        Evidence::unite(&mut united, evidence);
        if let Some(united) = united {
            *all = united;
        }
    }
}

/// The rules of these tries, and what none can be made of.
pub(super) fn of(tries: Vec<(Source, Node)>) -> (Vec<Rule>, Vec<Unlearnt>) {
    let mut unlearnt = BTreeMap::new();
    // By caller, host and template: the methods.
    let mut rights: BTreeMap<(Box<str>, Option<Box<str>>, bool, String), (BTreeSet<Box<str>>, Option<Seen>)> = BTreeMap::new();
    for (source, node) in tries {
        let (mut templates, mut crowds) = (Vec::new(), Vec::new());
        node.finish("", &mut templates, &mut crowds);
        for Crowd { pattern, requests } in crowds {
            *unlearnt.entry((source.caller.to_string(), source.method.to_string(), pattern)).or_default() += requests;
        }
        for Template { pattern, evidence } in templates {
            let is_grpc = source.is_grpc && !pattern.contains('{');
            let (methods, seen) = rights.entry((source.caller.clone(), source.host.clone(), is_grpc, pattern)).or_default();
            methods.insert(source.method.clone());
            Seen::unite(seen, Seen(evidence, source.clone()));
        }
    }
    // By caller and what: the hosts.
    let mut with_hosts: BTreeMap<(Box<str>, What), (Hosts, Option<Seen>)> = BTreeMap::new();
    for ((caller, host, is_grpc, pattern), (methods, seen)) in rights {
        let (hosts, known) = with_hosts.entry((caller, What::of(is_grpc, &pattern, methods))).or_default();
        hosts.extend(host);
        seen.into_iter().for_each(|seen| Seen::unite(known, seen));
    }
    // By what and hosts: the callers; those with the same methods of a gRPC service share a rule.
    let mut with_callers: BTreeMap<(What, Hosts), (Callers, Option<Seen>)> = BTreeMap::new();
    for ((caller, what), (hosts, seen)) in with_hosts {
        let (callers, known) = with_callers.entry((what, hosts)).or_default();
        callers.insert(caller);
        seen.into_iter().for_each(|seen| Seen::unite(known, seen));
    }
    let unlearnt = unlearnt.into_iter().map(|((caller, method, pattern), requests)| Unlearnt { caller, method, pattern, requests });
    (named(by_service(with_callers)), unlearnt.collect())
}

impl What {
    fn of(is_grpc: bool, pattern: &str, methods: BTreeSet<Box<str>>) -> Self {
        match pattern.strip_prefix('/').and_then(|call| call.split_once('/')).filter(|_| is_grpc) {
            Some((service, method)) => Self::Grpc { service: service.to_owned(), methods: BTreeSet::from([method.to_owned()]) },
            None => Self::Http { path: Pattern::of(pattern), methods },
        }
    }
}

type Unnamed = BTreeMap<(What, Hosts, Callers), Seen>;

/// Methods of one gRPC service that the same callers call are one rule.
fn by_service(rights: BTreeMap<(What, Hosts), (Callers, Option<Seen>)>) -> Unnamed {
    let mut services: BTreeMap<(String, Hosts, Callers), (BTreeSet<String>, Option<Seen>)> = BTreeMap::new();
    let mut all = Unnamed::new();
    for ((what, hosts), (callers, seen)) in rights {
        let Some(seen) = seen else { continue };
        match what {
            What::Http { .. } => _ = all.insert((what, hosts, callers), seen),
            What::Grpc { service, methods } => {
                let (known, evidence) = services.entry((service, hosts, callers)).or_default();
                known.extend(methods);
                Seen::unite(evidence, seen);
            }
        }
    }
    for ((service, hosts, callers), (methods, seen)) in services {
        all.extend(seen.map(|seen| ((What::Grpc { service, methods }, hosts, callers), seen)));
    }
    all
}

/// Gives each rule an id that hangs on nothing but the rule, and, where two would have the same, digits of a hash over it.
fn named(all: Unnamed) -> Vec<Rule> {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for (what, _, callers) in all.keys() {
        *taken.entry(id(what, callers)).or_default() += 1;
    }
    let rules = all.into_iter().map(|((what, hosts, callers), Seen(evidence, example))| {
        let mut id = id(&what, &callers);
        if taken.get(&id).is_some_and(|count| *count > 1) {
            let hash = sha256(&format!("{what:?} {hosts:?} {callers:?}"));
            id.truncate(ID - DIGITS - 1);
            id = format!("{id}-{}", hash.get(..DIGITS).unwrap_or_default());
        }
        Rule { id, callers, what, hosts, evidence, example }
    });
    rules.collect()
}

/// What a rule is called: who, how, where.
fn id(what: &What, callers: &Callers) -> String {
    let who = match callers.first().filter(|_| callers.len() == 1) {
        Some(caller) if caller.contains("://") => caller.rsplit('/').next().unwrap_or_default(),
        Some(name) => name,
        None => "shared",
    };
    let words = match what {
        What::Http { path, methods } => {
            format!("{who} {} {}", methods.iter().map(|method| &**method).collect::<Vec<_>>().join(" "), path.text())
        }
        What::Grpc { service, .. } => format!("{who} grpc {service}"),
    };
    let plain = words.to_ascii_lowercase().replace(|letter: char| !letter.is_ascii_alphanumeric(), " ");
    let mut id = plain.split_whitespace().collect::<Vec<_>>().join("-");
    id.truncate(ID);
    id
}
