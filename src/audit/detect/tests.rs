use super::*;
use crate::audit::entry::{Cause, Span};
use crate::audit::tests::{caller, decision};
use crate::policy::quarantine::{By, Settings as Rails, Subject};
use crate::policy::{Caller, Part, Publisher, RuleFacts, TableFacts, Would};
use std::time::SystemTime;

const ALICE: &str = "spiffe://d/alice";
const SECOND: Duration = Duration::from_secs(1);

/// A wall clock that a test would see if anything looked at it for time.
#[derive(Debug)]
struct Wild;

impl Clock for Wild {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(fastrand::u64(1_000_000_000..2_000_000_000))
    }
}

struct Bench {
    detectors: Detectors,
    quarantine: Quarantine,
    began: Instant,
    next: u128,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        let quarantine = Quarantine::new(Rails::default(), Publisher::new());
        let (clock, began) = (Arc::new(Wild), Instant::now());
        let detecting = Detecting { settings, quarantine: quarantine.clone(), clock, outbox: None };
        Self { detectors: Detectors::new(detecting, Ids::new(1, 0xffe), began), quarantine, began, next: 0 }
    }

    fn at(&mut self, second: u64) -> &mut Self {
        self.detectors.begin(self.began + SECOND * u32::try_from(second).unwrap(), None);
        self
    }

    fn show(&mut self, what: What) -> Vec<Finding> {
        self.detectors.entry(&Entry { shard_seq: 0, what }, false);
        self.found()
    }

    fn found(&mut self) -> Vec<Finding> {
        let findings = self.detectors.take().filter_map(|event| match event {
            Event::Finding(finding) => Some(finding),
            _ => None,
        });
        findings.collect()
    }

    fn id(&mut self) -> DecisionId {
        self.next += 1;
        DecisionId(self.next)
    }

    fn refuse(&mut self, caller: &Arc<Caller>, reason: Reason, path: &str) -> Vec<Finding> {
        let mut record = decision(self.id(), Verdict::Deny, path);
        record.facts.reason = reason;
        record.caller = Arc::clone(caller);
        self.show(What::Decision(record))
    }

    fn deny(&mut self, caller: &Arc<Caller>, path: &str) -> Vec<Finding> {
        self.refuse(caller, Reason::ImplicitDeny, path)
    }

    fn aggregate(&mut self, caller: &Arc<Caller>, count: u64) -> Vec<Finding> {
        let record = decision(self.id(), Verdict::Deny, "/");
        let mut key = Key::of_decision(&record);
        if let Key::Decision { caller: folded, .. } = &mut key {
            *folded = caller.identity.as_ref().map(|identity| identity.principal.clone());
        }
        let now = SystemTime::now();
        let aggregate = Aggregate { id: record.id, key, table: None, span: Span { count, first: now, last: now } };
        self.show(What::Aggregate(aggregate))
    }
}

/// Only these detectors.
fn only(change: impl FnOnce(&mut Settings)) -> Settings {
    let off = Watching::Off;
    let mut settings = Settings { new_edge: off, new_issuer: off, break_glass: off, audit_gap: off, ..Settings::default() };
    settings.shared_certificate.mode = off;
    settings.scanning.mode = Mode::Off;
    settings.denial_burst.mode = Mode::Off;
    settings.malformed_burst.mode = Mode::Off;
    change(&mut settings);
    settings
}

/// The same identity with another certificate.
fn replica(id: &str, serial: &str) -> Arc<Caller> {
    let mut identity = (**caller(id).identity.as_ref().unwrap()).clone();
    identity.serial = serial.into();
    identity.fingerprint = serial.repeat(8);
    Arc::new(Caller::new(Some(Arc::new(identity)), ([10, 0, 0, 1], 9).into(), 1, None))
}

#[test]
fn a_burst_is_found_at_its_threshold_once_a_window_whatever_the_wall_clock_says() {
    let mut bench = Bench::new(only(|settings| settings.denial_burst.mode = Mode::Advise));
    let alice = caller(ALICE);
    for second in 0..20 {
        assert!(bench.at(second).deny(&alice, "/").is_empty());
    }
    let found = bench.deny(&alice, "/");
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((finding.detector, finding.count, finding.response), (Detector::DenialBurst, 21, Response::WouldQuarantine));
    assert_eq!(finding.about.caller.as_deref(), Some(ALICE));
    assert_eq!(finding.evidence, [19, 20, 21].map(DecisionId));
    assert!(bench.at(70).deny(&alice, "/").is_empty(), "told already");
    for second in 0..=20 {
        assert!(bench.at(200 + 10 * second).deny(&alice, "/").is_empty(), "slowly is no burst");
    }
}

#[test]
fn what_is_usual_for_an_identity_is_no_burst() {
    let mut bench = Bench::new(only(|settings| settings.denial_burst.mode = Mode::Advise));
    let alice = caller(ALICE);
    let mut found = 0;
    for second in 0..3_600 {
        found += bench.at(second).deny(&alice, "/").len();
    }
    assert!((1..=6).contains(&found), "sixty a minute are told of until they are usual: {found}");
    let before = bench.at(3_600).aggregate(&alice, 200).len();
    assert_eq!((before, bench.aggregate(&alice, 200).len()), (0, 1), "five times that is a burst again");
}

#[test]
fn an_aggregate_counts_fully_and_names_no_certificate() {
    let mut bench = Bench::new(only(|settings| settings.denial_burst.mode = Mode::Act));
    let found = bench.at(0).aggregate(&caller(ALICE), 1_000_000);
    assert_eq!(found.iter().map(|finding| (finding.count, finding.response)).collect::<Vec<_>>(), [(1_000_000, Response::Spread)]);
    assert!(bench.quarantine.is_empty());
}

#[test]
fn what_we_refuse_for_our_own_sake_is_no_denial_of_the_table() {
    let mut bench = Bench::new(Settings { new_issuer: Watching::Off, ..Settings::default() });
    let alice = caller(ALICE);
    for reason in [Reason::Quarantined, Reason::NoPolicy, Reason::Refused("shed"), Reason::Unauthenticated("expired")] {
        for path in 0..50 {
            assert!(bench.at(0).refuse(&alice, reason, &format!("/{path}")).is_empty(), "{reason:?}");
        }
    }
}

#[test]
fn scanning_is_distinct_paths_of_one_certificate_and_costs_that_one_alone() {
    let mut bench = Bench::new(only(|settings| settings.scanning.mode = Mode::Act));
    let (bad, good) = (replica(ALICE, "0b"), replica(ALICE, "0a"));
    for path in 0..10 {
        assert!(bench.at(path).deny(&bad, &format!("/{path}")).is_empty());
        assert!(bench.deny(&bad, "/0?q").is_empty() && bench.deny(&good, "/one").is_empty());
    }
    let found = bench.deny(&bad, "/10");
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((finding.detector, finding.count, finding.response), (Detector::Scanning, 11, Response::Quarantined));
    assert_eq!(finding.about.serial.as_deref(), Some("0b"));
    assert_eq!(finding.evidence.len(), 3);
    let held: Vec<_> = bench.quarantine.list().iter().map(|held| held.subject.to_string()).collect();
    assert_eq!(held, ["0b"]);
}

#[test]
fn what_was_refused_before_the_quarantine_and_is_seen_after_it_is_dealt_with() {
    let mut bench = Bench::new(only(|settings| {
        settings.scanning.mode = Mode::Act;
        settings.denial_burst.mode = Mode::Act;
    }));
    let (bad, good) = (replica(ALICE, "0b"), replica(ALICE, "0a"));
    let found: Vec<_> = (0..200).flat_map(|path| bench.at(0).deny(&bad, &format!("/{path}"))).collect();
    assert_eq!(found.iter().map(|finding| finding.response).collect::<Vec<_>>(), [Response::Quarantined]);
    let found: Vec<_> = (0..11).flat_map(|path| bench.at(0).deny(&good, &format!("/{path}"))).collect();
    assert_eq!(found.iter().map(|finding| finding.response).collect::<Vec<_>>(), [Response::Quarantined], "another one's own doing");
    bench.quarantine.remove(&Subject::parse("0b").unwrap(), By::Clock).unwrap();
    let found: Vec<_> = (0..11).flat_map(|path| bench.at(1).deny(&bad, &format!("/again/{path}"))).collect();
    assert_eq!(found.iter().map(|finding| finding.response).collect::<Vec<_>>(), [Response::Quarantined], "it was taken out");
}

#[test]
fn a_burst_over_many_certificates_is_told_and_acted_on_by_nobody() {
    let mut bench = Bench::new(only(|settings| settings.denial_burst.mode = Mode::Act));
    let replicas: Vec<_> = (0..30).map(|serial| replica(ALICE, &format!("{serial:02x}"))).collect();
    let found: Vec<_> = replicas.iter().flat_map(|replica| bench.at(0).deny(replica, "/")).collect();
    assert_eq!(found.iter().map(|finding| finding.response).collect::<Vec<_>>(), [Response::Spread]);
    assert!(bench.quarantine.is_empty());
    let found: Vec<_> = (0..21).flat_map(|_| bench.at(1).deny(&replicas[7], "/")).collect();
    assert_eq!(found.iter().map(|finding| finding.response).collect::<Vec<_>>(), [Response::Quarantined], "told again once it is one's");
    assert_eq!(bench.quarantine.list()[0].subject.serial(), Some("07"));
}

#[test]
fn malformed_requests_are_counted_apart() {
    let mut bench = Bench::new(only(|settings| settings.malformed_burst.mode = Mode::Act));
    let alice = caller(ALICE);
    let mut all: Vec<_> =
        (0..5).flat_map(|_| bench.at(0).refuse(&alice, Reason::Malformed(crate::request::Malformed::HeadBytes), "/")).collect();
    assert!(all.is_empty() && bench.deny(&alice, "/").is_empty());
    all = bench.refuse(&alice, Reason::Malformed(crate::request::Malformed::HeadBytes), "/");
    assert_eq!(all.iter().map(|finding| (finding.detector, finding.count)).collect::<Vec<_>>(), [(Detector::MalformedBurst, 6)]);
}

#[test]
fn detectors_run_into_the_guard_rails_and_say_so() {
    let mut bench = Bench::new(only(|settings| settings.denial_burst.mode = Mode::Act));
    let mut responses = Vec::new();
    for who in 0..5 {
        let caller = replica(&format!("spiffe://d/{who}"), &format!("{who:02x}"));
        responses.extend((0..21).flat_map(|_| bench.at(0).deny(&caller, "/")).map(|finding| finding.response.as_str()));
    }
    assert_eq!(responses, ["quarantined", "quarantined", "quarantined", "refused_cap", "refused_cap"]);
    assert_eq!(bench.quarantine.len(), 3);
}

#[test]
fn a_flood_of_identities_takes_constant_memory_and_makes_few_findings_with_an_exact_count() {
    let mut bench = Bench::new(only(|settings| settings.denial_burst.mode = Mode::Advise));
    let mut found = Vec::new();
    for who in 0..20_000 {
        let caller = replica(&format!("spiffe://d/{who}"), "01");
        // Two thousand of them pass the threshold at once.
        found.extend(if who % 10 == 0 { bench.at(0).aggregate(&caller, 21) } else { bench.at(0).deny(&caller, "/") });
    }
    assert_eq!(found.len(), 10);
    assert!(bench.detectors.callers.size() <= 1_024, "{}", bench.detectors.callers.size());
    let summary = bench.at(60).found();
    assert_eq!(summary.iter().map(|finding| finding.suppressed).collect::<Vec<_>>(), [2_000 - 10]);
}

#[test]
fn one_who_does_much_is_not_hidden_by_many_who_do_little() {
    let mut bench = Bench::new(only(|settings| settings.denial_burst.mode = Mode::Advise));
    let alice = caller(ALICE);
    let mut found = 0;
    for round in 0..21 {
        found += bench.at(0).deny(&alice, "/").len();
        for who in 0..100 {
            found += bench.deny(&replica(&format!("spiffe://d/{round}/{who}"), "01"), "/").len();
        }
    }
    assert_eq!(found, 1);
}

#[test]
fn a_certificate_seen_from_two_addresses_is_told_once() {
    let mut bench = Bench::new(only(|settings| settings.shared_certificate.mode = Watching::Advise));
    let from = |address: [u8; 4]| {
        let identity = caller(ALICE).identity.clone();
        Arc::new(Caller::new(identity, (address, 9).into(), 1, None))
    };
    assert!(bench.at(0).deny(&from([10, 0, 0, 1]), "/").is_empty());
    assert!(bench.at(299).deny(&from([10, 0, 0, 1]), "/").is_empty(), "another connection from the same");
    let found = bench.at(300).deny(&from([10, 0, 0, 2]), "/");
    assert_eq!(
        found.iter().map(|finding| finding.about.detail.as_str()).collect::<Vec<_>>(),
        ["seen from 10.0.0.1 and 10.0.0.2, 1 s apart"]
    );
    assert!(bench.at(310).deny(&from([10, 0, 0, 1]), "/").is_empty(), "told already");
    assert!(bench.at(700).deny(&from([10, 0, 0, 2]), "/").is_empty(), "too long ago");
}

#[test]
fn an_issuer_is_new_once_and_an_edge_where_the_log_says_so() {
    let mut bench = Bench::new(only(|settings| (settings.new_issuer, settings.new_edge) = (Watching::Advise, Watching::Advise)));
    let found = bench.at(0).deny(&replica(ALICE, "01"), "/");
    assert_eq!(found.iter().map(|finding| finding.detector).collect::<Vec<_>>(), [Detector::NewIssuer]);
    assert!(bench.deny(&replica(ALICE, "02"), "/").is_empty());
    let id = bench.id();
    bench.detectors.entry(&Entry { shard_seq: 0, what: What::Decision(decision(id, Verdict::Allow, "/")) }, true);
    let found = bench.found();
    assert_eq!(
        found.iter().map(|finding| (finding.detector, finding.about.callee.as_deref())).collect::<Vec<_>>(),
        [(Detector::NewEdge, Some("spiffe://prod.example/o"))]
    );
}

#[test]
fn troubles_and_gaps_are_told_once_in_a_while_with_their_count() {
    let mut bench = Bench::new(only(|settings| settings.audit_gap = Watching::Advise));
    let now = SystemTime::now();
    let gap = |count| What::Gap(Gap { id: DecisionId(9), cause: Cause::RingFull, span: Span { count, first: now, last: now } });
    assert_eq!(bench.at(0).show(gap(7))[0].count, 7);
    assert!(bench.at(59).show(gap(5)).is_empty());
    assert_eq!(bench.at(60).show(gap(1))[0].count, 6);
    for (trouble, needle) in [
        (Trouble::ReloadFailed("policy.toml: nonsense".into()), "policy.toml: nonsense"),
        (Trouble::RenewalLate { serial: "0a".into(), not_after: now }, "certificate 0a is past 80 %"),
    ] {
        bench.detectors.trouble(trouble.clone());
        bench.detectors.trouble(trouble);
        let found = bench.found();
        assert!(matches!(found.as_slice(), [finding] if finding.about.detail.contains(needle)), "{found:?}");
    }
}

#[test]
fn denials_by_what_was_tried_before_are_told() {
    let table = |part, sha256: &str| {
        let table = Arc::new(TableFacts { name: "t".into(), version: String::new(), sha256: sha256.into() });
        PolicyEvent { part, table, generation: 1 }
    };
    let by = |sha256: &str, rule: &str| {
        let mut facts = decision(DecisionId(1), Verdict::Deny, "/").facts;
        facts.reason = Reason::ExplicitDeny;
        facts.table = Some(table(Part::Own, sha256).table);
        facts.rule = Some(Arc::new(RuleFacts::new(rule, [])));
        facts
    };
    let deny = |bench: &mut Bench, sha256: &str, rule: &str| {
        let mut record = decision(bench.id(), Verdict::Deny, "/");
        record.facts = by(sha256, rule);
        bench.show(What::Decision(record)).len()
    };
    let mut bench = Bench::new(only(|_| {}));
    bench.at(0).detectors.table(&table(Part::Own, "a"));
    bench.detectors.table(&table(Part::Candidate, "b"));
    assert_eq!(deny(&mut bench, "a", "r"), 0);
    bench.detectors.table(&table(Part::Own, "b"));
    assert_eq!(
        [deny(&mut bench, "a", "r"), deny(&mut bench, "b", "r"), deny(&mut bench, "b", "r"), deny(&mut bench, "b", "s")],
        [0, 1, 0, 1]
    );
    assert_eq!(deny(bench.at(3_600), "b", "other"), 0, "an hour later it is a table like any other");
    // A rule that was in shadow, in the same file.
    let mut record = decision(bench.id(), Verdict::Allow, "/");
    record.facts.would = Some(Box::new(Would { verdict: Verdict::Deny, rule: by("b", "shadow").rule, by: Trial::Shadow }));
    bench.show(What::Decision(record));
    bench.detectors.table(&table(Part::Own, "c"));
    assert_eq!([deny(&mut bench, "c", "other"), deny(&mut bench, "c", "shadow")], [0, 1]);
}

#[test]
fn what_is_off_is_not_looked_for_and_can_be_switched_on() {
    let mut bench = Bench::new(only(|_| {}));
    let alice = caller(ALICE);
    for path in 0..100 {
        assert!(bench.at(0).deny(&alice, &format!("/{path}")).is_empty());
    }
    let on = Arc::new(only(|settings| settings.scanning.mode = Mode::Advise));
    bench.detectors.begin(bench.began, Some(on));
    let found: Vec<_> = (0..11).flat_map(|path| bench.deny(&alice, &format!("/{path}"))).collect();
    assert_eq!(found.iter().map(|finding| finding.detector).collect::<Vec<_>>(), [Detector::Scanning]);
}
