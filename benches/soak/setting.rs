//! The sidecar's files, and whoever keeps changing them.

use crate::flips::{Effect, Flips};
use anyhow::Context as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tokio::time::Instant;

/// Who the client is.
pub const CLIENT: &str = "spiffe://soak.example/sa/client";

/// The life of certificates on both sides. Renewed after 0.4 to 0.5 of it, so that a connection that began with the old certificate has
/// four seconds left, whose last tenth is long enough for a graceful end.
pub const VALIDITY: Duration = Duration::from_secs(10);

/// From one swap of the policy table to the next.
const SWAP: Duration = Duration::from_secs(1);

/// A directory with everything that the sidecar reads and writes.
pub struct Setting {
    dir: TempDir,
    authority: PathBuf,
}

impl Setting {
    /// Writes configuration and policy of a sidecar in front of `app`, with a development CA of its own.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn new(app: SocketAddr, app_protocol: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("a directory for the sidecar")?;
        let authority = dir.path().join("certs-dev");
        Self { dir, authority }.written(app, app_protocol)
    }

    /// The same for another sidecar with the same development CA.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn beside(&self, app: SocketAddr, app_protocol: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("a directory for the sidecar")?;
        Self { dir, authority: self.authority.clone() }.written(app, app_protocol)
    }

    fn written(self, app: SocketAddr, app_protocol: &str) -> anyhow::Result<Self> {
        self.write_policy(0, Effect::Allow)?;
        fs::write(self.at("countersign.toml"), self.configuration(app, app_protocol))?;
        Ok(self)
    }

    /// Runs the sidecar that this bench was built with, in the release profile, or the one that `COUNTERSIGN` names.
    pub fn command(&self) -> Command {
        let mut command = Command::new(std::env::var_os("COUNTERSIGN").unwrap_or_else(|| env!("CARGO_BIN_EXE_countersign").into()));
        command.arg("run").arg("--config").arg(self.at("countersign.toml"));
        command
    }

    /// The directory of the development CA.
    pub fn certificates(&self) -> &Path {
        &self.authority
    }

    /// Replaces the table each second, with the flipping rule changed, until `end`; the tables of the sidecars `beside` too.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn swap_policy(&self, end: Instant, flips: &Flips, beside: &[Self]) -> anyhow::Result<()> {
        let mut due = Instant::now() + SWAP / 2;
        let mut effect = Effect::Allow;
        for number in 1.. {
            if due >= end {
                break;
            }
            tokio::time::sleep_until(due).await;
            effect = effect.other();
            flips.written(SystemTime::now(), effect);
            for setting in beside.iter().chain([self]) {
                setting.write_policy(number, effect)?;
            }
            due += SWAP;
        }
        Ok(())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Beside, then renamed: nobody reads half a table.
    fn write_policy(&self, number: u32, effect: Effect) -> anyhow::Result<()> {
        let effect = effect.name();
        let text = format!(
            r#"schema = 1
name = "soak"
version = "{number}-{effect}"

[[rule]]
id = "always"
effect = "allow"
from = {{ spiffe = ["{CLIENT}"] }}
methods = ["GET"]
paths = ["/always/{{id}}"]

[[rule]]
id = "streams"
effect = "allow"
from = {{ spiffe = ["{CLIENT}"] }}
methods = ["GET", "POST"]
paths = ["/streams/{{kind}}"]

[[rule]]
id = "flip"
effect = "{effect}"
from = {{ spiffe = ["{CLIENT}"] }}
methods = ["GET"]
paths = ["/flip"]
"#
        );
        let beside = self.at("policy.toml.new");
        fs::write(&beside, text)?;
        fs::rename(&beside, self.at("policy.toml")).context("policy.toml")
    }

    fn configuration(&self, app: SocketAddr, app_protocol: &str) -> String {
        let (dir, authority) = (self.dir.path().display(), self.authority.display());
        let validity = VALIDITY.as_secs();
        format!(
            r#"[workload]
id = "spiffe://soak.example/sa/orders"
dns_names = ["localhost"]

[credentials]
source = "dev"
[credentials.dev]
dir = "{authority}"
validity = "{validity}s"
[credentials.renew]
after = 0.4
jitter = 0.1

[[trust]]
domain = "soak.example"
source = "dev"

[inbound]
listen = "127.0.0.1:0"
app = "http://{app}"
app_protocol = "{app_protocol}"

[policy]
file = "{dir}/policy.toml"

[audit]
sink = "file"
dir = "{dir}/decisions"

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
