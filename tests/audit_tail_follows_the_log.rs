//! `countersign audit tail` shows records as they are written: of files through rotation, and over the control socket where the log is on standard output.

use crate::support::{ALICE, App, BOB, Peer, Setup, client};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longer than a tail that works needs, on any machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A tail that runs; ended with the test.
struct Tail {
    child: Child,
    lines: Receiver<String>,
}

impl Tail {
    fn start(arguments: &[&str], dir: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["audit", "tail"]).args(arguments).current_dir(dir);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        Self { child, lines }
    }

    /// Waits for a line with this in it; gives those before.
    fn line(&self, what: &str) -> (String, Vec<String>) {
        let mut before = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(what) => return (line, before),
                Ok(line) => before.push(line),
                Err(_) => panic!("no line with {what}: {before:#?}"),
            }
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_followed_from_file_to_file() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let mut alice = Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await;
    let mut bob = Peer::http1(sidecar.inbound(), &setup.cert(BOB)).await;
    assert_eq!(bob.send(client::get("/before")).await.unwrap().status, 403);
    sidecar.record("the denial", |record| record["http"]["path"] == "/before").await;
    let directory = setup.path("decisions");
    let tail = Tail::start(&["--filter", "decision=deny", directory.to_str().unwrap()], setup.dir.path());
    let (line, before) = tail.line("/before");
    assert!(line.contains("deny    inbound") && line.ends_with("implicit_deny: no rule allows it"), "{line}");
    assert_eq!(before, Vec::<String>::new());

    assert_eq!(alice.send(client::get("/allowed")).await.unwrap().status, 200);
    assert_eq!(bob.send(client::get("/live")).await.unwrap().status, 403);
    assert_eq!(tail.line("/live").1, Vec::<String>::new());

    // What the writer does at a rotation, by hand: the next file begins, and the first one is compressed.
    let denial = |path: &str| format!("{{\"kind\":\"decision\",\"decision\":\"deny\",\"http\":{{\"path\":\"{path}\"}}}}\n");
    let packed = directory.join(".half");
    std::fs::write(&packed, zstd::encode_all(denial("/second").as_bytes(), 3).unwrap()).unwrap();
    std::fs::rename(&packed, directory.join("decisions-99990101T000000Z-ffffffff-000001.ndjson.zst")).unwrap();
    std::fs::write(directory.join("decisions-99990101T000001Z-ffffffff-000002.ndjson"), denial("/third")).unwrap();
    tail.line("/second");
    tail.line("/third");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_on_standard_output_is_followed_over_the_control_socket() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.unset("audit").set("audit.sink", "'stdout'");
    let config = setup.write_config();
    let sidecar = setup.start(&app).await;
    let mut bob = Peer::http1(sidecar.inbound(), &setup.cert(BOB)).await;
    let arguments = ["--config", config.to_str().unwrap(), "--filter", "src.id~spiffe://*/bob", "--json"];
    let tails: Vec<Tail> = (0..4).map(|_| Tail::start(&arguments, setup.dir.path())).collect();
    // Whether all of them listen already is not to be seen, so the denials go on until each has shown one.
    let mut seen = vec![false; tails.len()];
    while seen.contains(&false) {
        assert_eq!(bob.send(client::get("/denied")).await.unwrap().status, 403);
        for (seen, tail) in seen.iter_mut().zip(&tails) {
            if let Ok(line) = tail.lines.recv_timeout(Duration::from_millis(50)) {
                assert!(line.starts_with('{') && line.contains("\"path\":\"/denied\""), "{line}");
                *seen = true;
            }
        }
    }
    let (code, said) = crate::support::sidecar::run(&[&["audit", "tail"], &arguments[..]].concat(), setup.dir.path()).await;
    assert!(code == 2 && said.contains("as many look at the decision log as may at once"), "{said}");
}
