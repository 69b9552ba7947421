//! A WebSocket by a library that is not ours.

use crate::streams::{Below, EVERY, End, within};
use anyhow::Context as _;
use futures_util::{SinkExt as _, StreamExt as _};
use std::cell::Cell;
use std::time::SystemTime;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

/// Sends messages and expects each one back, until `end` or until the connection is ended.
///
/// # Errors
/// A wrong answer, or none.
pub async fn talk(stream: Below, end: Instant, echoes: &Cell<u64>) -> anyhow::Result<(SystemTime, End)> {
    let opening = tokio_tungstenite::client_async("ws://localhost/streams/socket", stream);
    let (mut socket, _) = within("the answer to an upgrade", opening).await?.context("a WebSocket")?;
    for number in 0.. {
        if Instant::now() >= end {
            break;
        }
        let sent = Message::text(format!("message {number}"));
        if let Err(error) = within("room for a message", socket.send(sent.clone())).await? {
            return Ok((SystemTime::now(), End::Ended(error.to_string())));
        }
        match within("an answer", socket.next()).await? {
            Some(Ok(answer)) => anyhow::ensure!(answer == sent, "{answer} instead of {sent}"),
            Some(Err(error)) => return Ok((SystemTime::now(), End::Ended(error.to_string()))),
            None => return Ok((SystemTime::now(), End::Ended("no more messages".into()))),
        }
        echoes.set(echoes.get() + 1);
        tokio::time::sleep(EVERY).await;
    }
    within("room for a close frame", socket.close(None)).await?.context("closing")?;
    while let Some(message) = within("the other side's close frame", socket.next()).await? {
        anyhow::ensure!(matches!(message, Ok(Message::Close(_))), "{message:?} instead of a close frame");
    }
    Ok((SystemTime::now(), End::Finished))
}
