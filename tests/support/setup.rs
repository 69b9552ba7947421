//! What a sidecar is started with: a directory, an authority, a certificate, a policy, a configuration.

use super::{App, Sidecar};
use countersign::testing::pki::{LeafOptions, TestCa, TestCert};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The trust domain of every fixture.
pub const DOMAIN: &str = "test.example";
/// The workload behind the sidecar.
pub const ORDERS: &str = "spiffe://test.example/orders";
/// A caller that the default policy allows everything.
pub const ALICE: &str = "spiffe://test.example/alice";
/// A caller that the default policy allows nothing.
pub const BOB: &str = "spiffe://test.example/bob";

/// A sidecar that is not started yet. Its defaults: inbound on a port of the kernel's choice, two shards, certificates from files, records in files,
/// and a policy that allows [`ALICE`] everything.
pub struct Setup {
    /// Everything of this sidecar lies in here.
    pub dir: TempDir,
    /// Who signs for [`DOMAIN`].
    pub ca: TestCa,
    keys: BTreeMap<String, BTreeMap<String, String>>,
    tables: String,
    pub(super) environment: Vec<(String, String)>,
    pub(super) arguments: Vec<String>,
}

impl Setup {
    /// A sidecar for [`ORDERS`], whose certificate is good for an hour.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = TestCa::new(DOMAIN);
        let mut setup = Self { dir, ca, keys: BTreeMap::new(), tables: String::new(), environment: Vec::new(), arguments: Vec::new() };
        let path = |name: &str| format!("'{}'", setup.dir.path().join(name).display());
        let files = ["orders.pem", "orders-key.pem", "policy.toml", "decisions", "control.sock"].map(path);
        let [chain, key, table, decisions, socket] = files.each_ref().map(String::as_str);
        setup
            .set("workload.id", &format!("'{ORDERS}'"))
            .set("runtime.shards", "2")
            .set("credentials.source", "'file'")
            .set("credentials.file.chain", chain)
            .set("credentials.file.key", key)
            .set("inbound.listen", "'127.0.0.1:0'")
            .set("policy.file", table)
            .set("audit.sink", "'file'")
            .set("audit.dir", decisions)
            .set("timeouts.pre_drain", "'0ms'")
            .set("health.listen", "'127.0.0.1:0'")
            .set("admin.listen", "'127.0.0.1:0'")
            .set("admin.socket", socket)
            .set("log.level", "'debug'");
        setup.ca.write_root(setup.dir.path(), "roots.pem");
        let roots = setup.path("roots.pem");
        setup.table("trust", &format!("domain = '{DOMAIN}'\nsource = 'file'\nfile = '{}'", roots.display()));
        setup.own_certificate(&LeafOptions::id(ORDERS));
        setup.write_policy(&policy(&[("alice", ALICE, "/**")]));
        setup
    }

    /// Sets a key of the configuration, `section.key`, to a value as TOML writes it.
    pub fn set(&mut self, key: &str, value: &str) -> &mut Self {
        let (section, key) = key.rsplit_once('.').unwrap();
        self.keys.entry(section.to_owned()).or_default().insert(key.to_owned(), value.to_owned());
        self
    }

    /// Takes all keys of a section away, and those of the sections in it.
    pub fn unset(&mut self, section: &str) -> &mut Self {
        self.keys.retain(|name, _| name != section && !name.starts_with(&format!("{section}.")));
        self
    }

    /// Adds one `[[name]]`.
    pub fn table(&mut self, name: &str, keys: &str) -> &mut Self {
        write!(self.tables, "[[{name}]]\n{keys}\n").unwrap();
        self
    }

    /// Takes every `[[…]]` away, also the [`DOMAIN`]'s trust.
    pub fn without_tables(&mut self) -> &mut Self {
        self.tables.clear();
        self
    }

    /// Has nothing but [`DOMAIN`]'s trust among the tables, with this in its `[trust.revocation]`.
    pub fn revocation(&mut self, keys: &str) -> &mut Self {
        let roots = self.path("roots.pem");
        self.without_tables();
        self.table("trust", &format!("domain = '{DOMAIN}'\nsource = 'file'\nfile = '{}'\n[trust.revocation]\n{keys}", roots.display()))
    }

    /// Has a deny list with these lines, beside nothing but [`DOMAIN`]'s trust.
    pub fn deny(&mut self, lines: &str) -> &mut Self {
        self.write_deny_list(lines);
        let path = self.path("deny.txt");
        self.revocation(&format!("deny_list = '{}'", path.display()))
    }

    /// Replaces the deny list in one step.
    pub fn write_deny_list(&self, lines: &str) {
        replace(&self.path("deny.txt"), lines);
    }

    /// Sets an environment variable of the process.
    pub fn env(&mut self, name: &str, value: &str) -> &mut Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds an argument of `countersign run`.
    pub fn argument(&mut self, argument: &str) -> &mut Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// A path in the sidecar's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A certificate for `id`.
    pub fn cert(&self, id: &str) -> TestCert {
        self.ca.issue(id)
    }

    /// Issues and writes the sidecar's own certificate, the key first: a pair that does not match is looked at again.
    pub fn own_certificate(&self, options: &LeafOptions) -> TestCert {
        let cert = self.ca.issue_with(options);
        cert.write(self.dir.path(), "orders");
        cert
    }

    /// Replaces the policy in one step.
    pub fn write_policy(&self, text: &str) {
        replace(&self.path("policy.toml"), text);
    }

    /// Writes the configuration without starting anything.
    pub fn write_config(&self) -> PathBuf {
        let path = self.path("countersign.toml");
        replace(&path, &self.config());
        path
    }

    /// The configuration's text.
    pub fn config(&self) -> String {
        let mut text = String::new();
        for (section, keys) in &self.keys {
            writeln!(text, "[{section}]").unwrap();
            keys.iter().for_each(|(key, value)| writeln!(text, "{key} = {value}").unwrap());
        }
        text + &self.tables
    }

    /// Starts it in front of `app` and waits until it is ready.
    pub async fn start(&mut self, app: &App) -> Sidecar {
        self.in_front_of(app.address);
        Sidecar::start(self).await
    }

    /// Puts it in front of `address`.
    pub fn in_front_of(&mut self, address: std::net::SocketAddr) -> &mut Self {
        self.set("inbound.app", &format!("'http://{address}'"))
    }
}

/// A policy table of allows: (rule id, principal, path).
pub fn policy(allows: &[(&str, &str, &str)]) -> String {
    let mut text = String::from("schema = 1\nname = 'test'\n");
    for (id, principal, path) in allows {
        write!(text, "[[rule]]\nid = '{id}'\neffect = 'allow'\nfrom = {{ spiffe = ['{principal}'] }}\npaths = ['{path}']\nwhy = 'test'\n")
            .unwrap();
    }
    text
}

/// Writes a file beside `path` and renames it over it.
pub fn replace(path: &Path, text: &str) {
    let next = path.with_extension("next");
    std::fs::write(&next, text).unwrap();
    std::fs::rename(next, path).unwrap();
}
