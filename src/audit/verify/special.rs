//! What the records say that are about the log itself.

use crate::audit::boot_key::{Certificate, Holder};
use crate::audit::chain::Link;
use crate::audit::lines::SIGNATURE;
use crate::runtime::signer::PublicKey;
use aws_lc_rs::digest::{SHA256, digest};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;
use std::sync::Arc;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The most bytes of an id, a key or a signature that are looked at: bounds what a log of somebody else makes us keep.
const MAX_TEXT: usize = 4_096;

/// The members of one record, of either format.
pub(super) struct Members(Value);

impl Members {
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok().map(Self)
    }

    fn member(&self, name: &str) -> Option<&Value> {
        self.0.get(name).or_else(|| self.0.get("unmapped")?.get(name))
    }

    /// Seconds since 1970, as far as the clock of the sidecar knew: RFC 3339, or in OCSF milliseconds.
    pub(super) fn time(&self) -> Option<f64> {
        match self.member("time")? {
            Value::String(text) => {
                let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
                Some(at.unix_timestamp_nanos() as f64 / 1e9)
            }
            other => other.as_f64().map(|millis| millis / 1e3),
        }
    }

    /// The label of the task.
    pub(super) fn task(&self) -> Option<Arc<str>> {
        text(self.member("labels")?, "task").map(Into::into)
    }
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name)?.as_str().filter(|text| text.len() <= MAX_TEXT)
}

fn link(value: &Value, name: &str) -> Option<Link> {
    Link::parse(text(value, name)?.as_bytes())
}

fn number(value: &Value, name: &str) -> Option<u64> {
    value.get(name)?.as_u64()
}

/// Where a boot found the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Previous {
    pub(super) boot: Arc<str>,
    pub(super) seq: u64,
    pub(super) chain: Link,
}

impl Previous {
    /// `Ok(None)`: the boot found none.
    pub(super) fn of(members: &Members) -> Result<Option<Self>, &'static str> {
        let Some(value) = members.member("previous") else { return Ok(None) };
        let read = || Some(Self { boot: text(value, "boot")?.into(), seq: number(value, "seq")?, chain: link(value, "chain")? });
        read().map(Some).ok_or("previous")
    }
}

/// What a footer says of its file, or a `pruned` record of one that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holds {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) chain: Link,
    /// Of a footer.
    pub(super) count: Option<u64>,
    /// Of a `pruned` record.
    pub(super) boot: Option<Arc<str>>,
}

impl Holds {
    pub(super) fn of_footer(members: &Members) -> Option<Self> {
        let at = |name| members.member(name);
        let chain = Link::parse(at("last_chain")?.as_str()?.as_bytes())?;
        Some(Self { first: at("first_seq")?.as_u64()?, last: at("last_seq")?.as_u64()?, chain, count: at("count")?.as_u64(), boot: None })
    }

    /// `Ok(None)`: nothing could be read in the file that went.
    pub(super) fn of_pruned(members: &Members) -> Result<Option<Self>, &'static str> {
        let value = members.member("pruned").ok_or("pruned")?;
        let Some(boot) = text(value, "boot") else { return Ok(None) };
        let read = || {
            let (first, last) = (number(value, "first_seq")?, number(value, "last_seq")?);
            Some(Self { first, last, chain: link(value, "last_chain")?, count: None, boot: Some(boot.into()) })
        };
        read().map(Some).ok_or("pruned")
    }
}

/// A checkpoint whose signature verifies under its own key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) last: u64,
    pub(super) chain: Link,
    pub(super) previous: Option<String>,
    pub(super) signature: String,
    pub(super) key: PublicKey,
    pub(super) certificate: Option<(Holder, Certificate)>,
}

/// Why something is no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoCheckpoint {
    Malformed,
    Signature,
}

impl Checkpoint {
    /// `hashed` is what the record's chain is over: all of it before that field.
    pub(super) fn read(members: &Members, boot: &str, hashed: &[u8]) -> Result<Self, NoCheckpoint> {
        let (checkpoint, signed) = Self::parse(members, boot, hashed).ok_or(NoCheckpoint::Malformed)?;
        let digest = digest(&SHA256, signed).as_ref().try_into().unwrap_or_default();
        let given = BASE64_STANDARD.decode(&checkpoint.signature).map_err(|_| NoCheckpoint::Signature)?;
        checkpoint.key.verified(&digest, given).map_err(|_| NoCheckpoint::Signature)?;
        Ok(checkpoint)
    }

    fn parse<'l>(members: &Members, boot: &str, hashed: &'l [u8]) -> Option<(Self, &'l [u8])> {
        let at = |name| members.member(name)?.as_str().filter(|text| text.len() <= MAX_TEXT);
        let end = memchr::memmem::rfind(hashed, SIGNATURE)?;
        let (signed, rest) = hashed.split_at_checked(end)?;
        let signature = rest.strip_prefix(SIGNATURE)?.strip_suffix(b"\"")?;
        let key = at("key")?;
        let checkpoint = Self {
            last: members.member("last_seq")?.as_u64()?,
            chain: Link::parse(at("last_chain")?.as_bytes())?,
            previous: at("previous").map(str::to_owned),
            signature: std::str::from_utf8(signature).ok()?.to_owned(),
            key: PublicKey::from_spki(&BASE64_STANDARD.decode(key).ok()?).ok()?,
            certificate: match members.member("certificate") {
                None => None,
                Some(value) => Some(certificate(value, boot, key)?),
            },
        };
        Some((checkpoint, signed))
    }
}

fn certificate(value: &Value, boot: &str, key: &str) -> Option<(Holder, Certificate)> {
    let owned = |name| text(value, name).map(str::to_owned);
    let holder = Holder { boot: boot.to_owned(), workload: owned("workload")?, task: owned("task"), key: key.to_owned() };
    Some((holder, Certificate { time: owned("time")?, signer: owned("signer")?, signature: owned("signature")? }))
}

/// Whether the key vouches for the holder.
pub(super) fn is_certified(by: &PublicKey, holder: &Holder, certificate: &Certificate) -> bool {
    let given = BASE64_STANDARD.decode(&certificate.signature).unwrap_or_default();
    by.verified(&holder.digest(&certificate.time), given).is_ok()
}
