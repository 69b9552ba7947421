//! The sidecar's files, and the question that an assessor asks.

use anyhow::Context as _;
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who asks.
pub const CALLERS: [&str; 3] =
    ["spiffe://soak.example/ns/web/sa/one", "spiffe://soak.example/ns/web/sa/two", "spiffe://soak.example/ns/web/sa/three"];

/// What the sidecar reads and writes, on one disk.
pub struct Setting {
    dir: PathBuf,
}

impl Setting {
    /// Writes configuration and policy of a sidecar in front of `app`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn new(app: SocketAddr, dir: &Path) -> anyhow::Result<Self> {
        let setting = Self { dir: dir.to_owned() };
        fs::write(setting.at("policy.toml"), POLICY)?;
        fs::write(setting.at("countersign.toml"), configuration(dir, app))?;
        Ok(setting)
    }

    /// Runs the sidecar that this bench was built with, or the one that `COUNTERSIGN` names.
    pub fn command(&self) -> Command {
        let mut command = program();
        command.arg("run").arg("--config").arg(self.at("countersign.toml"));
        command
    }

    /// The directory of the development CA.
    pub fn certificates(&self) -> PathBuf {
        self.at("certs-dev")
    }

    /// Prints what `audit verify` says of the log, and gives it as a document; the exit code says whether it found something.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn verify(&self, log: &Path) -> anyhow::Result<(bool, Value)> {
        let verify = |format| program().args(["audit", "verify", "--format", format]).arg(log).output().context("audit verify");
        let (text, document) = (verify("text")?, verify("json")?);
        println!("\ncountersign audit verify:\n{}{}", String::from_utf8_lossy(&text.stdout), String::from_utf8_lossy(&text.stderr));
        Ok((text.status.success(), serde_json::from_slice(&document.stdout).context("what audit verify says")?))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

fn program() -> Command {
    Command::new(std::env::var_os("COUNTERSIGN").unwrap_or_else(|| env!("CARGO_BIN_EXE_countersign").into()))
}

const POLICY: &str = r#"schema = 1
name = "soak"

[[rule]]
id = "always"
effect = "allow"
from = { spiffe = ["spiffe://soak.example/ns/web/**"] }
why = "all three callers"
methods = ["GET"]
paths = ["/always/{id}"]

[[rule]]
id = "never"
effect = "deny"
from = { spiffe = ["spiffe://soak.example/ns/web/**"] }
why = "all three callers"
methods = ["GET"]
paths = ["/forbidden/{what}"]
"#;

fn configuration(dir: &Path, app: SocketAddr) -> String {
    let dir = dir.display();
    format!(
        r#"[workload]
id = "spiffe://soak.example/ns/shop/sa/orders"
dns_names = ["localhost"]

[runtime]
shards = 2

[credentials]
source = "dev"
[credentials.dev]
dir = "{dir}/certs-dev"
validity = "24h"

[[trust]]
domain = "soak.example"
source = "dev"

[inbound]
listen = "127.0.0.1:0"
app = "http://{app}"

[policy]
file = "{dir}/policy.toml"

[audit]
sink = "file"
dir = "{dir}/log"
max_bytes = "4GiB"

[limits]
max_connection_age = "1h"

[timeouts]
pre_drain = "100ms"
drain = "5s"

[health]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
socket = "{dir}/control.sock"
[log]
format = "json"
"#
    )
}
