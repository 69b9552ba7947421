//! What the measured sidecar is configured with: everything on, 100 rules, the deciding one last.

use super::Program;
use anyhow::Context as _;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Who the client is.
pub const CLIENT: &str = "spiffe://bench.example/ns/web/sa/frontend";
/// A caller that nobody allows.
pub const STRANGER: &str = "spiffe://bench.example/ns/web/sa/stranger";
/// Whom the sidecar serves.
pub const SERVER: &str = "spiffe://bench.example/ns/shop/sa/orders";
/// What the client asks for: the last rule decides.
pub const PATH: &str = "/api/v100/orders/17";

/// Rules where nothing else is said.
pub const RULES: usize = 100;

/// Where decisions are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// To files.
    File,
    /// Nowhere.
    None,
}

/// The sidecar's files.
pub struct Setting {
    dir: TempDir,
    certificates: PathBuf,
}

impl Setting {
    /// Writes configuration and policy for a sidecar in front of `app`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn new(listen: SocketAddr, app: SocketAddr, sink: Sink) -> anyhow::Result<Self> {
        Self::with_rules(RULES, listen, app, sink)
    }

    /// The same with so many rules.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn with_rules(rules: usize, listen: SocketAddr, app: SocketAddr, sink: Sink) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("a directory for the sidecar")?;
        let certificates = dir.path().join("certs-dev");
        Self { dir, certificates }.write(rules, listen, app, sink)
    }

    /// Another sidecar for the same callers, which records nothing.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn without_log(&self, listen: SocketAddr, app: SocketAddr) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("a directory for the sidecar")?;
        Self { dir, certificates: self.certificates.clone() }.write(RULES, listen, app, Sink::None)
    }

    fn write(self, rules: usize, listen: SocketAddr, app: SocketAddr, sink: Sink) -> anyhow::Result<Self> {
        fs::write(self.dir.path().join("policy.toml"), policy(rules))?;
        fs::write(self.configuration(), self.text(listen, app, sink))?;
        Ok(self)
    }

    /// The configuration's path.
    pub fn configuration(&self) -> PathBuf {
        self.dir.path().join("countersign.toml")
    }

    /// The sidecar as a program to measure.
    ///
    /// # Errors
    /// The binary does not say its version.
    pub fn program(&self, binary: &Path, address: SocketAddr) -> anyhow::Result<Program> {
        let output = Command::new(binary).arg("--version").output().with_context(|| binary.display().to_string())?;
        let version = String::from_utf8_lossy(&output.stdout);
        let name = format!("Countersign {}", version.split_whitespace().nth(1).context("the binary's version")?);
        let words = vec![binary.into(), "run".into(), "--config".into(), self.configuration().into()];
        Ok(Program { name, words, address, dir: self.dir.path().to_owned(), decides: true })
    }

    /// The directory of the development CA.
    pub fn certificates(&self) -> PathBuf {
        self.certificates.clone()
    }

    fn text(&self, listen: SocketAddr, app: SocketAddr, sink: Sink) -> String {
        let (dir, certificates) = (self.dir.path().display(), self.certificates.display());
        let sink = match sink {
            Sink::File => format!("sink = \"file\"\ndir = \"{dir}/decisions\""),
            Sink::None => "sink = \"none\"".to_owned(),
        };
        format!(
            r#"[workload]
id = "{SERVER}"
dns_names = ["localhost"]

[runtime]
shards = 1

[tls]
groups = ["X25519"]
ciphers = ["AES-128-GCM"]

[credentials]
source = "dev"
[credentials.dev]
dir = "{certificates}"
validity = "1d"

[[trust]]
domain = "bench.example"
source = "dev"

[inbound]
listen = "{listen}"
app = "http://{app}"

[policy]
file = "{dir}/policy.toml"

[audit]
{sink}

[limits]
connections = 1000

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
}

/// The last [`RULES`] are about the caller, so none can be left out before the path is compared, and the last one is that of [`PATH`]. What is before them
/// is about others, a hundred rules each: a table of all callers of a service.
fn policy(rules: usize) -> String {
    let mut text = String::from("schema = 1\nname = \"bench\"\n");
    for number in (100..100 + rules).rev() {
        let other = (number - 100) / RULES;
        let caller = if other == 0 { CLIENT.to_owned() } else { format!("{CLIENT}-{other}") };
        // A String takes whatever is written.
        let _ = write!(
            text,
            r#"
[[rule]]
id = "orders-v{number}"
effect = "allow"
from = {{ spiffe = ["{caller}"] }}
methods = ["GET"]
paths = ["/api/v{number}/orders/{{order_id}}"]
"#
        );
    }
    text
}
