//! Real sockets.

use super::client::{Answer, ClientError};
use super::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::time::Instant;

struct House {
    bound: Option<Bound>,
    readiness: Readiness,
    said: Arc<Mutex<Vec<String>>>,
    runtime: tokio::runtime::Runtime,
    dir: tempfile::TempDir,
}

impl House {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("control.sock");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut house = Self { bound: None, readiness: Readiness::default(), said: Arc::default(), runtime, dir };
        house.bound = Some(house.bind(socket).unwrap());
        house
    }

    fn bind(&self, socket: PathBuf) -> std::io::Result<Bound> {
        let _inside = self.runtime.enter();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        start(&Settings { health: any, metrics: any, socket }, self.handles())
    }

    fn handles(&self) -> Handles {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || metrics::counter!("countersign_test_total").increment(3));
        let say = |word: &'static str| {
            let said = Arc::clone(&self.said);
            move || said.lock().unwrap().push(word.to_owned())
        };
        let (drained, reloaded, promoted, said) = (say("drain"), say("reload"), say("promote"), Arc::clone(&self.said));
        Handles {
            readiness: self.readiness.clone(),
            metrics: recorder.handle(),
            trust: Arc::new(|| serde_json::json!({ "roots": [] })),
            usage: Arc::new(|| b"{}\n".to_vec()),
            status: Arc::new(|| serde_json::json!({"workload": "spiffe://a/b"})),
            drain: Arc::new(drained),
            promote: Arc::new(move || {
                promoted();
                Ok("in force".to_owned())
            }),
            reload: Arc::new(move || {
                reloaded();
                Err("policy.toml:3:1: nonsense".to_owned())
            }),
            quarantine: Quarantine {
                list: Arc::new(|| serde_json::json!({ "entries": [] })),
                add: Arc::new(|body, uid| {
                    let same = uid == Some(rustix::process::geteuid().as_raw());
                    Ok(format!("{} {same}", String::from_utf8_lossy(body)))
                }),
                remove: Arc::new(|_, _| Err("nobody is there".to_owned())),
            },
            tail: Arc::new(|| {
                let (lines, receiver) = tokio::sync::mpsc::channel(2);
                lines.try_send(bytes::Bytes::from_static(b"{\"seq\":1}\n")).unwrap();
                Ok(receiver)
            }),
            log_level: Arc::new(move |level| {
                said.lock().unwrap().push(level.to_owned());
                if level == "debug" { Ok(()) } else { Err("no such level".to_owned()) }
            }),
        }
    }

    fn bound(&self) -> &Bound {
        self.bound.as_ref().unwrap()
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }
}

fn raw(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn ask(address: SocketAddr, method: &str, path: &str) -> String {
    raw(address, &format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"))
}

#[test]
fn nothing_that_acts_is_reachable_over_tcp() {
    let house = House::start();
    for address in [house.bound().metrics, house.bound().health] {
        for path in ["/", "/metrics", "/live", "/ready", "/status", "/drain", "/reload", "/policy/promote", "/log-level"] {
            for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "DRAIN"] {
                let answer = ask(address, method, path);
                assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET, HEAD"), "{method} {path}: {answer}");
            }
        }
        for path in ["/", "/status", "/drain", "/reload", "/policy/promote", "/log-level"] {
            assert!(ask(address, "GET", path).starts_with("HTTP/1.1 404 "), "{path}");
        }
    }
    assert!(ask(house.bound().health, "GET", "/metrics").starts_with("HTTP/1.1 404 "));
    assert!(ask(house.bound().metrics, "GET", "/ready").starts_with("HTTP/1.1 404 "));
    assert!(house.said().is_empty());
}

#[test]
fn ready_names_what_is_missing() {
    let house = House::start();
    let ready = || client::get_tcp(house.bound().health, "/ready").unwrap();
    assert_eq!(ready(), Answer { status: 200, body: "ready\n".to_owned() });
    house.readiness.pending("policy", "no table yet");
    house.readiness.pending("certificate", "waiting for the first one");
    assert_eq!(ready(), Answer { status: 503, body: "certificate: waiting for the first one\npolicy: no table yet\n".to_owned() });
    assert_eq!(client::get_tcp(house.bound().health, "/live").unwrap(), Answer { status: 200, body: "live\n".to_owned() });
    house.readiness.note("upstream", "no address");
    let told = "certificate: waiting for the first one\npolicy: no table yet\nupstream: no address\n".to_owned();
    assert_eq!(ready(), Answer { status: 503, body: told });
    house.readiness.ready("policy");
    house.readiness.ready("certificate");
    assert_eq!(ready(), Answer { status: 200, body: "ready\nupstream: no address\n".to_owned() });
    house.readiness.unnote("upstream");
    assert_eq!(ready().body, "ready\n");
    assert!(ready().is_success());
    let head = ask(house.bound().health, "HEAD", "/ready");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn metrics_are_served_as_prometheus_text() {
    let house = House::start();
    let answer = ask(house.bound().metrics, "GET", "/metrics");
    assert!(answer.contains("content-type: text/plain; version=0.0.4") && answer.contains("\ncountersign_test_total 3\n"), "{answer}");
}

#[test]
fn the_control_socket_takes_commands() {
    let house = House::start();
    let socket = house.socket();
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(std::fs::read_dir(house.dir.path()).unwrap().count(), 1, "the hidden name is gone");
    assert!(client::get(&socket, "/status").unwrap().body.contains("spiffe://a/b"));
    assert_eq!(client::post(&socket, "/drain", "").unwrap().status, 202);
    assert_eq!(client::post(&socket, "/reload", "").unwrap(), Answer { status: 422, body: "policy.toml:3:1: nonsense".to_owned() });
    assert_eq!(client::put(&socket, "/log-level", "debug\n").unwrap().status, 200);
    assert_eq!(client::put(&socket, "/log-level", "loud").unwrap().status, 422);
    assert_eq!(client::put(&socket, "/log-level", &"x".repeat(5_000)).unwrap().status, 400);
    assert_eq!(house.said(), ["drain", "reload", "debug", "loud"]);
    for path in ["/drain", "/reload", "/log-level"] {
        assert_eq!(client::get(&socket, path).unwrap().status, 405);
    }
    assert_eq!(client::post(&socket, "/status", "").unwrap().status, 405);
    assert_eq!(client::get(&socket, "/metrics").unwrap().status, 404);
}

#[test]
fn an_answer_that_goes_on_is_read_as_it_comes() {
    let house = House::start();
    let mut lines = String::new();
    client::stream(&house.socket(), "/audit/tail").unwrap().ok().unwrap().read_to_string(&mut lines).unwrap();
    assert_eq!(lines.trim_start(), "{\"seq\":1}\n");
    let refused = client::stream(&house.socket(), "/nothing").unwrap().err().unwrap();
    assert_eq!((refused.status, refused.body.as_str()), (404, "not found\n"));
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let mut house = House::start();
    let error = house.bind(house.socket()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse, "{error}");
    assert!(client::get(&house.socket(), "/status").unwrap().is_success());
    house.bound = None;
    assert!(!house.socket().exists());
    drop(std::os::unix::net::UnixListener::bind(house.socket()).unwrap());
    house.bound = Some(house.bind(house.socket()).unwrap());
    assert!(client::get(&house.socket(), "/status").unwrap().is_success());
    let file = house.dir.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    assert_eq!(house.bind(file.clone()).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "precious");
}

#[test]
fn a_missing_directory_costs_only_the_control_socket() {
    let house = House::start();
    let bound = house.bind(house.dir.path().join("none/control.sock")).unwrap();
    assert_eq!(bound.socket, None);
    assert!(client::get_tcp(bound.health, "/live").unwrap().is_success());
    assert!(matches!(client::get(&house.dir.path().join("none/control.sock"), "/status"), Err(ClientError::Connect(..))));
}

#[test]
fn a_taken_port_fails_the_start_and_names_the_key() {
    let house = House::start();
    let _inside = house.runtime.enter();
    let settings = Settings { health: house.bound().health, metrics: house.bound().metrics, socket: house.dir.path().join("none/s") };
    let error = start(&settings, house.handles()).unwrap_err();
    assert!(error.to_string().starts_with("health.listen 127.0.0.1:"), "{error}");
}

#[test]
fn a_listener_on_every_address_takes_ipv4() {
    let house = House::start();
    let _inside = house.runtime.enter();
    let any: SocketAddr = "[::]:0".parse().unwrap();
    let settings = Settings { health: any, metrics: any, socket: house.dir.path().join("none/s") };
    let bound = start(&settings, house.handles()).unwrap();
    assert!(client::get_tcp(bound.health, "/live").unwrap().is_success());
}

#[test]
fn slow_clients_are_cut_and_do_not_stop_others() {
    let house = House::start();
    let address = house.bound().metrics;
    let begin = Instant::now();
    let mut slow: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(address).unwrap()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nx-slow: ").unwrap();
    }
    assert!(client::get_tcp(address, "/metrics").unwrap().is_success());
    assert!(begin.elapsed() < Duration::from_secs(4));
    for mut stream in slow {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut rest = Vec::new();
        // A reset is a cut as well.
        let cut = stream.read_to_end(&mut rest).map_or_else(|error| error.kind() == std::io::ErrorKind::ConnectionReset, |_| true);
        assert!(cut && rest.is_empty());
    }
    assert!(begin.elapsed() < Duration::from_secs(15));
}
