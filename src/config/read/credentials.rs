//! `[workload]` and `[credentials]`.

use crate::config::keys::{Choice, DnsName, Keys};
use crate::credentials::{AcmPca, Ceilings, Renew, SealingKey, Settings, SigningAlgorithm, Source, Template};
use crate::identity::SpiffeId;
use crate::runtime::key_arn::KeyArn;
use crate::trust::Authority;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// `[workload]`.
pub(super) struct Workload {
    pub(super) id: Option<SpiffeId>,
    pub(super) dns_names: Vec<String>,
    pub(super) labels: BTreeMap<String, String>,
}

/// Where a certificate, or the roots of a trust domain, come from.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Dev,
    File,
    #[cfg(feature = "aws")]
    AcmPca,
}

#[cfg(feature = "aws")]
impl Choice for Kind {
    const NAMES: &'static [(&'static str, Self)] = &[("dev", Self::Dev), ("file", Self::File), ("acm-pca", Self::AcmPca)];
}

#[cfg(not(feature = "aws"))]
impl Choice for Kind {
    const NAMES: &'static [(&'static str, Self)] = &[("dev", Self::Dev), ("file", Self::File)];
    const LEFT_OUT: &'static [&'static str] = &["acm-pca"];
}

impl Kind {
    /// The names, as TOML writes them.
    fn examples() -> String {
        Self::NAMES.iter().map(|(name, _)| format!("{name:?}")).collect::<Vec<_>>().join(" or ")
    }

    /// Whether it is a private CA of AWS.
    pub(super) fn asks_authority(self) -> bool {
        !matches!(self, Self::Dev | Self::File)
    }
}

pub(super) fn workload(root: &Keys<'_>) -> Workload {
    let keys = root.table("workload");
    let workload = Workload {
        id: keys.required("id", "\"spiffe://prod.example/ns/shop/sa/orders\""),
        dns_names: keys.or("dns_names", Vec::<DnsName>::new()).into_iter().map(|name| name.0).collect(),
        labels: keys.map("labels"),
    };
    keys.close();
    workload
}

/// What trust may point at.
pub(super) struct Issuers {
    /// The directory of the development CA.
    pub(super) dev_dir: PathBuf,
    /// The private CA of AWS.
    pub(super) authority: Option<Authority>,
}

/// Gives also who issues, whom trust may point at.
pub(super) fn read(root: &Keys<'_>, id: Option<SpiffeId>, dns_names: Vec<String>) -> (Issuers, Option<Settings>) {
    let keys = root.table("credentials");
    let kind = keys.required("source", &Kind::examples());
    let (dev_dir, validity) = dev(&keys);
    let file = file(&keys, kind == Some(Kind::File));
    let (cache, sealing_key) = cache(&keys);
    let pca = acm_pca(&keys, kind.is_some_and(Kind::asks_authority));
    let pca = pca.map(|pca| AcmPca { cache, sealing_key, ..pca });
    let renew = renew(&keys);
    keys.close();
    let issuers = Issuers { dev_dir: dev_dir.clone(), authority: pca.as_ref().map(|pca| pca.authority.clone()) };
    let source = kind.and_then(|kind| match kind {
        Kind::Dev => Some(Source::Dev { dir: dev_dir, validity }),
        Kind::File => file.map(|(chain, key)| Source::File { chain, key }),
        #[cfg(feature = "aws")]
        Kind::AcmPca => pca.map(Source::AcmPca),
    });
    let settings = id.zip(source).map(|(id, source)| Settings { id, dns_names, source, renew });
    (issuers, settings)
}

fn dev(credentials: &Keys<'_>) -> (PathBuf, Duration) {
    let keys = credentials.table("dev");
    let (dir, validity) = match Source::default() {
        Source::Dev { dir, validity } => (dir, validity),
        // The default is the development CA.
        _ => (PathBuf::new(), DAY),
    };
    let values = (keys.or("dir", dir), keys.within("validity", validity, Duration::from_secs(2)..=30 * DAY));
    keys.close();
    values
}

fn file(credentials: &Keys<'_>, needed: bool) -> Option<(PathBuf, PathBuf)> {
    let keys = credentials.table("file");
    let chain = keys.optional("chain");
    let key = keys.optional("key");
    for name in ["chain", "key"] {
        if needed && !keys.has(name) {
            keys.problem(name, "is missing, and credentials.source is \"file\"", format!("write {name} = \"/path/to/{name}.pem\""));
        }
    }
    keys.close();
    chain.zip(key)
}

/// The directory, and the key that seals what is kept there.
fn cache(credentials: &Keys<'_>) -> (Option<PathBuf>, Option<SealingKey>) {
    let keys = credentials.table("cache");
    let (dir, file, kms): (_, Option<PathBuf>, Option<KeyArn>) =
        (keys.optional("dir"), keys.optional("sealing_key_file"), keys.optional("kms_key"));
    for name in ["sealing_key_file", "kms_key"] {
        if keys.has(name) && !keys.has("dir") {
            keys.problem(name, "is of no use without dir", "write dir = \"/var/cache/countersign\", or leave it out");
        }
    }
    if keys.has("sealing_key_file") && keys.has("kms_key") {
        keys.problem("kms_key", "and sealing_key_file both seal", "write one of them");
    }
    #[cfg(not(feature = "aws"))]
    if keys.has("kms_key") {
        keys.problem("kms_key", "is left out of this build, which is one without the feature `aws`", "write sealing_key_file instead");
    }
    keys.close();
    (dir, sealing_key(file, kms))
}

#[cfg(feature = "aws")]
fn sealing_key(file: Option<PathBuf>, kms: Option<KeyArn>) -> Option<SealingKey> {
    file.map(SealingKey::File).or(kms.map(SealingKey::Kms))
}

#[cfg(not(feature = "aws"))]
fn sealing_key(file: Option<PathBuf>, _: Option<KeyArn>) -> Option<SealingKey> {
    file.map(SealingKey::File)
}

fn acm_pca(credentials: &Keys<'_>, needed: bool) -> Option<AcmPca> {
    let keys = credentials.table("acm_pca");
    let authority: Option<Authority> = keys.optional("authority");
    if needed && !keys.has("authority") {
        let instead = "write authority = \"arn:aws:acm-pca:<region>:<account>:certificate-authority/<id>\"";
        keys.problem("authority", "is missing, and credentials.source is \"acm-pca\"", instead);
    }
    let template = keys.or("template", Template::default());
    let validity = keys.within("validity", DAY, Duration::from_secs(2)..=365 * DAY);
    let signing_algorithm = keys.or("signing_algorithm", SigningAlgorithm::default());
    let ceilings = ceilings(&keys);
    let price = keys.within("price_per_certificate", 0.058, 0.0..=1_000.0);
    let start_spread = keys.within("start_spread", Duration::from_secs(2), Duration::ZERO..=DAY / 12);
    keys.close();
    authority.map(|authority| AcmPca {
        authority,
        template,
        validity,
        signing_algorithm,
        ceilings,
        price,
        start_spread,
        cache: None,
        sealing_key: None,
    })
}

fn ceilings(keys: &Keys<'_>) -> Ceilings {
    let default = Ceilings::default();
    Ceilings {
        per_hour: keys.within(Ceilings::PER_HOUR, default.per_hour, 1..=20_000),
        per_day: keys.within(Ceilings::PER_DAY, default.per_day, 1..=200_000),
    }
}

fn renew(credentials: &Keys<'_>) -> Renew {
    let keys = credentials.table("renew");
    let default = Renew::default();
    let renew = Renew {
        after: keys.within("after", default.after, 0.1..=0.9),
        jitter: keys.within("jitter", default.jitter, 0.0..=0.5),
        readiness_lead: keys.or("readiness_lead", default.readiness_lead),
    };
    if renew.after + renew.jitter >= 1.0 {
        let key = if keys.has("after") { "after" } else { "jitter" };
        keys.problem(key, "lets a certificate end before it is renewed", "write after and jitter so that they add up to less than 1.0");
    }
    keys.close();
    renew
}
