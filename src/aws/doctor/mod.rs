//! Whether AWS will do what the configuration needs, and no more: asked by calls that change nothing.
//!
//! `way` comes first: without credentials, an endpoint and a clock there is no use in asking. `authority` and `lineage` compare what AWS says of the
//! authority with the configuration; `role`, `keys` and `dry` ask what the role may do, and what it must not be able to do.

mod asking;
mod authority;
mod dates;
mod dry;
mod finding;
mod keys;
mod lineage;
mod role;
mod terms;
mod way;
mod words;

pub use finding::{Finding, Group, Report, Verdict};

use super::client::Aws;
use crate::credentials::{self, AcmPca, SealingKey};
use crate::runtime::key_arn::KeyArn;
use crate::trust::{self, Authority};
use asking::Asking;
use rustls::pki_types::CertificateDer;
use std::time::SystemTime;

/// What of a configuration AWS has a say in.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Whose certificate, and where it comes from.
    pub credentials: &'a credentials::Settings,
    /// Whom it believes.
    pub trust: &'a [trust::Settings],
    /// Keys that the role must be able to sign with.
    pub sign_keys: &'a [KeyArn],
    /// Keys that the role must not be able to sign with.
    pub policy_keys: &'a [KeyArn],
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

    /// The key that seals what is kept.
    fn sealing_key(&self) -> Option<&KeyArn> {
        match self.issuer()?.sealing_key.as_ref()? {
            SealingKey::Kms(key) => Some(key),
            SealingKey::File(_) => None,
        }
    }

    /// Where to ask who we are.
    fn region(&self) -> Option<&str> {
        let issuer = self.issuer().map(|wanted| wanted.authority.region());
        let believed = self.believed().map(|(_, authority)| authority.region());
        let keys = self.sign_keys.iter().chain(self.policy_keys).map(KeyArn::region);
        issuer.into_iter().chain(believed).chain(keys).next()
    }
}

/// Asks AWS for everything that the configuration needs of it; `None`: it needs nothing.
///
/// Issues nothing, signs nothing that is of use to anybody, changes nothing.
pub async fn examine(aws: &Aws, wanted: Wanted<'_>, now: SystemTime) -> Option<Report> {
    let region = wanted.region()?;
    let (asking, mut report) = (Asking::new(aws), Report::default());
    let Some(caller) = way::caller(&asking, region, &mut report).await else {
        way::clock(&asking, &mut report);
        let issuer = wanted.issuer().is_some();
        let groups = [
            (Group::Authority, issuer || wanted.believed().next().is_some()),
            (Group::Needed, issuer),
            (Group::Keys, wanted.sealing_key().is_some() || !wanted.sign_keys.is_empty()),
            (Group::Excess, issuer || !wanted.policy_keys.is_empty()),
        ];
        for (group, _) in groups.into_iter().filter(|(_, wanted)| *wanted) {
            report.not_asked(group, "all of it", "there are no credentials that AWS accepts");
        }
        return Some(report);
    };
    let above = match wanted.issuer() {
        Some(issuer) => examine_issuer(&asking, &wanted, issuer, caller.account.as_deref(), now, &mut report).await,
        None => Above::Unknown,
    };
    if above != Above::Unreached {
        examine_believed(&asking, &wanted, &above, now, &mut report).await;
    }
    keys::examine(&asking, &wanted, &mut report).await;
    way::clock(&asking, &mut report);
    Some(report)
}

/// What is known of the root above the authority that issues.
#[derive(PartialEq, Eq)]
enum Above {
    /// AWS Private CA does not answer.
    Unreached,
    /// The authority does not tell, or there is none.
    Unknown,
    Root(CertificateDer<'static>),
}

/// The authority that issues for this workload.
async fn examine_issuer(
    asking: &Asking<'_>,
    wanted: &Wanted<'_>,
    issuer: &AcmPca,
    account: Option<&str>,
    now: SystemTime,
    report: &mut Report,
) -> Above {
    let authority = &issuer.authority;
    let described = authority::describe(asking, authority).await;
    let reached = way::endpoint("acm-pca", authority.region(), described.as_ref().err(), report);
    if !reached {
        for group in [Group::Authority, Group::Needed, Group::Excess] {
            report.not_asked(group, "all of it", "AWS Private CA cannot be asked");
        }
        return Above::Unreached;
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
        return Above::Unknown;
    }
    let certificates = lineage::certificates(asking, authority).await;
    let root = match &certificates {
        Ok(certificates) => lineage::examine(certificates, wanted, authority, now, report).await,
        Err(_) => {
            lineage::not_asked("the authority does not tell its certificate", report);
            None
        }
    };
    let needed = wanted.believed().any(|(_, believed)| believed == authority);
    lineage::may_ask(&certificates, authority, needed, report);
    let key = described.as_ref().ok().and_then(|described| described.certificate_authority_configuration());
    role::examine(asking, issuer, key.map(|configuration| configuration.key_algorithm()), now, report).await;
    root.map_or(Above::Unknown, Above::Root)
}

/// Other authorities that are asked for their root.
async fn examine_believed(asking: &Asking<'_>, wanted: &Wanted<'_>, above: &Above, now: SystemTime, report: &mut Report) {
    let own = wanted.credentials.id.trust_domain();
    let issuer = wanted.issuer().map(|issuer| &issuer.authority);
    for (index, (settings, authority)) in wanted.believed().filter(|(_, authority)| Some(*authority) != issuer).enumerate() {
        let got = lineage::certificates(asking, authority).await;
        if issuer.is_none() && index == 0 {
            let reached = way::endpoint("acm-pca", authority.region(), got.as_ref().err(), report);
            if !reached {
                report.not_asked(Group::Authority, "all of it", "AWS Private CA cannot be asked");
                return;
            }
        }
        let needed = match above {
            Above::Root(root) if settings.domain.as_str() == own => Some(root),
            _ => None,
        };
        lineage::other(&got, settings, authority, needed, now, report);
    }
}
