//! A pooled connection that the other side has closed costs no request; and no request is ever sent twice.

use crate::support::client::{Peer, get, post};
use crate::support::streaming::{Streams, generated, reading, take};
use crate::support::{ALICE, Setup, Sidecar, eventually};
use http::StatusCode;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the app does after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// Keeps the connection and says so with this header.
    Keep(&'static str),
    /// Closes without a word, as app servers do whose patience is over.
    Close,
    /// Keeps it, reads the next request and closes instead of answering.
    Break,
}

#[derive(Debug, Default)]
struct Seen {
    /// The requests, each with the number of its connection.
    requests: Vec<(usize, String)>,
    connections: usize,
    /// Connections that have ended, whoever ended them.
    ended: usize,
}

/// An HTTP/1.1 server that counts requests by reading them itself.
struct App {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl App {
    async fn start(after: After) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::<Mutex<Seen>>::default());
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let log = Arc::clone(&log);
                tokio::spawn(async move {
                    let number = log.lock().unwrap().begin();
                    // A connection that breaks has ended as well.
                    let _ = serve(stream, after, &log, number).await;
                    log.lock().unwrap().ended += 1;
                });
            }
        });
        Self { address, seen, task }
    }

    fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// How often a request came.
    fn times(&self, line: &str) -> usize {
        self.seen.lock().unwrap().requests.iter().filter(|(_, request)| request == line).count()
    }

    async fn ended(&self, count: usize) {
        eventually(&format!("{count} ended connections to the app"), async || (self.seen.lock().unwrap().ended >= count).then_some(()))
            .await;
    }
}

impl Seen {
    fn begin(&mut self) -> usize {
        self.connections += 1;
        self.connections
    }
}

async fn serve(stream: TcpStream, after: After, seen: &Mutex<Seen>, number: usize) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    for turn in 0.. {
        let Some(request) = read(&mut stream).await? else { return Ok(()) };
        seen.lock().unwrap().requests.push((number, request));
        if turn > 0 && after == After::Break {
            return Ok(());
        }
        let said = if let After::Keep(header) = after { header } else { "" };
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{said}content-length: 2\r\n\r\nok").as_bytes()).await?;
        if after == After::Close {
            // Ended is what the sidecar has seen the end of: a FIN may be overtaken by the next request on its way through a busy kernel.
            stream.get_mut().shutdown().await?;
            stream.read_to_end(&mut Vec::new()).await?;
            break;
        }
    }
    Ok(())
}

/// The request line, once the whole request is read.
async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let (mut line, mut length, mut chunked) = (String::new(), 0, false);
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    loop {
        let mut field = String::new();
        stream.read_line(&mut field).await?;
        let field = field.trim_end().to_ascii_lowercase();
        match field.split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(("transfer-encoding", "chunked")) => chunked = true,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    while chunked {
        let mut size = String::new();
        stream.read_line(&mut size).await?;
        let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
        stream.read_exact(&mut vec![0; size + 2]).await?;
        chunked = size > 0;
    }
    Ok(Some(line.trim_end_matches(" HTTP/1.1\r\n").to_owned()))
}

#[tokio::test]
async fn closed_after_each_answer_without_saying_so() {
    let (app, setup, sidecar) = start(After::Close).await;
    let mut requests = 0;
    for mut peer in Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await {
        for turn in 0..10 {
            // On this connection the pool gets one that is as good as dead.
            let path = format!("/{}/{turn}", peer.name());
            let request = if turn % 2 == 0 { get(&path) } else { post(&path, "a body") };
            assert_eq!(peer.send(request).await.unwrap().status, StatusCode::OK, "{path}");
            requests += 1;
            app.ended(requests).await;
            let method = if turn % 2 == 0 { "GET" } else { "POST" };
            assert_eq!(app.times(&format!("{method} {path}")), 1);
        }
    }
    assert_eq!(app.connections(), requests);
    assert_eq!(app.seen.lock().unwrap().requests.len(), requests);
}

#[tokio::test]
async fn a_streamed_body_finds_a_live_connection_too() {
    let (app, setup, sidecar) = start(After::Close).await;
    for mut peer in Streams::both(sidecar.inbound(), &setup.cert(ALICE)).await {
        for turn in 0..3 {
            let (body, _) = generated(300_000, turn % 2 == 0);
            let path = format!("/{}/{turn}", peer.name());
            let response = peer.send("POST", &path, body).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            take(&mut response.into_body(), &reading(), 3).await.unwrap();
            assert_eq!(app.times(&format!("POST {path}")), 1);
            app.ended(app.connections()).await;
        }
    }
}

/// Once a byte of it was written nobody can know what the app did with it.
#[tokio::test]
async fn a_request_that_may_have_been_read_is_not_sent_again() {
    let (app, setup, sidecar) = start(After::Break).await;
    for (round, mut peer) in (1..).zip(Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await) {
        let name = peer.name();
        assert_eq!(peer.get(&format!("/{name}/1")).await.status, StatusCode::OK);
        for (request, line) in [(get(&format!("/{name}/2")), "GET"), (post(&format!("/{name}/3"), "a body"), "POST")] {
            let path = request.uri().path().to_owned();
            let answer = peer.send(request).await.unwrap();
            assert_eq!(app.times(&format!("{line} {path}")), 1, "{name}");
            if line == "GET" {
                assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{name}");
                let record = sidecar.record_of(answer.header("x-countersign-decision")).await;
                assert_eq!(record["close_reason"], "app_closed");
            } else {
                assert_eq!(answer.status, StatusCode::OK, "{name}: a new connection");
            }
        }
        assert_eq!(app.connections(), 2 * round, "{name}");
    }
}

#[tokio::test]
async fn the_apps_own_patience_counts() {
    // Ten seconds of our own patience; theirs, less a second for the way, is what remains.
    for (header, connections) in [("", 1), ("keep-alive: timeout=60\r\n", 1), ("keep-alive: timeout=1, max=100\r\n", 5)] {
        let (app, setup, sidecar) = start_with(After::Keep(header), "'10s'").await;
        let mut peer = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
        for _ in 0..5 {
            assert_eq!(peer.get("/orders").await.status, StatusCode::OK);
        }
        assert_eq!(app.connections(), connections, "{header}");
        assert_eq!(sidecar.metric("countersign_dials_total", &["direction=\"inbound\""]).await, connections as f64);
    }
}

#[tokio::test]
async fn idle_ones_are_closed_at_app_pool_idle() {
    let (app, setup, sidecar) = start_with(After::Keep(""), "'500ms'").await;
    let mut peer = Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await;
    assert_eq!(peer.get("/orders").await.status, StatusCode::OK);
    app.ended(1).await;
    assert_eq!(peer.get("/orders").await.status, StatusCode::OK);
    assert_eq!(app.connections(), 2);
}

async fn start(after: After) -> (App, Setup, Sidecar) {
    start_with(after, "'60s'").await
}

async fn start_with(after: After, idle: &str) -> (App, Setup, Sidecar) {
    let (app, mut setup) = (App::start(after).await, Setup::new());
    setup.in_front_of(app.address).set("timeouts.app_pool_idle", idle);
    let sidecar = Sidecar::start(&setup).await;
    (app, setup, sidecar)
}
