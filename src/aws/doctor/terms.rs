//! Whether an authority issues what the configuration asks for: mode, end and key.

use super::finding::{Group, Report};
use super::words;
use crate::credentials::SigningAlgorithm;
use aws_sdk_acmpca::primitives::DateTime;
use aws_sdk_acmpca::types::{CertificateAuthority, CertificateAuthorityUsageMode as Mode, KeyAlgorithm};
use std::time::{Duration, SystemTime};

const GROUP: Group = Group::Authority;

const DAY: u64 = 86_400;

/// The longest life in short-lived mode.
const SHORT: Duration = Duration::from_secs(7 * DAY);

/// How long before its end an authority is to be replaced.
const SOON: Duration = Duration::from_secs(30 * DAY);

/// How long certificates may be good for.
pub(super) fn mode(mode: Option<&Mode>, validity: Duration, report: &mut Report) {
    let wanted = words::span(validity);
    match mode {
        Some(Mode::ShortLivedCertificate) if validity > SHORT => {
            let found = format!("short-lived: 7d at most, and validity is {wanted}");
            report.broken(
                GROUP,
                "mode",
                found,
                "write validity = \"7d\" or less in [credentials.acm_pca], or use a general-purpose authority",
            );
        }
        Some(Mode::ShortLivedCertificate) => report.ok(GROUP, "mode", format!("short-lived: 7d at most, and validity is {wanted}")),
        Some(Mode::GeneralPurpose) if validity <= SHORT => {
            report.ok(
                GROUP,
                "mode",
                format!("general purpose; for validity {wanted} short-lived mode would do, at an eighth of the monthly price"),
            );
        }
        Some(Mode::GeneralPurpose) => report.ok(GROUP, "mode", format!("general purpose, and validity is {wanted}")),
        other => {
            let said = other.map_or("none said", Mode::as_str);
            report.unknown(GROUP, "mode", said, "compare validity in [credentials.acm_pca] with what the mode allows");
        }
    }
}

/// A leaf cannot outlive its authority.
pub(super) fn end(ends: Option<&DateTime>, validity: Duration, now: SystemTime, report: &mut Report) {
    let Some(ends) = ends.and_then(|ends| words::moment(ends.secs())) else {
        report.unknown(GROUP, "end", "none said", "look whether its certificate is installed");
        return;
    };
    let left = ends.duration_since(now).unwrap_or_default();
    let found = format!("{}, in {} days", words::date(ends), left.as_secs() / DAY);
    let fix =
        "put another authority beside it in time: its root into [[trust]] everywhere, then its ARN into [credentials.acm_pca] authority";
    match left {
        Duration::ZERO => report.broken(GROUP, "end", format!("{}, which has passed", words::date(ends)), fix),
        left if left <= validity => {
            let found = format!("{found}: before a certificate of validity {} would end, so none is issued", words::span(validity));
            report.broken(GROUP, "end", found, format!("write a shorter validity in [credentials.acm_pca], and {fix}"));
        }
        left if left <= SOON + validity => report.warning(GROUP, "end", found, fix),
        _ => report.ok(GROUP, "end", found),
    }
}

/// Whether peers verify what it signs, and it can sign as configured.
pub(super) fn key(described: &CertificateAuthority, signing: SigningAlgorithm, report: &mut Report) {
    use SigningAlgorithm as Signing;
    let configuration = described.certificate_authority_configuration();
    let key = configuration.map_or("none said", |configuration| configuration.key_algorithm().as_str());
    let is_ec = match configuration.map(|configuration| configuration.key_algorithm()) {
        Some(KeyAlgorithm::EcPrime256v1 | KeyAlgorithm::EcSecp384r1 | KeyAlgorithm::EcSecp521r1) => true,
        Some(KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096) => false,
        _ => {
            report.broken(GROUP, "key", format!("{key}, which peers do not verify"), "use an authority with an EC or RSA key");
            return;
        }
    };
    let wanted = match signing {
        Signing::Auto => None,
        Signing::Sha256WithEcdsa | Signing::Sha384WithEcdsa | Signing::Sha512WithEcdsa => Some(true),
        Signing::Sha256WithRsa | Signing::Sha384WithRsa | Signing::Sha512WithRsa => Some(false),
    };
    match wanted {
        Some(wanted) if wanted != is_ec => {
            let found = format!("{key}, which cannot sign as signing_algorithm says");
            report.broken(GROUP, "key", found, "write signing_algorithm = \"auto\" in [credentials.acm_pca]");
        }
        _ => report.ok(GROUP, "key", key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_acmpca::types::{Asn1Subject, CertificateAuthorityConfiguration, SigningAlgorithm as Signing};

    fn verdict(examine: impl FnOnce(&mut Report)) -> &'static str {
        let mut report = Report::default();
        examine(&mut report);
        assert_eq!(report.findings.len(), 1);
        report.findings[0].verdict.name()
    }

    #[test]
    fn a_key_must_be_one_that_peers_verify_and_that_signs_as_configured() {
        let table = [
            (KeyAlgorithm::EcPrime256v1, SigningAlgorithm::Auto, "ok"),
            (KeyAlgorithm::Rsa4096, SigningAlgorithm::Sha384WithRsa, "ok"),
            (KeyAlgorithm::Rsa2048, SigningAlgorithm::Sha256WithEcdsa, "broken"),
            (KeyAlgorithm::EcSecp521r1, SigningAlgorithm::Sha512WithRsa, "broken"),
            (KeyAlgorithm::from("ML_DSA_44"), SigningAlgorithm::Auto, "broken"),
            (KeyAlgorithm::from("SM2"), SigningAlgorithm::Auto, "broken"),
        ];
        for (algorithm, signing, expected) in table {
            let configuration = CertificateAuthorityConfiguration::builder()
                .key_algorithm(algorithm.clone())
                .signing_algorithm(Signing::Sha256Withecdsa)
                .subject(Asn1Subject::builder().build())
                .build()
                .unwrap();
            let described = CertificateAuthority::builder().certificate_authority_configuration(configuration).build();
            assert_eq!(verdict(|report| key(&described, signing, report)), expected, "{algorithm:?} {signing:?}");
        }
        assert_eq!(verdict(|report| key(&CertificateAuthority::builder().build(), SigningAlgorithm::Auto, report)), "broken");
    }

    #[test]
    fn an_authority_must_outlive_what_it_issues() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 * DAY);
        let day = Duration::from_secs(DAY);
        for (left, expected) in [(-1, "broken"), (0, "broken"), (1, "broken"), (2, "warning"), (31, "warning"), (32, "ok")] {
            let ends = DateTime::from_secs((1_000 + left) * DAY as i64);
            assert_eq!(verdict(|report| end(Some(&ends), day, now, report)), expected, "{left} days left");
        }
        assert_eq!(verdict(|report| end(None, day, now, report)), "unknown");
    }

    #[test]
    fn short_lives_are_short() {
        let second = Duration::from_secs(1);
        let table = [
            (Some(Mode::ShortLivedCertificate), SHORT, "ok"),
            (Some(Mode::ShortLivedCertificate), SHORT + second, "broken"),
            (Some(Mode::GeneralPurpose), SHORT, "ok"),
            (Some(Mode::GeneralPurpose), SHORT + second, "ok"),
            (Some(Mode::from("NEW")), SHORT, "unknown"),
            (None, SHORT, "unknown"),
        ];
        for (said, validity, expected) in table {
            assert_eq!(verdict(|report| mode(said.as_ref(), validity, report)), expected, "{said:?}");
        }
    }
}
