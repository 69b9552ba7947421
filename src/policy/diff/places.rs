//! Where, among the requests for the paths of one pattern, the sides decide otherwise for callers who meet some rules.

use super::Limit;
use super::by_number::ByNumber;
use super::joint::{Joint, Node};
use super::sought::{Host, Sought};
use super::weigh::{Unweighed, Values, Weighed, weigh};
use super::words::index;
use crate::policy::pattern::{PathPattern, Shape};
use crate::policy::space::{Alphabet, Budget, Exhausted, Heads, host, ways};
use http::Method;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// What stands for every method that no rule at hand names: the first of these that none does.
const OTHERS: [Method; 6] = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::HEAD];

/// The most places without an answer that are told.
const LIMITS: usize = 8;

/// What was found at one place.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// The methods that rules here tell apart.
    pub(super) told_apart: BTreeSet<String>,
    /// By direction.
    pub(super) found: [Option<Found>; 2],
}

/// Requests that are decided otherwise.
#[derive(Debug)]
pub(super) struct Found {
    /// Their methods; `*` stands for all that no rule here names.
    pub(super) methods: BTreeSet<String>,
    /// Their paths, two at most: each stands for those that no rule here tells apart from it.
    pub(super) paths: BTreeSet<String>,
    /// The shortest of them.
    pub(super) shortest: Sought,
    /// What must be so besides.
    pub(super) values: Values,
}

/// Looks at places, at each once.
pub(super) struct Places<'j, 't> {
    joint: &'j Joint<'t>,
    heads: Heads,
    /// By path pattern: the rules that have it.
    nodes: ByNumber,
    /// By path pattern: those that may meet it.
    near: HashMap<u32, Rc<BTreeSet<u32>>>,
    known: HashMap<(u32, Vec<u32>), Rc<Place>>,
    weighed: HashMap<Vec<u32>, Rc<Weighed>>,
    /// Why the answer is not exact.
    pub(super) limits: Vec<Limit>,
}

impl<'j, 't> Places<'j, 't> {
    pub(super) fn new(joint: &'j Joint<'t>) -> Self {
        let shapes = joint.words.templates.iter().enumerate().map(|(number, text)| (number, vec![Shape::of_path(text)]));
        let mut nodes = ByNumber::of(joint.words.templates.len());
        for (number, node) in (0..).zip(&joint.nodes) {
            node.meaning.paths.iter().for_each(|template| nodes.add(*template, number));
        }
        Self {
            joint,
            heads: Heads::of(shapes),
            nodes,
            near: HashMap::new(),
            known: HashMap::new(),
            weighed: HashMap::new(),
            limits: Vec::new(),
        }
    }

    /// Where requests for the paths of a pattern are decided otherwise, by callers who meet these rules.
    pub(super) fn of_path(&mut self, template: u32, class: &[u32], budget: &mut Budget) -> Result<Rc<Place>, Exhausted> {
        let near = self.near(template, budget)?;
        let nodes = self.relevant(&near, class, budget)?;
        let key = (template, nodes);
        if let Some(known) = self.known.get(&key) {
            return Ok(Rc::clone(known));
        }
        let place = Rc::new(self.look(template, &near, &key.1, budget)?);
        self.known.insert(key, Rc::clone(&place));
        Ok(place)
    }

    /// Where TCP connections are decided otherwise, by callers who meet these rules.
    pub(super) fn of_connections(&mut self, class: &[u32], budget: &mut Budget) -> Result<Place, Exhausted> {
        let nodes: Vec<u32> = self.those(class, |node| node.meaning.is_tcp);
        let mut place = Place::default();
        self.compare(&nodes, &Sought::Connection, "", &mut place, budget)?;
        Ok(place)
    }

    /// The patterns that may meet one, itself among them.
    fn near(&mut self, template: u32, budget: &mut Budget) -> Result<Rc<BTreeSet<u32>>, Exhausted> {
        if let Some(known) = self.near.get(&template) {
            return Ok(Rc::clone(known));
        }
        let shape = Shape::of_path(self.template(template));
        let near: BTreeSet<u32> = self.heads.near(&[shape], budget)?.into_iter().map(index).collect();
        let near = Rc::new(near);
        self.near.insert(template, Rc::clone(&near));
        Ok(near)
    }

    /// The rules of a class that have one of these patterns.
    fn relevant(&self, near: &BTreeSet<u32>, class: &[u32], budget: &mut Budget) -> Result<Vec<u32>, Exhausted> {
        if near.len() < class.len() {
            let having = self.nodes.of_all(near.iter().copied());
            budget.spend(near.len() + having.len())?;
            return Ok(having.into_iter().filter(|node| class.binary_search(node).is_ok()).collect());
        }
        budget.spend(class.len())?;
        Ok(self.those(class, |node| node.meaning.paths.iter().any(|template| near.contains(template))))
    }

    fn look(&mut self, template: u32, near: &BTreeSet<u32>, nodes: &[u32], budget: &mut Budget) -> Result<Place, Exhausted> {
        let joint = self.joint;
        let mut place = Place::default();
        let all: BTreeSet<u32> =
            nodes.iter().filter_map(|node| joint.node(*node)).flat_map(|node| node.meaning.paths.iter().copied()).collect();
        let others: Vec<u32> = all.into_iter().filter(|other| *other != template && near.contains(other)).collect();
        let shapes: Vec<Shape<'_>> = others.iter().map(|other| Shape::of_path(self.template(*other))).collect();
        let shapes: Vec<&Shape<'_>> = shapes.iter().collect();
        // Several sets of patterns may be of the same rules.
        let mut paths: BTreeMap<Vec<u32>, Vec<String>> = BTreeMap::new();
        for way in ways(&Shape::of_path(self.template(template)), &shapes, Alphabet::Path, budget)? {
            let met: BTreeSet<u32> = way.met.iter().filter_map(|other| others.get(*other).copied()).chain([template]).collect();
            let met = self.those(nodes, |node| node.meaning.paths.iter().any(|path| met.contains(path)));
            budget.spend(nodes.len())?;
            let shortest = paths.entry(met).or_insert_with(|| way.example.clone());
            if length(&way.example) < length(shortest) {
                *shortest = way.example;
            }
        }
        for (met, path) in paths {
            self.methods(&met, &path.join("/"), &mut place, budget)?;
        }
        Ok(place)
    }

    /// Tells methods apart. `OPTIONS *` is the one request with that target, and CONNECT is refused before any rule.
    fn methods(&mut self, nodes: &[u32], path: &str, place: &mut Place, budget: &mut Budget) -> Result<(), Exhausted> {
        let named: BTreeSet<&str> = self.each(nodes).flat_map(|node| node.meaning.methods.iter().copied()).collect();
        let mut methods: Vec<(String, Method)> = Vec::new();
        if PathPattern::of(path).is_asterisk() {
            methods.push((Method::OPTIONS.to_string(), Method::OPTIONS));
        } else {
            let read = |name: &&str| Some(((*name).to_owned(), Method::from_bytes(name.as_bytes()).ok()?));
            methods.extend(named.iter().filter_map(read).filter(|(_, method)| *method != Method::CONNECT));
            methods.extend(unnamed(&named).map(|method| ("*".to_owned(), method)));
        }
        for (name, method) in methods {
            let takes = |node: &Node<'_>| {
                let methods = &node.meaning.methods;
                methods.is_empty() || methods.binary_search(&method.as_str()).is_ok()
            };
            budget.spend(nodes.len())?;
            let met = self.those(nodes, takes);
            place.told_apart.insert(name.clone());
            self.hosts(&met, path, &method, &name, place, budget)?;
        }
        Ok(())
    }

    /// Tells hosts apart, and content types.
    fn hosts(
        &mut self,
        nodes: &[u32],
        path: &str,
        method: &Method,
        name: &str,
        place: &mut Place,
        budget: &mut Budget,
    ) -> Result<(), Exhausted> {
        if !self.may_differ(nodes) {
            return Ok(());
        }
        for (host, nodes) in self.by_host(nodes, budget)? {
            let types: &[Option<bool>] =
                if self.each(&nodes).any(|node| node.meaning.is_grpc) { &[Some(false), Some(true)] } else { &[None] };
            for grpc in types {
                let met = self.those(&nodes, |node| !node.meaning.is_grpc || *grpc == Some(true));
                let sought = Sought::Request { method: method.clone(), path: path.to_owned(), host: host.clone(), grpc: *grpc };
                self.compare(&met, &sought, name, place, budget)?;
            }
        }
        Ok(())
    }

    fn by_host(&self, nodes: &[u32], budget: &mut Budget) -> Result<Vec<(Host, Vec<u32>)>, Exhausted> {
        let patterns: BTreeMap<&str, Shape<'_>> = self
            .each(nodes)
            .flat_map(|node| node.rules.iter().flatten().flat_map(|rule| &rule.hosts))
            .map(|pattern| (pattern.as_str(), host::shape(pattern)))
            .collect();
        if patterns.is_empty() {
            return Ok(vec![(Host::Any, nodes.to_vec())]);
        }
        let (texts, shapes): (Vec<&str>, Vec<&Shape<'_>>) = patterns.iter().map(|(text, shape)| (*text, shape)).unzip();
        let mut hosts = Vec::new();
        for way in ways(&host::every(), &shapes, Alphabet::Host, budget)? {
            let met: BTreeSet<&str> = way.met.iter().filter_map(|at| texts.get(*at).copied()).collect();
            let takes = |node: &Node<'_>| node.meaning.hosts.is_empty() || node.meaning.hosts.iter().any(|host| met.contains(host));
            budget.spend(nodes.len())?;
            hosts.push((Host::Named(way.example.join(".")), self.those(nodes, takes)));
        }
        // Whether something without a host is meant cannot be told: a deny matches then, and an allow does not.
        let without = |node: &Node<'_>| node.meaning.hosts.is_empty() || node.is_deny();
        hosts.push((Host::Missing, self.those(nodes, without)));
        Ok(hosts)
    }

    /// Weighs rules that match but for what is opaque, and keeps what is shorter than what was found before.
    fn compare(&mut self, nodes: &[u32], sought: &Sought, name: &str, place: &mut Place, budget: &mut Budget) -> Result<(), Exhausted> {
        if !self.may_differ(nodes) {
            return Ok(());
        }
        let weighed = match self.weighed.get(nodes) {
            Some(known) => Rc::clone(known),
            None => {
                let weighed = match weigh(self.joint, nodes, budget) {
                    Ok(weighed) => weighed,
                    Err(Unweighed::Exhausted) => return Err(Exhausted),
                    Err(Unweighed::Atoms(count)) => {
                        if self.limits.len() < LIMITS {
                            self.limits.push(Limit::Conditions { count, at: sought.to_string() });
                        }
                        Weighed::default()
                    }
                };
                let weighed = Rc::new(weighed);
                self.weighed.insert(nodes.to_vec(), Rc::clone(&weighed));
                weighed
            }
        };
        for (found, values) in place.found.iter_mut().zip(weighed.iter()) {
            let Some(values) = values else { continue };
            let found = found.get_or_insert_with(|| Found {
                methods: BTreeSet::new(),
                paths: BTreeSet::new(),
                shortest: sought.clone(),
                values: values.clone(),
            });
            found.methods.extend(Some(name.to_owned()).filter(|name| !name.is_empty()));
            if let (Sought::Request { path, .. }, 0..=1) = (sought, found.paths.len()) {
                found.paths.insert(path.clone());
            }
            if (sought.rank(), values.len()) < (found.shortest.rank(), found.values.len()) {
                (found.shortest, found.values) = (sought.clone(), values.clone());
            }
        }
        Ok(())
    }

    /// Where both sides have the same rules, they decide the same.
    fn may_differ(&self, nodes: &[u32]) -> bool {
        self.joint.force_differs() || self.each(nodes).any(Node::is_lone)
    }

    fn each<'n>(&self, nodes: &'n [u32]) -> impl Iterator<Item = &'j Node<'t>> + use<'n, 'j, 't> {
        let joint = self.joint;
        nodes.iter().filter_map(move |node| joint.node(*node))
    }

    fn those(&self, nodes: &[u32], is_in: impl Fn(&Node<'t>) -> bool) -> Vec<u32> {
        nodes.iter().copied().filter(|number| self.joint.node(*number).is_some_and(&is_in)).collect()
    }

    fn template(&self, number: u32) -> &'t str {
        usize::try_from(number).ok().and_then(|number| self.joint.words.templates.get(number)).copied().unwrap_or_default()
    }
}

fn length(path: &[String]) -> (usize, usize) {
    (path.len(), path.iter().map(String::len).sum())
}

/// A method that is not among these.
fn unnamed(named: &BTreeSet<&str>) -> Option<Method> {
    let longest = named.iter().map(|name| name.len()).max().unwrap_or_default();
    let other = OTHERS.into_iter().find(|method| !named.contains(method.as_str()));
    other.or_else(|| Method::from_bytes("X".repeat(longest + 1).as_bytes()).ok())
}
