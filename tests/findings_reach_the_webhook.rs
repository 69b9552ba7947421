//! Findings reach the operator's server: signed, as OCSF events, in order, whatever the server does meanwhile, also over a restart.

use crate::support::sidecar::run_for;
use crate::support::{ALICE, App, Peer, Setup, Sidecar, eventually, policy};
use http::StatusCode;
use serde_json::Value;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const SECRET: &str = "of-a-test-0123456789abcdef0123456789";

/// What came in one request.
#[derive(Debug, Clone)]
struct Message {
    head: String,
    body: Vec<u8>,
}

impl Message {
    fn field(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).unwrap_or_else(|| panic!("{name} in {}", self.head)).1
    }

    fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn detector(&self) -> String {
        self.event()["finding_info"]["analytic"]["name"].as_str().unwrap().to_owned()
    }
}

/// A server that answers each message as it is told to.
struct Receiver {
    address: SocketAddr,
    answer: Arc<Mutex<Option<&'static str>>>,
    got: Arc<Mutex<Vec<Message>>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// `None`: it takes the message and never answers.
    async fn start(answer: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, got) = (Arc::new(Mutex::new(answer)), Arc::<Mutex<Vec<Message>>>::default());
        let (told, kept) = (Arc::clone(&answer), Arc::clone(&got));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                drop(tokio::spawn(serve(stream, Arc::clone(&told), Arc::clone(&kept))));
            }
        });
        Self { address, answer, got, task }
    }

    fn answer(&self, answer: &'static str) {
        *self.answer.lock().unwrap() = Some(answer);
    }

    fn got(&self) -> Vec<Message> {
        self.got.lock().unwrap().clone()
    }

    async fn gets(&self, what: &str, matches: impl Fn(&[Message]) -> bool) -> Vec<Message> {
        eventually(what, async || Some(self.got()).filter(|got| matches(got))).await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, told: Arc<Mutex<Option<&'static str>>>, kept: Arc<Mutex<Vec<Message>>>) {
    let mut bytes = Vec::new();
    let message = loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let message = Message { head: String::from_utf8(bytes[..end].to_vec()).unwrap(), body: bytes[end + 4..].to_vec() };
        if message.body.len() == message.field("content-length").parse::<usize>().unwrap() {
            break message;
        }
    };
    kept.lock().unwrap().push(message);
    let answer = *told.lock().unwrap();
    match answer {
        Some(answer) => drop(stream.write_all(format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await),
        None => std::future::pending().await,
    }
}

fn write_secret(setup: &Setup, secret: &str, mode: u32) {
    std::fs::write(setup.path("secret"), format!("{secret}\n")).unwrap();
    std::fs::set_permissions(setup.path("secret"), std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A sidecar that tells `receiver` of scans and of nothing else.
fn setup(receiver: SocketAddr) -> Setup {
    let mut setup = Setup::new();
    write_secret(&setup, SECRET, 0o600);
    let (secret, spool) = (setup.path("secret"), setup.path("spool"));
    setup
        .set("webhook.url", &format!("'http://{receiver}/findings?from=test'"))
        .set("webhook.secret_file", &format!("'{}'", secret.display()))
        .set("webhook.spool_dir", &format!("'{}'", spool.display()));
    for detector in ["new_edge", "new_issuer"] {
        setup.set(&format!("detect.{detector}.mode"), "'off'");
    }
    setup.write_policy(&policy(&[("alice", ALICE, "/orders/**")]));
    setup
}

async fn scan(sidecar: &Sidecar, setup: &Setup) {
    let mut peer = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    for path in 0..11 {
        assert_eq!(peer.get(&format!("/admin/{path}")).await.status, StatusCode::FORBIDDEN);
    }
}

async fn nothing_waits(sidecar: &Sidecar) {
    let waits = async || sidecar.metric("countersign_webhook_waiting", &[]).await;
    eventually("an empty spool", async || (waits().await == 0.0).then_some(())).await;
}

#[tokio::test]
async fn signed_and_as_an_event_of_its_class() {
    let (app, receiver) = (App::start().await, Receiver::start(Some("204 No Content")).await);
    let mut setup = setup(receiver.address);
    let sidecar = setup.start(&app).await;
    scan(&sidecar, &setup).await;
    let got = receiver.gets("a message", |got| !got.is_empty()).await;
    let message = &got[0];
    assert!(message.head.starts_with("POST /findings?from=test HTTP/1.1\r\n"), "{}", message.head);
    assert_eq!(message.field("content-type"), "application/json");
    let event = message.event();
    let finding = sidecar.record("the scan", |record| record["kind"] == "finding").await;
    assert_eq!((&event["class_uid"], &event["type_uid"], &event["severity_id"]), (&2_004.into(), &200_401.into(), &4.into()), "{event}");
    assert_eq!((&event["finding_info"]["uid"], &event["finding_info"]["desc"]), (&finding["id"], &finding["message"]), "{event}");
    assert_eq!(event["finding_info"]["related_events"].as_array().unwrap().len(), 3);
    // As the receiver is told to check it, with somebody else's code.
    let (time, tag) = message.field("x-countersign-signature").split_once(',').unwrap();
    let (time, tag) = (time.strip_prefix("t=").unwrap(), tag.strip_prefix("v1=").unwrap());
    let signed = [time.as_bytes(), b".", &message.body].concat();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag: Vec<u8> = (0..tag.len()).step_by(2).map(|at| u8::from_str_radix(&tag[at..at + 2], 16).unwrap()).collect();
    aws_lc_rs::hmac::verify(&key, &signed, &tag).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(time.parse::<u64>().unwrap().abs_diff(now) < 60, "{time}");
    sidecar.metric_reaches("countersign_webhook_messages_total", &["result=\"ok\""], 1.0).await;
    nothing_waits(&sidecar).await;
    eventually("no file", async || (std::fs::read_dir(setup.path("spool")).unwrap().count() == 0).then_some(())).await;
    assert_eq!(receiver.got().len(), 1, "taken is taken");
}

#[tokio::test]
async fn again_until_it_is_taken_and_in_order() {
    let (app, receiver) = (App::start().await, Receiver::start(Some("500 Oops")).await);
    let mut setup = setup(receiver.address);
    setup.set("detect.malformed_burst.requests", "1");
    let sidecar = setup.start(&app).await;
    scan(&sidecar, &setup).await;
    receiver.gets("a second try", |got| got.len() >= 2).await;
    let mut peer = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    for _ in 0..2 {
        assert_eq!(peer.get("/orders/%2F").await.status, StatusCode::BAD_REQUEST);
    }
    sidecar.metric_reaches("countersign_webhook_waiting", &[], 2.0).await;
    sidecar.log_line("the webhook does not take a finding").await;
    assert!(receiver.got().iter().all(|message| message.detector() == "scanning"), "the first one first");
    receiver.answer("200 OK");
    let got = receiver.gets("the second finding", |got| got.last().is_some_and(|last| last.detector() == "malformed_burst")).await;
    let ids: Vec<_> = got.iter().map(|message| message.event()["finding_info"]["uid"].clone()).collect();
    assert!(ids[..ids.len() - 1].iter().all(|id| *id == ids[0]), "the same id each time, for whoever got it twice: {ids:?}");
    nothing_waits(&sidecar).await;
    // What is refused for good holds nobody up.
    receiver.answer("422 Unprocessable Content");
    scan(&sidecar, &setup).await;
    sidecar.metric_reaches("countersign_webhook_messages_total", &["result=\"rejected\""], 1.0).await;
}

#[tokio::test]
async fn after_a_restart_and_nothing_waits_for_it() {
    let (app, receiver) = (App::start().await, Receiver::start(None).await);
    let mut setup = setup(receiver.address);
    let sidecar = setup.start(&app).await;
    scan(&sidecar, &setup).await;
    // It hangs with our message in its hands, and everything else goes on.
    let first = receiver.gets("a message", |got| !got.is_empty()).await;
    let mut peer = Peer::http2(sidecar.inbound(), &setup.cert(ALICE)).await;
    assert_eq!(peer.get("/orders/1").await.status, StatusCode::OK);
    sidecar.metric_reaches("countersign_webhook_waiting", &[], 1.0).await;
    drop(sidecar);
    receiver.answer("200 OK");
    let sidecar = Sidecar::start(&setup).await;
    let got = receiver.gets("it again", |got| got.len() > first.len()).await;
    assert_eq!(got.last().unwrap().event()["finding_info"]["uid"], first[0].event()["finding_info"]["uid"]);
    nothing_waits(&sidecar).await;
}

#[tokio::test]
async fn a_secret_that_anybody_could_guess_or_read_is_refused() {
    let (app, receiver) = (App::start().await, Receiver::start(Some("200 OK")).await);
    let mut setup = setup(receiver.address);
    setup.in_front_of(app.address);
    for (secret, mode, why) in [("1234", 0o600, "4 bytes; write 32 to 4096"), (SECRET, 0o640, "can be read by others (mode 640)")] {
        write_secret(&setup, secret, mode);
        for command in ["check", "run"] {
            let (code, said) = run_for(&setup, &[command]).await;
            assert!(code == 2 && said.contains(why), "{command}: {code} {said}");
        }
    }
}
