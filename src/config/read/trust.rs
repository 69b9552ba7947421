//! `[[trust]]`.

use super::credentials::{Issuers, Kind};
use crate::config::keys::{DnsPattern, Element as _, Keys};
use crate::identity::TrustDomain;
use crate::trust::{Authority, CrlMode, CrlSource, Settings, Source};
use std::path::PathBuf;

pub(super) fn read(root: &Keys<'_>, issuers: &Issuers) -> Vec<Option<Settings>> {
    let tables = root.tables("trust");
    if !root.has("trust") {
        root.problem("trust", "is missing", "add [[trust]] with the trust domain of [workload] id");
    }
    tables.into_iter().map(|keys| entry(keys, issuers)).collect()
}

fn entry(keys: Keys<'_>, issuers: &Issuers) -> Option<Settings> {
    let domain: Option<TrustDomain> = keys.required("domain", "\"prod.example\"");
    let kind = keys.or("source", Kind::Dev);
    let file: Option<PathBuf> = keys.optional("file");
    let authority = keys.optional::<Authority>("authority").or_else(|| issuers.authority.clone());
    let dns_names: Vec<DnsPattern> = keys.or("dns_names", Vec::new());
    let revocation = keys.table("revocation");
    let deny_list: Option<PathBuf> = revocation.optional("deny_list");
    let (crl_mode, crls) = crls(&revocation);
    revocation.close();
    for (key, source, of_use) in [("file", "file", kind == Kind::File), ("authority", "acm-pca", kind.asks_authority())] {
        if keys.has(key) && !of_use {
            let instead = format!("write source = {source:?}, or leave {key} out");
            keys.problem(key, format!("is of no use while source is \"{}\"", kind.show()), instead);
        }
    }
    if kind == Kind::File && !keys.has("file") {
        keys.problem("file", "is missing, and source is \"file\"", "write file = \"/path/to/roots.pem\"");
    }
    if kind.asks_authority() && !keys.has("authority") && authority.is_none() {
        let instead = "write authority here, or in [credentials.acm_pca]";
        keys.problem("authority", "is missing, and source is \"acm-pca\"", instead);
    }
    keys.close();
    let source = match kind {
        Kind::Dev => Source::Dev(issuers.dev_dir.clone()),
        Kind::File => Source::File(file?),
        #[cfg(feature = "aws")]
        Kind::AcmPca => Source::AcmPca(authority?),
    };
    let dns_names = dns_names.into_iter().map(|name| name.0.as_str().to_owned()).collect();
    Some(Settings { domain: domain?, source, dns_names, deny_list, crl_mode, crls })
}

fn crls(keys: &Keys<'_>) -> (CrlMode, Vec<CrlSource>) {
    let mode = keys.or("mode", CrlMode::Off);
    let crls: Vec<CrlSource> = keys.or("crl", Vec::new());
    match (mode, crls.is_empty()) {
        (CrlMode::Off, false) => keys.problem("crl", "is of no use while mode is \"off\"", "write mode = \"best_effort\" or \"require\""),
        (CrlMode::BestEffort | CrlMode::Require, true) => keys.problem(
            "crl",
            "is missing, and mode is not \"off\"",
            "write crl = [\"/path/to/list.crl\"], the paths or URLs of the lists",
        ),
        _ => {}
    }
    (mode, crls)
}
