//! The rules that one identity can meet, found once per identity and table.

use super::automaton;
use super::compiled::{Compiled, Found};
use super::evaluate::{Candidate, Findings, findings_where};
use super::rule::{Question, Rule};
use super::standing::Standing;
use super::{Caller, Part, Table, Truth};
use crate::identity::Principal;
use crate::request::CanonicalRequest;
use crate::runtime::tasks::contained_poll;
use arc_swap::ArcSwapOption;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// Identities that a table remembers the class of; further ones find their own for each connection.
const MOST: usize = 1_024;

/// Rules of a class that is compiled where it is asked; larger ones are on a thread of their own, and looked at one by one meanwhile.
const AT_ONCE: usize = 1_024;

/// What compiling a class may take where it is found: some milliseconds.
const BRIEF: usize = 1 << 15;

/// Classes that could not be compiled before a table is put in force, after which the others are left to their first requests.
const REFUSED: usize = 4;

/// The most states of all classes of a table.
const STATES: usize = 1 << 20;

/// What one identity meets on one local port.
#[derive(Debug)]
pub(super) struct Met {
    class: Arc<Class>,
    standing: Standing,
}

/// The rules that identities can meet on one local port; those that meet the same ones share it.
#[derive(Debug)]
pub(super) struct Class {
    generation: u64,
    /// By index, in file order.
    rules: Arc<[u32]>,
    /// How often something was asked that is not compiled.
    asked: AtomicUsize,
    /// `Some(None)`: the rules are such that each is better looked at by itself.
    compiled: OnceLock<Option<(Compiled, Room)>>,
}

/// The states of a compiled class, as part of its table's.
#[derive(Debug)]
struct Room {
    all: Arc<AtomicUsize>,
    taken: usize,
}

/// The classes of one table that open connections use. Looked at once per connection and table.
#[derive(Debug, Default)]
pub(super) struct Classes {
    known: Mutex<Known>,
    aside: Mutex<Aside>,
    states: Arc<AtomicUsize>,
}

/// The classes that wait to be compiled on a thread of its own, one after the other; who has gone meanwhile is passed over.
#[derive(Debug, Default)]
struct Aside {
    waiting: VecDeque<Weak<Class>>,
    /// Whether there is such a thread.
    is_running: bool,
}

/// A caller as far as rules are found by it: the identity and the local port.
type Key = (Principal, u16);

#[derive(Debug, Default)]
struct Known {
    by_key: HashMap<Key, Weak<Met>>,
    by_rules: HashMap<Arc<[u32]>, Weak<Class>>,
    /// Made before the table was put in force, for callers that are connected.
    prepared: Vec<Arc<Met>>,
}

/// Where a [`Caller`] keeps its class, and how it stands, for each table that it last met. Start with `ClassCache::default()`.
#[derive(Debug, Default)]
pub struct ClassCache {
    own: ArcSwapOption<Met>,
    boundary: ArcSwapOption<Met>,
    candidate: ArcSwapOption<Met>,
}

impl Clone for ClassCache {
    fn clone(&self) -> Self {
        let [own, boundary, candidate] = [&self.own, &self.boundary, &self.candidate].map(|met| ArcSwapOption::new(met.load_full()));
        Self { own, boundary, candidate }
    }
}

impl ClassCache {
    /// Gives `read` what the caller meets under `table`; found anew when the table's generation moved.
    pub(super) fn with<T>(
        &self,
        part: Part,
        table: &Arc<Table>,
        caller: &Caller,
        principal: &Principal,
        read: impl FnOnce(&Arc<Met>) -> T,
    ) -> T {
        let slot = match part {
            Part::Own => &self.own,
            Part::Boundary => &self.boundary,
            Part::Candidate => &self.candidate,
        };
        let kept = slot.load();
        if let Some(met) = kept.as_ref().filter(|met| met.class.generation == table.generation) {
            return read(met);
        }
        let met = table.classes.find(table, principal, caller.local_port);
        slot.store(Some(met.clone()));
        read(&met)
    }
}

impl Classes {
    fn find(&self, table: &Arc<Table>, principal: &Principal, port: u16) -> Arc<Met> {
        let key = (principal.clone(), port);
        if let Some(met) = self.known().by_key.get(&key).and_then(Weak::upgrade) {
            return met;
        }
        // Without the lock: a large table takes a while, and other shards look for other identities.
        let rules = table.principals.rules(&table.rules, principal, port);
        let standing = Standing::of(table, principal, &rules);
        self.known().share(key, rules, standing, table.generation)
    }

    /// Finds and compiles what the callers of the table before need, so that no request waits for it once `table` is in force. Blocks meanwhile.
    pub(super) fn prepare(table: &Arc<Table>, before: &Table) {
        let in_use = |met: &Weak<Met>| met.strong_count() > 0;
        let keys: Vec<Key> = before.classes.known().by_key.iter().filter(|(_, met)| in_use(met)).map(|(key, _)| key.clone()).collect();
        let mut refused = 0;
        for (principal, port) in keys {
            let met = table.classes.find(table, &principal, port);
            // What cannot be compiled takes as long as what can: where there is much of it, requests find out.
            if refused < REFUSED {
                refused += usize::from(!met.class.compile(table));
            }
            table.classes.known().prepared.push(met);
        }
    }

    /// The next class to compile; without one the thread ends.
    fn next(&self) -> Option<Arc<Class>> {
        let mut aside = self.aside();
        while let Some(class) = aside.waiting.pop_front() {
            if let Some(class) = class.upgrade() {
                return Some(class);
            }
        }
        aside.is_running = false;
        None
    }

    fn aside(&self) -> MutexGuard<'_, Aside> {
        self.aside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// What a caller with this key meets.
    fn share(&mut self, key: Key, rules: Arc<[u32]>, standing: Standing, generation: u64) -> Arc<Met> {
        let known = self.by_rules.get(&rules).and_then(Weak::upgrade);
        let class = known.unwrap_or_else(|| Arc::new(Class::new(generation, Arc::clone(&rules))));
        if self.by_key.len() >= MOST {
            self.by_key.retain(|_, met| met.strong_count() > 0);
            self.by_rules.retain(|_, class| class.strong_count() > 0);
        }
        let met = Arc::new(Met { class, standing });
        if self.by_key.len() < MOST {
            self.by_rules.insert(rules, Arc::downgrade(&met.class));
            self.by_key.insert(key, Arc::downgrade(&met));
        }
        met
    }
}

/// Compiles a class on a thread of its own, of which a table has one at most; where there is none to be had, its rules are looked at one by one.
fn compile_aside(table: &Arc<Table>, class: &Arc<Class>) {
    const NAME: &str = "policy";
    if !table.classes.aside().add(class) {
        return;
    }
    let behind = Arc::clone(table);
    let compile = move || {
        while let Some(class) = behind.classes.next() {
            contained_poll(NAME, || class.compile(&behind)).unwrap_or_default();
        }
    };
    if let Err(error) = std::thread::Builder::new().name(NAME.into()).spawn(compile) {
        tracing::warn!(%error, "no thread to compile a large policy on; its rules are looked at one by one");
        *table.classes.aside() = Aside::default();
    }
}

impl Aside {
    /// Adds a class; gives whether a thread is to be started.
    fn add(&mut self, class: &Arc<Class>) -> bool {
        if self.waiting.len() >= MOST {
            self.waiting.retain(|class| class.strong_count() > 0);
        }
        self.waiting.push_back(Arc::downgrade(class));
        !std::mem::replace(&mut self.is_running, true)
    }
}

impl Met {
    /// How its identity stands.
    pub(super) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// What the rules say of the request of a question by a caller who meets this.
    pub(super) fn findings(&self, table: &Arc<Table>, request: &CanonicalRequest, question: &Question<'_>) -> Findings {
        self.findings_where(table, request, |rule| rule.matches(question))
    }

    /// As [`findings`](Self::findings), where `truth` tells whether a rule whose path is that of the request matches it.
    pub(super) fn findings_where(&self, table: &Arc<Table>, request: &CanonicalRequest, truth: impl Fn(&Rule) -> Truth) -> Findings {
        let Self { class, standing } = self;
        let tries = |index, rule: &_| standing.tries(index, rule);
        let look = |candidates: &[Candidate]| findings_where(&table.rules, candidates, tries, &truth);
        match class.compiled(table).map(|compiled| compiled.find(request)) {
            Some(Found::Settled(findings)) => findings,
            Some(Found::Open(candidates)) => look(candidates),
            None => look(&class.candidates(table, request.path())),
        }
    }

    /// What the rules say of a TCP connection.
    pub(super) fn findings_of_connection(&self, table: &Table, question: &Question<'_>) -> Findings {
        let Self { class, standing } = self;
        let candidates: Vec<Candidate> = class.rules.iter().map(|rule| Candidate { rule: *rule, template: 0 }).collect();
        findings_where(&table.rules, &candidates, |index, rule| standing.tries(index, rule), |rule| rule.matches(question))
    }

    /// Whether the table is in shadow for the caller.
    pub(super) fn is_in_shadow(&self) -> bool {
        self.standing.is_in_shadow
    }
}

impl Class {
    fn new(generation: u64, rules: Arc<[u32]>) -> Self {
        Self { generation, rules, asked: AtomicUsize::new(0), compiled: OnceLock::new() }
    }

    /// The rules whose path matches, each looked at by itself.
    fn candidates(&self, table: &Table, path: &str) -> Vec<Candidate> {
        let candidate = |index: &u32| {
            let rule = table.rules.get(usize::try_from(*index).ok()?)?;
            Some(Candidate { rule: *index, template: rule.template(path)? })
        };
        self.rules.iter().filter_map(candidate).collect()
    }

    /// Its compiled form. Who is asked for the second time may be asked often: that is when it is made, at once where it takes next to nothing.
    fn compiled(self: &Arc<Self>, table: &Arc<Table>) -> Option<&Compiled> {
        if self.compiled.get().is_none() && self.asked.fetch_add(1, Ordering::Relaxed) == 1 {
            let brief = (self.rules.len() <= AT_ONCE).then(|| Compiled::new(&table.rules, &self.rules, BRIEF).ok()).flatten();
            match brief {
                // Another shard may have been faster, with the same.
                Some(compiled) => _ = self.compiled.set(self.housed(table, compiled)),
                None => compile_aside(table, self),
            }
        }
        self.compiled.get()?.as_ref().map(|(compiled, _)| compiled)
    }

    /// Whether it could be compiled.
    fn compile(&self, table: &Table) -> bool {
        let compile = || Compiled::new(&table.rules, &self.rules, automaton::WORK).ok().and_then(|compiled| self.housed(table, compiled));
        self.compiled.get_or_init(compile).is_some()
    }

    fn housed(&self, table: &Table, compiled: Compiled) -> Option<(Compiled, Room)> {
        let room = Room::take(&table.classes.states, compiled.size());
        if room.is_none() {
            let rules = self.rules.len();
            tracing::warn!(rules, "the policy is too large to compile for one more identity; its rules are looked at one by one");
        }
        Some((compiled, room?))
    }
}

impl Room {
    fn take(all: &Arc<AtomicUsize>, states: usize) -> Option<Self> {
        let before = all.fetch_add(states, Ordering::Relaxed);
        // Given back at once where it is not to be had.
        let room = Self { all: Arc::clone(all), taken: states };
        (before.saturating_add(states) <= STATES).then_some(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.all.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class() -> Arc<Class> {
        Arc::new(Class::new(1, Arc::default()))
    }

    #[test]
    fn one_thread_compiles_whatever_waits() {
        let classes = Classes::default();
        let (first, second, gone) = (class(), class(), class());
        assert!(classes.aside().add(&first));
        assert!(!classes.aside().add(&gone) && !classes.aside().add(&second), "there is a thread already");
        drop(gone);
        assert!(Arc::ptr_eq(&classes.next().unwrap(), &first) && Arc::ptr_eq(&classes.next().unwrap(), &second));
        assert!(classes.next().is_none());
        assert!(classes.aside().add(&first), "the thread has ended");
    }

    #[test]
    fn those_who_have_gone_take_no_room() {
        let classes = Classes::default();
        for _ in 0..10 * MOST {
            classes.aside().add(&class());
        }
        assert!(classes.aside().waiting.len() <= MOST);
    }
}
