//! `[health]`, `[admin]` and `[log]`.

use crate::admin;
use crate::config::keys::{Element, Keys, Wrong};
use crate::telemetry::log;

pub(super) fn read(root: &Keys<'_>) -> admin::Settings {
    let default = admin::Settings::default();
    let keys = root.table("health");
    keys.not_built(&["app_check"]);
    let health = keys.or("listen", default.health);
    keys.close();
    let keys = root.table("admin");
    let metrics = keys.or("listen", default.metrics);
    let socket = keys.or("socket", default.socket);
    keys.close();
    admin::Settings { health, metrics, socket }
}

pub(super) fn log(root: &Keys<'_>) -> log::Settings {
    let keys = root.table("log");
    let default = log::Settings::default();
    let settings = log::Settings { level: keys.or("level", Level(default.level)).0, format: keys.or("format", default.format) };
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
