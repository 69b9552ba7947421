//! `[policy]`.

use crate::config::keys::{Element, Keys, Wrong};
use crate::policy::{Accepted, Settings, Signed, Source};
use crate::runtime::signer::PublicKey;
use std::time::Duration;

/// From one question to a source elsewhere to the next: an order that everybody waits for is a minute away, and a thousand sidecars ask 17 times a second.
const REFRESH: Duration = Duration::from_secs(60);
const LEAST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(24 * 3_600);

pub(super) fn read(root: &Keys<'_>) -> Option<Settings> {
    let keys = root.table("policy");
    let source: Option<Source> = keys.required("file", "\"policy.toml\"");
    let (boundary, candidate): (Option<Source>, Option<Source>) = (keys.optional("boundary"), keys.optional("candidate"));
    for (key, source) in [("file", &source), ("boundary", &boundary), ("candidate", &candidate)] {
        if matches!(source, Some(Source::Remote(_))) && !keys.has("public_key") {
            keys.problem(key, "is elsewhere, and a plain table is not taken from there", "write public_key, and put a signed bundle there");
        }
    }
    for (key, other) in [("boundary", &boundary), ("candidate", &candidate)] {
        if other.is_some() && *other == source {
            keys.problem(key, "is the table of file itself", "name another table, or remove it");
        }
    }
    let signed = signed(&keys, boundary.is_some());
    let refresh = keys.within("refresh", REFRESH, LEAST..=MOST);
    keys.close();
    Some(Settings { source: source?, boundary, candidate, signed, refresh })
}

fn signed(keys: &Keys<'_>, has_boundary: bool) -> Option<Signed> {
    let public_key: Option<PublicKey> = keys.optional("public_key");
    let part = |name: &'static str, sequence: &'static str, has_part: bool| {
        let accepted = Accepted { name: keys.optional(name).map(|Name(name)| name), min_sequence: keys.or(sequence, 0) };
        for (key, is_said) in [(name, accepted.name.is_some()), (sequence, accepted.min_sequence > 0)] {
            if is_said && !keys.has("public_key") {
                keys.problem(key, "is about signed bundles, and nothing says whose signature counts", "write public_key, or leave it out");
            } else if is_said && !has_part {
                keys.problem(key, "is of no use without a boundary", "write boundary, or leave it out");
            }
        }
        accepted
    };
    let own = part("name", "min_sequence", true);
    let boundary = part("boundary_name", "boundary_min_sequence", has_boundary);
    if boundary.name.is_some() && boundary.name == own.name {
        keys.problem("boundary_name", "is the name of the table that it caps", "give the two tables two names");
    }
    Some(Signed { public_key: public_key?, own, boundary })
}

/// The name of a table.
struct Name(String);

impl Element for Name {
    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.is_empty() {
            Err(Wrong::new("is empty", "write the name of the table, or leave the key out"))
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

impl Element for PublicKey {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write the key itself, -----BEGIN PUBLIC KEY----- and so on, as `openssl pkey -pubout` prints it";
        // A key in DER is no text.
        Self::from_file(text.as_bytes()).map_err(|_| Wrong::new("holds no public key of P-256 in PEM", instead))
    }

    fn show(&self) -> String {
        format!("sha256:{}", self.fingerprint())
    }
}

impl Element for Source {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write a path such as \"policy.toml\", \"env:NAME\", \"https://…\", or \"s3://bucket/key\"";
        Self::parse(text).map_err(|what| Wrong::new(if text.is_empty() { what.to_owned() } else { format!("{text:?} {what}") }, instead))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}
