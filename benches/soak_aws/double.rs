//! The double of AWS that the tests use, as a child process.

use anyhow::Context as _;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// From a question to its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running double; killed when dropped.
pub struct Double {
    child: Child,
    address: SocketAddr,
}

/// A private CA below its root.
pub struct Authority {
    /// The ARN of the subordinate, which issues.
    pub arn: String,
    /// The root in PEM.
    pub root: String,
}

impl Double {
    /// Starts it in the Python environment that `AWS_DOUBLE` names; `make soak-aws` makes one.
    ///
    /// # Errors
    /// There is none, or it does not start.
    pub fn start() -> anyhow::Result<Self> {
        let environment = std::env::var_os("AWS_DOUBLE").map(PathBuf::from).context("AWS_DOUBLE is not set; run `make soak-aws`")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/aws/double.py");
        let mut command = Command::new(environment.join("bin/python"));
        // Without compiled files in the source tree.
        command.args(["-B".as_ref(), script.as_os_str(), "0".as_ref()]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("the double of AWS")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("the double's output")?).read_line(&mut line)?;
        let port = line.trim().strip_prefix("READY ").with_context(|| format!("the double says {line:?}"))?.parse()?;
        Ok(Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) })
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a root and a subordinate that issues short-lived certificates.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn authority(&self) -> anyhow::Result<Authority> {
        let made = self.ask("POST", "/_authority", &json!({ "name": "soak" })).await?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("an answer of the double");
        Ok(Authority { arn: text(&made["subordinate"]["arn"])?, root: text(&made["root"]["pem"])? })
    }

    /// Turns knobs; `tests/support/aws/chaos.py` says which there are.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn turn(&self, knobs: &Value) -> anyhow::Result<()> {
        self.ask("POST", "/_chaos", knobs).await.map(drop)
    }

    /// How many certificates it issued.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn issued(&self) -> anyhow::Result<u64> {
        self.ask("GET", "/_chaos", &json!({})).await?["issued"].as_u64().context("an answer of the double")
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await?;
            let body = body.to_string();
            let head = format!("{method} {path} HTTP/1.1\r\nhost: double\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            let (head, body) = answer.split_once("\r\n\r\n").context("an answer without an end of its head")?;
            anyhow::ensure!(head.starts_with("HTTP/1.1 200"), "{method} {path}: {head}");
            Ok(serde_json::from_str(body)?)
        };
        tokio::time::timeout(PATIENCE, exchange).await.with_context(|| format!("{method} {path}: no answer of the double"))?
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
