//! The health port, the read-only metrics port and the control socket.
//!
//! Everything here runs on the control runtime and is bounded, so that a slow client costs neither the data path nor the next client.
//! What acts is reachable over the control socket alone: its mode is 0600 and the peer's user is checked. A port on loopback is no authentication.

pub mod client;
mod listen;
mod routes;
mod serve;
mod stream;
#[cfg(test)]
mod tests;

use crate::runtime::readiness::Readiness;
use crate::runtime::tasks::spawn;
use bytes::Bytes;
use metrics_exporter_prometheus::PrometheusHandle;
use routes::{Control, Room};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

/// How often the metrics recorder tidies its histograms.
const UPKEEP: Duration = Duration::from_secs(5);

/// `[health]` and `[admin]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `/live` and `/ready`.
    pub health: SocketAddr,
    /// `/metrics`.
    pub metrics: SocketAddr,
    /// The control socket, 0600.
    pub socket: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            health: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 9900)),
            metrics: SocketAddr::from((Ipv4Addr::LOCALHOST, 9901)),
            socket: PathBuf::from("/run/countersign/control.sock"),
        }
    }
}

/// Gives the status document; must not block.
pub type Status = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;
/// Gives the trust report. May block for seconds: runs on a thread of its own.
pub type Trust = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;
/// Gives a JSON document. May block for a while: runs on a thread of its own.
pub type Usage = Arc<dyn Fn() -> Vec<u8> + Send + Sync>;
/// Begins the drain and returns at once.
pub type Drain = Arc<dyn Fn() + Send + Sync>;
/// Reads again what can be read again; what it says, either way, goes to the operator. May block, up to 30 s: runs on a thread of its own.
pub type Reload = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;
/// Puts the candidate of the policy in force; what it says, either way, goes to the operator. May block: runs on a thread of its own.
pub type Promote = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;
/// Takes `error`, `warn`, `info`, `debug` or `trace`, or says what is wrong with it.
pub type LogLevel = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// Does what the bytes of a body say, for the user with this id; what it says, either way, goes to the operator. Must not block.
pub type Command = Arc<dyn Fn(&[u8], Option<u32>) -> Result<String, String> + Send + Sync>;

/// Who is refused for a while, and how that is changed.
pub struct Quarantine {
    /// For `GET /quarantine`.
    pub list: Status,
    /// For `POST /quarantine`.
    pub add: Command,
    /// For `DELETE /quarantine`.
    pub remove: Command,
}
/// Gives the lines of the decision log from now on, each with its newline, or says why not; must not block.
pub type Tail = Arc<dyn Fn() -> Result<Receiver<Bytes>, String> + Send + Sync>;

/// What the rooms of the house answer with, and what a command sets off.
pub struct Handles {
    /// For `/ready`.
    pub readiness: Readiness,
    /// For `/metrics`.
    pub metrics: PrometheusHandle,
    /// For `GET /status`.
    pub status: Status,
    /// For `GET /trust`.
    pub trust: Trust,
    /// For `GET /usage`.
    pub usage: Usage,
    /// For `POST /drain`.
    pub drain: Drain,
    /// For `POST /reload`.
    pub reload: Reload,
    /// For `POST /policy/promote`.
    pub promote: Promote,
    /// For `/quarantine`.
    pub quarantine: Quarantine,
    /// For `GET /audit/tail`.
    pub tail: Tail,
    /// For `PUT /log-level`.
    pub log_level: LogLevel,
}

/// The servers; dropping it ends them and removes the control socket.
#[derive(Debug)]
pub struct Bound {
    /// The health port's address.
    pub health: SocketAddr,
    /// The metrics port's address.
    pub metrics: SocketAddr,
    /// The control socket; `None` where its directory is missing or not ours to write.
    pub socket: Option<PathBuf>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        if let Some(socket) = &self.socket {
            let _ = std::fs::remove_file(socket);
        }
    }
}

/// Binds everything and serves it on the current runtime, the control runtime.
///
/// # Errors
/// A port that cannot be bound, or a control socket on which another process answers. A missing directory of the control socket is only a warning.
pub fn start(settings: &Settings, handles: Handles) -> std::io::Result<Bound> {
    let health = listen::tcp(settings.health, "health.listen")?;
    let metrics = listen::tcp(settings.metrics, "admin.listen")?;
    let control = control_socket(&settings.socket)?;
    let (health_address, metrics_address) = (health.local_addr()?, metrics.local_addr()?);
    let recorder = handles.metrics.clone();
    let mut tasks = vec![
        spawn("health port", serve::tcp(health, Arc::new(Room::Health(handles.readiness)))),
        spawn("metrics port", serve::tcp(metrics, Arc::new(Room::Metrics(handles.metrics)))),
        spawn("metrics upkeep", async move {
            let mut due = tokio::time::interval(UPKEEP);
            loop {
                due.tick().await;
                recorder.run_upkeep();
            }
        }),
    ];
    let socket = control.is_some().then(|| settings.socket.clone());
    if let Some(listener) = control {
        let Handles { status, trust, usage, drain, reload, promote, quarantine, tail, log_level, .. } = handles;
        let room = Room::Control(Control { status, trust, usage, drain, reload, promote, quarantine, tail, log_level });
        tasks.push(spawn("control socket", serve::unix(listener, Arc::new(room))));
    }
    Ok(Bound { health: health_address, metrics: metrics_address, socket, tasks })
}

fn control_socket(path: &Path) -> std::io::Result<Option<tokio::net::UnixListener>> {
    use std::io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem};
    match listen::unix(path) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if matches!(error.kind(), NotFound | PermissionDenied | ReadOnlyFilesystem) => {
            tracing::warn!(socket = %path.display(), %error, "no control socket: `countersign status`, `drain` and the like cannot reach this process");
            Ok(None)
        }
        Err(error) => Err(std::io::Error::new(error.kind(), format!("admin.socket {}: {error}", path.display()))),
    }
}
