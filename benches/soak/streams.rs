//! What stays open: gRPC streams and WebSockets that live on while certificates rotate, until their connection's expiry ends them.

use crate::load::client::{Handshake, shake_hands};
use crate::load::{Protocol, Target, Wallet};
use crate::tap::Tap;
use crate::{grpc, websocket};
use anyhow::Context as _;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

/// From one message to the next.
pub const EVERY: Duration = Duration::from_millis(50);
/// The longest time that an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How much before or after the first certificate's end a stream may end. A certificate ends with the last nanosecond of its last second.
const TOLERANCE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(1_500));
/// The shortest time between the announcement and the end as we see them: a tenth of the shortest connection's life is 400 ms.
const NOTICE: Duration = Duration::from_millis(250);

/// What is kept open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Two calls on each HTTP/2 connection, with streams both ways.
    Grpc,
    /// One on each HTTP/1.1 connection.
    WebSocket,
    /// Two on each HTTP/2 connection.
    WebSocketHttp2,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Grpc, Self::WebSocket, Self::WebSocketHttp2];

    /// As the report calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grpc => "gRPC streams",
            Self::WebSocket => "WebSockets over HTTP/1.1",
            Self::WebSocketHttp2 => "WebSockets over HTTP/2",
        }
    }
}

/// How a stream ended.
#[derive(Debug)]
pub enum End {
    /// We closed it, and the other side did so too.
    Finished,
    /// It was ended; what was seen of that.
    Ended(String),
}

/// One connection with its streams.
#[derive(Debug)]
struct Life {
    kind: Kind,
    /// When the first of the two certificates ends.
    ends: SystemTime,
    /// When a GOAWAY came.
    announced: Option<SystemTime>,
    ended: SystemTime,
    end: End,
}

/// All of them.
#[derive(Default)]
pub struct Streams {
    lives: RefCell<Vec<Life>>,
    failures: RefCell<Vec<String>>,
    echoes: Cell<u64>,
}

/// What the ends say.
#[derive(Debug)]
pub struct Judgement {
    /// Streams of each kind that were ended by their connection's expiry.
    pub expired: [(Kind, usize); 3],
    /// Streams that we closed in the end.
    pub finished: usize,
    /// Messages that came back.
    pub echoes: u64,
    /// What must not be: an end at another time, an end without announcement, a wrong answer.
    pub failures: Vec<String>,
}

impl Streams {
    /// Keeps one connection with its streams open until `end`, again and again.
    pub async fn keep(&self, kind: Kind, address: SocketAddr, wallet: &Rc<Wallet>, end: Instant) {
        while Instant::now() < end {
            if let Err(error) = self.one(kind, address, wallet, end).await {
                self.failures.borrow_mut().push(format!("{kind:?}: {error:#}"));
                // No storm of attempts.
                tokio::time::sleep(EVERY).await;
            }
        }
    }

    async fn one(&self, kind: Kind, address: SocketAddr, wallet: &Rc<Wallet>, end: Instant) -> anyhow::Result<()> {
        let protocol = if kind == Kind::WebSocket { Protocol::Http1 } else { Protocol::Http2 };
        let target = Target::mutual(address, wallet, protocol);
        let (stream, handshake) = shake_hands(&target, wallet).await?;
        let goaway = Rc::new(Cell::new(None));
        match kind {
            Kind::Grpc => {
                let calls = grpc::Calls::open(Tap::new(stream, Rc::clone(&goaway))).await?;
                let (first, second) = tokio::join!(calls.chat(end, &self.echoes), calls.chat(end, &self.echoes));
                for end in [first?, second?] {
                    self.note(kind, &handshake, goaway.get(), end);
                }
            }
            Kind::WebSocket => {
                let end = websocket::talk(websocket::upgrade(stream).await?, end, &self.echoes).await?;
                self.note(kind, &handshake, None, end);
            }
            Kind::WebSocketHttp2 => {
                let connection = websocket::Connection::open(Tap::new(stream, Rc::clone(&goaway))).await?;
                let (first, second) = tokio::try_join!(connection.connect(), connection.connect())?;
                let (first, second) = tokio::join!(websocket::talk(first, end, &self.echoes), websocket::talk(second, end, &self.echoes));
                for end in [first?, second?] {
                    self.note(kind, &handshake, goaway.get(), end);
                }
            }
        }
        Ok(())
    }

    fn note(&self, kind: Kind, handshake: &Handshake, announced: Option<SystemTime>, (ended, end): (SystemTime, End)) {
        self.lives.borrow_mut().push(Life { kind, ends: handshake.ends, announced, ended, end });
    }

    /// Compares each end with the certificates of its connection.
    pub fn judge(&self) -> Judgement {
        let lives = self.lives.borrow();
        let expired = |kind| lives.iter().filter(|life| life.kind == kind && matches!(life.end, End::Ended(_))).count();
        let mut failures = self.failures.borrow().clone();
        failures.extend(lives.iter().filter_map(Life::fault));
        Judgement {
            expired: Kind::ALL.map(|kind| (kind, expired(kind))),
            finished: lives.iter().filter(|life| matches!(life.end, End::Finished)).count(),
            echoes: self.echoes.get(),
            failures,
        }
    }
}

impl Life {
    fn fault(&self) -> Option<String> {
        let End::Ended(how) = &self.end else { return None };
        let off = |time: SystemTime| match time.duration_since(self.ends) {
            Ok(late) => format!("{late:?} after"),
            Err(early) => format!("{:?} before", early.duration()),
        };
        if self.ended + TOLERANCE.0 < self.ends || self.ended > self.ends + TOLERANCE.1 {
            return Some(format!("{:?}: ended {} its connection's expiry: {how}", self.kind, off(self.ended)));
        }
        match self.announced {
            Some(announced) if announced + NOTICE <= self.ended => None,
            Some(announced) => Some(format!("{:?}: announced only {} its expiry", self.kind, off(announced))),
            // Nothing can be announced in a WebSocket that is not ours.
            None if self.kind == Kind::WebSocket => None,
            None => Some(format!("{:?}: ended without announcement: {how}", self.kind)),
        }
    }
}

/// The stream below each kind.
pub type Below = TlsStream<TcpStream>;

/// Waits for an answer.
///
/// # Errors
/// It takes too long.
pub async fn within<T>(what: &str, wait: impl Future<Output = T>) -> anyhow::Result<T> {
    tokio::time::timeout(PATIENCE, wait).await.with_context(|| format!("{what}: nothing for {PATIENCE:?}"))
}
