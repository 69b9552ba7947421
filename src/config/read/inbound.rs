//! `[inbound]`.

use crate::config::keys::{Element, Keys, Wrong};
use crate::proxy::{App, Inbound};
use crate::request::Strictness;
use crate::runtime::exposure::PrivateApp;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

pub(super) fn read(root: &Keys<'_>) -> Option<Inbound> {
    let keys = root.table_if_present("inbound")?;
    keys.not_built(&["proxy_protocol", "proxy_from"]);
    let default = Inbound::default();
    let listen = keys.or("listen", default.listen);
    let app = keys.or("app", default.app);
    let required = keys.or("require_private_app", default.private_app == PrivateApp::Required);
    let inbound = Inbound {
        listen,
        app,
        app_protocol: keys.or("app_protocol", default.app_protocol),
        strictness: Strictness {
            path_params: keys.or("path_params", default.strictness.path_params),
            escapes: keys.or("escapes", default.strictness.escapes),
            ..default.strictness
        },
        identity_headers: keys.or("identity_headers", default.identity_headers),
        reserved_headers: keys.or("reserved_headers", default.reserved_headers),
        forwarded_headers: keys.or("forwarded_headers", default.forwarded_headers),
        private_app: if required { PrivateApp::Required } else { PrivateApp::Reported },
        // Read with [health], where it stands.
        app_check: None,
    };
    keys.close();
    Some(inbound)
}

impl Element for App {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write \"http://127.0.0.1:8080\" or \"unix:/run/app.sock\"";
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path))
            } else {
                Err(Wrong::new(format!("{text:?} has no absolute path"), instead))
            };
        }
        let Some(authority) = text.strip_prefix("http://") else {
            let what = if text.starts_with("https://") {
                "asks for TLS, which the app beside us does not need"
            } else {
                "is no address of an app"
            };
            return Err(Wrong::new(format!("{text:?} {what}"), instead));
        };
        let local = authority.strip_prefix("localhost:").and_then(|port| port.parse().ok());
        let address = match local {
            Some(port) => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
            None => authority.parse().ok(),
        };
        match address {
            Some(address) if address.port() == 0 => {
                Err(Wrong::new(format!("{text:?} has port 0"), "write the port that the app listens on"))
            }
            Some(address) if address.ip().is_unspecified() => Err(Wrong::new(format!("{text:?} is no address to connect to"), instead)),
            Some(address) => Ok(Self::Tcp(address)),
            None => Err(Wrong::new(format!("{text:?} is no IP address and port without a path"), instead)),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Tcp(address) => format!("http://{address}"),
            Self::Unix(path) => format!("unix:{}", path.display()),
        }
    }
}
