//! gRPC calls with streams both ways, as they are on the wire: HTTP/2 streams of length-prefixed messages.

use crate::streams::{Below, EVERY, End, within};
use crate::tap::Tap;
use anyhow::Context as _;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use countersign::runtime::tasks::LocalExecutor;
use http::Request;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::cell::Cell;
use std::convert::Infallible;
use std::time::SystemTime;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

/// The prefix of a message: is it compressed, and how long is it.
const PREFIX: usize = 5;

type Messages = StreamBody<ReceiverStream<Result<Frame<Bytes>, Infallible>>>;

/// A connection for calls.
pub struct Calls(SendRequest<Messages>);

impl Calls {
    /// Begins HTTP/2.
    ///
    /// # Errors
    /// The connection ends.
    pub async fn open(stream: Tap<Below>) -> anyhow::Result<Self> {
        let (sender, connection) = http2::handshake(LocalExecutor, TokioIo::new(stream)).await.context("HTTP/2")?;
        // Its end is seen by the calls.
        drop(tokio::task::spawn_local(connection));
        Ok(Self(sender))
    }

    /// Sends messages and expects each one back, until `end` or until the call is ended.
    ///
    /// # Errors
    /// A wrong answer, or none.
    pub async fn chat(&self, end: Instant, echoes: &Cell<u64>) -> anyhow::Result<(SystemTime, End)> {
        let (send, messages) = mpsc::channel(1);
        let request = Request::post("https://localhost/streams/chat").header("content-type", "application/grpc").header("te", "trailers");
        let request = request.body(StreamBody::new(ReceiverStream::new(messages)))?;
        let response = within("the head of a call", self.0.clone().send_request(request)).await?.context("a call")?;
        anyhow::ensure!(response.status() == 200, "status {}", response.status());
        let mut answers = Answers { body: response.into_body(), read: BytesMut::new() };
        let mut number = 0_u64;
        while Instant::now() < end {
            let mut message = BytesMut::from(&[0, 0, 0, 0, 8][..]);
            message.put_u64(number);
            if send.send(Ok(Frame::data(message.freeze()))).await.is_err() {
                return Ok((SystemTime::now(), End::Ended("no more messages are taken".into())));
            }
            match within("an answer", answers.next()).await? {
                Ok(Some(answer)) => anyhow::ensure!(answer == number, "{answer} instead of {number}"),
                Ok(None) => return Ok((SystemTime::now(), End::Ended("the answers end".into()))),
                Err(error) => return Ok((SystemTime::now(), End::Ended(format!("{:#}", anyhow::Error::new(error))))),
            }
            echoes.set(echoes.get() + 1);
            number += 1;
            tokio::time::sleep(EVERY).await;
        }
        drop(send);
        match within("the end of a call", answers.next()).await? {
            Ok(None) => Ok((SystemTime::now(), End::Finished)),
            Ok(Some(answer)) => anyhow::bail!("one more answer: {answer}"),
            Err(error) => Ok((SystemTime::now(), End::Ended(format!("{:#}", anyhow::Error::new(error))))),
        }
    }
}

struct Answers {
    body: Incoming,
    read: BytesMut,
}

impl Answers {
    /// The next message's number; `None` after the trailers.
    async fn next(&mut self) -> Result<Option<u64>, hyper::Error> {
        while self.read.len() < PREFIX + 8 {
            match self.body.frame().await.transpose()? {
                Some(frame) => self.read.extend_from_slice(&frame.into_data().unwrap_or_default()),
                None => return Ok(None),
            }
        }
        self.read.advance(PREFIX);
        Ok(Some(self.read.get_u64()))
    }
}
