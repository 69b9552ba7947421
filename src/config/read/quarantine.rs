//! `[quarantine]`.

use crate::config::keys::{Element, Keys, Wrong};
use crate::identity::pattern::PrincipalPattern;
use crate::policy::quarantine::Settings;
use std::time::Duration;

/// Bounds of `window`.
const LEAST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(86_400);

pub(super) fn read(root: &Keys<'_>) -> Settings {
    let keys = root.table("quarantine");
    let default = Settings::default();
    let never: Vec<Identities> = keys.or("never", Vec::new());
    let settings = Settings {
        never: never.into_iter().map(|identities| identities.0).collect(),
        max: keys.within("max", default.max, 0..=1_000),
        window: keys.within("window", default.window, LEAST..=MOST),
    };
    keys.close();
    settings
}

/// A pattern over SPIFFE ids or over DNS names.
#[derive(PartialEq)]
struct Identities(PrincipalPattern);

impl Element for Identities {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write a SPIFFE id, whose path segments may be *, the last one **, or a DNS name";
        let read = if text.contains("//") { PrincipalPattern::spiffe(text) } else { PrincipalPattern::dns(text) };
        read.map(Self).map_err(|what| Wrong::new(format!("{text:?} {what}"), instead))
    }

    fn show(&self) -> String {
        self.0.as_str().to_owned()
    }
}
