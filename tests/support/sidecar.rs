//! One running sidecar: the binary, its addresses, and everything it says.

use super::{PATIENCE, Setup, eventually};
use countersign::admin::client::{self, Answer};
use countersign::audit::read::{Piece, inputs};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use tokio::time::timeout;

/// Variables that say that this is production; a test that wants one sets it itself.
const SURROUNDINGS: [&str; 4] = [
    "ECS_CONTAINER_METADATA_URI_V4",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];

/// A running `countersign run`; dropping it kills it.
pub struct Sidecar {
    child: Child,
    dir: PathBuf,
    /// Where peers connect.
    pub inbound: Option<SocketAddr>,
    /// Where the app connects.
    pub outbound: Option<SocketAddr>,
    /// `/live`, `/ready`.
    pub health: SocketAddr,
    /// `/metrics`.
    pub metrics: SocketAddr,
}

impl Sidecar {
    /// Starts it and waits until it is ready.
    pub async fn start(setup: &Setup) -> Self {
        let sidecar = Self::start_unready(setup).await;
        eventually("readiness", async || sidecar.status().await.filter(|status| status["ready"] == true)).await;
        sidecar
    }

    /// Starts it and waits until its listeners are bound.
    pub async fn start_unready(setup: &Setup) -> Self {
        Self::follow(Self::spawn(setup)).await
    }

    async fn follow(mut sidecar: Self) -> Self {
        let status = eventually("an answer of the control socket", async || {
            assert!(sidecar.child.try_wait().unwrap().is_none(), "it does not start:\n{}", sidecar.log());
            sidecar.status().await.filter(|status| status["metrics"].is_string())
        })
        .await;
        let address = |key: &str| status[key].as_str().map(|text| text.parse::<SocketAddr>().unwrap());
        (sidecar.inbound, sidecar.outbound) = (address("inbound"), address("outbound"));
        (sidecar.health, sidecar.metrics) = (address("health").unwrap(), address("metrics").unwrap());
        sidecar
    }

    /// Starts it and waits for nothing; its addresses are not known.
    pub fn spawn(setup: &Setup) -> Self {
        Self::unknown(setup, spawn(setup, &[]))
    }

    fn unknown(setup: &Setup, child: Child) -> Self {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Self { child, dir: setup.dir.path().to_owned(), inbound: None, outbound: None, health: nowhere, metrics: nowhere }
    }

    /// Where peers connect.
    pub fn inbound(&self) -> SocketAddr {
        self.inbound.unwrap()
    }

    /// Where the app connects.
    pub fn outbound(&self) -> SocketAddr {
        self.outbound.unwrap()
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for its end.
    pub async fn exit(&mut self) -> ExitStatus {
        eventually("the end of the process", async || self.child.try_wait().unwrap()).await
    }

    /// `GET /status`; `None` while nobody answers.
    pub async fn status(&self) -> Option<Value> {
        let socket = self.socket();
        let answer = blocking(move || client::get(&socket, "/status")).await.ok()?;
        serde_json::from_str(&answer.body).ok()
    }

    /// A command over the control socket.
    pub async fn post(&self, path: &'static str) -> Answer {
        let socket = self.socket();
        blocking(move || client::post(&socket, path, "")).await.unwrap()
    }

    /// `GET` on the health port or the metrics port.
    pub async fn ask(&self, address: SocketAddr, path: &'static str) -> Answer {
        blocking(move || client::get_tcp(address, path)).await.unwrap()
    }

    /// The sum of all series of a metric whose labels contain each of `labels`, such as `direction="inbound"`; zero where there is none.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.ask(self.metrics, "/metrics").await.body;
        let series = text.lines().filter_map(|line| line.strip_prefix(name)).filter(|rest| rest.starts_with(['{', ' ']));
        let chosen = series.filter(|rest| labels.iter().all(|label| rest.contains(label)));
        chosen.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until a metric, as [`Sidecar::metric`] sums it up, has reached `least`.
    pub async fn metric_reaches(&self, name: &str, labels: &[&str], least: f64) -> f64 {
        let look = async || Some(self.metric(name, labels).await).filter(|value| *value >= least);
        eventually(&format!("{name}{labels:?} at {least}"), look).await
    }

    /// Every record in the decision log so far, oldest first.
    pub fn records(&self) -> Vec<Value> {
        read_records(&self.dir.join("decisions"))
    }

    /// Waits for a record.
    pub async fn record(&self, what: &str, matches: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("a record of {what}"), async || self.records().into_iter().find(|record| matches(record))).await
    }

    /// Waits for the record with this id.
    pub async fn record_of(&self, id: &str) -> Value {
        self.record(id, |record| record["id"] == id).await
    }

    /// The process log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("stderr")).unwrap_or_default()
    }

    /// Waits for a line of the process log that contains `needle`.
    pub async fn log_line(&self, needle: &str) -> String {
        let look = async || self.log().lines().find(|line| line.contains(needle)).map(str::to_owned);
        eventually(&format!("{needle:?} in the process log"), look).await
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- what the sidecar in {} said ---\n{}", self.dir.display(), self.log());
            self.records().iter().rev().take(20).for_each(|record| eprintln!("{record}"));
        }
    }
}

/// Runs the binary to its end with these arguments; gives its exit code and what it said on both streams.
pub async fn run(arguments: &[&str], dir: &Path) -> (i32, String) {
    run_with(arguments, dir, &[]).await
}

/// Writes the configuration and runs a command with it, in the environment that the sidecar would have.
pub async fn run_for(setup: &Setup, arguments: &[&str]) -> (i32, String) {
    let config = setup.write_config();
    let arguments = [arguments, &["--config", config.to_str().unwrap()]].concat();
    let environment: Vec<_> = setup.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    run_with(&arguments, setup.dir.path(), &environment).await
}

/// As [`run`], with environment variables.
pub async fn run_with(arguments: &[&str], dir: &Path, environment: &[(&str, &str)]) -> (i32, String) {
    let mut command = command(&[]);
    command.args(arguments).current_dir(dir).envs(environment.iter().copied()).stdin(Stdio::null());
    end_of(command, arguments).await
}

/// As [`run`], with a text on standard input.
pub async fn run_with_input(arguments: &[&str], dir: &Path, input: &str) -> (i32, String) {
    let file = dir.join("stdin");
    std::fs::write(&file, input).unwrap();
    let mut command = command(&[]);
    command.args(arguments).current_dir(dir).stdin(File::open(&file).unwrap());
    end_of(command, arguments).await
}

async fn end_of(mut command: Command, arguments: &[&str]) -> (i32, String) {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let pid = Pid::from_child(&child);
    let Ok(output) = timeout(PATIENCE, blocking(move || child.wait_with_output().unwrap())).await else {
        let _ = kill_process(pid, Signal::KILL);
        panic!("{arguments:?} did not end within {PATIENCE:?}");
    };
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8_lossy(&said).into_owned())
}

/// `before`: a program and its arguments that end with executing what follows them.
fn spawn(setup: &Setup, before: &[&str]) -> Child {
    let config = setup.write_config();
    let stderr = File::create(setup.path("stderr")).unwrap();
    let mut command = command(before);
    command.arg("run").arg("--config").arg(config).args(&setup.arguments);
    command.current_dir(setup.dir.path()).envs(setup.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap()
}

fn command(before: &[&str]) -> Command {
    let mut words = before.iter().copied().chain([env!("CARGO_BIN_EXE_countersign")]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    for name in SURROUNDINGS {
        command.env_remove(name);
    }
    // Provoked panics would bury the log.
    command.env("RUST_BACKTRACE", "0");
    command
}

fn read_records(dir: &Path) -> Vec<Value> {
    let Ok(inputs) = inputs(&[dir.to_owned()]) else { return Vec::new() };
    let mut text = Vec::new();
    for mut reader in inputs.iter().filter_map(|input| input.open().ok()) {
        while let Ok(Some(piece)) = reader.next_whole() {
            if let Piece::Lines(lines) = piece {
                text.extend_from_slice(lines.bytes);
            }
        }
    }
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    lines
        .map(|line| serde_json::from_slice(line).unwrap_or_else(|error| panic!("{error} in a record: {}", String::from_utf8_lossy(line))))
        .collect()
}

/// Calls what blocks on a thread of its own.
pub async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(call).await.unwrap()
}

/// What the kernel says of the process's memory, bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// The most that ever was.
    pub peak: u64,
    /// Resident pages of files: the binary's own, which the kernel brings in as they are needed and takes away as it likes.
    pub file: u64,
}

/// Measures of the process, and other ways to start it.
impl Sidecar {
    /// Starts it through another program, such as `unshare --mount sh -c '…; exec "$@"' sh`, and waits until it is ready.
    pub async fn start_through(setup: &Setup, before: &[&str]) -> Self {
        let sidecar = Self::follow(Self::unknown(setup, spawn(setup, before))).await;
        eventually("readiness", async || sidecar.status().await.filter(|status| status["ready"] == true)).await;
        sidecar
    }

    /// Reads its records in another directory.
    pub fn records_in(&self, dir: &Path) -> Vec<Value> {
        read_records(dir)
    }

    /// Its memory.
    pub fn memory(&self) -> Memory {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        Memory { resident: kib("VmRSS:") << 10, peak: kib("VmHWM:") << 10, file: kib("RssFile:") << 10 }
    }

    /// Its open descriptors.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// Waits until it holds no more descriptors than `before`: connections of an attack, towards clients and app, are gone.
    pub async fn gives_descriptors_back(&self, before: usize) {
        let look = async || (self.descriptors() <= before).then_some(());
        eventually(&format!("{before} descriptors, now {}", self.descriptors()), look).await;
    }

    /// A path in `/proc` that is about it.
    pub fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.child.id())).join(name)
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Whether `/ready` says yes; `None` when nobody answers.
    pub async fn is_ready(&self) -> Option<bool> {
        let health = self.health;
        let answer = blocking(move || client::get_tcp(health, "/ready")).await.ok()?;
        Some(answer.status == 200)
    }
}
