use super::*;
use std::os::unix::fs::PermissionsExt as _;

const CEILINGS: Ceilings = Ceilings { per_hour: 3, per_day: 5 };

#[derive(Debug, Default)]
struct Fixed(std::sync::Mutex<Duration>);

impl Fixed {
    fn go_on(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

impl Clock for Fixed {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_900_000_000) + *self.0.lock().unwrap()
    }
}

struct Host {
    dir: tempfile::TempDir,
    clock: Arc<Fixed>,
    readiness: Readiness,
}

impl Host {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), clock: Arc::default(), readiness: Readiness::default() }
    }

    /// A process of its own, after the one before has ended.
    fn process(&self, id: &str) -> Issuing {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Issuing::new(CEILINGS, SpiffeId::parse(id).unwrap(), Some(&self.dir.path().join("cache")), clock, self.readiness.clone())
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("cache").join(FILE)
    }
}

const ID: &str = "spiffe://a.example/sa/web";
const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn processes_share_one_budget() {
    let host = Host::new();
    for process in 0..3 {
        let issuing = host.process(ID);
        issuing.take().await.unwrap();
        // The second one dies before it knows what became of its request.
        if process != 1 {
            issuing.issued().await;
        }
    }
    let stop = host.process(ID).take().await.unwrap_err();
    assert_eq!((stop.key, stop.until), ("max_issues_per_hour", host.clock.now() + HOUR));
    assert_eq!(std::fs::metadata(host.file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(host.dir.path().join("cache")).unwrap().count(), 1, "nothing half written");
    host.clock.go_on(HOUR);
    host.process(ID).take().await.unwrap();
}

#[tokio::test]
async fn without_a_directory_each_process_counts_for_itself() {
    for _ in 0..2 {
        let host = Host::new();
        let issuing = Issuing { file: None, ..host.process(ID) };
        for _ in 0..CEILINGS.per_hour {
            issuing.take().await.unwrap();
            issuing.issued().await;
        }
        assert!(issuing.take().await.is_err());
        assert!(!host.file().exists());
    }
}

#[tokio::test]
async fn who_takes_another_source_goes_on_with_its_budget() {
    let host = Host::new();
    let first = Issuing { file: None, ..host.process(ID) };
    for issuing in [first.clone(), first.clone(), first.clone()] {
        issuing.take().await.unwrap();
        issuing.issued().await;
    }
    assert!(first.take().await.is_err());
}

#[tokio::test]
async fn what_cannot_be_read_counts_as_an_hour_from_its_last_change() {
    let good = format!("countersign issues 1 1 {ID}\n1800000000\n");
    for text in
        ["", "junk", &good.replace("web", "other"), &good.replace(" 1 1 ", " 1 2 "), &good.replace("00\n", "00\nx\n"), &"9".repeat(5 << 20)]
    {
        let host = Host::new();
        std::fs::create_dir(host.dir.path().join("cache")).unwrap();
        std::fs::write(host.file(), text).unwrap();
        let written = host.clock.now() - HOUR / 2;
        std::fs::File::options().write(true).open(host.file()).unwrap().set_modified(written).unwrap();
        let stop = host.process(ID).take().await.unwrap_err();
        assert_eq!(stop.until, written + HOUR, "{text:.40}");
        host.clock.go_on(HOUR / 2);
        let issuing = host.process(ID);
        issuing.take().await.unwrap();
        issuing.issued().await;
        // It is whole again, and counts what was issued.
        host.process(ID).take().await.unwrap();
        assert_eq!(issues(&std::fs::read(host.file()).unwrap(), &SpiffeId::parse(ID).unwrap()).map(|issues| issues.len() > 1), Some(true));
    }
}

#[tokio::test]
async fn a_count_that_cannot_be_written_is_told_of_and_stops_nothing() {
    let host = Host::new();
    std::fs::write(host.dir.path().join("cache"), "a file where the directory should be").unwrap();
    let issuing = host.process(ID);
    issuing.take().await.unwrap();
    issuing.issued().await;
    assert!(host.readiness.notes()[0].1.contains("cannot be written"), "{:?}", host.readiness.notes());
    assert!(host.readiness.missing().is_empty());
    std::fs::remove_file(host.dir.path().join("cache")).unwrap();
    issuing.take().await.unwrap();
    assert!(host.readiness.notes().is_empty());
}
