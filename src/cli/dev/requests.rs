//! The four requests that show what a sidecar does.

use super::setup::{Setup, Side};
use std::path::Path;

/// One of them.
#[derive(Debug, Clone)]
pub struct Request {
    /// What it shows.
    pub title: &'static str,
    /// How it goes.
    pub way: Way,
    /// The path that it asks for.
    pub path: &'static str,
    /// How it must end.
    pub expected: Expected,
}

/// How a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Plain, through the caller's own sidecar.
    Sidecar,
    /// To the app's sidecar, with the certificate of this name.
    Certificate(&'static str),
    /// To the app's sidecar, without a certificate.
    Nothing,
}

/// How a request must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The app answers.
    Answered,
    /// 403.
    Forbidden,
    /// There is no answer: the handshake is refused.
    NoHandshake,
}

impl Expected {
    /// How many records it leaves: the two sides of one request leave one each.
    pub fn records(self, way: Way) -> usize {
        if way == Way::Sidecar { 2 } else { 1 }
    }
}

impl Request {
    /// All four.
    pub fn all(setup: &Setup) -> [Self; 4] {
        let (open, closed) = setup.paths();
        [
            Self { title: "allowed: web asks through its own sidecar", way: Way::Sidecar, path: open, expected: Expected::Answered },
            Self { title: "denied by path", way: Way::Certificate("web"), path: closed, expected: Expected::Forbidden },
            Self { title: "denied by identity", way: Way::Certificate("guest"), path: open, expected: Expected::Forbidden },
            Self { title: "no certificate: no handshake, no HTTP", way: Way::Nothing, path: open, expected: Expected::NoHandshake },
        ]
    }

    /// The curl command that does the same.
    pub fn curl(&self, setup: &Setup) -> String {
        let file = |name: String| quoted(&setup.dir.join(name));
        let (inbound, path) = (setup.inbound, self.path);
        let root = file("dev-ca.pem".into());
        match self.way {
            Way::Sidecar => format!("curl -x http://127.0.0.1:{} http://orders{path}", setup.outbound),
            Way::Nothing => format!("curl --cacert {root} https://localhost:{inbound}{path}"),
            Way::Certificate(name) => {
                let (chain, key) = (file(format!("{name}.pem")), file(format!("{name}-key.pem")));
                format!("curl --cacert {root} --cert {chain} --key {key} https://localhost:{inbound}{path}")
            }
        }
    }
}

/// The command that shows a sidecar's state.
pub fn status(setup: &Setup, side: Side) -> String {
    format!("{} status --socket {}", super::show::program(), quoted(&setup.socket(side)))
}

/// A path as a shell reads it; it has no single quotes.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c));
    if plain { path } else { format!("'{path}'") }
}
