//! The client that is not ours: curl.

use super::sidecar::blocking;
use countersign::testing::pki::TestCert;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// curl with a client certificate, in front of one sidecar.
pub struct Curl {
    dir: PathBuf,
    address: SocketAddr,
    cert: Option<(PathBuf, PathBuf)>,
}

/// What curl got.
#[derive(Debug)]
pub struct Got {
    /// The status.
    pub status: u16,
    /// `1.1` or `2`.
    pub version: String,
    /// The header's lines, the status line included.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Got {
    /// Every value of a header field.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

impl Curl {
    /// Writes `cert` into `dir` and uses it towards `address`.
    pub fn new(dir: &Path, address: SocketAddr, cert: Option<&TestCert>) -> Self {
        let cert = cert.map(|cert| cert.write(dir, "curl"));
        Self { dir: dir.to_owned(), address, cert }
    }

    /// Asks for a path of `https://orders.example`, whose port is the sidecar's; panics where there is no answer.
    pub async fn ask(&self, arguments: &[&str], path: &str) -> Got {
        let (code, got) = self.try_ask(arguments, path).await;
        assert_eq!(code, 0, "curl {arguments:?} {path}: {got:?}");
        got
    }

    /// As [`Curl::ask`], with curl's exit code.
    pub async fn try_ask(&self, arguments: &[&str], path: &str) -> (i32, Got) {
        let (head, body) = (self.dir.join("curl.head"), self.dir.join("curl.body"));
        let _ = (std::fs::remove_file(&head), std::fs::remove_file(&body));
        let mut command = Command::new("curl");
        // The server shows a SPIFFE id, which curl cannot judge. Nothing is repaired on the way out.
        command.args(["--silent", "--show-error", "--insecure", "--path-as-is", "--globoff", "--max-time", "30", "--noproxy", "*"]);
        command.arg("--connect-to").arg(format!("::{}", self.address));
        if let Some((chain, key)) = &self.cert {
            command.arg("--cert").arg(chain).arg("--key").arg(key);
        }
        command.arg("--dump-header").arg(&head).arg("--output").arg(&body).args(["--write-out", "%{http_code} %{http_version}"]);
        command.args(arguments).arg(format!("https://orders.example{path}")).current_dir(&self.dir);
        let output = blocking(move || command.output().unwrap_or_else(|error| panic!("these tests need curl: {error}"))).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (status, version) = said.split_once(' ').unwrap_or_default();
        let got = Got {
            status: status.parse().unwrap_or_default(),
            version: version.to_owned(),
            head: std::fs::read_to_string(head).unwrap_or_default() + &String::from_utf8_lossy(&output.stderr),
            body: std::fs::read(body).unwrap_or_default(),
        };
        (output.status.code().unwrap_or(-1), got)
    }
}
