use super::*;
use crate::runtime::clock::SystemClock;
use crate::testing::pki::{CrlOptions, TestCa, TestCert};
use crate::trust::{Bundle, Bundles, CrlMode, Crls, DenyList, DevelopmentRoots, Revocation, Usage, verify};
use std::collections::VecDeque;
use tokio::sync::mpsc;

const ID: &str = "spiffe://d/a";

/// A server that answers what it was told, and then nothing for ever.
struct Server {
    answers: Mutex<VecDeque<Result<Blob, FetchError>>>,
    asked: mpsc::UnboundedSender<Known>,
}

impl BlobSource for Server {
    fn get<'a>(&'a self, known: &'a Known) -> crate::fetch::BoxFuture<'a, Result<Blob, FetchError>> {
        self.asked.send(known.clone()).unwrap();
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move {
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }
}

fn list() -> RemoteList {
    RemoteList::new(Url::parse("http://crl.d/a").unwrap(), TrustDomain::parse("d").unwrap())
}

fn gives(der: &[u8]) -> Result<Blob, FetchError> {
    Ok(Blob::Changed(der.to_vec(), Known::default()))
}

/// What the list has after these answers, one after the other; and why the last one was refused.
async fn after(list: &RemoteList, answers: Vec<Result<Blob, FetchError>>) -> (Vec<Option<String>>, Option<String>) {
    let (asked, _told) = mpsc::unbounded_channel();
    let rounds = answers.len();
    let server = Server { answers: Mutex::new(answers.into()), asked };
    for _ in 0..rounds {
        list.once(&server, &SystemClock).await;
    }
    (list.lists().iter().map(|crl| crl.number()).collect(), list.standing().problem)
}

/// Has a peer of `ca` verified against what the list has.
fn meet(ca: &TestCa, list: &RemoteList) -> Result<(), &'static str> {
    meet_with(&bundles(ca, list), &ca.issue(ID))
}

fn bundles(ca: &TestCa, list: &RemoteList) -> Bundles {
    let revocation = Revocation::new(DenyList::default(), Crls::new(CrlMode::Require, list.lists()));
    let domain = TrustDomain::parse("d").unwrap();
    let bundle = Bundle::from_pem(&domain, "roots", ca.root_pem().as_bytes(), DevelopmentRoots::Accepted).unwrap();
    Bundles::new(1, [bundle.with_revocation(Arc::new(revocation))]).unwrap()
}

fn meet_with(bundles: &Bundles, cert: &TestCert) -> Result<(), &'static str> {
    verify(bundles, &cert.chain[0], &cert.chain[1..], SystemTime::now(), Usage::Client).map(|_| ()).map_err(|refused| refused.code)
}

fn numbered(ca: &TestCa, number: u64) -> Vec<u8> {
    ca.crl_with(&[], &CrlOptions { number, ..CrlOptions::default() }).0
}

fn numbers(numbers: &[u64]) -> Vec<Option<String>> {
    numbers.iter().map(|number| Some(number.to_string())).collect()
}

#[tokio::test]
async fn a_list_of_nobody_takes_no_other_ones_place() {
    let (ca, impostor, list) = (TestCa::named("d", "root"), TestCa::named("d", "root"), list());
    assert_eq!(after(&list, vec![gives(&numbered(&ca, 5))]).await.0, numbers(&[5]));
    assert_eq!(meet(&ca, &list), Ok(()), "and its issuer's signature was seen");
    let forged = numbered(&impostor, 9);
    assert_eq!(after(&list, vec![gives(&forged)]).await, (numbers(&[9, 5]), None), "it might be of a CA of the same name");
    assert_eq!(meet(&ca, &list), Ok(()), "the good one is still asked");
    let more = (10..20).map(|number| gives(&numbered(&impostor, number))).collect();
    assert_eq!(after(&list, more).await.0, numbers(&[19, 5]), "any number of them: one is kept");
    assert_eq!(after(&list, vec![gives(&numbered(&ca, 6))]).await.0, numbers(&[6, 5]));
    assert_eq!(meet(&ca, &list), Ok(()));
    assert_eq!(after(&list, vec![]).await.0, numbers(&[6]), "seen to be good, it takes the place of the one before");
}

#[tokio::test]
async fn a_newer_list_counts_from_the_first_handshake() {
    let (ca, list) = (TestCa::named("d", "root"), list());
    after(&list, vec![gives(&numbered(&ca, 5))]).await;
    assert_eq!(meet(&ca, &list), Ok(()));
    let revoked = ca.issue(ID);
    let newer = ca.crl_with(&[&revoked.chain[0]], &CrlOptions { number: 6, ..CrlOptions::default() }).0;
    after(&list, vec![gives(&newer)]).await;
    assert_eq!(meet_with(&bundles(&ca, &list), &revoked), Err("revoked"), "though nobody had seen whose list it is");
    assert_eq!(meet_with(&bundles(&ca, &list), &ca.issue(ID)), Ok(()));
}

#[tokio::test]
async fn an_older_list_is_never_taken_again() {
    let (ca, list) = (TestCa::named("d", "root"), list());
    let hour = Duration::from_secs(3_600);
    after(&list, vec![gives(&numbered(&ca, 5))]).await;
    assert_eq!(meet(&ca, &list), Ok(()));
    let earlier = CrlOptions { number: 7, this_update: SystemTime::now() - hour, ..CrlOptions::default() };
    for old in [numbered(&ca, 4), ca.crl_with(&[], &earlier).0] {
        let (held, problem) = after(&list, vec![gives(&old)]).await;
        assert!(held == numbers(&[5]) && problem.unwrap().contains("older than the one in force"));
    }
    // Another CA begins at 1, and so does another partition of the same one.
    let other = TestCa::named("d", "other");
    assert_eq!(after(&list, vec![gives(&numbered(&other, 1))]).await, (numbers(&[1, 5]), None));
    let partition = CrlOptions { partition: Some("http://crl.d/p".into()), ..CrlOptions::default() };
    assert_eq!(after(&list, vec![gives(&ca.crl_with(&[], &partition).0)]).await.1, None);
}

#[tokio::test]
async fn what_cannot_be_read_changes_nothing() {
    let (ca, list) = (TestCa::named("d", "root"), list());
    after(&list, vec![gives(&numbered(&ca, 5))]).await;
    for bad in [&b"<html>"[..], b"", b"0\x82junk", &numbered(&ca, 6)[..40]] {
        let (held, problem) = after(&list, vec![gives(bad)]).await;
        assert!(held == numbers(&[5]) && problem.is_some());
    }
    assert_eq!(after(&list, vec![Ok(Blob::Unchanged)]).await, (numbers(&[5]), None), "it recovers");
}

#[tokio::test]
async fn only_a_good_and_young_list_is_asked_for_on_condition() {
    let (ca, list) = (TestCa::named("d", "root"), list());
    let known = Known::default();
    let asks = |list: &RemoteList, at: SystemTime| list.state().conditions(at);
    let now = SystemTime::now();
    list.state().known = known.clone();
    assert_eq!(asks(&list, now), known);
    let tagged = Known::tagged("\"a\"");
    after(&list, vec![Ok(Blob::Changed(numbered(&ca, 5), tagged.clone()))]).await;
    assert_eq!(asks(&list, now), known, "nobody has seen whose it is");
    assert_eq!(meet(&ca, &list), Ok(()));
    assert_eq!(asks(&list, now), tagged);
    assert_eq!(asks(&list, now + Duration::from_secs(2_400)), known, "in its second half it is asked for whole");
}

#[test]
fn questions_come_before_the_end_and_never_too_often() {
    let ca = TestCa::named("d", "root");
    let now = SystemTime::now();
    let seconds = Duration::from_secs;
    for (left, pause) in [(0, 300), (30, 60), (600, 300), (7_200, 3_600), (700_000, 3_600)] {
        let options = CrlOptions { next_update: now + seconds(left), this_update: now - seconds(60), ..CrlOptions::default() };
        let latest = Crl::read("u", Way::Network, &ca.crl_with(&[], &options).0).unwrap();
        let state = State { latest, ..State::default() };
        // A list counts whole seconds.
        let off = state.pause(now).abs_diff(seconds(pause));
        assert!(off <= seconds(1), "{left}: {off:?}");
    }
    let failing = |failing| State { failing, ..State::default() }.pause(now).as_secs();
    assert_eq!([1, 2, 3, 8, 9, 40].map(failing), [2, 4, 8, 256, 300, 300]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_is_asked_again_ever_more_slowly() {
    let (asked, mut told) = mpsc::unbounded_channel();
    let failures = (0..40).map(|_| Err(FetchError::Status(503))).collect();
    let (list, server) = (Arc::new(list()), Server { answers: Mutex::new(failures), asked });
    let following = Arc::clone(&list);
    let task = tokio::spawn(async move { following.follow(&server, &SystemClock, |_| ()).await });
    let begun = Instant::now();
    for _ in 0..30 {
        told.recv().await.unwrap();
    }
    // 2 + 4 + … + 256 and then 21 times 300 s, each up to a fifth less.
    let took = begun.elapsed().as_secs();
    assert!((5_448..=6_810).contains(&took), "{took}");
    // And at once where somebody wants it.
    let before = Instant::now();
    list.ask();
    told.recv().await.unwrap();
    assert!(before.elapsed() < Duration::from_secs(1));
    task.abort();
}
