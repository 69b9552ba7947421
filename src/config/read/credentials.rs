//! `[workload]` and `[credentials]`.

use crate::config::keys::{Choice, DnsName, Keys};
use crate::credentials::{Renew, Settings, Source};
use crate::identity::SpiffeId;
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

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Dev,
    File,
}

impl Choice for Kind {
    const NAMES: &'static [(&'static str, Self)] = &[("dev", Self::Dev), ("file", Self::File)];
    const NOT_BUILT: &'static [&'static str] = &["acm-pca"];
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

/// Gives also the directory of the development CA, which trust may point at.
pub(super) fn read(root: &Keys<'_>, id: Option<SpiffeId>, dns_names: Vec<String>) -> (PathBuf, Option<Settings>) {
    let keys = root.table("credentials");
    keys.not_built(&["acm_pca", "cache"]);
    let kind = keys.required("source", "\"dev\" or \"file\"");
    let (dir, validity) = dev(&keys);
    let file = file(&keys, kind == Some(Kind::File));
    let renew = renew(&keys);
    keys.close();
    let source = kind.and_then(|kind| match kind {
        Kind::Dev => Some(Source::Dev { dir: dir.clone(), validity }),
        Kind::File => file.map(|(chain, key)| Source::File { chain, key }),
    });
    let settings = id.zip(source).map(|(id, source)| Settings { id, dns_names, source, renew });
    (dir, settings)
}

fn dev(credentials: &Keys<'_>) -> (PathBuf, Duration) {
    let keys = credentials.table("dev");
    let (dir, validity) = match Source::default() {
        Source::Dev { dir, validity } => (dir, validity),
        Source::File { chain, .. } => (chain, DAY),
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
