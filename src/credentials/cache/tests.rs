use super::*;
use crate::credentials::Source;
use crate::runtime::sealer::{DataKey, KEY_BYTES, Key, KeyFile, Sealing};
use crate::testing::pki::{TestCa, TestCert};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::AtomicBool;

fn sealer(dir: &Path, name: &str, digits: &str) -> Arc<dyn Sealer> {
    let path = dir.join(name);
    std::fs::write(&path, digits.repeat(32)).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    Arc::new(KeyFile::new(path))
}

fn of(name: &str) -> Settings {
    let id = SpiffeId::parse(&format!("spiffe://d.example/{name}")).unwrap();
    Settings { id, dns_names: Vec::new(), source: Source::default(), renew: Renew::default() }
}

fn cache(dir: &Path, sealer: &Arc<dyn Sealer>, name: &str) -> Cache {
    Cache::new(dir, Arc::clone(sealer), &of(name), Readiness::default())
}

async fn store(cache: &Cache, cert: &TestCert, issued_at: SystemTime) -> Result<(), SealError> {
    cache.file.store(&kept::text(&cert.chain, &cert.key(), issued_at), cache.file.supersede()).await
}

#[tokio::test]
async fn what_was_kept_is_there_for_its_workload_alone() {
    let dir = tempfile::tempdir().unwrap();
    let key = sealer(dir.path(), "key", "5a");
    let kept = dir.path().join("made/when/needed");
    let ours = cache(&kept, &key, "orders");
    assert!(ours.file.load().await.unwrap().is_none());
    let cert = TestCa::new("d.example").issue("spiffe://d.example/orders");
    let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    store(&ours, &cert, since).await.unwrap();
    let found = ours.file.load().await.unwrap().unwrap();
    assert_eq!((found.chain, found.key.secret_der(), found.issued_at), (cert.chain.clone(), cert.key().secret_der(), since));

    let file = std::fs::read(&ours.file.path).unwrap();
    assert_eq!(std::fs::metadata(&ours.file.path).unwrap().permissions().mode() & 0o777, 0o600);
    let holds = |secret: &[u8]| file.windows(secret.len()).any(|window| window == secret);
    let private = cert.key();
    let secret = private.secret_der();
    assert!(!holds(secret) && !holds(&BASE64_STANDARD.encode(secret).as_bytes()[..40]), "the key is there in the clear");

    let others = cache(&kept, &key, "payments");
    assert!(matches!(others.file.load().await, Err(SealError::OtherContext { .. })));
    let another_key = cache(&kept, &sealer(dir.path(), "other", "5b"), "orders");
    assert!(matches!(another_key.file.load().await, Err(SealError::Refused)));
    std::fs::write(&ours.file.path, &file[..file.len() / 2]).unwrap();
    assert!(matches!(ours.file.load().await, Err(SealError::Damaged)));
}

#[tokio::test]
async fn what_cannot_be_written_leaves_what_was_kept() {
    let dir = tempfile::tempdir().unwrap();
    let key = sealer(dir.path(), "key", "5a");
    let cert = TestCa::new("d.example").issue("spiffe://d.example/orders");
    let ours = cache(dir.path(), &key, "orders");
    let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    store(&ours, &cert, since).await.unwrap();
    // Where the new file would be written is a directory.
    let beside = ours.file.path.with_extension(format!("new-{}", std::process::id()));
    std::fs::create_dir(&beside).unwrap();
    assert!(matches!(store(&ours, &cert, SystemTime::now()).await, Err(SealError::File { .. })));
    assert_eq!(ours.file.load().await.unwrap().unwrap().issued_at, since);
}

/// A key service that is there or not.
#[derive(Default)]
struct Service {
    is_there: AtomicBool,
    asked: AtomicU64,
}

impl Sealer for Service {
    fn name(&self) -> &'static str {
        "a test"
    }

    fn data_key<'a>(&'a self, _: &'a Context) -> Sealing<'a, DataKey> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let made = DataKey { key: Key::new([7; KEY_BYTES]), wrapped: vec![7] };
        let is_there = self.is_there.load(Ordering::SeqCst);
        Box::pin(async move { if is_there { Ok(made) } else { Err(SealError::Service("it is away".into())) } })
    }

    fn unwrap<'a>(&'a self, _: &'a Context, _: &'a [u8]) -> Sealing<'a, Key> {
        Box::pin(async { Ok(Key::new([7; KEY_BYTES])) })
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_kept_is_kept_later_unless_another_came_after() {
    let (dir, service, readiness) = (tempfile::tempdir().unwrap(), Arc::new(Service::default()), Readiness::default());
    let ours = Cache::new(dir.path(), Arc::clone(&service) as Arc<dyn Sealer>, &of("orders"), readiness.clone());
    let cert = TestCa::new("d.example").issue("spiffe://d.example/orders");
    let issued = |second| {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        Issued::new(&ours.id, cert.chain.clone(), cert.key(), at).unwrap()
    };
    ours.remember(&issued(1_800_000_001), cert.key()).await;
    ours.remember(&issued(1_800_000_002), cert.key()).await;
    assert_eq!(readiness.notes(), [(CONDITION, "the certificate is not kept: it is away".to_owned())]);
    assert!(ours.file.load().await.unwrap().is_none());
    // Time goes on by itself. The one that came before is not asked for any more.
    while service.asked.load(Ordering::SeqCst) < 5 {
        sleep(AGAIN).await;
    }
    service.is_there.store(true, Ordering::SeqCst);
    while !readiness.notes().is_empty() {
        sleep(AGAIN / 4).await;
    }
    let found = ours.file.load().await.unwrap().unwrap();
    assert_eq!(found.issued_at, issued(1_800_000_002).issued_at);
    let asked = service.asked.load(Ordering::SeqCst);
    sleep(AGAIN * 10).await;
    assert_eq!(service.asked.load(Ordering::SeqCst), asked, "what is kept is not kept again");
}
