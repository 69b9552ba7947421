//! The sidecar as a child process: its process log, its metrics, its end.

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// From one look at the child to the next.
const LOOK: Duration = Duration::from_millis(10);

/// One line of the process log.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its timestamp.
    pub at: SystemTime,
    /// Its fields, with `message` and `level`.
    pub fields: Value,
}

impl Line {
    /// A field's text; empty where it is not there.
    pub fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }
}

/// A running sidecar; killed when dropped.
pub struct Sidecar {
    child: Child,
    lines: Arc<Mutex<Vec<Line>>>,
    /// Where peers connect.
    pub inbound: SocketAddr,
    /// Where the app connects.
    pub outbound: SocketAddr,
    health: SocketAddr,
    metrics: SocketAddr,
}

impl Sidecar {
    /// Starts `command`, which runs the sidecar with its log as JSON, and waits until it is ready.
    ///
    /// # Errors
    /// It ended, or is not ready after `patience`; with what it said.
    pub async fn start(mut command: Command, patience: Duration) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("the sidecar")?;
        let lines: Arc<Mutex<Vec<Line>>> = Arc::default();
        let stderr = child.stderr.take().context("the sidecar's standard error")?;
        let kept = Arc::clone(&lines);
        std::thread::Builder::new().name("sidecar log".into()).spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                keep(&kept, &line);
            }
        })?;
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut sidecar = Self { child, lines, inbound: nowhere, outbound: nowhere, health: nowhere, metrics: nowhere };
        match tokio::time::timeout(patience, sidecar.becomes_ready()).await {
            Ok(ready) => ready?,
            Err(_) => anyhow::bail!("the sidecar is not ready after {patience:?}"),
        }
        Ok(sidecar)
    }

    async fn becomes_ready(&mut self) -> anyhow::Result<()> {
        loop {
            if let Some(serves) = self.lines().into_iter().find(|line| line.text("message").ends_with("serves")) {
                let address =
                    |field| serves.text(field).parse::<SocketAddr>().map(here).with_context(|| format!("{field} in {:?}", serves.fields));
                let listener = |field| if serves.text(field).is_empty() { Ok(self.inbound) } else { address(field) };
                (self.inbound, self.outbound) = (listener("inbound")?, listener("outbound")?);
                (self.health, self.metrics) = (address("health")?, address("metrics")?);
                break;
            }
            self.still_runs()?;
            tokio::time::sleep(LOOK).await;
        }
        while get(self.health, "/ready").await?.0 != 200 {
            self.still_runs()?;
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn still_runs(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("the sidecar ended: {status}; {:#?}", self.lines()),
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The lines of its log so far.
    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The sum of a metric over the series whose labels contain `labels`; zero where there is none.
    ///
    /// # Errors
    /// The metrics cannot be read.
    pub async fn metric(&self, name: &str, labels: &str) -> anyhow::Result<f64> {
        let (status, text) = get(self.metrics, "/metrics").await?;
        anyhow::ensure!(status == 200, "/metrics: status {status}");
        let series = text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let values = series.filter(|line| line.contains(labels)).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        Ok(values.sum())
    }

    /// Asks it to end and waits for that.
    ///
    /// # Errors
    /// It does not end within `patience`.
    pub async fn stop(mut self, patience: Duration) -> anyhow::Result<ExitStatus> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("the sidecar's id")?;
        kill_process(id, Signal::TERM)?;
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(LOOK).await;
        }
        anyhow::bail!("the sidecar has not ended {patience:?} after SIGTERM")
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A line that is not JSON is not ours; it is shown.
fn keep(lines: &Mutex<Vec<Line>>, text: &str) {
    let parsed = serde_json::from_str::<Value>(text).ok().and_then(|fields| {
        let at = OffsetDateTime::parse(fields.get("timestamp")?.as_str()?, &Rfc3339).ok()?;
        Some(Line { at: at.into(), fields })
    });
    match parsed {
        Some(line) => {
            if matches!(line.text("level"), "WARN" | "ERROR") {
                eprintln!("sidecar: {text}");
            }
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
        None => eprintln!("sidecar: {text}"),
    }
}

/// How this machine reaches a listener: a wildcard address is no address to connect to.
fn here(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())) } else { address }
}

/// A plain GET: status and body.
async fn get(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        let (head, body) = text.split_once("\r\n\r\n").context("a response without an end of its head")?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("a response without a status")?;
        Ok((status, body.to_owned()))
    };
    tokio::time::timeout(Duration::from_secs(5), exchange).await.map_err(|_| anyhow::anyhow!("{address}{path}: no answer within 5 s"))?
}
