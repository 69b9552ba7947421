//! The files of two sidecars that get their certificates from the double.

use crate::double::{Authority, Double};
use anyhow::Context as _;
use countersign::credentials::dev::DevCa;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Who the client is.
pub const CLIENT: &str = "spiffe://soak.example/sa/client";
const ORDERS: &str = "spiffe://soak.example/sa/orders";
const CALLER: &str = "spiffe://soak.example/sa/caller";

/// The host under which the caller's app knows orders.
pub const HOST: &str = "orders.soak.example";

/// The life of the sidecars' certificates. They are renewed after 0.4 to 0.5 of it, so that ten seconds are left for whatever goes wrong.
pub const VALIDITY: Duration = Duration::from_secs(20);

/// A directory with everything that the sidecars read and write.
pub struct Setting {
    dir: TempDir,
    endpoint: String,
    authority: String,
}

impl Setting {
    /// Writes the trust bundle, with the root above `authority` and that of a development CA, which the client has its certificate from; and the policy.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn new(double: &Double, authority: &Authority) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("a directory for the sidecars")?;
        let setting = Self { dir, endpoint: double.endpoint(), authority: authority.arn.clone() };
        DevCa::open(&setting.client_authority())?;
        let development = fs::read_to_string(setting.client_authority().join(countersign::trust::DEVELOPMENT_ROOT_FILE))?;
        fs::write(setting.roots(), development + &authority.root)?;
        fs::write(setting.at("policy.toml"), policy())?;
        fs::write(setting.at("sealing.key"), "5c".repeat(32))?;
        fs::set_permissions(setting.at("sealing.key"), fs::Permissions::from_mode(0o600))?;
        Ok(setting)
    }

    /// The development CA that the client has its certificates from.
    pub fn client_authority(&self) -> PathBuf {
        self.at("certs-dev")
    }

    /// Whom everybody believes.
    pub fn roots(&self) -> PathBuf {
        self.at("roots.pem")
    }

    /// The sidecar in front of `app`.
    ///
    /// # Errors
    /// Its configuration cannot be written.
    pub fn orders(&self, app: SocketAddr) -> anyhow::Result<Command> {
        self.command("orders", ORDERS, &format!("[inbound]\nlisten = \"127.0.0.1:0\"\napp = \"http://{app}\"\n"))
    }

    /// The sidecar whose app calls `orders`.
    ///
    /// # Errors
    /// Its configuration cannot be written.
    pub fn caller(&self, orders: SocketAddr) -> anyhow::Result<Command> {
        let route = format!("[[upstream]]\nhosts = [\"{HOST}\"]\naddress = \"{orders}\"\nid = \"{ORDERS}\"\n");
        self.command("caller", CALLER, &format!("[outbound]\nlisten = \"127.0.0.1:0\"\n{route}"))
    }

    /// Runs the sidecar that this bench was built with, or the one that `COUNTERSIGN` names.
    fn command(&self, name: &str, id: &str, ways: &str) -> anyhow::Result<Command> {
        let path = self.at(&format!("{name}.toml"));
        fs::write(&path, self.configuration(name, id) + ways)?;
        let mut command = Command::new(std::env::var_os("COUNTERSIGN").unwrap_or_else(|| env!("CARGO_BIN_EXE_countersign").into()));
        command.arg("run").arg("--config").arg(path);
        let environment = [
            ("AWS_ENDPOINT_URL_ACM_PCA", self.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "soak"),
            ("AWS_SECRET_ACCESS_KEY", "soak"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ];
        command.envs(environment);
        Ok(command)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The ceilings are far above what lives of seconds need.
    fn configuration(&self, name: &str, id: &str) -> String {
        let (dir, authority, validity) = (self.dir.path().display(), &self.authority, VALIDITY.as_secs());
        format!(
            r#"[workload]
id = "{id}"
dns_names = ["localhost"]

[credentials]
source = "acm-pca"
[credentials.acm_pca]
authority = "{authority}"
validity = "{validity}s"
start_spread = "0s"
max_issues_per_hour = 2000
max_issues_per_day = 40000
[credentials.renew]
after = 0.4
jitter = 0.1
[credentials.cache]
dir = "{dir}/{name}-cache"
sealing_key_file = "{dir}/sealing.key"

[[trust]]
domain = "soak.example"
source = "file"
file = "{dir}/roots.pem"

[policy]
file = "{dir}/policy.toml"

[audit]
sink = "file"
dir = "{dir}/{name}-decisions"

[timeouts]
pool_idle = "2s"
pre_drain = "100ms"
drain = "5s"

[health]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
socket = "{dir}/{name}.sock"
[log]
format = "json"
"#
        )
    }
}

fn policy() -> String {
    let rule = |name: &str, id: &str| {
        format!(
            "[[rule]]\nid = \"{name}\"\neffect = \"allow\"\nfrom = {{ spiffe = [\"{id}\"] }}\nmethods = [\"GET\"]\npaths = [\"/always/{{id}}\"]\n"
        )
    };
    format!("schema = 1\nname = \"soak\"\n{}{}", rule("client", CLIENT), rule("caller", CALLER))
}
