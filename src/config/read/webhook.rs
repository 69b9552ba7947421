//! `[webhook]`.

use crate::audit::webhook::{Server, Settings};
use crate::config::keys::{Element, Keys, Wrong};

/// Every key with an example of its value.
const KEYS: [(&str, &str); 3] = [
    ("url", "\"https://alerts.prod.example/findings\""),
    ("secret_file", "\"/etc/countersign/webhook-secret\""),
    ("spool_dir", "\"/var/lib/countersign/webhook\""),
];

/// All of them, or none.
pub(super) fn read(root: &Keys<'_>) -> Option<Settings> {
    let keys = root.table("webhook");
    let url: Option<Server> = keys.optional("url");
    let (secret_file, spool_dir) = (keys.optional("secret_file"), keys.optional("spool_dir"));
    if let Some((written, _)) = KEYS.iter().find(|(key, _)| keys.has(key)) {
        for (key, example) in KEYS.iter().filter(|(key, _)| !keys.has(key)) {
            keys.problem(key, format!("is missing, and {written} is written"), format!("write {key} = {example}"));
        }
    }
    keys.close();
    Some(Settings { url: url?, secret_file: secret_file?, spool_dir: spool_dir? })
}

impl Element for Server {
    fn parse(text: &str) -> Result<Self, Wrong> {
        Self::parse(text).map_err(|(what, instead)| Wrong::new(format!("{text:?} {what}"), instead))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}
