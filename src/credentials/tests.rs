use super::dev::{DEVELOPMENT_KEY_FILE, DevCa, DevError, DevSource, Request};
use super::*;
use crate::identity::x509::Leaf;
use crate::identity::{SpiffeId, TrustDomain};
use crate::runtime::clock::{Clock, SystemClock};
use crate::runtime::readiness::Readiness;
use crate::testing::pki::{LeafOptions, TestCa, TestCert};
use crate::trust::{Bundle, Bundles, DEVELOPMENT_ROOT_FILE, DevelopmentRoots, Usage, verify};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

const ID: &str = "spiffe://a.example/sa/web";

fn id() -> SpiffeId {
    SpiffeId::parse(ID).unwrap()
}

fn trust(pem: &str) -> watch::Receiver<Option<Arc<Bundles>>> {
    let domain = TrustDomain::parse("a.example").unwrap();
    let bundle = Bundle::from_pem(&domain, "test", pem.as_bytes(), DevelopmentRoots::Accepted).unwrap();
    watch::Sender::new(Some(Arc::new(Bundles::new(1, [bundle]).unwrap()))).subscribe()
}

fn request(validity: Duration) -> Request {
    Request { id: id(), dns_names: vec!["web.example".into()], validity }
}

fn pair(chain: PathBuf, key: PathBuf, bundles: watch::Receiver<Option<Arc<Bundles>>>) -> FilePair {
    FilePair::new(id(), chain, key, Arc::new(SystemClock), bundles)
}

fn development(settings: &Settings) -> Renewal {
    let factory: Factory = Box::new(|settings, clock, _| match &settings.source {
        Source::Dev { dir, validity } => Box::new(DevSource::new(settings, dir.clone(), *validity, clock)),
        other => panic!("{other:?}"),
    });
    Renewal::new(settings, factory, watch::Sender::new(None).subscribe(), Arc::new(SystemClock), Readiness::default())
}

async fn until(issued: &mut watch::Receiver<Option<Arc<Issued>>>, wanted: impl FnMut(&Option<Arc<Issued>>) -> bool) -> Arc<Issued> {
    let there = tokio::time::timeout(Duration::from_secs(15), issued.wait_for(wanted)).await;
    there.unwrap().unwrap().clone().unwrap()
}

fn fingerprint(cert: &TestCert) -> String {
    crate::identity::x509::fingerprint(&cert.chain[0])
}

#[test]
fn development_ca_issues_what_peers_accept() {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let ca = DevCa::open(dir.path()).unwrap();
    let (chain, key) = ca.issue(&request(Duration::from_secs(6)), now).unwrap();
    let issued = Issued::new(&id(), chain, key, now).unwrap();
    assert_eq!(issued.leaf.dns_names, ["web.example"]);
    assert!(issued.not_after() <= now + Duration::from_secs(6) && issued.not_after() > now + Duration::from_secs(4));
    assert!(issued.leaf.not_before < now && !issued.leaf.is_ca);
    let root = std::fs::read_to_string(dir.path().join(DEVELOPMENT_ROOT_FILE)).unwrap();
    let bundles = trust(&root).borrow().clone().unwrap();
    for usage in [Usage::Client, Usage::Server] {
        verify(&bundles, &issued.chain()[0], &[], now, usage).unwrap();
    }
    assert!(Leaf::parse(ca.root()).unwrap().is_development);
    let mode = std::fs::metadata(dir.path().join(DEVELOPMENT_KEY_FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn racing_processes_end_up_with_one_development_ca() {
    let dir = tempfile::tempdir().unwrap();
    let open = || DevCa::open(&dir.path().join("certs")).unwrap().root().to_vec();
    let roots: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(roots.windows(2).all(|pair| pair[0] == pair[1]));
    let files = std::fs::read_dir(dir.path().join("certs")).unwrap().count();
    assert_eq!(files, 3, "root, key and lock, nothing half written");
}

#[test]
fn development_ca_without_its_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    DevCa::open(dir.path()).unwrap();
    let key = dir.path().join(DEVELOPMENT_KEY_FILE);
    std::fs::write(&key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(matches!(DevCa::open(dir.path()), Err(DevError::Mismatch { .. })));
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(DevCa::open(dir.path()), Err(DevError::Mismatch { .. })));
    // Half made by a process that died: the key alone is made anew.
    std::fs::rename(dir.path().join(DEVELOPMENT_ROOT_FILE), &key).unwrap();
    assert!(DevCa::open(dir.path()).is_ok());
}

#[tokio::test]
async fn bad_pairs_are_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, other) = (TestCa::new("a.example"), TestCa::new("a.example"));
    let good = ca.issue(ID);
    let later = SystemTime::now() - Duration::from_secs(5);
    let expired = ca.issue_with(&LeafOptions { not_after: later, ..LeafOptions::id(ID) });
    let table = [
        (good.chain_pem.clone(), ca.issue(ID).key_pem, "does not belong to the leaf"),
        (ca.issue("spiffe://a.example/sa/other").chain_pem, good.key_pem.clone(), "workload.id is spiffe://a.example/sa/web"),
        (other.issue(ID).chain_pem, good.key_pem.clone(), "does not belong to the leaf"),
        (expired.chain_pem, expired.key_pem, "expired"),
        (good.chain_pem.clone(), "junk".into(), "no private key in PEM"),
        (good.key_pem.clone(), good.key_pem.clone(), "holds a private key"),
        (ca.root_pem(), good.key_pem.clone(), "workload.id is"),
    ];
    let (chain, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
    let mut source = pair(chain.clone(), key.clone(), trust(&ca.root_pem()));
    assert!(source.obtain().await.unwrap_err().to_string().contains("cannot read"));
    for (chain_pem, key_pem, problem) in table {
        std::fs::write(&chain, chain_pem).unwrap();
        std::fs::write(&key, &key_pem).unwrap();
        let error = source.obtain().await.unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
        assert!(!error.contains("PRIVATE") && !error.contains(key_pem.lines().nth(1).unwrap_or("junk-")), "{error}");
    }
    let foreign = other.issue(ID);
    foreign.write(dir.path(), "x");
    let mut source = pair(dir.path().join("x.pem"), dir.path().join("x-key.pem"), trust(&ca.root_pem()));
    let error = source.obtain().await.unwrap_err().to_string();
    assert!(error.contains("our own trust bundle refuses our own certificate: bad_signature"), "{error}");
}

/// As Kubernetes mounts secrets: files are links into `..data`, itself a link that is swapped.
fn project(dir: &Path, version: &str, cert: &TestCert) {
    let real = dir.join(version);
    std::fs::create_dir(&real).unwrap();
    std::fs::write(real.join("tls.crt"), &cert.chain_pem).unwrap();
    std::fs::write(real.join("tls.key"), &cert.key_pem).unwrap();
    std::os::unix::fs::symlink(version, dir.join("..data_tmp")).unwrap();
    std::fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
    for name in ["tls.crt", "tls.key"] {
        let _ = std::os::unix::fs::symlink(Path::new("..data").join(name), dir.join(name));
    }
}

#[tokio::test]
async fn swapped_symlink_rotates() {
    let dir = tempfile::tempdir().unwrap();
    let ca = TestCa::new("a.example");
    let (first, second) = (ca.issue(ID), ca.issue(ID));
    project(dir.path(), "v1", &first);
    let source = pair(dir.path().join("tls.crt"), dir.path().join("tls.key"), trust(&ca.root_pem()));
    let readiness = Readiness::default();
    let renewal = Renewal::from_source(Box::new(source), Renew::default(), Arc::new(SystemClock), readiness.clone());
    let mut issued = renewal.issued();
    assert_eq!(readiness.missing().len(), 1);
    let task = tokio::spawn(renewal.run());
    until(&mut issued, |issued| issued.as_ref().is_some_and(|issued| issued.leaf.fingerprint == fingerprint(&first))).await;
    project(dir.path(), "v2", &second);
    until(&mut issued, |issued| issued.as_ref().is_some_and(|issued| issued.leaf.fingerprint == fingerprint(&second))).await;
    assert!(readiness.missing().is_empty());
    task.abort();
}

#[tokio::test]
async fn bad_pair_keeps_the_old_one_until_a_good_one_comes() {
    let dir = tempfile::tempdir().unwrap();
    let ca = TestCa::new("a.example");
    let (first, second) = (ca.issue(ID), ca.issue(ID));
    let (chain, key) = first.write(dir.path(), "web");
    let source = pair(chain, key, trust(&ca.root_pem()));
    let mut renewal = Renewal::from_source(Box::new(source), Renew::default(), Arc::new(SystemClock), Readiness::default());
    let issued = renewal.issued();
    let held = || issued.borrow().as_ref().map(|issued| issued.leaf.fingerprint.clone());
    renewal.attempt().await;
    assert_eq!(held(), Some(fingerprint(&first)));
    TestCert { key_pem: first.key_pem.clone(), ..second.clone() }.write(dir.path(), "web");
    let again = renewal.attempt().await;
    assert_eq!(held(), Some(fingerprint(&first)));
    assert!(again.left(SystemTime::now()) < Duration::from_secs(2));
    second.write(dir.path(), "web");
    renewal.attempt().await;
    assert_eq!(held(), Some(fingerprint(&second)));
}

#[tokio::test]
async fn short_development_certificates_are_renewed_before_their_end() {
    let dir = tempfile::tempdir().unwrap();
    let renew = Renew { after: 0.2, jitter: 0.05, ..Renew::default() };
    let source = Source::Dev { dir: dir.path().to_owned(), validity: Duration::from_secs(4) };
    let settings = Settings { id: id(), dns_names: Vec::new(), source, renew };
    let renewal = development(&settings);
    let mut issued = renewal.issued();
    let task = tokio::spawn(renewal.run());
    let mut last = until(&mut issued, Option::is_some).await;
    for _ in 0..2 {
        let serial = last.leaf.serial.clone();
        last = until(&mut issued, |issued| issued.as_ref().is_some_and(|issued| issued.leaf.serial != serial)).await;
        assert!(SystemTime::now() < last.not_after());
    }
    task.abort();
}

#[tokio::test]
async fn trigger_obtains_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::Dev { dir: dir.path().to_owned(), validity: Duration::from_secs(3_600) };
    let settings = Settings { id: id(), dns_names: Vec::new(), source, renew: Renew::default() };
    let renewal = development(&settings);
    let (mut issued, trigger) = (renewal.issued(), renewal.trigger());
    let task = tokio::spawn(renewal.run());
    let first = until(&mut issued, Option::is_some).await.leaf.serial.clone();
    trigger.notify_one();
    until(&mut issued, |issued| issued.as_ref().is_some_and(|issued| issued.leaf.serial != first)).await;
    task.abort();
}

#[derive(Debug)]
struct Fixed(std::sync::Mutex<SystemTime>);

impl Fixed {
    fn at(moment: SystemTime) -> Arc<Self> {
        Arc::new(Self(std::sync::Mutex::new(moment)))
    }

    fn show(&self, moment: SystemTime) {
        *self.0.lock().unwrap() = moment;
    }
}

impl Clock for Fixed {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

/// A wall clock that goes on with the runtime's time, which a test pauses.
#[derive(Debug)]
struct Running(SystemTime, tokio::time::Instant);

impl Clock for Running {
    fn now(&self) -> SystemTime {
        self.0 + self.1.elapsed()
    }
}

/// Does at each call what the next element says, and the last for ever; counts the calls.
struct Scripted {
    script: Vec<Step>,
    ca: TestCa,
    clock: Arc<dyn Clock>,
    calls: watch::Sender<u32>,
}

#[derive(Clone, Copy)]
enum Step {
    Issues,
    Fails,
    Hangs,
}

impl Scripted {
    fn new(script: &[Step], clock: &Arc<dyn Clock>) -> (Box<Self>, watch::Receiver<u32>) {
        let calls = watch::Sender::new(0);
        let counted = calls.subscribe();
        (Box::new(Self { script: script.to_vec(), ca: TestCa::new("a.example"), clock: Arc::clone(clock), calls }), counted)
    }
}

impl CertificateSource for Scripted {
    fn obtain(&mut self) -> crate::trust::BoxFuture<'_, Result<Issued, SourceError>> {
        self.calls.send_modify(|calls| *calls += 1);
        let step = if self.script.len() > 1 { self.script.remove(0) } else { self.script[0] };
        let now = self.clock.now();
        let cert = self.ca.issue_with(&LeafOptions { not_after: now + Duration::from_secs(3_600), ..LeafOptions::id(ID) });
        Box::pin(async move {
            match step {
                Step::Issues => Ok(Issued::new(&id(), cert.chain.clone(), cert.key(), now).unwrap()),
                Step::Fails => Err(SourceError::Key { path: "key.pem".into() }),
                Step::Hangs => std::future::pending().await,
            }
        })
    }

    fn changed(&mut self) -> crate::trust::BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn readiness_ends_before_the_certificate_does_when_renewal_fails() {
    let start = SystemTime::now();
    let clock = Fixed::at(start);
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let readiness = Readiness::default();
    let (source, _) = Scripted::new(&[Step::Issues, Step::Fails], &shared);
    let mut renewal = Renewal::from_source(source, Renew::default(), shared, readiness.clone());
    let at = |seconds| clock.show(start + Duration::from_secs(seconds));
    let due = renewal.attempt().await;
    renewal.standing().report();
    assert!(readiness.missing().is_empty());
    let left = due.left(clock.now()).as_secs();
    assert!((1_799..2_521).contains(&left), "{left}");
    // Renewal is overdue and fails; the old one is good for long.
    at(3_000);
    let again = renewal.attempt().await;
    renewal.standing().report();
    assert!(again.left(clock.now()) <= Duration::from_secs(1));
    assert!(readiness.missing().is_empty());
    // Less than a tenth of the hour is left.
    at(3_300);
    renewal.standing().report();
    assert!(readiness.missing()[0].1.contains("no private key"), "{:?}", readiness.missing());
    assert!(renewal.issued().borrow().is_some(), "the last good one stays until its end");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_renews_within_a_minute() {
    let start = SystemTime::now();
    let clock = Fixed::at(start);
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let (source, mut calls) = Scripted::new(&[Step::Issues], &shared);
    let task = tokio::spawn(Renewal::from_source(source, Renew::default(), shared, Readiness::default()).run());
    calls.wait_for(|calls| *calls == 1).await.unwrap();
    // Ten minutes of looks while the wall clock stands still, as in a machine that sleeps.
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(*calls.borrow(), 1);
    clock.show(start + Duration::from_secs(3_000));
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(*calls.borrow(), 2);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_delays_no_further_attempt() {
    let start = SystemTime::now();
    let clock = Fixed::at(start);
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let (source, mut calls) = Scripted::new(&[Step::Fails, Step::Issues], &shared);
    let task = tokio::spawn(Renewal::from_source(source, Renew::default(), shared, Readiness::default()).run());
    calls.wait_for(|calls| *calls == 1).await.unwrap();
    clock.show(start - Duration::from_secs(7_200));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(*calls.borrow(), 2);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_does_not_hide_the_end_of_a_certificate() {
    let clock: Arc<dyn Clock> = Arc::new(Running(SystemTime::now(), tokio::time::Instant::now()));
    let readiness = Readiness::default();
    let (source, mut calls) = Scripted::new(&[Step::Issues, Step::Hangs], &clock);
    let task = tokio::spawn(Renewal::from_source(source, Renew::default(), clock, readiness.clone()).run());
    calls.wait_for(|calls| *calls == 1).await.unwrap();
    // A tenth of the hour, less than the lead of ten minutes.
    tokio::time::sleep(Duration::from_secs(3_235)).await;
    assert!(readiness.missing().is_empty(), "{:?}", readiness.missing());
    assert!(*calls.borrow() > 10, "the attempts end and begin again");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(readiness.missing()[0].0, "certificate");
    task.abort();
}

#[tokio::test]
async fn a_new_development_ca_is_noticed_by_who_runs() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::Dev { dir: dir.path().to_owned(), validity: Duration::from_secs(3_600) };
    let settings = Settings { id: id(), dns_names: Vec::new(), source, renew: Renew::default() };
    let renewal = development(&settings);
    let mut issued = renewal.issued();
    let task = tokio::spawn(renewal.run());
    let first = until(&mut issued, Option::is_some).await.leaf.issuer.clone();
    std::fs::remove_file(dir.path().join(DEVELOPMENT_KEY_FILE)).unwrap();
    std::fs::remove_file(dir.path().join(DEVELOPMENT_ROOT_FILE)).unwrap();
    DevCa::open(dir.path()).unwrap();
    until(&mut issued, |issued| issued.as_ref().is_some_and(|issued| issued.leaf.issuer != first)).await;
    task.abort();
}
