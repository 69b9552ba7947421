//! What `dev` writes: certificates, two configurations, a policy. All of it is what `countersign run` reads as well.

use super::traffic::CALLERS;
use crate::cli::certs::{self, Issue};
use crate::identity::SpiffeId;
use crate::runtime::listener;
use crate::upstream::{Resolver, System};
use anyhow::{Context as _, bail};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The service whose sidecar decides.
pub const ORDERS: &str = "spiffe://dev.example/sa/orders";
/// The caller that rules name.
pub const WEB: &str = "spiffe://dev.example/sa/web";
/// A caller that no rule names.
pub const GUEST: &str = "spiffe://dev.example/sa/guest";

/// The life of the certificates that curl uses.
const VALIDITY: Duration = Duration::from_secs(30 * 86_400);

/// How long the table of `--traffic` stays in shadow.
const TRIAL: Duration = Duration::from_secs(7 * 86_400);

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The directory.
    pub dir: PathBuf,
    /// The app; the built-in one listens here.
    pub app: SocketAddr,
    /// The app is the user's own.
    pub foreign_app: bool,
    /// Callers ask all the time, under an empty table in shadow.
    pub traffic: bool,
    /// The port of the sidecar before the app.
    pub inbound: u16,
    /// The port of the caller's sidecar.
    pub outbound: u16,
    admin: [u16; 4],
}

/// One of the two sidecars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Before the app.
    Inbound,
    /// The caller's.
    Outbound,
}

impl Side {
    /// What its files are called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

impl Setup {
    /// Chooses ports: the usual ones where they are free.
    ///
    /// # Errors
    /// Another `dev` runs in `dir`, its name does not fit into TOML, or the app's address is none.
    pub fn new(dir: &Path, app: Option<&str>, traffic: bool) -> anyhow::Result<Self> {
        let plain = dir.to_str().is_some_and(|name| !name.contains(['\'', '$']) && !name.contains(char::is_control));
        if !plain {
            bail!("--dir {}: use a name without quotes, $ and control characters", dir.display());
        }
        let mut ports = Ports::default();
        let app_address = match app {
            Some(app) => address(app)?,
            None => SocketAddr::from((Ipv4Addr::LOCALHOST, ports.choose(8_080, Ipv4Addr::LOCALHOST.into())?)),
        };
        let setup = Self {
            dir: dir.to_owned(),
            app: app_address,
            foreign_app: app.is_some(),
            traffic,
            inbound: ports.choose(8_443, Ipv6Addr::UNSPECIFIED.into())?,
            outbound: ports.choose(15_001, Ipv4Addr::LOCALHOST.into())?,
            admin: [9_900, 9_901, 9_902, 9_903].map(|port| ports.choose(port, Ipv4Addr::LOCALHOST.into()).unwrap_or(0)),
        };
        if UnixStream::connect(setup.socket(Side::Inbound)).is_ok() {
            bail!("another `countersign dev` runs in {}; end it, or give another --dir", dir.display());
        }
        Ok(setup)
    }

    /// Makes the directory, the CA and curl's certificates, and writes configurations and policy.
    ///
    /// # Errors
    /// Something cannot be written.
    pub fn write(&self) -> anyhow::Result<()> {
        certs::init(&self.dir)?;
        let asking = CALLERS.iter().filter(|_| self.traffic).map(|name| format!("spiffe://dev.example/sa/{name}"));
        for id in [WEB, GUEST].map(str::to_owned).into_iter().chain(asking) {
            let id = SpiffeId::parse(&id)?;
            let (dir, out) = (self.dir.clone(), self.dir.clone());
            certs::issue(&Issue { id, dns_names: Vec::new(), dir, out, validity: VALIDITY, force: true })?;
        }
        let files = [
            (self.config(Side::Inbound), self.text(Side::Inbound)),
            (self.config(Side::Outbound), self.text(Side::Outbound)),
            (self.policy(), self.policy_text()),
        ];
        for (path, text) in files {
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// A sidecar's configuration file.
    pub fn config(&self, side: Side) -> PathBuf {
        self.dir.join(format!("dev-{}.toml", side.name()))
    }

    /// A sidecar's control socket.
    pub fn socket(&self, side: Side) -> PathBuf {
        self.dir.join(format!("dev-{}.sock", side.name()))
    }

    /// The directory of a sidecar's decision log.
    pub fn log(&self, side: Side) -> PathBuf {
        self.dir.join("log").join(side.name())
    }

    /// The policy table.
    pub fn policy(&self) -> PathBuf {
        self.dir.join("dev-policy.toml")
    }

    /// A path that the table lets `web` read, and one that it does not.
    pub fn paths(&self) -> (&'static str, &'static str) {
        if self.foreign_app { ("/", "/admin") } else { ("/orders/17", "/admin") }
    }

    /// A sidecar's configuration.
    pub fn text(&self, side: Side) -> String {
        let (name, dir) = (side.name(), self.dir.display());
        let [health, metrics] = match side {
            Side::Inbound => [self.admin[0], self.admin[1]],
            Side::Outbound => [self.admin[2], self.admin[3]],
        };
        let (role, id, names) = match side {
            Side::Inbound => ("in front of the app `orders`", ORDERS, "dns_names = ['localhost']   # so that curl knows it by a name\n"),
            Side::Outbound => ("beside the caller `web`", WEB, ""),
        };
        let mut text = format!(
            "# The sidecar {role}. `countersign dev` writes this file at each start: copy it before you change it.\n\n\
            [workload]\nid = '{id}'\n{names}\n\
            [credentials]\nsource = 'dev'\n[credentials.dev]\ndir = '{dir}'\n\n\
            [[trust]]\ndomain = 'dev.example'\n\n"
        );
        // Writing into a String cannot fail.
        let _ = match side {
            Side::Inbound => writeln!(text, "[inbound]\nlisten = '[::]:{}'\napp = 'http://{}'\n", self.inbound, self.app),
            Side::Outbound => writeln!(
                text,
                "[outbound]\nlisten = '127.0.0.1:{}'\n[[upstream]]\nhosts = ['orders']\naddress = '127.0.0.1:{}'\nid = '{ORDERS}'\n",
                self.outbound, self.inbound
            ),
        };
        let _ = write!(
            text,
            "[policy]\nfile = '{}'\n\n[audit]\nsink = 'file'\ndir = '{}'\n\n\
            # Below: two sidecars on one machine, that start and end at once.\n\
            [runtime]\nshards = 1\n[timeouts]\npre_drain = '0s'\ndrain = '1s'\n\
            [health]\nlisten = '127.0.0.1:{health}'\n[admin]\nlisten = '127.0.0.1:{metrics}'\nsocket = '{dir}/dev-{name}.sock'\n",
            self.policy().display(),
            self.log(side).display(),
        );
        text
    }

    fn policy_text(&self) -> String {
        let head = "# Who may ask for what. Change it while `countersign dev` runs: the new table is in force at once, and a mistake keeps the old one.\n\
            # `countersign dev` writes this file at each start: copy it before you keep changes.\n\n\
            schema  = 1\nname    = 'orders'\nversion = 'dev'\n\n";
        let rules = if self.traffic {
            let until = OffsetDateTime::now_utc() + TRIAL;
            return format!(
                "{head}# Nothing is allowed, and nothing is enforced: every record says what would have been denied.\n\
                mode         = 'shadow'\nshadow_until = '{}'\n",
                until.replace_nanosecond(0).unwrap_or(until).format(&Rfc3339).unwrap_or_default()
            );
        } else if self.foreign_app {
            "[[rule]]\nid      = 'web-everything'\neffect  = 'allow'\n\
            from    = { spiffe = ['spiffe://dev.example/sa/web'] }\npaths   = ['/**']\nwhy     = 'to begin with'\n\n\
            [[rule]]\nid      = 'no-admin'\neffect  = 'deny'\n\
            from    = { any_authenticated = true }\npaths   = ['/admin', '/admin/**']\n"
        } else {
            "[[rule]]\nid      = 'web-reads'\neffect  = 'allow'\n\
            from    = { spiffe = ['spiffe://dev.example/sa/web'] }\nmethods = ['GET']\npaths   = ['/hello', '/orders/{order_id}']\n\n\
            [[case]]\nname   = 'guests read nothing'\nfrom   = 'spiffe://dev.example/sa/guest'\n\
            method = 'GET'\npath   = '/orders/17'\nexpect = 'deny'\n"
        };
        format!("{head}{rules}")
    }
}

/// Ports that were given out are not given out again, although nobody listens on them yet.
#[derive(Default)]
struct Ports(Vec<u16>);

impl Ports {
    /// `wanted`, or any other port that is free.
    fn choose(&mut self, wanted: u16, ip: std::net::IpAddr) -> anyhow::Result<u16> {
        for port in std::iter::once(wanted).chain(std::iter::repeat_n(0, 100)) {
            let bound = listener::bind(SocketAddr::new(ip, port));
            if let Ok(port) = bound.and_then(|bound| bound.local_addr()).map(|address| address.port())
                && !self.0.contains(&port)
            {
                self.0.push(port);
                return Ok(port);
            }
        }
        bail!("no port is free")
    }
}

/// The address of the user's own app; of a name the first one, IPv4 first, as most apps listen there.
fn address(app: &str) -> anyhow::Result<SocketAddr> {
    let app = app.strip_prefix("http://").unwrap_or(app).trim_end_matches('/');
    if let Ok(address) = app.parse() {
        return Ok(address);
    }
    let parts = app.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse::<u16>().ok()?)));
    let (name, port) = parts.with_context(|| format!("--app {app}: write it like 127.0.0.1:3000"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(Resolver::new(System::default()).ask(name)).with_context(|| format!("--app {app}"))?;
    answer.addresses.first().map(|address| SocketAddr::new(*address, port)).with_context(|| format!("--app {app} has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check;
    use crate::trust::DevelopmentRoots;

    #[test]
    fn what_is_written_is_usable_without_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        for (app, traffic, name) in [(None, false, "built-in"), (Some("127.0.0.1:3000"), false, "foreign"), (None, true, "traffic")] {
            let setup = Setup::new(&dir.path().join(name), app, traffic).unwrap();
            setup.write().unwrap();
            for side in [Side::Inbound, Side::Outbound] {
                let (loaded, pending) = check::usable(&setup.config(side).display().to_string(), DevelopmentRoots::Accepted).unwrap();
                assert_eq!((loaded.warnings, pending), (vec![], vec![]));
            }
        }
    }

    #[test]
    fn a_port_that_is_taken_is_avoided() {
        let taken = listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let port = taken.local_addr().unwrap().port();
        let mut ports = Ports::default();
        let chosen = ports.choose(port, Ipv4Addr::LOCALHOST.into()).unwrap();
        assert_ne!(chosen, port);
        assert_ne!(ports.choose(chosen, Ipv4Addr::LOCALHOST.into()).unwrap(), chosen);
    }

    #[test]
    fn addresses_of_apps_are_read() {
        for text in ["127.0.0.1:3000", "http://127.0.0.1:3000/", "localhost:3000"] {
            assert_eq!(address(text).unwrap(), "127.0.0.1:3000".parse().unwrap(), "{text}");
        }
        for text in ["3000", "127.0.0.1", ""] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
