use super::*;
use crate::identity::{PeerIdentity, Principal, SpiffeId};
use crate::policy::{Listeners, Publisher, parse};
use std::time::{Instant, SystemTime};

const MINUTE: Duration = Duration::from_secs(60);

fn peer(id: &str, serial: &str) -> PeerIdentity {
    let now = SystemTime::now();
    PeerIdentity {
        principal: Principal::Spiffe(SpiffeId::parse(id).unwrap()),
        serial: serial.into(),
        fingerprint: String::new(),
        issuer: String::new(),
        subject: String::new(),
        dns_names: Vec::new(),
        not_after: now + 60 * MINUTE,
        not_before: now - MINUTE,
    }
}

fn quarantine(settings: Settings) -> (Quarantine, Publisher) {
    let publisher = Publisher::new();
    (Quarantine::new(settings, publisher.clone()), publisher)
}

fn holds(publisher: &Publisher, peer: &PeerIdentity, now: SystemTime) -> bool {
    publisher.snapshot().is_some_and(|tables| tables.quarantined().is_some_and(|set| set.holds(peer, now)))
}

fn found(peer: &PeerIdentity) -> Found<'_> {
    Found { holder: &peer.principal, serial: &peer.serial, lasting: 10 * MINUTE, cause: "c", detector: "scanning" }
}

fn publish(publisher: &Publisher) {
    publisher.publish(parse("t", "schema = 1\nname = 't'", &Listeners::default()).unwrap().into());
}

#[test]
fn subjects_are_identities_or_serial_numbers() {
    let table = [
        ("spiffe://d/a", Some(Subject::Identity("spiffe://d/a".into()))),
        ("0A:1B", Some(Subject::Serial("0a1b".into()))),
        ("abc", Some(Subject::Serial("0abc".into()))),
        ("Peer.Internal", Some(Subject::Identity("peer.internal".into()))),
        ("spiffe://d/*", None),
        ("spiffe://d", None),
        ("*.internal", None),
        ("peer", None),
        ("", None),
        ("a..b", None),
    ];
    for (text, expected) in table {
        assert_eq!(Subject::parse(text).ok(), expected, "{text}");
    }
}

#[test]
fn an_entry_is_in_force_at_once_and_ends_at_its_moment() {
    let (quarantine, publisher) = quarantine(Settings::default());
    let (now, alice, bob) = (SystemTime::now(), peer("spiffe://d/alice", "0a"), peer("spiffe://d/bob", "0b"));
    // Before there is a table, and kept when one comes or is replaced.
    let by_id = quarantine.add(Subject::parse("spiffe://d/alice").unwrap(), now + MINUTE, "ticket", By::Operator(7));
    assert_eq!((by_id.act, by_id.by.to_string()), (Act::Add, "uid:7".to_owned()));
    for _ in 0..2 {
        publish(&publisher);
        assert!(holds(&publisher, &alice, now) && !holds(&publisher, &bob, now));
    }
    quarantine.add(Subject::parse("0B").unwrap(), now + 2 * MINUTE, "stolen", By::Operator(7));
    assert!(holds(&publisher, &bob, now) && holds(&publisher, &alice, now + MINUTE - Duration::from_nanos(1)));
    assert!(!holds(&publisher, &alice, now + MINUTE));
    let over = quarantine.expire(now + MINUTE);
    assert!(matches!(over.as_slice(), [Change { act: Act::Expire, by: By::Clock, held }] if held.by == By::Operator(7)), "{over:?}");
    assert_eq!((quarantine.len(), quarantine.expire(now + MINUTE).len()), (1, 0));
    let serial = Subject::parse("0b").unwrap();
    assert_eq!(quarantine.remove(&serial, By::Operator(0)).unwrap().act, Act::Remove);
    assert!(quarantine.remove(&serial, By::Operator(0)).is_none() && quarantine.is_empty());
    assert!(publisher.snapshot().unwrap().quarantined().is_none(), "an empty set costs a decision nothing");
}

#[test]
fn the_never_list_holds_against_detectors_and_against_hands_that_name_an_identity() {
    let never = vec![PrincipalPattern::spiffe("spiffe://d/edge/**").unwrap(), PrincipalPattern::dns("*.internal").unwrap()];
    let (quarantine, publisher) = quarantine(Settings { never, ..Settings::default() });
    publish(&publisher);
    let (now, edge) = (SystemTime::now(), peer("spiffe://d/edge/1", "0e"));
    let automatic = quarantine.add_automatic(&found(&edge), now, Instant::now()).unwrap();
    assert_eq!(automatic.act, Act::Refuse(Refused::Never));
    for id in ["spiffe://d/edge/1", "a.internal"] {
        assert_eq!(quarantine.add(Subject::parse(id).unwrap(), now + MINUTE, "c", By::Operator(0)).act, Act::Refuse(Refused::Never));
    }
    assert!(!holds(&publisher, &edge, now) && quarantine.is_empty());
    // Somebody who names a certificate knows whose it is.
    assert_eq!(quarantine.add(Subject::parse("0e").unwrap(), now + MINUTE, "stolen", By::Operator(0)).act, Act::Add);
    assert!(holds(&publisher, &edge, now));
}

#[test]
fn detectors_make_no_more_entries_than_the_cap_and_hands_do() {
    let (quarantine, publisher) = quarantine(Settings { max: 2, window: MINUTE, ..Settings::default() });
    publish(&publisher);
    let (now, tick) = (SystemTime::now(), Instant::now());
    let act = |serial: &str, tick| {
        let peer = peer("spiffe://d/alice", serial);
        quarantine.add_automatic(&found(&peer), now, tick).map(|change| change.act)
    };
    assert_eq!(act("01", tick), Some(Act::Add));
    assert_eq!(act("01", tick), None, "it is in already and counts once");
    assert_eq!(act("02", tick), Some(Act::Add));
    assert_eq!(act("03", tick + MINUTE - Duration::from_millis(1)), Some(Act::Refuse(Refused::Cap)));
    assert_eq!(quarantine.add(Subject::parse("03").unwrap(), now + MINUTE, "c", By::Operator(0)).act, Act::Add);
    // Taking one out does not let a detector make another one.
    quarantine.remove(&Subject::parse("01").unwrap(), By::Operator(0));
    assert_eq!(act("04", tick), Some(Act::Refuse(Refused::Cap)));
    assert_eq!(act("04", tick + MINUTE), Some(Act::Add));
}
