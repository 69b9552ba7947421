//! `[webhook]`.

use crate::audit::webhook::Settings;
use crate::config::keys::{Element, Keys, Wrong};
use crate::fetch::Url;

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
    Some(Settings { url: url?.0, secret_file: secret_file?, spool_dir: spool_dir? })
}

/// A URL that findings may be sent to.
struct Server(Url);

impl Element for Server {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write a URL such as \"https://alerts.prod.example/findings\"";
        let url = Url::parse(text).map_err(|what| Wrong::new(format!("{text:?} {what}"), instead))?;
        if url.is_private() {
            return Ok(Self(url));
        }
        let what = format!("{text:?} is http to another machine, and a finding is nobody else's business");
        Err(Wrong::new(what, "write https, or the loopback address of a forwarder, such as \"http://127.0.0.1:9000/\""))
    }

    /// Without the query, which may hold a token.
    fn show(&self) -> String {
        self.0.to_string()
    }
}
