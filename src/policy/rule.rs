//! One compiled rule.

use super::condition::Conditional;
use super::jwt::EndUser;
use super::looked::Looking;
use super::methods::Methods;
use super::pattern::{HostPattern, PathPattern};
use super::standing::{Percent, Standing};
use super::{Caller, RuleFacts, Truth};
use crate::identity::Principal;
use crate::identity::pattern::PrincipalPattern;
use crate::request::{CanonicalRequest, ContentType};
use http::HeaderName;
use http::header::CONTENT_TYPE;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;
use std::time::SystemTime;

/// What a matching rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Effect {
    /// Lets pass.
    Allow,
    /// Refuses.
    Deny,
    /// Asks for a full record and nothing else.
    Audit,
}

impl Effect {
    /// The name in a table.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Audit => "audit",
        }
    }
}

/// Whether a rule or a table is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Enforce,
    /// It is decided and recorded, and changes nothing.
    Shadow {
        /// When its trial was meant to end; it is not enforced by itself afterwards.
        until: SystemTime,
    },
}

/// One rule: lists are OR, fields are AND. Tables have a hundred thousand of them: what is alike in many is shared.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) facts: Arc<RuleFacts>,
    pub(super) effect: Effect,
    pub(super) from: Arc<From>,
    pub(super) methods: Methods,
    details: Arc<Details>,
}

/// What most rules have nothing of.
#[derive(Debug)]
pub(super) struct Details {
    pub(super) mode: Mode,
    pub(super) percent: Percent,
    /// Empty: any.
    pub(super) hosts: Box<[HostPattern]>,
    /// Empty: any.
    pub(super) ports: Box<[u16]>,
    /// `pkg.Service/Method` or `pkg.Service/*`, as written; not empty: the content type must be gRPC's.
    pub(super) grpc: Box<[Box<str>]>,
    /// About TCP connections, and no request.
    pub(super) tcp: bool,
    /// All must hold; looked at in this order.
    pub(super) conditions: Box<[Arc<Conditional>]>,
    pub(super) expires: Option<SystemTime>,
    /// Of a deny: the allows that it does not override, by index, in ascending order.
    pub(super) excepts: Box<[u32]>,
    pub(super) sample: f32,
    pub(super) why: Option<Box<str>>,
}

/// Whom a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct From {
    pub(super) any_authenticated: bool,
    pub(super) whom: Box<[Whom]>,
}

/// One entry of a rule's list of identities.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Whom {
    /// Whoever matches it.
    Pattern(PrincipalPattern),
    /// The members of a set, which rules that name it share.
    Set(Arc<PrincipalSet>),
}

/// A named set of identities.
#[derive(Debug)]
pub(super) struct PrincipalSet {
    /// Without the `@`; no other set of the table is called so.
    pub(super) name: Box<str>,
    pub(super) members: Box<[PrincipalPattern]>,
    /// Whether one of them has a wildcard.
    is_wild: bool,
}

impl PrincipalSet {
    pub(super) fn new(name: &str, members: Box<[PrincipalPattern]>) -> Self {
        let is_wild = members.iter().any(PrincipalPattern::is_wild);
        Self { name: name.into(), members, is_wild }
    }
}

impl PartialEq for PrincipalSet {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for PrincipalSet {}

impl Hash for PrincipalSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Whom {
    /// The patterns that it stands for.
    pub(super) fn patterns(&self) -> &[PrincipalPattern] {
        match self {
            Self::Pattern(pattern) => std::slice::from_ref(pattern),
            Self::Set(set) => &set.members,
        }
    }
}

/// What of a request is the same for every rule, looked up once.
#[derive(Clone, Copy)]
pub(super) struct Question<'r> {
    /// `None`: it is about a TCP connection.
    pub(super) request: Option<&'r CanonicalRequest>,
    pub(super) caller: &'r Caller,
    pub(super) standing: &'r Standing,
    pub(super) user: &'r EndUser<'r>,
    pub(super) method_bit: u16,
    pub(super) now: SystemTime,
    pub(super) looking: &'r Looking,
}

impl From {
    /// Whether it is about `principal`.
    pub(super) fn matches(&self, principal: &Principal) -> bool {
        self.any_authenticated || self.patterns().any(|pattern| pattern.matches(principal))
    }

    /// Whether it is about more identities than it lists.
    pub(super) fn is_wild(&self) -> bool {
        let is_wild = |whom: &Whom| match whom {
            Whom::Pattern(pattern) => pattern.is_wild(),
            Whom::Set(set) => set.is_wild,
        };
        self.any_authenticated || self.whom.iter().any(is_wild)
    }

    /// How many patterns it has, those of its sets counted.
    pub(super) fn count(&self) -> usize {
        self.whom.iter().map(|whom| whom.patterns().len()).sum()
    }

    /// Its patterns, those of its sets among them.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &PrincipalPattern> {
        self.whom.iter().flat_map(Whom::patterns)
    }
}

impl Details {
    /// Whether there is nothing in it.
    fn is_plain(&self) -> bool {
        let Self { mode, percent, hosts, ports, grpc, tcp, conditions, expires, excepts, sample, why } = self;
        let lists = hosts.is_empty() && ports.is_empty() && grpc.is_empty() && conditions.is_empty() && excepts.is_empty();
        lists
            && !tcp
            && *mode == Mode::Enforce
            && *percent == Percent::ALL
            && expires.is_none()
            && why.is_none()
            && sample.total_cmp(&1.0).is_eq()
    }
}

impl Default for Details {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            percent: Percent::ALL,
            hosts: Box::default(),
            ports: Box::default(),
            grpc: Box::default(),
            tcp: false,
            conditions: Box::default(),
            expires: None,
            excepts: Box::default(),
            sample: 1.0,
            why: None,
        }
    }
}

impl Deref for Rule {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.details
    }
}

/// For tests that damage tables: the details of this rule alone.
#[cfg(test)]
impl std::ops::DerefMut for Rule {
    fn deref_mut(&mut self) -> &mut Details {
        if Arc::get_mut(&mut self.details).is_none() {
            self.details = Arc::default();
        }
        Arc::get_mut(&mut self.details).unwrap()
    }
}

impl Rule {
    /// Puts a rule together; those without details share the `plain` ones.
    pub(super) fn new(
        facts: Arc<RuleFacts>,
        effect: Effect,
        from: Arc<From>,
        methods: Methods,
        details: Details,
        plain: &Arc<Details>,
    ) -> Self {
        let details = if details.is_plain() { Arc::clone(plain) } else { Arc::new(details) };
        Self { facts, effect, from, methods, details }
    }

    /// Its path patterns, in the order of its templates.
    pub(super) fn paths(&self) -> impl Iterator<Item = PathPattern<'_>> {
        self.facts.templates().map(PathPattern::of)
    }

    /// Whether the rule can match any request of `principal` on this local port, as the index of identities should have it.
    #[cfg(test)]
    pub(super) fn concerns(&self, principal: &Principal, port: u16) -> bool {
        self.is_on(port) && self.from.matches(principal)
    }

    /// Whether it is about a local port.
    pub(super) fn is_on(&self, port: u16) -> bool {
        self.ports.is_empty() || self.ports.contains(&port)
    }

    /// The first of its paths that matches.
    pub(super) fn template(&self, path: &str) -> Option<u32> {
        let template = self.paths().position(|pattern| pattern.matches(path))?;
        u32::try_from(template).ok()
    }

    /// Whether it matches every request of a caller that it is about whose path and method are its own, and does so for all of them alike.
    pub(super) fn is_unconditional(&self) -> bool {
        self.hosts.is_empty() && self.conditions.is_empty() && !self.is_grpc() && self.expires.is_none() && self.percent == Percent::ALL
    }

    /// Whether it matches a request of a caller that it is about whose path is its own. Cheap checks first.
    pub(super) fn matches(&self, question: &Question<'_>) -> Truth {
        match question.request {
            Some(request) => self.matches_where(request, question.method_bit, question.now, || self.conditions(question)),
            None if self.tcp && self.is_live(question.now) => self.conditions(question),
            None => Truth::False,
        }
    }

    /// As [`matches`](Self::matches), for a request at `now`, where `conditions` tells whether all of its conditions hold.
    pub(super) fn matches_where(
        &self,
        request: &CanonicalRequest,
        method_bit: u16,
        now: SystemTime,
        conditions: impl FnOnce() -> Truth,
    ) -> Truth {
        if !self.is_live(now) || !self.methods.contains(&request.method, method_bit) {
            return Truth::False;
        }
        let grpc = Truth::from(!self.is_grpc() || request.content_type == ContentType::Grpc);
        self.host(request).and(grpc).and_then(conditions)
    }

    fn is_live(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|end| now < end)
    }

    /// Whether it is about the host of a request.
    pub(super) fn host(&self, request: &CanonicalRequest) -> Truth {
        if self.hosts.is_empty() {
            return Truth::True;
        }
        match &request.authority {
            None => Truth::Unknown,
            Some(authority) => {
                let host = authority.host();
                self.hosts.iter().any(|pattern| pattern.matches(host)).into()
            }
        }
    }

    fn conditions(&self, question: &Question<'_>) -> Truth {
        self.conditions.iter().fold(Truth::True, |truth, condition| truth.and_then(|| condition.holds(question)))
    }

    /// The header names that a decision by this rule hangs on.
    pub(super) fn mentioned(&self) -> impl Iterator<Item = HeaderName> {
        let content_type = self.is_grpc().then_some(CONTENT_TYPE);
        self.conditions.iter().filter_map(|condition| condition.mentioned()).cloned().chain(content_type)
    }

    pub(super) fn is_grpc(&self) -> bool {
        !self.grpc.is_empty()
    }

    /// Whether it is in shadow for everybody.
    pub(super) fn is_shadow(&self) -> bool {
        matches!(self.mode, Mode::Shadow { .. })
    }
}
