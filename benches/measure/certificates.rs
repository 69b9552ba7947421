//! The files of a server that is no sidecar: the development CA issues them as it does ours.

use super::setting::SERVER;
use base64::Engine as _;
use countersign::credentials::dev::{DevCa, Request};
use countersign::identity::SpiffeId;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Writes `root.pem`, `server.pem`, `server.key`, and `both.pem` for those who want chain and key in one file.
///
/// # Errors
/// The CA does not issue, a file cannot be written.
pub fn write(ca: &Path, dir: &Path) -> anyhow::Result<()> {
    let ca = DevCa::open(ca)?;
    let id = SpiffeId::parse(SERVER).map_err(|error| anyhow::anyhow!("{SERVER}: {error}"))?;
    let request = Request { id, dns_names: vec!["localhost".into()], validity: Duration::from_secs(86_400) };
    let (chain, key) = ca.issue(&request, SystemTime::now())?;
    let chain: String = chain.iter().map(|certificate| pem("CERTIFICATE", certificate)).collect();
    let key = pem("PRIVATE KEY", key.secret_der());
    fs::write(dir.join("root.pem"), pem("CERTIFICATE", ca.root()))?;
    fs::write(dir.join("both.pem"), format!("{chain}{key}"))?;
    fs::write(dir.join("server.pem"), chain)?;
    Ok(fs::write(dir.join("server.key"), key)?)
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut lines = format!("-----BEGIN {label}-----\n");
    for (at, character) in text.char_indices() {
        lines.push(character);
        if at % 64 == 63 {
            lines.push('\n');
        }
    }
    format!("{}\n-----END {label}-----\n", lines.trim_end())
}
