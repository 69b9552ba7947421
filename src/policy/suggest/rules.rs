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

/// Rights that become one: what they have of `T`, the evidence, and one of the requests.
struct Joined<T> {
    all: BTreeSet<T>,
    seen: Option<(Evidence, Source)>,
}

impl<T> Default for Joined<T> {
    fn default() -> Self {
        Self { all: BTreeSet::new(), seen: None }
    }
}

impl<T: Ord> Joined<T> {
    fn join(&mut self, more: impl IntoIterator<Item = T>, seen: Option<(Evidence, Source)>) {
        self.all.extend(more);
        let Some((evidence, source)) = seen else { return };
        let (known, example) = self.seen.take().unzip();
        // The example is a request as a whole: its path and who sent it go together.
        let is_first = known
            .as_ref()
            .zip(example.as_ref())
            .is_none_or(|(known, example): (&Evidence, &Source)| (&evidence.example, &source) < (&known.example, example));
        let example = example.filter(|_| !is_first).unwrap_or(source);
        let mut united = known;
        Evidence::unite(&mut united, evidence);
        self.seen = united.map(|evidence| (evidence, example));
    }
}

/// A template of one caller at one host.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    caller: Box<str>,
    host: Option<Box<str>>,
    is_grpc: bool,
    pattern: String,
}

/// The rules of these tries, and what none can be made of.
pub(super) fn of(tries: Vec<(Source, Node)>) -> (Vec<Rule>, Vec<Unlearnt>) {
    let (methods, unlearnt) = by_template(tries);
    let mut hosts: BTreeMap<(Box<str>, What), Joined<Box<str>>> = BTreeMap::new();
    for (Place { caller, host, is_grpc, pattern }, Joined { all, seen }) in methods {
        hosts.entry((caller, What::of(is_grpc, &pattern, all))).or_default().join(host, seen);
    }
    let mut callers: BTreeMap<(What, Hosts), Joined<Box<str>>> = BTreeMap::new();
    for ((caller, what), Joined { all, seen }) in hosts {
        callers.entry((what, all)).or_default().join([caller], seen);
    }
    (named(by_service(callers)), unlearnt)
}

/// The methods of each template.
fn by_template(tries: Vec<(Source, Node)>) -> (BTreeMap<Place, Joined<Box<str>>>, Vec<Unlearnt>) {
    let (mut methods, mut unlearnt): (BTreeMap<Place, Joined<Box<str>>>, _) = (BTreeMap::new(), BTreeMap::new());
    for (source, node) in tries {
        let (mut templates, mut crowds) = (Vec::new(), Vec::new());
        node.finish("", &mut templates, &mut crowds);
        for Crowd { pattern, requests } in crowds {
            *unlearnt.entry((source.caller.to_string(), source.method.to_string(), pattern)).or_default() += requests;
        }
        for Template { pattern, evidence } in templates {
            let is_grpc = source.is_grpc && !pattern.contains('{');
            let place = Place { caller: source.caller.clone(), host: source.host.clone(), is_grpc, pattern };
            methods.entry(place).or_default().join([source.method.clone()], Some((evidence, source.clone())));
        }
    }
    let unlearnt = unlearnt.into_iter().map(|((caller, method, pattern), requests)| Unlearnt { caller, method, pattern, requests });
    (methods, unlearnt.collect())
}

impl What {
    fn of(is_grpc: bool, pattern: &str, methods: BTreeSet<Box<str>>) -> Self {
        match pattern.strip_prefix('/').and_then(|call| call.split_once('/')).filter(|_| is_grpc) {
            Some((service, method)) => Self::Grpc { service: service.to_owned(), methods: BTreeSet::from([method.to_owned()]) },
            None => Self::Http { path: Pattern::of(pattern), methods },
        }
    }
}

/// What a rule says but for its id.
type Right = (What, Hosts, Callers);
type Unnamed = BTreeMap<Right, (Evidence, Source)>;

/// Methods of one gRPC service that the same callers call are one rule.
fn by_service(rights: BTreeMap<(What, Hosts), Joined<Box<str>>>) -> Unnamed {
    let mut services: BTreeMap<(String, Hosts, Callers), Joined<String>> = BTreeMap::new();
    let mut all = Unnamed::new();
    for ((what, hosts), Joined { all: callers, seen }) in rights {
        match what {
            What::Http { .. } => all.extend(seen.map(|seen| ((what, hosts, callers), seen))),
            What::Grpc { service, methods } => services.entry((service, hosts, callers)).or_default().join(methods, seen),
        }
    }
    for ((service, hosts, callers), Joined { all: methods, seen }) in services {
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
    let rules = all.into_iter().map(|((what, hosts, callers), (evidence, example))| {
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
