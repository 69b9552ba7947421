//! curl, a client that is not ours.

use super::Setup;
use super::sidecar::blocking;
use countersign::testing::pki::TestCert;
use std::process::Command;

/// What curl got.
#[derive(Debug)]
pub struct Curled {
    /// The status; 0 where there was no response.
    pub status: u16,
    /// The HTTP version, such as `1.1` or `2`.
    pub version: String,
    /// The body.
    pub body: String,
    /// curl's own exit code (`man curl`).
    pub code: i32,
}

/// Runs curl against `url` with a client certificate, if any, and further arguments. The server's certificate is not judged: it has no DNS name.
pub async fn curl(setup: &Setup, cert: Option<&TestCert>, url: &str, arguments: &[&str]) -> Curled {
    let mut command = Command::new("curl");
    command.args(["--silent", "--insecure", "--max-time", "30", "--noproxy", "*", "--write-out", "\n%{http_code} %{http_version}"]);
    if let Some(cert) = cert {
        let (chain, key) = cert.write(setup.dir.path(), &format!("curl-{}", fastrand::u64(..)));
        command.arg("--cert").arg(chain).arg("--key").arg(key);
    }
    command.args(arguments).arg(url);
    let output = blocking(move || command.output().unwrap()).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, facts) = text.rsplit_once('\n').unwrap();
    let (status, version) = facts.split_once(' ').unwrap();
    Curled { status: status.parse().unwrap(), version: version.to_owned(), body: body.to_owned(), code: output.status.code().unwrap() }
}
