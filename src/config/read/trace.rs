//! `[trace]`.

use crate::config::keys::{Element, Keys, Wrong};
use crate::telemetry::Tracing;
use std::net::SocketAddr;

pub(super) fn read(root: &Keys<'_>) -> Tracing {
    let keys = root.table("trace");
    let otlp = keys.or("otlp", Collector(Tracing::default().otlp)).0;
    keys.close();
    Tracing { otlp }
}

/// `http://` and an address of this machine with a port; empty: none.
#[derive(Debug, Clone, PartialEq)]
struct Collector(Option<SocketAddr>);

impl Element for Collector {
    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        if !cfg!(feature = "otlp") {
            return Err(Wrong::new(format!("is {text:?}, and this build makes no spans"), "build with --features otlp, or leave it out"));
        }
        let instead = "write \"http://127.0.0.1:4318\": spans name who calls whom, and go to a collector on this machine alone";
        let address = text.strip_prefix("http://").map(|rest| rest.trim_end_matches('/')).and_then(|rest| rest.parse::<SocketAddr>().ok());
        match address.filter(|address| address.ip().is_loopback() && address.port() != 0) {
            Some(address) => Ok(Self(Some(address))),
            None => Err(Wrong::new(format!("is {text:?}"), instead)),
        }
    }

    fn show(&self) -> String {
        self.0.map(|address| format!("http://{address}")).unwrap_or_default()
    }
}
