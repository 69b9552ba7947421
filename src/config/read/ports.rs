//! `[health]`, `[admin]`, `[log]` and `[metrics]`.

use crate::admin;
use crate::config::keys::{Element, Keys, Wrong};
use crate::telemetry::{emf, log};
use http::uri::PathAndQuery;

/// The ports, and what the app is asked for.
pub(super) fn read(root: &Keys<'_>) -> (admin::Settings, Option<PathAndQuery>) {
    let default = admin::Settings::default();
    let keys = root.table("health");
    let health = keys.or("listen", default.health);
    let app_check = keys.or("app_check", AppCheck(None)).0;
    keys.close();
    let keys = root.table("admin");
    let metrics = keys.or("listen", default.metrics);
    let socket = keys.or("socket", default.socket);
    keys.close();
    (admin::Settings { health, metrics, socket }, app_check)
}

pub(super) fn log(root: &Keys<'_>) -> log::Settings {
    let keys = root.table("log");
    let default = log::Settings::default();
    let settings = log::Settings { level: keys.or("level", Level(default.level)).0, format: keys.or("format", default.format) };
    keys.close();
    settings
}

pub(super) fn metrics(root: &Keys<'_>) -> emf::Settings {
    let keys = root.table("metrics");
    let settings = emf::Settings { emf: keys.or("emf", emf::Settings::default().emf) };
    keys.close();
    settings
}

/// One of [`log::LEVELS`].
#[derive(Debug, Clone, PartialEq)]
struct Level(String);

impl Element for Level {
    fn parse(text: &str) -> Result<Self, Wrong> {
        if log::LEVELS.contains(&text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Wrong::new(format!("is {text:?}"), format!("write one of {}", log::LEVELS.join(", "))))
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// A path and perhaps a query; empty: none.
#[derive(Debug, Clone, PartialEq)]
struct AppCheck(Option<PathAndQuery>);

impl Element for AppCheck {
    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let instead = "write a path, such as \"/healthz\", or \"\" for none";
        if !text.starts_with('/') || text.contains('#') {
            return Err(Wrong::new(format!("is {text:?}"), instead));
        }
        match PathAndQuery::try_from(text) {
            Ok(path) => Ok(Self(Some(path))),
            Err(error) => Err(Wrong::new(format!("is {text:?}: {error}"), instead)),
        }
    }

    fn show(&self) -> String {
        self.0.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}
