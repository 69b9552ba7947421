//! A double of AWS: a process of its own that issues as AWS Private CA does, and fails to order.
//!
//! It is moto, pinned, with what moto lacks put over it; `tests/support/aws/environment` makes the Python environment that it runs in.

use super::sidecar::blocking;
use super::{ALICE, Peer, Setup, Sidecar};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running double; dropping it kills it.
pub struct Aws {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

/// A root, and a subordinate below it that issues short-lived certificates.
#[derive(Debug, Clone)]
pub struct Authority {
    /// The ARN of the subordinate, which workloads ask.
    pub arn: String,
    /// The root in PEM.
    pub root_pem: String,
    root_arn: String,
}

impl Aws {
    /// Starts one.
    pub async fn start() -> Self {
        blocking(|| Self::run("double.py", &["0"]).0).await
    }

    /// Starts moto as it is, which has no knobs and counts nothing, with a root of its own.
    pub async fn stock() -> (Self, Authority) {
        blocking(|| {
            let (moto, said) = Self::run("stock.py", &[]);
            let [arn, root] = said.as_slice() else { panic!("stock moto says {said:?}") };
            let root_pem = String::from_utf8(BASE64_STANDARD.decode(root).unwrap()).unwrap();
            (moto, Authority { arn: arn.clone(), root_pem, root_arn: arn.clone() })
        })
        .await
    }

    /// Runs one of our scripts; gives what it says behind its port.
    fn run(script: &str, arguments: &[&str]) -> (Self, Vec<String>) {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/aws");
        let mut command = Command::new(environment(&home));
        // Without compiled files in the source tree.
        command.arg("-B").arg(home.join(script)).args(arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut words = line.strip_prefix("READY ").unwrap_or_else(|| panic!("{script} says {line:?}")).split_whitespace();
        let port = words.next().unwrap().parse().unwrap();
        (Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) }, words.map(str::to_owned).collect())
    }

    /// Makes a root and a subordinate.
    pub async fn authority(&self, name: &str) -> Authority {
        self.authority_like(json!({ "name": name })).await
    }

    /// Makes another subordinate below the root of `authority`.
    pub async fn authority_beside(&self, authority: &Authority, name: &str) -> Authority {
        self.authority_like(json!({ "name": name, "root": authority.root_arn })).await
    }

    /// Makes a root and a subordinate; `tests/support/aws/authority.py` says what may be wanted of it.
    pub async fn authority_like(&self, wanted: Value) -> Authority {
        let made = self.post("/_authority", wanted).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (root, below) = (&made["root"], &made["subordinate"]);
        Authority { arn: text(&below["arn"]), root_pem: text(&root["pem"]), root_arn: text(&root["arn"]) }
    }

    /// Does to an authority what an operator does, such as `DISABLED`.
    pub async fn set_status(&self, authority: &Authority, status: &str) {
        self.post("/_authority/status", json!({ "arn": authority.arn, "status": status })).await;
    }

    /// Makes a key of KMS: `SYMMETRIC_DEFAULT`, `ECC_NIST_P256` and so on; gives its ARN.
    pub async fn key(&self, spec: &str) -> String {
        self.post("/_kms", json!({ "spec": spec })).await["arn"].as_str().unwrap().to_owned()
    }

    /// Makes a symmetric key, and an alias stand for it from now on; gives the alias's ARN.
    pub async fn aliased_key(&self, alias: &str) -> String {
        self.post("/_kms", json!({ "alias": alias })).await["alias"].as_str().unwrap().to_owned()
    }

    /// Puts an object into a bucket of S3, which is made where there is none.
    pub async fn put(&self, bucket: &str, key: &str, content: &str) {
        self.post("/_s3", json!({ "bucket": bucket, "key": key, "base64": BASE64_STANDARD.encode(content) })).await;
    }

    /// Does to a key what an operator does: `Disabled`, `Enabled`, `PendingDeletion`.
    pub async fn set_key_state(&self, arn: &str, state: &str) {
        self.post("/_kms/state", json!({ "arn": arn, "state": state })).await;
    }

    /// Turns knobs; `tests/support/aws/chaos.py` says which there are.
    pub async fn turn(&self, knobs: Value) {
        self.post("/_chaos", knobs).await;
    }

    /// As [`Aws::turn`], before anything waits for anything.
    pub fn turn_now(&self, knobs: Value) {
        post(self.address, "/_chaos", &knobs);
    }

    /// How many certificates were issued.
    pub async fn issued(&self) -> u64 {
        self.post("/_chaos", json!({})).await["issued"].as_u64().unwrap()
    }

    /// How many digests keys of KMS signed.
    pub async fn signed(&self) -> u64 {
        self.post("/_chaos", json!({})).await["signed"].as_u64().unwrap()
    }

    /// How often a token came with another request than its first one.
    pub async fn tokens_misused(&self) -> u64 {
        self.post("/_chaos", json!({})).await["tokens_misused"].as_u64().unwrap()
    }

    /// How often an operation was called.
    pub async fn calls(&self, operation: &str) -> u64 {
        self.post("/_chaos", json!({})).await["calls"][operation].as_u64().unwrap_or(0)
    }

    /// Lets a sidecar find it, with credentials that are worth nothing elsewhere. The proxy of its environment is a port where nobody listens.
    pub fn lead(&self, setup: &mut Setup) {
        let endpoint = format!("http://{}", self.address);
        let environment = [
            ("AWS_ENDPOINT_URL_ACM_PCA", endpoint.as_str()),
            ("AWS_ENDPOINT_URL_KMS", &endpoint),
            ("AWS_ENDPOINT_URL_STS", &endpoint),
            ("AWS_ENDPOINT_URL_S3", &endpoint),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("HTTP_PROXY", "http://127.0.0.1:9"),
            ("http_proxy", "http://127.0.0.1:9"),
        ];
        for (name, value) in environment {
            setup.env(name, value);
        }
    }

    /// Where a task finds its credentials.
    pub fn task_credentials(&self) -> String {
        format!("http://{}/_task", self.address)
    }

    /// Lets a sidecar get its certificate from `authority`, and believe those that the root above it signed, beside [`Setup::ca`]'s.
    pub fn certify(&self, setup: &mut Setup, authority: &Authority, validity: &str) {
        self.lead(setup);
        setup.unset("credentials").set("credentials.source", "'acm-pca'");
        setup.set("credentials.acm_pca.authority", &format!("'{}'", authority.arn));
        setup.set("credentials.acm_pca.validity", &format!("'{validity}'")).set("credentials.acm_pca.start_spread", "'0s'");
        // Lives of seconds are far from what a budget is made for.
        setup.set("credentials.acm_pca.max_issues_per_hour", "20000").set("credentials.acm_pca.max_issues_per_day", "200000");
        std::fs::write(setup.path("roots.pem"), setup.ca.root_pem() + &authority.root_pem).unwrap();
    }

    async fn post(&self, path: &'static str, body: Value) -> Value {
        let address = self.address;
        blocking(move || post(address, path, &body)).await
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps certificates and the count of them in `dir`, sealed under a key of its own.
pub fn keep(setup: &mut Setup, dir: &Path) {
    let key = setup.path("sealing.key");
    std::fs::write(&key, "7b".repeat(32)).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    for (name, path) in [("dir", dir), ("sealing_key_file", &*key)] {
        setup.set(&format!("credentials.cache.{name}"), &format!("'{}'", path.display()));
    }
}

fn post(address: SocketAddr, path: &str, body: &Value) -> Value {
    let body = body.to_string();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "POST {path} HTTP/1.1\r\nHost: double\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    serde_json::from_str(body).unwrap()
}

/// Starts, is asked something, and is killed; gives the serial that it showed, its log and what it notes.
pub async fn life(setup: &Setup) -> (String, String, String) {
    let mut sidecar = Sidecar::start(setup).await;
    let mut alice = Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await;
    assert_eq!(alice.get("/").await.status, 200);
    let (serial, notes) = (alice.facts().serial.clone(), sidecar.status().await.unwrap()["notes"].to_string());
    sidecar.signal(rustix::process::Signal::KILL);
    sidecar.exit().await;
    (serial, sidecar.log(), notes)
}

/// The way to a double, from within the test.
pub async fn double_of(aws: &Aws) -> countersign::aws::Aws {
    countersign::aws::Aws::to_double(&format!("http://{}", aws.address)).await
}

/// The interpreter that has what the double needs. Nothing is skipped where there is none.
fn environment(home: &Path) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("aws-double");
    let made = std::fs::read(directory.join("requirements.txt")).ok();
    let wanted = std::fs::read(home.join("requirements.txt")).unwrap();
    assert!(
        made == Some(wanted),
        "the double of AWS has no Python environment in {0}; run `make test`, or tests/support/aws/environment {0}",
        directory.display()
    );
    directory.join("bin/python")
}
