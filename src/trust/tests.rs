use super::*;
use crate::fetch::Fetcher;
use crate::identity::{Principal, TrustDomain};
use crate::runtime::clock::SystemClock;
use crate::runtime::readiness::Readiness;
use crate::testing::pki::{LeafOptions, TestCa, TestCert};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

const ID: &str = "spiffe://a.example/sa/web";

fn domain(name: &str) -> TrustDomain {
    TrustDomain::parse(name).unwrap()
}

/// Fetches nothing.
fn nowhere() -> Fetcher {
    Fetcher::new(Arc::new(|_| Box::pin(async { Err("no names here".into()) })))
}

fn read(ca: &TestCa, pem: &str) -> Result<Bundle, TrustError> {
    Bundle::from_pem(&domain(ca.domain()), "roots.pem", pem.as_bytes(), DevelopmentRoots::Accepted)
}

fn bundles(ca: &TestCa, dns_names: &[&str]) -> Bundles {
    let patterns: Vec<String> = dns_names.iter().map(|name| (*name).to_owned()).collect();
    Bundles::new(1, [read(ca, &ca.root_pem()).unwrap().with_dns_names(&patterns).unwrap()]).unwrap()
}

fn judge(bundles: &Bundles, cert: &TestCert) -> Result<crate::identity::PeerIdentity, &'static str> {
    verify(bundles, &cert.chain[0], &cert.chain[1..], SystemTime::now(), Usage::Client).map_err(|refused| refused.code)
}

#[test]
fn dns_names_count_only_where_a_bundle_lists_them() {
    let ca = TestCa::new("a.example");
    let listed = bundles(&ca, &["*.shop.example"]);
    let pay = ca.issue_with(&LeafOptions::dns("Pay.shop.example"));
    assert_eq!(judge(&listed, &pay).unwrap().principal, Principal::Dns("pay.shop.example".into()));
    assert_eq!(judge(&bundles(&ca, &[]), &pay), Err("no_identity"));
    assert_eq!(judge(&listed, &ca.issue_with(&LeafOptions::dns("pay.other.example"))), Err("no_identity"));
    let two = LeafOptions { dns_names: vec!["a.shop.example".into(), "b.shop.example".into()], ..LeafOptions::nobody() };
    assert_eq!(judge(&listed, &ca.issue_with(&two)), Err("no_identity"));
    let foreign_uri = LeafOptions { uris: vec!["https://pay.shop.example/".into()], ..LeafOptions::dns("pay.shop.example") };
    assert_eq!(judge(&listed, &ca.issue_with(&foreign_uri)), Err("bad_spiffe_id"));
    assert_eq!(judge(&listed, &TestCa::new("a.example").issue_with(&LeafOptions::dns("pay.shop.example"))), Err("bad_signature"));
}

#[test]
fn long_chains_are_refused_before_they_are_read() {
    let ca = TestCa::new("a.example");
    let cert = ca.issue(ID);
    let many = vec![ca.root_der(); MAX_INTERMEDIATES + 1];
    let refused = verify(&bundles(&ca, &[]), &cert.chain[0], &many, SystemTime::now(), Usage::Client).unwrap_err();
    assert_eq!(refused.code, "chain_too_long");
    let large = [rustls::pki_types::CertificateDer::from(vec![0; MAX_CHAIN_BYTES])];
    let refused = verify(&bundles(&ca, &[]), &cert.chain[0], &large, SystemTime::now(), Usage::Client).unwrap_err();
    assert_eq!(refused.code, "chain_too_long");
    assert!(refused.fingerprint.is_some());
}

#[test]
fn the_last_second_is_inclusive() {
    let ca = TestCa::new("a.example");
    let cert = ca.issue(ID);
    let peer = judge(&bundles(&ca, &[]), &cert).unwrap();
    let at = |moment| verify(&bundles(&ca, &[]), &cert.chain[0], &[], moment, Usage::Client).map(|_| ()).map_err(|refused| refused.code);
    assert_eq!(at(peer.not_after), Ok(()));
    assert_eq!(at(peer.not_after + Duration::from_millis(999)), Ok(()));
    assert_eq!(at(peer.not_after + Duration::from_secs(1)), Err("expired"));
    assert_eq!(at(peer.not_before - Duration::from_secs(1)), Err("not_yet_valid"));
}

#[test]
fn bad_bundles_are_refused_whole() {
    let ca = TestCa::new("a.example");
    let leaf = ca.issue(ID);
    let (root, leaf_pem, key) = (ca.root_pem(), leaf.chain_pem.clone(), leaf.key_pem.clone());
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let table = [
        (String::new(), "holds no certificate"),
        ("hello".to_owned(), "holds no certificate"),
        (key.clone(), "holds a private key"),
        (format!("{root}{key}"), "holds a private key"),
        (format!("{root}{encrypted}"), "holds a private key"),
        (format!("{root}{leaf_pem}"), "is not a CA's"),
        (format!("{root}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "no X.509 certificate"),
        (format!("{root}-----BEGIN CERTIFICATE-----\nAAAA"), "is no PEM"),
        (format!("{root}-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), "other than certificates"),
        (format!("{root}-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n"), "is no PEM"),
    ];
    for (pem, problem) in table {
        let error = read(&ca, &pem).unwrap_err().to_string();
        assert!(error.contains(problem) && error.contains("roots.pem"), "{error}");
    }
    assert_eq!(read(&ca, &format!("# two roots\n{root}{}", TestCa::new("b").root_pem())).unwrap().roots().len(), 2);
    let twice = Bundles::new(1, [read(&ca, &root).unwrap(), read(&ca, &root).unwrap()]);
    assert!(matches!(twice, Err(TrustError::Twice { .. })));
}

#[test]
fn development_roots_are_refused_in_production_in_any_bundle() {
    let (real, development) = (TestCa::new("a.example"), TestCa::development("a.example"));
    let mixed = format!("{}{}", real.root_pem(), development.root_pem());
    let production = DevelopmentRoots::Refused("ECS_CONTAINER_METADATA_URI_V4");
    let error = Bundle::from_pem(&domain("a.example"), "roots.pem", mixed.as_bytes(), production).unwrap_err().to_string();
    assert!(error.contains("development root") && error.contains("ECS_CONTAINER_METADATA_URI_V4"), "{error}");
    assert!(read(&real, &mixed).unwrap().is_development());
    assert!(Bundle::from_pem(&domain("a.example"), "", real.root_pem().as_bytes(), production).is_ok());
}

fn trusting(path: &Path, readiness: &Readiness) -> Trusting {
    let source = Source::File(path.to_owned());
    let settings =
        Settings { domain: domain("a.example"), source, dns_names: Vec::new(), deny_list: None, crl_mode: CrlMode::Off, crls: Vec::new() };
    let factory: Factory = Box::new(|settings, development| match &settings.source {
        Source::File(path) => {
            Box::new(FileSource { domain: settings.domain.clone(), path: path.clone(), dns_names: settings.dns_names.clone(), development })
        }
        other => panic!("{other:?}"),
    });
    Trusting::new(&[settings], factory, nowhere(), DevelopmentRoots::Accepted, Arc::new(SystemClock), readiness.clone())
}

#[tokio::test]
async fn replaced_bundle_is_published_and_a_bad_one_keeps_the_old() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("roots.pem");
    let readiness = Readiness::default();
    let mut trusting = trusting(&path, &readiness);
    let bundles = trusting.bundles();
    assert!(trusting.load().await.unwrap_err().is_unavailable());
    assert_eq!(readiness.missing().len(), 1);
    let first = TestCa::new("a.example");
    std::fs::write(&path, first.root_pem()).unwrap();
    trusting.load().await.unwrap();
    assert!(readiness.missing().is_empty());
    let generation = || bundles.borrow().as_ref().map(|bundles| bundles.generation);
    assert_eq!(generation(), Some(1));
    std::fs::write(&path, "junk").unwrap();
    assert!(!trusting.load().await.unwrap_err().is_unavailable());
    assert_eq!(generation(), Some(1));
    std::fs::write(&path, first.root_pem()).unwrap();
    trusting.load().await.unwrap();
    assert_eq!(generation(), Some(1), "the same roots are no change");
    std::fs::write(&path, TestCa::new("a.example").root_pem()).unwrap();
    trusting.load().await.unwrap();
    assert_eq!(generation(), Some(2));
}

/// Answers once, and never again.
struct Hanging {
    roots: Bundle,
    asked: AtomicUsize,
}

impl TrustSource for Hanging {
    fn load(&self) -> BoxFuture<'_, Result<Bundle, TrustError>> {
        Box::pin(async move {
            if self.asked.fetch_add(1, Ordering::SeqCst) > 0 {
                std::future::pending::<()>().await;
            }
            Ok(self.roots.clone())
        })
    }

    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// The first change finds the task between two looks, the second one while it waits for the roots.
#[tokio::test]
async fn a_source_of_roots_that_hangs_holds_up_no_refusal() {
    let (dir, ca) = (tempfile::tempdir().unwrap(), TestCa::new("a.example"));
    let list = dir.path().join("denied");
    std::fs::write(&list, "").unwrap();
    let settings = Settings {
        domain: domain("a.example"),
        source: Source::File(PathBuf::new()),
        dns_names: Vec::new(),
        deny_list: Some(list.clone()),
        crl_mode: CrlMode::Off,
        crls: Vec::new(),
    };
    let roots = read(&ca, &ca.root_pem()).unwrap();
    let factory: Factory = Box::new(move |_, _| Box::new(Hanging { roots: roots.clone(), asked: AtomicUsize::new(0) }));
    let trusting = Trusting::new(&[settings], factory, nowhere(), DevelopmentRoots::Accepted, Arc::new(SystemClock), Readiness::default());
    let mut bundles = trusting.bundles();
    let task = tokio::spawn(trusting.run());
    for denied in 0..3 {
        let ids: String = (0..denied).map(|id| format!("spiffe://a.example/sa/{id}\n")).collect();
        std::fs::write(&list, ids).unwrap();
        let known = |bundles: &Option<Arc<Bundles>>| {
            bundles.as_ref().is_some_and(|bundles| bundles.of("a.example").unwrap().revocation().deny().len() == denied)
        };
        tokio::time::timeout(Duration::from_secs(10), bundles.wait_for(known)).await.unwrap().unwrap();
    }
    task.abort();
}

#[tokio::test]
async fn the_task_sees_a_renamed_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = TestCa::new("a.example").write_root(dir.path(), "roots.pem");
    let trusting = trusting(&path, &Readiness::default());
    let mut bundles = trusting.bundles();
    let task = tokio::spawn(trusting.run());
    let reaches = |generation| {
        let mut bundles = bundles.clone();
        async move {
            let there = bundles.wait_for(|bundles: &Option<Arc<Bundles>>| bundles.as_ref().is_some_and(|b| b.generation == generation));
            tokio::time::timeout(Duration::from_secs(10), there).await.unwrap().map(|_| ()).unwrap();
        }
    };
    reaches(1).await;
    let beside = TestCa::new("a.example").write_root(dir.path(), "next.pem");
    std::fs::rename(beside, &path).unwrap();
    reaches(2).await;
    bundles.mark_unchanged();
    task.abort();
}

/// Bundles that come while peers are being judged, and take nothing away from those before, excuse nobody.
#[tokio::test]
async fn who_was_not_judged_yet_is_judged_by_the_next_bundles() {
    let [old, new, next] = ["old", "new", "next"].map(|name| TestCa::named("a.example", name));
    let (live, withdrawn) = (Arc::<LivePeers>::default(), Arc::new(AtomicUsize::new(0)));
    let admit = |number: usize| {
        let cert = old.issue(&format!("spiffe://a.example/sa/{number}"));
        live.admit(Usage::Client, &Arc::new(identify(&cert.chain[0]).unwrap()), &cert.chain, 1)
    };
    let open: Vec<Live> = (0..40).map(admit).collect();
    let trusting = |generation, cas: &[&TestCa]| {
        let roots: String = cas.iter().map(|ca| ca.root_pem()).collect();
        Some(Arc::new(Bundles::new(generation, [read(&new, &roots).unwrap()]).unwrap()))
    };
    let (published, counted) = (tokio::sync::watch::Sender::new(trusting(1, &[&old, &new])), Arc::clone(&withdrawn));
    let told = move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let judging = Judging::new(Arc::clone(&live), published.subscribe(), Arc::new(SystemClock), Readiness::default(), told);
    let task = tokio::spawn(judging.run());
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    published.send_replace(trusting(2, &[&new]));
    // Until it lets others have their turn.
    tokio::task::yield_now().await;
    assert!(withdrawn.load(Ordering::Relaxed) < open.len(), "all at once: there is nothing to interrupt");
    published.send_replace(trusting(3, &[&new, &next]));
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert_eq!(withdrawn.load(Ordering::Relaxed), open.len());
    task.abort();
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(512))]
    #[test]
    fn a_damaged_leaf_is_refused_or_judged_without_a_panic(at in 0_usize..600, byte: u8) {
        static GOOD: std::sync::LazyLock<(Bundles, TestCert)> = std::sync::LazyLock::new(|| {
            let ca = TestCa::new("a.example");
            (bundles(&ca, &[]), ca.issue(ID))
        });
        let (bundles, cert) = &*GOOD;
        let mut der = cert.chain[0].to_vec();
        let at = at % der.len();
        let same = der[at] == byte;
        der[at] = byte;
        let damaged = TestCert { chain: vec![der.into()], ..cert.clone() };
        proptest::prop_assert_eq!(judge(bundles, &damaged).is_ok(), same);
    }
}
