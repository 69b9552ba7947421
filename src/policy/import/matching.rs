//! What a rule of a table asks for: lists of which one must fit, in fields that all must.

use super::overlap::{networks, overlap, paths, principals};
use crate::identity::pattern::PrincipalPattern;
use ipnet::IpNet;

/// What a request must be like; a field that is absent takes everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) from: Option<Vec<PrincipalPattern>>,
    pub(super) methods: Option<Vec<String>>,
    /// As an author writes them.
    pub(super) paths: Option<Vec<String>>,
    /// Canonical, without wildcards.
    pub(super) hosts: Option<Vec<String>>,
    pub(super) ports: Option<Vec<u16>>,
    pub(super) networks: Option<Vec<IpNet>>,
    /// All must fit; each name once.
    pub(super) headers: Vec<Header>,
}

/// A condition on a header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) wanted: Wanted,
}

/// What its value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    In(Vec<String>),
    Prefix(String),
    Present,
}

/// What two matches have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meeting<T> {
    /// Exactly this.
    Both(T),
    /// Nothing.
    Never,
    /// Something that no rule can say.
    Unsaid,
}

impl<T> Meeting<T> {
    fn map<U>(self, read: impl FnOnce(T) -> U) -> Meeting<U> {
        match self {
            Self::Both(both) => Meeting::Both(read(both)),
            Self::Never => Meeting::Never,
            Self::Unsaid => Meeting::Unsaid,
        }
    }
}

impl Match {
    /// What is like both.
    pub(super) fn meet(&self, other: &Self) -> Meeting<Self> {
        let from = field(&self.from, &other.from, principals);
        let methods = field(&self.methods, &other.methods, same);
        let paths = field(&self.paths, &other.paths, paths);
        let hosts = field(&self.hosts, &other.hosts, same);
        let ports = field(&self.ports, &other.ports, same);
        let networks = field(&self.networks, &other.networks, networks);
        let headers = headers(&self.headers, &other.headers);
        // What can never be is known, whatever cannot be said of the other fields.
        let never = from == Meeting::Never
            || methods == Meeting::Never
            || paths == Meeting::Never
            || hosts == Meeting::Never
            || ports == Meeting::Never
            || networks == Meeting::Never;
        match (from, methods, paths, hosts, ports, networks, headers) {
            _ if never => Meeting::Never,
            (
                Meeting::Both(from),
                Meeting::Both(methods),
                Meeting::Both(paths),
                Meeting::Both(hosts),
                Meeting::Both(ports),
                Meeting::Both(networks),
                Some(headers),
            ) => Self { from, methods, paths, hosts, ports, networks, headers }.settled(),
            _ => Meeting::Unsaid,
        }
    }

    /// Without what no request can be: `*` is the target of OPTIONS alone.
    fn settled(mut self) -> Meeting<Self> {
        let no_options = self.methods.as_ref().is_some_and(|methods| methods.iter().all(|method| method != "OPTIONS"));
        if let Some(paths) = self.paths.as_mut().filter(|_| no_options) {
            paths.retain(|path| path != "*");
            if paths.is_empty() {
                return Meeting::Never;
            }
        }
        Meeting::Both(self)
    }

    /// Takes in what is like `other`, where both are about one and the same field alone; whether it did.
    pub(super) fn absorb(&mut self, other: &Self) -> bool {
        if self.fields() != 1 || other.fields() != 1 {
            return false;
        }
        extend(&mut self.from, &other.from)
            || extend(&mut self.methods, &other.methods)
            || extend(&mut self.paths, &other.paths)
            || extend(&mut self.hosts, &other.hosts)
            || extend(&mut self.ports, &other.ports)
            || extend(&mut self.networks, &other.networks)
    }

    fn fields(&self) -> usize {
        let lists = [self.from.is_some(), self.methods.is_some(), self.paths.is_some(), self.hosts.is_some()];
        let more = [self.ports.is_some(), self.networks.is_some()];
        lists.into_iter().chain(more).filter(|there| *there).count() + self.headers.len()
    }
}

fn field<T: Clone + PartialEq>(
    one: &Option<Vec<T>>,
    other: &Option<Vec<T>>,
    meet: impl Fn(&T, &T) -> Meeting<Vec<T>>,
) -> Meeting<Option<Vec<T>>> {
    match (one, other) {
        (None, any) | (any, None) => Meeting::Both(any.clone()),
        (Some(one), Some(other)) => overlap(one, other, meet).map(Some),
    }
}

fn same<T: Clone + PartialEq>(one: &T, other: &T) -> Meeting<Vec<T>> {
    if one == other { Meeting::Both(vec![one.clone()]) } else { Meeting::Never }
}

fn extend<T: Clone>(one: &mut Option<Vec<T>>, other: &Option<Vec<T>>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return false };
    one.extend(other.iter().cloned());
    true
}

/// A rule has one condition for a name.
fn headers(one: &[Header], other: &[Header]) -> Option<Vec<Header>> {
    let mut all = one.to_vec();
    for header in other {
        match all.iter().find(|known| known.name == header.name) {
            Some(known) if known == header => {}
            Some(_) => return None,
            None => all.push(header.clone()),
        }
    }
    Some(all)
}
