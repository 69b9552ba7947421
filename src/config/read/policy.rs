//! `[policy]`.

use crate::config::keys::{Element, Keys, Wrong};
use crate::policy::{Settings, Source};

pub(super) fn read(root: &Keys<'_>) -> Option<Settings> {
    let keys = root.table("policy");
    keys.not_built(&["public_key", "min_sequence", "refresh"]);
    let source = keys.required("file", "\"policy.toml\"");
    let (boundary, candidate) = (keys.optional("boundary"), keys.optional("candidate"));
    for (key, other) in [("boundary", &boundary), ("candidate", &candidate)] {
        if other.is_some() && *other == source {
            keys.problem(key, "is the table of file itself", "name another table, or remove it");
        }
    }
    keys.close();
    Some(Settings { source: source?, boundary, candidate })
}

impl Element for Source {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write a path such as \"policy.toml\", or \"env:NAME\"";
        if text.is_empty() {
            return Err(Wrong::new("is empty", instead));
        }
        if text.starts_with("https:") || text.starts_with("s3:") {
            return Err(Wrong::new(format!("{text:?}: sources elsewhere are not built yet"), instead));
        }
        match text.strip_prefix("env:") {
            None => Ok(Self::File(text.into())),
            Some(name) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => {
                Ok(Self::Env(name.into()))
            }
            Some(_) => Err(Wrong::new(format!("{text:?} names no environment variable"), instead)),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}
