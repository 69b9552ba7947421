//! A directory of its own, in which commands run as a reader runs them, on ports that nobody else has.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest that anything here may take, a busy machine included.
const PATIENCE: Duration = Duration::from_secs(60);

/// The ports of the README, in the order of [`Shell::ports`]; the last two are defaults that are not written there.
const PORTS: [&str; 7] = ["8443", "8080", "15001", "9910", "9911", "9900", "9901"];

/// One page at a time: `dev` takes the usual ports where they are free, and two that look at once find them so.
static TURN: Mutex<()> = Mutex::new(());

pub struct Shell {
    _turn: MutexGuard<'static, ()>,
    dir: TempDir,
    ports: Vec<u16>,
    environment: Vec<(String, String)>,
    children: Vec<Child>,
}

impl Shell {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        symlink(env!("CARGO_BIN_EXE_countersign"), dir.path().join("bin/countersign")).unwrap();
        // All are held until the last is known, so that no two are the same; one that looks like one of the README's would be replaced again.
        let held: Vec<TcpListener> = (0..64).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports = held.iter().map(|listener| listener.local_addr().unwrap().port());
        let ports = ports.filter(|port| !PORTS.iter().any(|written| port.to_string().contains(written))).take(PORTS.len()).collect();
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Self { _turn: turn, dir, ports, environment: Vec::new(), children: Vec::new() }
    }

    pub fn write(&self, name: &str, text: &str) {
        let mut text = self.on_our_ports(text);
        if name == "countersign.toml" {
            // Where the ten lines leave a port at its default, and the default may be taken here.
            let (inbound, health, metrics) = (self.port("8443"), self.port("9900"), self.port("9901"));
            text.push_str(&format!(
                "listen = '[::]:{inbound}'\n[health]\nlisten = '127.0.0.1:{health}'\n[admin]\nlisten = '127.0.0.1:{metrics}'\n"
            ));
        }
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    pub fn has(&self, name: &str) -> bool {
        self.dir.path().join(name).exists()
    }

    /// Runs a command that must succeed.
    pub fn must(&self, command: &str) {
        let output = self.run(command);
        assert!(output.status.success(), "{command}\n{}", text(&output));
    }

    /// Runs a command until it succeeds.
    pub fn eventually(&self, command: &str) {
        until(command, || self.run(command).status.success());
    }

    /// Starts a command, and waits until it serves.
    pub fn start(&mut self, command: &str) {
        let log = File::create(self.dir.path().join("background.log")).unwrap();
        let child = self.command(&format!("exec {command}")).stdin(Stdio::null()).stderr(log).spawn().unwrap();
        self.children.push(child);
        let config = command.split_once("--config ").map_or("countersign.toml", |(_, rest)| rest.split(' ').next().unwrap());
        until(&format!("{command} serves"), || {
            if let Some(status) = self.children.last_mut().unwrap().try_wait().unwrap() {
                let log = std::fs::read_to_string(self.dir.path().join("background.log")).unwrap();
                panic!("{command}: ended with {status}\n{log}");
            }
            match command.split(' ').nth(1).filter(|_| command.starts_with("countersign ")) {
                Some("run") => self.run(&format!("countersign health --ready --config {config}")).status.success(),
                // Its configuration says which ports it found.
                Some("dev") => self.run("countersign health --ready --config certs-dev/dev-inbound.toml").status.success(),
                _ => TcpStream::connect(("127.0.0.1", self.port("8080"))).is_ok(),
            }
        });
        if command.starts_with("countersign dev") {
            let text = std::fs::read_to_string(self.dir.path().join("certs-dev/dev-inbound.toml")).unwrap();
            let listen = text.lines().find_map(|line| line.strip_prefix("listen = '[::]:"));
            self.ports[0] = listen.and_then(|rest| rest.trim_end_matches('\'').parse().ok()).unwrap();
        }
    }

    /// Runs a command and compares what it prints: `…` stands for anything within a line, alone for the rest.
    pub fn compare(&mut self, command: &str, expected: &[String]) {
        if let Some(variables) = command.strip_prefix("export ") {
            let variables = self.on_our_ports(variables);
            self.environment.extend(variables.split(' ').filter_map(|pair| pair.split_once('=')).map(|(n, v)| (n.into(), v.into())));
            return;
        }
        let output = self.run(command);
        let said = text(&output);
        let (said_lines, expected): (Vec<_>, Vec<_>) =
            (said.lines().collect(), expected.iter().map(|line| self.on_our_ports(line)).collect());
        for (index, expected) in expected.iter().enumerate() {
            if expected == "…" {
                return;
            }
            let matching = said_lines.get(index).is_some_and(|line| matches(&any_port(line), &any_port(expected)));
            assert!(matching, "{command}\nline {}, expected: {expected}\n{said}", index + 1);
        }
        assert_eq!(said_lines.len(), expected.len(), "{command}\n{said}");
    }

    /// Waits until the file holds these lines, each another one, in any order: denials come through a ring of their own, which the log's writer
    /// empties first.
    pub fn wait_for_records(&self, name: &str, lines: &[String]) {
        until(&format!("{name} holds its records"), || {
            let text = std::fs::read_to_string(self.dir.path().join(name)).unwrap();
            let mut left: Vec<_> = text.lines().collect();
            lines.iter().all(|expected| left.iter().position(|line| matches(line, expected)).map(|at| left.remove(at)).is_some())
        });
    }

    fn run(&self, command: &str) -> Output {
        let mut bounded = Command::new("timeout");
        bounded.arg(PATIENCE.as_secs().to_string());
        self.command_of(bounded, command).output().unwrap()
    }

    fn command(&self, command: &str) -> Command {
        self.command_of(Command::new("env"), command)
    }

    /// The command behind a program that runs its arguments.
    fn command_of(&self, mut shell: Command, command: &str) -> Command {
        let command = command.replace("cargo run --release -- ", "countersign ");
        let path = format!("{}:{}", self.dir.path().join("bin").display(), std::env::var("PATH").unwrap());
        shell
            .args(["sh", "-c"])
            .arg(self.on_our_ports(&command))
            .current_dir(self.dir.path())
            .env("PATH", path)
            .env("HOME", self.dir.path());
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            shell.env_remove(name);
        }
        shell.envs(self.environment.iter().cloned());
        shell
    }

    fn port(&self, written: &str) -> u16 {
        self.ports[PORTS.iter().position(|port| *port == written).unwrap()]
    }

    fn on_our_ports(&self, text: &str) -> String {
        // `dev` finds free ports itself.
        PORTS.iter().fold(text.to_owned(), |text, port| text.replace(port, &self.port(port).to_string()))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// `…` in `expected` stands for anything.
fn matches(line: &str, expected: &str) -> bool {
    let mut pieces = expected.split('…');
    let Some(mut rest) = pieces.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let mut last = None;
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
        last = Some(piece);
    }
    rest.is_empty() || last == Some("")
}

/// The text with every `:<port>` made the same.
fn any_port(text: &str) -> String {
    let mut pieces = text.split(':');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        out.push(':');
        out.push_str(if digits >= 4 { &piece[digits..] } else { piece });
    }
    out
}

#[expect(clippy::disallowed_methods, reason = "between two looks at what sends no event")]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "not within {} s: {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ellipses_stand_for_anything() {
    for (line, expected) in [("abc", "abc"), ("abc", "a…c"), ("abc", "…"), ("abc", "ab…"), ("abc", "…bc"), ("aXbXc", "a…b…c")] {
        assert!(matches(line, expected), "{line} {expected}");
    }
    for (line, expected) in [("abc", "ab"), ("abc", "b…"), ("abc", "…b"), ("abc", "a…d")] {
        assert!(!matches(line, expected), "{line} {expected}");
    }
    assert_eq!(any_port("[::]:8443 at 12:34:56"), "[::]: at 12:34:56");
}
