//! Which other proxies are here, and how each is run: its own configuration (benches/peers) with addresses and paths filled in.

use crate::measure::program::free_address;
use crate::measure::setting::CLIENT;
use crate::measure::{Program, certificates};
use anyhow::Context as _;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whose configuration a program takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Envoy,
    Haproxy,
    Nginx,
}

/// A program that is here.
#[derive(Debug)]
pub struct Peer {
    kind: Kind,
    /// The program, behind a loader of its own where it has one.
    words: Vec<OsString>,
    /// Its name, its version, and that of its TLS library.
    pub name: String,
    /// The same without blanks, for files.
    pub id: String,
}

/// The programs under `dir`, as the scripts in benches/peers leave them there, and those of the search path.
///
/// # Errors
/// The directory cannot be read.
pub fn find(dir: &Path) -> anyhow::Result<Vec<Peer>> {
    let mut roots: Vec<PathBuf> = match dir.is_dir() {
        true => fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?,
        false => Vec::new(),
    };
    roots.sort();
    let mut peers: Vec<Peer> = Vec::new();
    for (kind, file) in [(Kind::Haproxy, "haproxy"), (Kind::Nginx, "nginx"), (Kind::Envoy, "envoy")] {
        let unpacked = roots.iter().flat_map(|root| [root.join("usr/sbin").join(file), root.join(file)]);
        let installed = std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
        for program in unpacked.chain(installed.map(|directory| directory.join(file))).filter(|program| program.is_file()) {
            match Peer::new(kind, &program) {
                Some(peer) if peers.iter().any(|other| other.name == peer.name) => {}
                Some(peer) => peers.push(peer),
                None => eprintln!("{}: left out, it does not say its version", program.display()),
            }
        }
    }
    Ok(peers)
}

impl Peer {
    fn new(kind: Kind, program: &Path) -> Option<Self> {
        let words = words(program);
        let name = version(kind, &words)?;
        let id = name.chars().map(|character| if character.is_alphanumeric() || character == '.' { character } else { '-' }).collect();
        Some(Self { kind, words, name, id })
    }

    /// Its version.
    fn numbers(&self) -> Vec<u32> {
        let version = self.name.split([' ', ',']).nth(1).unwrap_or_default();
        version.split('.').map_while(|number| number.parse().ok()).collect()
    }

    /// Writes its configuration into a directory of its own below `dir`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn configure(&self, app: SocketAddr, ca: &Path, dir: &Path) -> anyhow::Result<Program> {
        let (address, dir) = (free_address()?, dir.join(&self.id));
        fs::create_dir_all(&dir)?;
        certificates::write(ca, &dir)?;
        // Development certificates carry the last part of the SPIFFE id as their common name, which is all that HAProxy and nginx can compare.
        let caller = CLIENT.rsplit('/').next().unwrap_or_default();
        fs::write(dir.join("allowed.lst"), format!("{caller}\n"))?;
        let (template, file) = match self.kind {
            Kind::Envoy => (include_str!("../peers/envoy.yaml"), "envoy.yaml"),
            Kind::Haproxy => (include_str!("../peers/haproxy.cfg"), "haproxy.cfg"),
            Kind::Nginx => (include_str!("../peers/nginx.conf"), "nginx.conf"),
        };
        let here = dir.display().to_string();
        // A directive of its own since nginx 1.25.1.
        let (listen_http2, http2) = if self.numbers() < vec![1, 25, 1] { (" http2", "") } else { ("", "http2 on;") };
        let text = template
            .replace("@LISTEN@", &address.to_string())
            .replace("@HOST@", &address.ip().to_string())
            .replace("@PORT@", &address.port().to_string())
            .replace("@APP@", &app.to_string())
            .replace("@APP_HOST@", &app.ip().to_string())
            .replace("@APP_PORT@", &app.port().to_string())
            .replace("@DIR@", &here)
            .replace("@CALLER@", caller)
            .replace("@CALLER_ID@", CLIENT)
            .replace("@LISTEN_HTTP2@", listen_http2)
            .replace("@HTTP2@", http2);
        let configuration = dir.join(file);
        fs::write(&configuration, text)?;
        let mut words = self.words.clone();
        let configuration = configuration.into_os_string();
        match self.kind {
            Kind::Envoy => {
                words.extend(["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning", "-c"].map(OsString::from));
                words.push(configuration);
            }
            Kind::Haproxy => words.extend(["-db".into(), "-f".into(), configuration]),
            Kind::Nginx => words.extend(["-p".into(), here.into(), "-e".into(), "stderr".into(), "-c".into(), configuration]),
        }
        Ok(Program { name: self.name.clone(), words, address, dir, decides: true })
    }
}

/// The program itself, or with the loader and the libraries that were unpacked with it.
fn words(program: &Path) -> Vec<OsString> {
    let root = program.parent().filter(|parent| parent.ends_with("usr/sbin")).and_then(|sbin| sbin.ancestors().nth(2));
    let found = root.filter(|root| *root != Path::new("/")).and_then(|root| {
        let machine = format!("{}-linux-gnu", std::env::consts::ARCH);
        let libraries = [root.join("usr/lib").join(&machine), root.join("lib").join(&machine)];
        let loader = libraries.iter().flat_map(|lib| [lib.join("ld-linux-x86-64.so.2"), lib.join("ld-linux-aarch64.so.1")]);
        let loader = loader.into_iter().find(|loader| loader.is_file())?;
        let path = std::env::join_paths(&libraries).ok()?;
        Some(vec![loader.into_os_string(), "--library-path".into(), path, program.into()])
    });
    found.unwrap_or_else(|| vec![program.into()])
}

/// `HAProxy 3.2.26, OpenSSL 3.6.5` and the like, from what the program says of itself.
fn version(kind: Kind, words: &[OsString]) -> Option<String> {
    let (program, arguments) = words.split_first()?;
    let flag = match kind {
        Kind::Envoy => "--version",
        Kind::Haproxy => "-vv",
        Kind::Nginx => "-V",
    };
    let output = Command::new(program).args(arguments).arg(flag).output().ok()?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let after = |what: &str| text.lines().find_map(|line| line.split_once(what)).map(|(_, rest)| rest.trim().to_owned());
    let words_of = |text: String, count: usize| text.split(' ').take(count).collect::<Vec<_>>().join(" ");
    match kind {
        // `version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`
        Kind::Envoy => {
            let text = after("version: ")?;
            let parts: Vec<&str> = text.split('/').collect();
            Some(format!("Envoy {}, {}", parts.get(1)?, parts.last()?))
        }
        Kind::Haproxy => {
            // `Running on OpenSSL version : AWS-LC 5.12.0`, `Running on SSL library version : OpenSSL 3.6.5 29 Sep 2026`
            let line = text.lines().find(|line| line.starts_with("Running on") && line.contains("SSL"))?;
            let tls = words_of(line.rsplit_once(" : ")?.1.to_owned(), 2);
            Some(format!("HAProxy {}, {tls}", words_of(after("HAProxy version ")?, 1)))
        }
        Kind::Nginx => {
            let tls = after("running with ").or_else(|| after("built with "))?;
            Some(format!("nginx {}, {}", after("nginx version: nginx/")?, words_of(tls, 2)))
        }
    }
}

/// Where the scripts in benches/peers put what they get.
pub fn directory() -> anyhow::Result<PathBuf> {
    let given = std::env::var_os("PEERS_DIR").map(PathBuf::from);
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers");
    std::path::absolute(given.unwrap_or_else(default)).context("PEERS_DIR")
}
