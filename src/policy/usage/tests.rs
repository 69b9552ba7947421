use super::state::{RuleUse, State, Uses};
use super::*;
use crate::policy::tests::{caller, noon, parsed, request, rule};
use crate::policy::{Caller, Part, Publisher, Tables, decide_counted};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const DAY: Duration = Duration::from_secs(86_400);

/// Everything between a request and the file, with one shard.
struct Sidecar {
    tables: Publisher,
    gathered: Arc<Gathered>,
    tally: Tally,
    book: Book,
    now: SystemTime,
}

impl Sidecar {
    fn new(rules: &str) -> Self {
        let (tables, gathered) = (Publisher::new(), Arc::<Gathered>::default());
        let tally = Tally::new(Arc::clone(&gathered));
        let mut sidecar = Self { tables, gathered, tally, book: Book::new("spiffe://d/orders", noon()), now: noon() };
        sidecar.reload(rules);
        sidecar
    }

    fn reload(&mut self, rules: &str) {
        self.put(parsed("", rules).into());
    }

    fn put(&mut self, tables: Tables) {
        self.tables.publish(tables);
        self.settle();
    }

    fn settle(&mut self) {
        self.tally.hand_over(self.now);
        self.book.settle(&self.gathered, &self.tables, self.now);
    }

    fn ask_as(&self, caller: &Caller, method: &str, path: &str, host: &str) {
        // Certificates of these callers are good for an hour.
        let _ = decide_counted(&self.tables.snapshot(), caller, &request(method, path, host), noon(), &self.tally);
    }

    fn ask(&self, id: &str, method: &str, path: &str) {
        self.ask_as(&caller(id), method, path, "a.foo");
    }

    /// How often each rule of a part decided.
    fn hits(&mut self, part: Part) -> BTreeMap<String, u64> {
        self.settle();
        let ledger = self.book.state().tables.iter().find(|ledger| ledger.part == part).unwrap();
        ledger.rules.iter().map(|(id, uses)| (id.clone(), uses.used.hits)).collect()
    }

    fn rule(&mut self, id: &str) -> RuleUse {
        self.settle();
        self.book.state().tables[0].rules[id].clone()
    }

    fn report(&mut self, days: u64) -> Report {
        self.settle();
        let mut fleet = Fleet::default();
        fleet.add(self.book.state().clone());
        unused(self.tables.snapshot().unwrap().own(), Part::Own, &fleet, days)
    }
}

fn hits<const N: usize>(all: [(&str, u64); N]) -> BTreeMap<String, u64> {
    all.into_iter().map(|(id, hits)| (id.to_owned(), hits)).collect()
}

fn lists() -> String {
    let from = "{ spiffe = ['@web', 'spiffe://d/batch/*', 'spiffe://d/**'] }";
    let sets = "[sets.principals]\nweb = ['spiffe://d/web/a', 'spiffe://d/web/b', 'spiffe://d/web/*']\n";
    sets.to_owned()
        + &rule("lists", "allow", from, "methods = ['GET', 'HEAD', 'PURGE']\npaths = ['/a/{x}', '/**']\nhosts = ['a.foo', '*.foo']")
}

#[test]
fn each_member_counts_that_decided_and_the_first_of_several() {
    let mut sidecar = Sidecar::new(&lists());
    sidecar.ask("spiffe://d/web/a", "GET", "/a/1");
    sidecar.ask("spiffe://d/web/a", "GET", "/a/2");
    sidecar.ask("spiffe://d/batch/x", "PURGE", "/b");
    sidecar.ask_as(&caller("spiffe://d/other"), "GET", "/b", "b.foo");
    let uses = sidecar.rule("lists");
    let told: Vec<(&str, &str, u64)> = uses
        .members
        .iter()
        .flat_map(|(list, members)| members.iter().map(|(member, uses)| (list.as_str(), member.as_str(), uses.hits)))
        .collect();
    let expected = [
        ("from", "@web", 2),
        ("from", "spiffe://d/**", 1),
        ("from", "spiffe://d/batch/*", 1),
        ("methods", "GET", 3),
        ("methods", "PURGE", 1),
        ("paths", "/**", 2),
        ("paths", "/a/{x}", 2),
        ("hosts", "*.foo", 1),
        ("hosts", "a.foo", 3),
    ];
    assert_eq!(told, expected);
    assert_eq!((uses.used.hits, uses.unattributed), (4, 0));
    let set: Vec<u64> = sidecar.book.state().tables[0].sets["web"].values().map(|member| member.used.hits).collect();
    assert_eq!(set, [0, 2, 0]);
}

#[test]
fn every_table_counts_for_itself_and_a_trial_where_it_is_named() {
    let everybody = "{ any_authenticated = true }";
    let shadow = "paths = ['/s']\nmode = 'shadow'\nshadow_until = '2026-12-01T00:00:00Z'";
    let own = parsed("", &(rule("open", "allow", everybody, "paths = ['/**']") + &rule("tried", "deny", everybody, shadow)));
    let boundary = parsed("", &rule("cap", "allow", everybody, "paths = ['/s', '/t']"));
    let candidate = parsed("", &rule("next", "allow", everybody, "paths = ['/t']"));
    let mut sidecar = Sidecar::new("");
    sidecar.put(Tables::new(own, Some(boundary), Some(candidate)));
    for path in ["/s", "/s", "/t", "/u"] {
        sidecar.ask("spiffe://d/a", "GET", path);
    }
    assert_eq!(sidecar.hits(Part::Own), hits([("open", 4), ("tried", 2)]));
    assert_eq!(sidecar.hits(Part::Boundary), hits([("cap", 3)]));
    assert_eq!(sidecar.hits(Part::Candidate), hits([("next", 1)]));
}

#[test]
fn a_promoted_rule_begins_at_what_was_enforced() {
    let one = rule("one", "allow", "{ any_authenticated = true }", "paths = ['/**']");
    let (own, candidate) = (
        parsed("version = '1'", &one),
        parsed("version = '2'", &(one + &rule("two", "deny", "{ any_authenticated = true }", "paths = ['/no']"))),
    );
    let mut sidecar = Sidecar::new("");
    sidecar.put(Tables::new(own, None, Some(candidate)));
    sidecar.ask("spiffe://d/a", "GET", "/no");
    sidecar.ask("spiffe://d/a", "GET", "/yes");
    assert_eq!(sidecar.hits(Part::Candidate), hits([("one", 1), ("two", 1)]));
    let promoted = sidecar.tables.snapshot().unwrap().promoted().unwrap();
    // The same table, whose cells are in use.
    sidecar.tables.publish(promoted);
    sidecar.ask("spiffe://d/a", "GET", "/no");
    assert_eq!(sidecar.hits(Part::Own), hits([("one", 2), ("two", 1)]));
}

#[test]
fn who_is_another_rule_begins_at_nothing() {
    let written = |id: &str, path: &str| rule(id, "allow", "{ any_authenticated = true }", &format!("paths = ['{path}']"));
    let mut sidecar = Sidecar::new(&(written("a", "/a") + &written("b", "/b")));
    sidecar.ask("spiffe://d/a", "GET", "/a");
    sidecar.ask("spiffe://d/a", "GET", "/b");
    sidecar.now += DAY;
    sidecar.settle();
    // Decided by the table before, handed over after the reload.
    sidecar.ask("spiffe://d/a", "GET", "/b");
    sidecar.reload(&("# The order and a comment change nothing.\n".to_owned() + &written("b", "/b") + &written("a", "/a/{x}")));
    assert_eq!(sidecar.hits(Part::Own), hits([("a", 0), ("b", 2)]));
    assert_eq!([sidecar.rule("a").since, sidecar.rule("b").since], [seconds(noon() + DAY), seconds(noon())]);
    sidecar.reload(&(written("b", "/b") + &written("renamed", "/a/{x}")));
    assert_eq!(sidecar.hits(Part::Own), hits([("b", 2), ("renamed", 0)]));
    sidecar.reload(&written("renamed", "/a/{x}"));
    sidecar.reload(&written("b", "/b"));
    assert_eq!(sidecar.hits(Part::Own), hits([("b", 0)]), "it was away");
}

#[test]
fn a_rule_counts_exactly_also_where_its_callers_are_too_many_to_tell_apart() {
    let mut sidecar = Sidecar::new(&(rule("many", "allow", "{ spiffe = ['spiffe://d/a/*', 'spiffe://d/b/*'] }", "paths = ['/**']")));
    let callers = 70_000;
    for number in 0..callers {
        sidecar.ask(&format!("spiffe://d/a/{number}"), "GET", "/");
    }
    let uses = sidecar.rule("many");
    assert_eq!(uses.used.hits, callers);
    let told = uses.members[&Dimension::From]["spiffe://d/a/*"].hits;
    assert!(told + uses.unattributed == callers && told >= 65_536 && uses.unattributed > 0, "{uses:?}");
    sidecar.now += DAY;
    let report = sidecar.report(1);
    assert!(report.members.is_empty() && report.blurred == [0], "{report:?}");
}

#[test]
fn a_tally_is_settled_once_nothing_comes_any_more() {
    let sidecar = Sidecar::new(&rule("r", "allow", "{ any_authenticated = true }", "paths = ['/**']"));
    assert!(sidecar.tally.is_settled());
    sidecar.ask("spiffe://d/a", "GET", "/");
    assert!(!sidecar.tally.is_settled());
    sidecar.tally.hand_over(sidecar.now);
    sidecar.tally.hand_over(sidecar.now);
    assert!(sidecar.tally.is_settled());
    assert_eq!(sidecar.gathered.take().values().map(|counted| counted.count).sum::<u64>(), 1);
}

#[test]
fn unused_is_what_had_no_hit_for_so_long() {
    let everybody = "{ any_authenticated = true }";
    let audit = rule("watched", "audit", everybody, "paths = ['/**']");
    let table = lists() + &rule("idle", "deny", everybody, "paths = ['/idle']") + &audit;
    let mut sidecar = Sidecar::new(&table);
    sidecar.ask("spiffe://d/web/a", "HEAD", "/idle");
    sidecar.settle();
    sidecar.now += 10 * DAY;
    sidecar.ask("spiffe://d/web/a", "GET", "/a/1");
    sidecar.ask("spiffe://d/batch/x", "GET", "/b");
    sidecar.settle();
    sidecar.now += 10 * DAY;
    sidecar.reload(&(table + &rule("new", "allow", everybody, "paths = ['/new']")));
    let report = sidecar.report(15);
    let names = |members: &[Member]| members.iter().map(|member| member.member.clone()).collect::<Vec<_>>();
    assert_eq!(report.unused.iter().map(|unused| (unused.rule, unused.known.hits)).collect::<Vec<_>>(), [(1, 1)]);
    assert_eq!(names(&report.members), ["spiffe://d/**", "HEAD", "PURGE", "*.foo", "spiffe://d/web/b", "spiffe://d/web/*"]);
    assert_eq!(report.young.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [3]);
    assert!(report.has_findings() && report.young_replicas(15).next().is_none() && report.young_replicas(21).next().is_some());
    assert!(sidecar.report(5).unused.len() == 2, "what was used ten days ago is not used now");
    assert!(sidecar.report(21).unused.is_empty(), "nothing is known of what was before");
}

#[test]
fn a_table_of_another_name_is_not_this_one() {
    let mut sidecar = Sidecar::new(&rule("r", "allow", "{ any_authenticated = true }", "paths = ['/**']"));
    sidecar.settle();
    let mut fleet = Fleet::default();
    let mut state = sidecar.book.state().clone();
    state.tables[0].name = "x".into();
    fleet.add(state);
    let report = unused(sidecar.tables.snapshot().unwrap().own(), Part::Own, &fleet, 1);
    assert_eq!((report.replicas.len(), report.others), (0, 1));
}

fn state() -> impl Strategy<Value = State> {
    let uses = (0_u64..4, 0_u64..4).prop_map(|(hits, last)| Uses { hits, last: if hits == 0 { 0 } else { last } });
    let all = prop::collection::btree_map("[ab]", (uses, 0_u64..3), 0..3);
    (0_u8..3, 0_u64..3, 0_u64..3, all).prop_map(|(observer, since, until, rules)| {
        let sidecar = Sidecar::new("");
        let mut state = sidecar.book.state().clone();
        (state.observer, state.since, state.until) = (observer.to_string(), since, until);
        let rules = rules.into_iter().map(|(id, (used, since))| (id, RuleUse { used, ..RuleUse::new("h".into(), since) }));
        state.tables[0].rules = rules.collect();
        state
    })
}

proptest! {
    #[test]
    fn uniting_hangs_on_no_order_and_no_repetition(states in prop::collection::vec(state(), 0..6), order in any::<prop::sample::Index>(), twice in any::<bool>()) {
        let unite = |states: &[State]| {
            let mut fleet = Fleet::default();
            states.iter().cloned().for_each(|state| fleet.add(state));
            fleet
        };
        let mut others = states.clone();
        if !others.is_empty() {
            let middle = order.index(others.len());
            others.rotate_left(middle);
            others.reverse();
        }
        if twice {
            others.extend(states.iter().cloned());
        }
        prop_assert_eq!(unite(&states), unite(&others));
        // Two halves first, then both: what was united is united with the rest.
        let (one, two) = states.split_at(states.len() / 2);
        let mut halves = unite(two);
        unite(one).into_states().for_each(|state| halves.add(state));
        prop_assert_eq!(halves, unite(&states));
    }

    #[test]
    fn a_document_reads_back(state in state()) {
        prop_assert_eq!(read_from(&*document(&state)).unwrap(), state);
    }

    #[test]
    fn no_text_is_taken_for_counts_and_none_panics(text in "\\PC{0,64}|\\{\"v\":\"countersign.usage/[12]\"[^}]{0,32}\\}") {
        prop_assert!(read_from(text.as_bytes()).is_err());
    }
}

#[test]
fn what_cannot_be_used_is_put_aside_and_counting_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path());
    let mut before = Sidecar::new(&lists());
    before.ask("spiffe://d/web/a", "GET", "/a/1");
    before.settle();
    save(&path, &document(before.book.state())).unwrap();
    let again = resume(&path, "spiffe://d/orders", noon() + DAY);
    assert_eq!(again.state(), before.book.state());

    let good = std::fs::read(&path).unwrap();
    let newer = String::from_utf8(good.clone()).unwrap().replace("usage/1", "usage/2").into_bytes();
    for (text, workload) in
        [(&good[..40], "spiffe://d/orders"), (b"\xff", "spiffe://d/orders"), (&newer, "spiffe://d/orders"), (&good, "spiffe://d/other")]
    {
        std::fs::write(&path, text).unwrap();
        let begun = resume(&path, workload, noon() + DAY);
        assert!(begun.state().tables.is_empty() && begun.state().since == seconds(noon() + DAY));
        assert_ne!(begun.state().observer, before.book.state().observer);
        assert!(!path.exists());
        assert_eq!(std::fs::read(path.with_added_extension("unusable")).unwrap(), text);
    }
    assert!(resume(&path, "spiffe://d/orders", noon()).state().tables.is_empty(), "there is none");
}
