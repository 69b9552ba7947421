//! Which control socket a command talks to.

use crate::admin::client::{self, Answer, ClientError};
use crate::config;
use anyhow::{Context as _, anyhow, bail};
use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;

/// Which sidecar.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct ControlSocket {
    /// The sidecar's configuration, which names its control socket: a path, or env:NAME
    #[arg(long, value_name = "F", default_value = "countersign.toml", conflicts_with = "socket")]
    config: String,
    /// Its control socket itself
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl ControlSocket {
    /// The path of the socket.
    ///
    /// # Errors
    /// Every problem of the configuration: with one that cannot be used it is not known which sidecar is meant.
    pub fn path(&self) -> anyhow::Result<PathBuf> {
        match &self.socket {
            Some(socket) => Ok(socket.clone()),
            None => match config::load(&self.config) {
                Ok(loaded) => Ok(loaded.config.admin.socket),
                Err(problems) => bail!("which sidecar? Give its socket with --socket, or a usable --config:\n{problems}"),
            },
        }
    }
}

/// A document of the sidecar, for people or as it is.
#[derive(Debug, clap::Args)]
pub struct Document {
    #[command(flatten)]
    control: ControlSocket,
    /// Prints the document as it is
    #[arg(long)]
    json: bool,
}

impl Document {
    /// Asks for `path`, prints the answer as `readable` puts it unless the document itself is wanted, and gives it.
    ///
    /// # Errors
    /// Nobody answers, or not in JSON.
    pub fn print(&self, path: &str, readable: impl FnOnce(&Value) -> String) -> anyhow::Result<Value> {
        let body = accepted(client::get(&self.control.path()?, path))?;
        let document: Value = serde_json::from_str(&body).context("the sidecar's answer is no JSON")?;
        let text = if self.json { body } else { readable(&document) };
        std::io::stdout().lock().write_all(text.as_bytes())?;
        Ok(document)
    }
}

/// The body of a good answer that goes on.
///
/// # Errors
/// As [`accepted`].
pub fn answered<S>(answer: Result<Result<S, Answer>, ClientError>) -> anyhow::Result<S> {
    match answer {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(refused)) => Err(refusal(&refused)),
        Err(error) => Err(unanswered(error)),
    }
}

fn unanswered(error: ClientError) -> anyhow::Error {
    match error {
        error @ ClientError::Connect(..) => anyhow!("{error}; is the sidecar running, and is this its user?"),
        error => error.into(),
    }
}

fn refusal(answer: &Answer) -> anyhow::Error {
    anyhow!("the sidecar answers {}: {}", answer.status, answer.body.trim())
}

/// The body of a good answer.
///
/// # Errors
/// There is no answer, or it is no good one.
pub fn accepted(answer: Result<Answer, ClientError>) -> anyhow::Result<String> {
    let answer = answer.map_err(unanswered)?;
    if answer.is_success() { Ok(answer.body) } else { Err(refusal(&answer)) }
}
