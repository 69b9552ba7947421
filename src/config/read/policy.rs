//! `[policy]`.

use crate::config::keys::{Element, Keys, Wrong};
use crate::policy::{Settings, Source};

pub(super) fn read(root: &Keys<'_>) -> Option<Settings> {
    let keys = root.table("policy");
    keys.not_built(&["boundary", "candidate", "public_key", "min_sequence", "refresh"]);
    let source = keys.required("file", "\"policy.toml\"");
    keys.close();
    Some(Settings { source: source? })
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
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Env(name) => format!("env:{name}"),
        }
    }
}
