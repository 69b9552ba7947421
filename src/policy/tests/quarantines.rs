use super::*;
use crate::policy::quarantine::{By, Quarantine, Settings, Subject};
use crate::policy::{Publisher, Tables};

#[test]
fn who_is_held_is_refused_before_any_rule_also_in_shadow() {
    let until = noon() + Duration::from_secs(60);
    for head in ["", "mode = 'shadow'\nshadow_until = '2026-11-28T00:00:00Z'\n"] {
        let publisher = Publisher::new();
        publisher.publish(Tables::from(parsed(head, &anyone("r", "allow", "paths = ['/a']"))));
        let quarantine = Quarantine::new(Settings::default(), publisher.clone());
        for subject in [WEB, "01"].map(|text| Subject::parse(text).unwrap()) {
            assert!(get(&publisher.snapshot(), "/a").is_ok());
            quarantine.add(subject.clone(), until, "c", By::Operator(0));
            assert_eq!(why(&get(&publisher.snapshot(), "/a")), (Reason::Quarantined, "-".into()));
            let later = decide(&publisher.snapshot(), &caller(WEB), &request("GET", "/a", "a.foo"), until);
            assert_eq!(why(&later).0, Reason::Rule, "an entry ends at its moment");
            let other = decide(&publisher.snapshot(), &caller("spiffe://prod.example/b"), &request("GET", "/a", "a.foo"), noon());
            assert_eq!(why(&other).0 == Reason::Quarantined, subject.serial().is_some(), "the fixtures share a serial number");
            quarantine.remove(&subject, By::Operator(0));
        }
    }
}
