//! Whether the app can be reached past the sidecar: on which addresses its port is listened on in this process's network namespace.

use super::readiness::Readiness;
use super::tasks::contained_poll;
use crate::telemetry::metrics::Process;
use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// From one look to the next.
const LOOK: Duration = Duration::from_secs(30);

/// The same while the answer is awaited: nobody listens at the app's port yet, or `/ready` waits for it to be private.
const SOON: Duration = Duration::from_secs(1);

/// The tables of TCP sockets of this network namespace (proc_pid_net(5)).
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/// Bytes of one table: some 400,000 sockets. What comes after is not looked at; listening sockets come first.
const LONGEST: u64 = 64 << 20;

/// What the app's port is to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exposure {
    /// Nobody listens at it.
    Absent,
    /// It is listened on at loopback addresses only.
    Private,
    /// It is listened on at these addresses too, past which nobody is asked for a certificate.
    Exposed(BTreeSet<SocketAddr>),
    /// It cannot be known; why.
    Unknown(String),
}

/// Whether `/ready` waits for the app to be private (`[inbound] require_private_app`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivateApp {
    /// It does.
    Required,
    /// It only tells.
    Reported,
}

/// Looks at start and every 30 s. Cheap to clone.
#[derive(Clone)]
pub struct ExposureWatch {
    app: SocketAddr,
    own: Arc<Vec<SocketAddr>>,
    private: PrivateApp,
    readiness: Readiness,
    last: Arc<Mutex<Option<Exposure>>>,
}

impl ExposureWatch {
    /// Watches the port of `app`; `own` are our own listeners, which are no app.
    pub fn new(app: SocketAddr, own: Vec<SocketAddr>, private: PrivateApp, readiness: Readiness) -> Self {
        if private == PrivateApp::Required {
            readiness.pending("app_exposed", "not looked yet");
        }
        Self { app, own: Arc::new(own), private, readiness, last: Arc::default() }
    }

    /// What was seen last.
    pub fn last(&self) -> Option<Exposure> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks for ever.
    pub async fn run(self) {
        loop {
            let (app, own) = (self.app, Arc::clone(&self.own));
            // Reading the table of a busy namespace takes a while: not on the runtime that answers health checks.
            let look = move || contained_poll("exposure", || exposure(app, &own, sockets()));
            let found = tokio::task::spawn_blocking(look).await.ok().flatten();
            self.take(found.unwrap_or_else(|| Exposure::Unknown("looking ended in a panic".into())));
            tokio::time::sleep(self.pause()).await;
        }
    }

    fn pause(&self) -> Duration {
        match (self.last(), self.private) {
            (Some(Exposure::Absent), _) | (Some(Exposure::Exposed(_)), PrivateApp::Required) => SOON,
            _ => LOOK,
        }
    }

    fn take(&self, found: Exposure) {
        let before = self.last.lock().unwrap_or_else(PoisonError::into_inner).replace(found.clone());
        if before.as_ref() == Some(&found) {
            return;
        }
        let exposed = matches!(found, Exposure::Exposed(_));
        Process::handles().app_exposed.set(f64::from(u8::from(exposed)));
        let (app, required) = (self.app, self.private == PrivateApp::Required);
        let detail = match &found {
            Exposure::Exposed(addresses) => {
                let listed: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                let listed = listed.join(", ");
                tracing::warn!(%app, listening = listed, "app_exposed: the app can be reached past the sidecar; let it listen on loopback only");
                format!("the app listens on {listed}: it can be reached past the sidecar")
            }
            Exposure::Unknown(why) => {
                tracing::warn!(%app, why, "whether the app can be reached past the sidecar is not known");
                format!("not known: {why}")
            }
            Exposure::Absent => format!("nobody listens on {app} yet"),
            Exposure::Private => String::new(),
        };
        if matches!(before, Some(Exposure::Exposed(_))) && !exposed {
            tracing::info!(%app, "the app is no longer exposed");
        }
        match (&found, required) {
            (Exposure::Private, _) | (Exposure::Absent, false) => {
                self.readiness.ready("app_exposed");
                self.readiness.unnote("app_exposed");
            }
            (_, true) => self.readiness.pending("app_exposed", detail),
            (_, false) => self.readiness.note("app_exposed", detail),
        }
    }
}

/// What `sockets` say of the port of `app`. Addresses of `own` are ours.
fn exposure(app: SocketAddr, own: &[SocketAddr], sockets: io::Result<Vec<SocketAddr>>) -> Exposure {
    let sockets = match sockets {
        Ok(sockets) => sockets,
        Err(error) => return Exposure::Unknown(error.to_string()),
    };
    let canonical = |address: &SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let own: BTreeSet<SocketAddr> = own.iter().map(canonical).collect();
    let at_port = sockets.iter().map(canonical).filter(|address| address.port() == app.port() && !own.contains(address));
    let (private, exposed): (BTreeSet<_>, BTreeSet<_>) = at_port.partition(|address| address.ip().is_loopback());
    if !exposed.is_empty() {
        Exposure::Exposed(exposed)
    } else if !app.ip().to_canonical().is_loopback() {
        Exposure::Unknown(format!("{app} is not in this network namespace"))
    } else if private.is_empty() {
        Exposure::Absent
    } else {
        Exposure::Private
    }
}

/// The listening sockets of this process's network namespace.
fn sockets() -> io::Result<Vec<SocketAddr>> {
    if !cfg!(target_os = "linux") {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux says who listens"));
    }
    let mut found = Vec::new();
    for (table, required) in TABLES.into_iter().zip([true, false]) {
        match std::fs::File::open(table) {
            Ok(file) => found.extend(listening(BufReader::new(file.take(LONGEST)))?),
            // A kernel without IPv6 has no second table.
            Err(error) if !required && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The listening sockets of one table.
fn listening(table: impl BufRead) -> io::Result<Vec<SocketAddr>> {
    let mut found = Vec::new();
    for line in table.lines().skip(1) {
        let line = line?;
        let mut columns = line.split_ascii_whitespace().skip(1);
        let (local, state) = (columns.next(), columns.nth(1));
        if state != Some("0A") {
            continue;
        }
        let unreadable = || io::Error::new(io::ErrorKind::InvalidData, format!("a line that cannot be read: {line:?}"));
        found.push(local.and_then(address).ok_or_else(unreadable)?);
    }
    Ok(found)
}

/// An address as the kernel writes it: 32-bit words in its own byte order, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    const REST: &str = "00000000:00000000 00:00000000 00000000     0        0 801475 1 000000003415a6ff 100 0 0 10 0";

    /// A table with these (local address, state).
    fn table(lines: &[(&str, &str)]) -> String {
        let remote = |local: &str| if local.len() > 20 { "0".repeat(32) + ":0000" } else { "00000000:0000".into() };
        let line = |(at, (local, state)): (usize, &(&str, &str))| format!("{at:4}: {local} {} {state} {REST}\n", remote(local));
        HEAD.to_owned() + &lines.iter().enumerate().map(line).collect::<String>()
    }

    fn read(lines: &[(&str, &str)]) -> Vec<String> {
        listening(table(lines).as_bytes()).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn listening_sockets_are_found() {
        assert_eq!(
            read(&[("0100007F:1F90", "0A"), ("00000000:01BB", "0A"), ("0700000A:1F90", "0A")]),
            ["127.0.0.1:8080", "0.0.0.0:443", "10.0.0.7:8080"]
        );
        assert_eq!(
            read(&[
                ("00000000000000000000000000000000:1F90", "0A"),
                ("00000000000000000000000001000000:1F91", "0A"),
                ("0000000000000000FFFF00000100007F:1F92", "0A"),
                ("B80D0120000000000000000001000000:1F93", "0A"),
            ]),
            ["[::]:8080", "[::1]:8081", "[::ffff:127.0.0.1]:8082", "[2001:db8::1]:8083"]
        );
        assert!(read(&[("0100007F:1F90", "01"), ("0100007F:1F90", "06"), ("0100007F:1F90", "07")]).is_empty());
        assert!(listening(&b""[..]).unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for local in
            ["0100007F", "0100007F:", ":1F90", "0100007G:1F90", "0100007F00:1F90", "00000000000000000000000000000000", "é100007:1F90"]
        {
            assert!(listening(table(&[(local, "0A")]).as_bytes()).is_err(), "{local}");
        }
    }

    #[test]
    fn only_other_addresses_than_loopback_expose() {
        let app = "127.0.0.1:8080";
        let exposed = |found: &[&str]| Exposure::Exposed(found.iter().map(|text| text.parse().unwrap()).collect());
        let cases: [(&str, &[&str], Exposure); 12] = [
            (app, &[], Exposure::Absent),
            (app, &["0.0.0.0:8081", "127.0.0.1:80"], Exposure::Absent),
            (app, &["127.0.0.1:8080"], Exposure::Private),
            (app, &["127.0.0.9:8080", "[::1]:8080", "[::ffff:127.0.0.1]:8080"], Exposure::Private),
            (app, &["0.0.0.0:8080"], exposed(&["0.0.0.0:8080"])),
            (app, &["[::]:8080", "127.0.0.1:8080"], exposed(&["[::]:8080"])),
            (app, &["[::ffff:10.0.0.7]:8080"], exposed(&["10.0.0.7:8080"])),
            (app, &["[::ffff:0.0.0.0]:8080"], exposed(&["0.0.0.0:8080"])),
            (app, &["10.0.0.8:8080", "127.0.0.1:8080"], Exposure::Private),
            ("[::1]:8080", &["[fd00::1]:8080", "[::1]:8080"], exposed(&["[fd00::1]:8080"])),
            ("10.0.0.7:8080", &["10.0.0.7:8080"], exposed(&["10.0.0.7:8080"])),
            ("10.0.0.7:8080", &["127.0.0.1:8080"], Exposure::Unknown("10.0.0.7:8080 is not in this network namespace".into())),
        ];
        for (app, sockets, expected) in cases {
            let sockets: Vec<SocketAddr> = sockets.iter().map(|text| text.parse().unwrap()).collect();
            let own = ["10.0.0.8:8080".parse().unwrap()];
            assert_eq!(exposure(app.parse().unwrap(), &own, Ok(sockets.clone())), expected, "{app} {sockets:?}");
        }
    }
}
