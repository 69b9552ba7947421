//! A certificate that is kept under a key of KMS outlives the process, for the workload and the role that it is for. Whatever KMS does, the sidecar starts,
//! has a certificate issued instead, says why, and keeps one again by itself.

use crate::support::aws::{Aws, double_of, life};
use crate::support::{ALICE, App, Peer, Setup, Sidecar, eventually};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use countersign::aws::KmsSealer;
use countersign::runtime::key_arn::KeyArn;
use countersign::runtime::sealer::{Context, open, seal};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const ID: &str = "spiffe://test.example/orders";

struct Host {
    aws: Aws,
    app: App,
    setup: Setup,
    /// The key's ARN.
    key: String,
    /// Where the certificate is kept.
    file: PathBuf,
}

impl Host {
    async fn new(validity: &str) -> Self {
        let (aws, app, mut setup) = (Aws::start().await, App::start().await, Setup::new());
        setup.in_front_of(app.address);
        aws.certify(&mut setup, &aws.authority("kept").await, validity);
        let (key, dir) = (aws.key("SYMMETRIC_DEFAULT").await, setup.path("cache"));
        setup.set("credentials.cache.dir", &format!("'{}'", dir.display())).set("credentials.cache.kms_key", &format!("'{key}'"));
        Self { aws, app, setup, key, file: dir.join("certificate.sealed") }
    }

    async fn sealer(&self) -> KmsSealer {
        KmsSealer::new(double_of(&self.aws).await, KeyArn::parse(&self.key).unwrap())
    }

    fn kept(&self) -> Value {
        serde_json::from_slice(&std::fs::read(&self.file).unwrap()).unwrap()
    }

    fn replace_kept(&self, kept: &Value) {
        std::fs::write(&self.file, kept.to_string()).unwrap();
    }
}

fn context(workload: &str) -> Context {
    Context { workload: workload.to_owned(), purpose: "certificate" }
}

/// Every file below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir() || path.is_file()).flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn holds(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}

#[tokio::test]
async fn a_crash_loop_has_one_issued() {
    let host = Host::new("1h").await;
    let (serial, _, notes) = life(&host.setup).await;
    for _ in 0..3 {
        assert_eq!(life(&host.setup).await.0, serial);
    }
    assert_eq!(host.aws.issued().await, 1);
    assert_eq!((host.aws.calls("GenerateDataKey").await, host.aws.calls("Decrypt").await, notes.as_str()), (1, 3, "{}"));

    // What opens it opens nothing else, and nothing of the key lies anywhere in the clear.
    let opened = open(&host.sealer().await, &context(ID), &std::fs::read(&host.file).unwrap()).await.unwrap();
    let opened: Value = serde_json::from_slice(&opened).unwrap();
    let encoded = opened["key"].as_str().unwrap();
    let der = BASE64_STANDARD.decode(encoded).unwrap();
    let pair = rcgen::KeyPair::try_from(der.as_slice()).unwrap();
    let leaf = BASE64_STANDARD.decode(opened["chain"][0].as_str().unwrap()).unwrap();
    assert!(holds(&leaf, pair.public_key_raw()), "it is the key of the certificate");
    // Behind 36 bytes that all keys of P-256 have in common, 48 characters of base64 (RFC 5915 section 3).
    let (scalar, written) = (&der[36..68], &encoded.as_bytes()[48..88]);
    assert!(der[..36].ends_with(&[0x02, 0x01, 0x01, 0x04, 0x20]));
    let all = files(host.file.parent().unwrap().parent().unwrap());
    assert!(all.contains(&host.file) && all.len() > 5);
    for file in all {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!holds(&bytes, scalar) && !holds(&bytes, written), "{}", file.display());
    }
}

#[tokio::test]
async fn what_is_of_no_use_is_issued_anew() {
    let mut host = Host::new("1h").await;
    let (mut serial, ..) = life(&host.setup).await;
    let mut issued = 1;
    for (what, words) in [
        ("damage", "it is no sealed file, or it is damaged"),
        ("a key file's", "it was sealed with a key file, and kms is configured"),
        ("another workload's", "it was sealed for certificate of spiffe://test.example/payments, and this is certificate of"),
        (
            "another workload's under our name",
            "AWS refuses kms:Decrypt: it was changed, or made with another key or for another encryption",
        ),
        ("another data key", "it does not open: it was sealed under another key, or it was changed"),
        ("another key", "AWS refuses kms:Decrypt: it was made with another key than the one that is configured"),
    ] {
        let (sealer, mut kept) = (host.sealer().await, host.kept());
        let theirs = seal(&sealer, &context("spiffe://test.example/payments"), b"{}").await.unwrap();
        let mut theirs: Value = serde_json::from_slice(&theirs).unwrap();
        match what {
            "damage" => std::fs::write(&host.file, &std::fs::read(&host.file).unwrap()[1..]).unwrap(),
            "a key file's" => {
                kept["sealer"] = "a key file".into();
                host.replace_kept(&kept);
            }
            "another workload's" => host.replace_kept(&theirs),
            "another workload's under our name" => {
                theirs["workload"] = ID.into();
                host.replace_kept(&theirs);
            }
            "another data key" => {
                let ours = seal(&sealer, &context(ID), b"{}").await.unwrap();
                kept["key"] = serde_json::from_slice::<Value>(&ours).unwrap()["key"].clone();
                host.replace_kept(&kept);
            }
            _ => {
                host.key = host.aws.key("SYMMETRIC_DEFAULT").await;
                host.setup.set("credentials.cache.kms_key", &format!("'{}'", host.key));
            }
        }
        issued += 1;
        let (next, log, notes) = life(&host.setup).await;
        assert!(log.contains(words), "{what}: {log}");
        assert_ne!(next, serial, "{what}");
        assert_eq!(notes, "{}", "{what}: all is well again");
        assert_eq!((host.aws.issued().await, life(&host.setup).await.0), (issued, next.clone()), "{what}: and kept again");
        serial = next;
    }
}

/// What was kept stays, and is used once KMS is there again.
#[tokio::test]
async fn nothing_stops_the_start() {
    let mut host = Host::new("1h").await;
    let (kept, ..) = life(&host.setup).await;
    let refuse = |code: &str| {
        let told = json!({ "name": code, "message": "as ordered", "times": 1_000 });
        json!({ "refuse": { "Decrypt": told, "GenerateDataKey": told } })
    };
    let endpoint = format!("http://{}", host.aws.address);
    for (what, cause, result) in [
        ("disabled", "enable it, or cancel its deletion", "inactive"),
        ("denied", "allow it in the role's policy and in the key's", "denied"),
        ("throttled", "AWS throttles kms:", "throttled"),
        ("silent", "AWS did not answer kms:", "timeout"),
        ("away", "AWS cannot be reached for kms:", "unreachable"),
    ] {
        match what {
            "disabled" => host.aws.set_key_state(&host.key, "Disabled").await,
            "denied" => host.aws.turn(refuse("AccessDeniedException")).await,
            "throttled" => host.aws.turn(refuse("ThrottlingException")).await,
            "silent" => host.aws.turn(json!({ "hang": { "Decrypt": true, "GenerateDataKey": true } })).await,
            _ => drop(host.setup.env("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9")),
        }
        let asked = host.aws.calls("Decrypt").await;
        let mut sidecar = Sidecar::start(&host.setup).await;
        let mut alice = Peer::http2(sidecar.inbound(), &host.setup.cert(ALICE)).await;
        assert_eq!(alice.get("/").await.status, 200, "{what}");
        assert_ne!(alice.facts().serial, kept, "{what}");
        let status = sidecar.status().await.unwrap();
        let note = status["notes"]["certificate_cache"].as_str().unwrap_or_else(|| panic!("{what}: {status}"));
        let told = |line: &str, action: &str| line.contains(action) && line.contains(cause);
        assert!(note.contains("the certificate is not kept: ") && told(note, "kms:GenerateDataKey"), "{what}: {note}");
        for operation in ["Decrypt", "GenerateDataKey"] {
            let labels = [format!("operation=\"{operation}\""), format!("result=\"{result}\"")];
            assert!(sidecar.metric("countersign_aws_calls_total", &[&labels[0], &labels[1]]).await >= 1.0, "{what}: {operation}");
        }
        for action in ["open", "keep"] {
            let labels = [format!("action=\"{action}\""), "result=\"failed\"".to_owned()];
            assert_eq!(sidecar.metric("countersign_certificate_cache_total", &[&labels[0], &labels[1]]).await, 1.0, "{what}: {action}");
        }
        sidecar.signal(rustix::process::Signal::KILL);
        sidecar.exit().await;
        let log = sidecar.log();
        assert!(log.lines().any(|line| line.contains("another one is issued") && told(line, "kms:Decrypt")), "{what}: {log}");
        if what == "silent" {
            assert_eq!(host.aws.calls("Decrypt").await, asked + 1, "one question, and on");
        }
        host.aws.set_key_state(&host.key, "Enabled").await;
        host.aws.turn(json!({ "refuse": {}, "hang": {} })).await;
        host.setup.env("AWS_ENDPOINT_URL_KMS", &endpoint);
        assert_eq!(life(&host.setup).await.0, kept, "{what}");
    }
}

/// A key that is disabled while we run: the certificates go on, and are kept again once it is enabled.
#[tokio::test]
async fn a_key_that_is_away_for_a_while() {
    let mut host = Host::new("40s").await;
    host.setup.set("credentials.renew.after", "0.1").set("credentials.renew.jitter", "0.0");
    let sidecar = host.setup.start(&host.app).await;
    let rotated = async |more: f64| {
        let before = sidecar.metric("countersign_rotations_total", &["result=\"ok\""]).await;
        sidecar.metric_reaches("countersign_rotations_total", &["result=\"ok\""], before + more).await;
    };
    let note = async || sidecar.status().await.map(|status| status["notes"]["certificate_cache"].clone());
    assert_eq!(note().await, Some(Value::Null));
    let kept = std::fs::read(&host.file).unwrap();
    host.aws.set_key_state(&host.key, "Disabled").await;
    let said = eventually("the note", async || note().await?.as_str().map(str::to_owned)).await;
    assert!(said.contains(&host.key) && said.contains("it is disabled"), "{said}");
    assert!(sidecar.log().contains("the certificate is not kept: a restart has another one issued"));
    rotated(2.0).await;
    let mut alice = Peer::http2(sidecar.inbound(), &host.setup.cert(ALICE)).await;
    assert_eq!(alice.get("/").await.status, 200);
    host.aws.set_key_state(&host.key, "Enabled").await;
    eventually("no note", async || note().await.filter(Value::is_null)).await;
    let again = std::fs::read(&host.file).unwrap();
    assert!(again != kept && host.kept()["sealer"] == "kms");
}
