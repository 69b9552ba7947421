//! A proxy as a child process, whoever made it: started, asked until it answers, ended.

use super::process::pinned;
use super::work::Work;
use super::{Callgrind, setting};
use crate::load::client::{Connection, Outcome};
use crate::load::{Offer, Protocol, Target, Wallet};
use anyhow::Context as _;
use http::StatusCode;
use http::uri::PathAndQuery;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// The life of the callers' certificates.
const DAY: Duration = Duration::from_secs(86_400);
/// From one look at the child to the next.
const LOOK: Duration = Duration::from_millis(20);
/// From the start to the first answer; valgrind needs most of it for the largest program.
const STARTS: Duration = Duration::from_secs(120);
/// From the request to end to the end.
const ENDS: Duration = Duration::from_secs(10);

/// Who asks: somebody who is allowed, and somebody who is not.
pub struct Callers {
    /// Gets 200.
    pub known: Rc<Wallet>,
    /// Gets 403.
    pub stranger: Rc<Wallet>,
}

/// What is run.
#[derive(Debug, Clone)]
pub struct Program {
    /// What the tables call it.
    pub name: String,
    /// The program and its arguments.
    pub words: Vec<OsString>,
    /// Where it is to listen.
    pub address: SocketAddr,
    /// Its working directory, which also takes its output.
    pub dir: PathBuf,
    /// Whether it refuses callers that nobody allowed.
    pub decides: bool,
}

/// A running one; killed when dropped.
pub struct Running {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Callers {
    /// Both have certificates of the development CA in `dir`.
    ///
    /// # Errors
    /// The CA does not issue.
    pub fn new(dir: &Path) -> anyhow::Result<Self> {
        let wallet = |id| Wallet::open(dir, id, DAY, Offer::Same);
        Ok(Self { known: wallet(setting::CLIENT)?, stranger: wallet(setting::STRANGER)? })
    }
}

impl Program {
    /// Runs it on the proxy's core, until it answers the known caller with 200 and the stranger with 403.
    ///
    /// # Errors
    /// It ends, or does not answer so.
    pub async fn start(&self, callers: &Callers) -> anyhow::Result<Running> {
        self.run(pinned(&self.words), callers).await.with_context(|| self.name.clone())
    }

    /// The same under callgrind.
    ///
    /// # Errors
    /// As `start`.
    pub async fn start_counted(&self, dump: &Path, callers: &Callers) -> anyhow::Result<Running> {
        self.run(Callgrind::command(&self.words, dump), callers).await.with_context(|| format!("{} under callgrind", self.name))
    }

    async fn run(&self, mut command: std::process::Command, callers: &Callers) -> anyhow::Result<Running> {
        let output = |name| File::create(self.dir.join(name));
        command.current_dir(&self.dir).stdin(Stdio::null()).stdout(output("stdout.log")?).stderr(output("stderr.log")?);
        let mut running = Running { child: command.spawn()?, address: self.address };
        let end = Instant::now() + STARTS;
        let mut last = anyhow::anyhow!("nobody listens");
        while Instant::now() < end {
            if let Some(status) = running.child.try_wait()? {
                anyhow::bail!("it ended: {status}; {}", fs::read_to_string(self.dir.join("stderr.log"))?);
            }
            match ask(self.address, &callers.known).await {
                Ok(StatusCode::OK) => {
                    let refused = if self.decides { ask(self.address, &callers.stranger).await? } else { StatusCode::FORBIDDEN };
                    anyhow::ensure!(refused == 403, "a stranger got {refused}, not 403");
                    return Ok(running);
                }
                Ok(status) => last = anyhow::anyhow!("status {status}"),
                Err(error) => last = error,
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(last.context(format!("no answer within {STARTS:?}")))
    }
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Connections for a kind of work.
    pub fn slots(&self, work: Work, wallet: &Rc<Wallet>) -> Rc<crate::load::Slots> {
        Rc::new(crate::load::Slots::new(Target::mutual(self.address, wallet, work.protocol), work.connections))
    }

    /// Asks it to end; kills it when it does not.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("the child's id")?;
        kill_process(id, Signal::TERM)?;
        let end = Instant::now() + ENDS;
        while Instant::now() < end && self.child.try_wait()?.is_none() {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// One request on a new connection.
async fn ask(address: SocketAddr, wallet: &Rc<Wallet>) -> anyhow::Result<StatusCode> {
    let target = Target::mutual(address, wallet, Protocol::Http1);
    let answer = async {
        let connection = Connection::open(&target).await?;
        match connection.send(target.get(&PathAndQuery::from_static(setting::PATH), None)).await {
            Outcome::Answered(answer) => Ok(answer.status),
            Outcome::Failed(error) => Err(error),
            Outcome::NotSent | Outcome::AfterGoaway => anyhow::bail!("the connection ended"),
        }
    };
    tokio::time::timeout(Duration::from_secs(30), answer).await.context("no answer within 30 s")?
}

/// An address on which nobody listens right now. Another program may take it before ours does; then the start fails.
///
/// # Errors
/// No socket.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
