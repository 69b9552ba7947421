//! Whether AWS will do what the configuration needs, and no more: asked by calls that change nothing.
//!
//! `way` comes first: without credentials, an endpoint and a clock there is no use in asking. `authority` and `lineage` compare what AWS says of the
//! authority with the configuration; `role` asks what the role may do, and what it must not be able to do.

mod asking;
mod authority;
mod dates;
mod finding;
mod lineage;
mod role;
mod way;
mod words;

pub use finding::{Finding, Group, Report, Verdict};

use super::client::Aws;
use crate::credentials::{self, AcmPca};
use crate::trust::{self, Authority};
use asking::Asking;
use std::time::SystemTime;

/// What of a configuration AWS has a say in.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Whose certificate, and where it comes from.
    pub credentials: &'a credentials::Settings,
    /// Whom it believes.
    pub trust: &'a [trust::Settings],
}

impl Wanted<'_> {
    fn issuer(&self) -> Option<&AcmPca> {
        match &self.credentials.source {
            credentials::Source::AcmPca(wanted) => Some(wanted),
            credentials::Source::Dev { .. } | credentials::Source::File { .. } => None,
        }
    }

    /// Those whom `[[trust]]` asks for their root.
    fn believed(&self) -> impl Iterator<Item = (&trust::Settings, &Authority)> {
        self.trust.iter().filter_map(|settings| match &settings.source {
            trust::Source::AcmPca(authority) => Some((settings, authority)),
            trust::Source::Dev(_) | trust::Source::File(_) => None,
        })
    }

    /// Where to ask who we are.
    fn region(&self) -> Option<&str> {
        let issuer = self.issuer().map(|wanted| &wanted.authority);
        issuer.or_else(|| self.believed().map(|(_, authority)| authority).next()).map(Authority::region)
    }
}

/// Asks AWS for everything that the configuration needs of it; `None`: it needs nothing.
///
/// Issues nothing, signs nothing that is of use to anybody, changes nothing.
pub async fn examine(aws: &Aws, wanted: Wanted<'_>, now: SystemTime) -> Option<Report> {
    let region = wanted.region()?;
    let (asking, mut report) = (Asking::new(aws), Report::default());
    let Some(caller) = way::caller(&asking, region, now, &mut report).await else {
        way::clock(&asking, &mut report);
        for group in [Group::Authority, Group::Needed, Group::Excess] {
            report.not_asked(group, "all of it", "there are no credentials that AWS accepts");
        }
        return Some(report);
    };
    let mut reached = true;
    if let Some(issuer) = wanted.issuer() {
        reached = examine_issuer(&asking, &wanted, issuer, caller.account.as_deref(), now, &mut report).await;
    }
    if reached {
        examine_believed(&asking, &wanted, now, &mut report).await;
    }
    Some(report)
}

/// The authority that issues for this workload. `false`: it cannot be asked.
async fn examine_issuer(
    asking: &Asking<'_>,
    wanted: &Wanted<'_>,
    issuer: &AcmPca,
    account: Option<&str>,
    now: SystemTime,
    report: &mut Report,
) -> bool {
    let authority = &issuer.authority;
    let described = authority::describe(asking, authority).await;
    let reached = way::endpoint("acm-pca", authority.region(), described.as_ref().err(), report);
    way::clock(asking, report);
    if !reached {
        for group in [Group::Authority, Group::Needed, Group::Excess] {
            report.not_asked(group, "all of it", "AWS Private CA cannot be asked");
        }
        return false;
    }
    let issues = match &described {
        Ok(described) => authority::examine(described, issuer, account, now, report),
        Err(error) => authority::not_described(error, report),
    };
    authority::may_describe(&described, issuer, report);
    if !issues {
        let because = "the authority does not issue as it is";
        lineage::not_asked(because, report);
        role::not_asked(because, report);
        return true;
    }
    let certificates = lineage::certificates(asking, authority).await;
    match &certificates {
        Ok(certificates) => lineage::examine(certificates, wanted, authority, now, report).await,
        Err(_) => lineage::not_asked("the authority does not tell its certificate", report),
    }
    let needed = wanted.believed().any(|(_, believed)| believed == authority);
    lineage::may_ask(&certificates, authority, needed, report);
    let key = described.as_ref().ok().and_then(|described| described.certificate_authority_configuration());
    role::examine(asking, issuer, key.map(|configuration| configuration.key_algorithm()), now, report).await;
    true
}

/// Other authorities that are asked for their root.
async fn examine_believed(asking: &Asking<'_>, wanted: &Wanted<'_>, now: SystemTime, report: &mut Report) {
    let issuer = wanted.issuer().map(|issuer| &issuer.authority);
    for (index, (settings, authority)) in wanted.believed().filter(|(_, authority)| Some(*authority) != issuer).enumerate() {
        let got = lineage::certificates(asking, authority).await;
        if issuer.is_none() && index == 0 {
            let reached = way::endpoint("acm-pca", authority.region(), got.as_ref().err(), report);
            way::clock(asking, report);
            if !reached {
                report.not_asked(Group::Authority, "all of it", "AWS Private CA cannot be asked");
                return;
            }
        }
        lineage::other(&got, settings, authority, now, report);
    }
}
