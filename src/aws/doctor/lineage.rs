//! What is above an authority: its certificate, the path to its root, and whether this workload believes that root.

use super::asking::{Asking, again, ask};
use super::finding::{Group, Report};
use super::{Wanted, words};
use crate::aws::chain::{Path, path};
use crate::aws::error::AwsError;
use crate::trust::{Authority, DEVELOPMENT_ROOT_FILE, DevelopmentRoots, FileSource, Settings, Source, TrustSource as _};
use std::time::SystemTime;

const GROUP: Group = Group::Authority;

const CHECK: &str = "GetCertificateAuthorityCertificate";

/// What AWS says of an authority's certificate and those above it, in PEM.
pub(super) type Certificates = (String, String);

/// Asks for an authority's certificate and chain.
pub(super) async fn certificates(asking: &Asking<'_>, authority: &Authority) -> Result<Certificates, AwsError> {
    const ACTION: &str = "acm-pca:GetCertificateAuthorityCertificate";
    let (client, arn) = (asking.acm_pca(authority).await, authority.as_str());
    let got = ask(ACTION, || {
        let sent = client.get_certificate_authority_certificate().certificate_authority_arn(arn).send();
        Box::pin(async move { sent.await.map_err(|error| AwsError::of(ACTION, arn, &error)) })
    });
    let got = got.await?;
    let own = got.certificate.ok_or_else(|| AwsError::answer(ACTION, "no certificate"))?;
    Ok((own, got.certificate_chain.unwrap_or_default()))
}

/// Whether it may be asked for its certificate, and whether that is needed.
pub(super) fn may_ask(got: &Result<Certificates, AwsError>, authority: &Authority, needed: bool, report: &mut Report) {
    match got {
        Ok(_) => report.ok(Group::Needed, CHECK, "allowed"),
        Err(AwsError::Denied { .. }) if !needed => report.ok(Group::Needed, CHECK, "not allowed, and not needed: no [[trust]] asks it"),
        Err(AwsError::Denied { said, .. }) => {
            let fix = format!(
                "allow acm-pca:{CHECK} on {authority} (deploy/iam/acm-pca.json), or give the root in a file ([[trust]] source = \"file\")"
            );
            report.broken(Group::Needed, CHECK, format!("denied: {said}"), fix);
        }
        Err(error) => report.unknown(Group::Needed, CHECK, error.to_string(), again(error)),
    }
}

/// Nothing is known of the path where the certificates on it are not told.
pub(super) fn not_asked(because: &str, report: &mut Report) {
    report.not_asked(GROUP, "path", because);
}

/// The path from the authority that issues to its root.
pub(super) async fn examine((own, chain): &Certificates, wanted: &Wanted<'_>, authority: &Authority, now: SystemTime, report: &mut Report) {
    let path = match path(own, chain, now) {
        Ok(path) => path,
        Err(problem) => {
            report.broken(GROUP, "path", problem, "install the authority's certificate and its whole chain anew");
            return;
        }
    };
    let above = match path.between {
        0 if path.is_root => "it is the root itself".to_owned(),
        0 => "to the root above it".to_owned(),
        between => format!("to the root above it, over {between} others"),
    };
    report.ok(GROUP, "path", format!("{above}; the first certificate on it ends {}", words::date(path.first_end)));
    match path.length {
        _ if path.is_root => {}
        Some(0) => report.ok(GROUP, "path length", "0: there are no authorities below it"),
        length => {
            let found = length.map_or("without bound: authorities may be made below it".to_owned(), |length| {
                format!("{length}: authorities may be made below it")
            });
            report.warning(GROUP, "path length", found, "sign its certificate by SubordinateCACertificate_PathLen0/V1");
        }
    }
    believed(&path, wanted, authority, report).await;
}

/// Whether our own bundle has the root: a certificate that we would refuse ourselves is not used.
async fn believed(path: &Path, wanted: &Wanted<'_>, authority: &Authority, report: &mut Report) {
    let (check, domain) = ("trust", wanted.credentials.id.trust_domain());
    let Some(settings) = wanted.trust.iter().find(|settings| settings.domain.as_str() == domain) else { return };
    let file = match &settings.source {
        Source::AcmPca(asked) if asked == authority => {
            report.ok(GROUP, check, format!("[[trust]] of {domain} asks it for its root"));
            return;
        }
        // What another authority says is told in its own line.
        Source::AcmPca(_) => return,
        Source::File(path) => path.clone(),
        Source::Dev(dir) => dir.join(DEVELOPMENT_ROOT_FILE),
    };
    let name = file.display().to_string();
    let source = FileSource { domain: settings.domain.clone(), path: file, dns_names: Vec::new(), development: DevelopmentRoots::Accepted };
    match source.load().await {
        Ok(bundle) if bundle.roots().contains(&path.root) => {
            report.ok(GROUP, check, format!("[[trust]] of {domain} has its root, in {name}"))
        }
        Ok(_) => {
            let fix = format!("put the root above {authority} into {name}, or write source = \"acm-pca\" there");
            report.broken(GROUP, check, format!("[[trust]] of {domain} does not have its root: {name} has others"), fix);
        }
        Err(error) => report.broken(GROUP, check, error.to_string(), "give [[trust]] a file with roots that can be read"),
    }
}

/// Another authority that `[[trust]]` asks for its root.
pub(super) fn other(
    got: &Result<Certificates, AwsError>,
    settings: &Settings,
    authority: &Authority,
    now: SystemTime,
    report: &mut Report,
) {
    let check = format!("trust {}", settings.domain);
    match got.as_ref().map(|(own, chain)| path(own, chain, now)) {
        Ok(Ok(path)) => report.ok(
            GROUP,
            check,
            format!("{authority} tells its root; the first certificate on the way ends {}", words::date(path.first_end)),
        ),
        Ok(Err(problem)) => report.broken(GROUP, check, problem, "install the authority's certificate and its whole chain anew"),
        Err(AwsError::Denied { said, .. }) => {
            report.broken(GROUP, check, format!("denied: {said}"), format!("allow acm-pca:{CHECK} on {authority}"));
        }
        Err(error) if error.is_transient() => report.unknown(GROUP, check, error.to_string(), again(error)),
        Err(error) => report.broken(GROUP, check, error.to_string(), "compare authority in [[trust]]"),
    }
}
