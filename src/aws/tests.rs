use super::chain::{Path, assemble, path, root};
use super::error::AwsError;
use super::pending::Pending;
use crate::identity::SpiffeId;
use crate::testing::pki::{AuthorityOptions, TestCa};
use std::time::{Duration, SystemTime};

const ARN: &str = "arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/a";

fn said(code: &str, fault: bool) -> AwsError {
    AwsError::service("acm-pca:IssueCertificate", ARN, code, "because\nof it", fault)
}

#[test]
fn what_aws_says_is_told_apart() {
    let table = [
        ("AccessDeniedException", false, "denied", false),
        ("ThrottlingException", false, "throttled", true),
        ("LimitExceededException", false, "throttled", true),
        ("InvalidStateException", false, "inactive", false),
        ("ResourceNotFoundException", false, "not_found", false),
        ("MalformedCSRException", false, "refused", false),
        ("InvalidArgsException", false, "refused", false),
        ("ValidationException", false, "refused", false),
        ("ExpiredTokenException", false, "bad_credentials", false),
        ("InvalidSignatureException", false, "bad_credentials", false),
        ("RequestInProgressException", false, "in_progress", false),
        ("RequestFailedException", false, "failed", false),
        ("InternalFailure", true, "unavailable", true),
        ("DisabledException", false, "inactive", false),
        ("KMSInvalidStateException", false, "inactive", false),
        ("KeyUnavailableException", true, "unavailable", true),
        ("NotFoundException", false, "not_found", false),
        ("SomethingNew", false, "refused", false),
    ];
    for (code, fault, reason, transient) in table {
        let error = said(code, fault);
        assert_eq!((error.reason(), error.is_transient()), (reason, transient), "{code}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[test]
fn a_signature_of_another_time_is_the_clocks_fault() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let ahead = |seconds: i64| match u64::try_from(seconds) {
        Ok(ahead) => now + Duration::from_secs(ahead),
        Err(_) => now - Duration::from_secs(seconds.unsigned_abs()),
    };
    let refused = |code: &str| said(code, false);
    for (code, date, now, reason, words) in [
        ("InvalidSignatureException", Some("Sun, 06 Nov 1994 08:49:37 GMT"), ahead(7_200), "clock", "7200 s ahead of AWS's"),
        ("SignatureDoesNotMatch", Some("Sun, 06 Nov 1994 08:49:37 GMT"), ahead(-7_200), "clock", "7200 s behind AWS's"),
        ("InvalidSignatureException", Some("Sun, 06 Nov 1994 08:49:37 GMT"), ahead(239), "bad_credentials", "compare this machine's clock"),
        ("ExpiredTokenException", Some("Sun, 06 Nov 1994 08:49:37 GMT"), ahead(7_200), "bad_credentials", "renew them"),
        ("InvalidSignatureException", Some("junk"), ahead(7_200), "bad_credentials", "renew them"),
        ("InvalidSignatureException", None, ahead(7_200), "bad_credentials", "renew them"),
        ("AccessDeniedException", Some("Sun, 06 Nov 1994 08:49:37 GMT"), ahead(7_200), "denied", "the role may not"),
    ] {
        let error = refused(code).or_clock(date, now);
        assert!(error.reason() == reason && error.to_string().contains(words), "{code}: {error}");
        assert!(!error.is_transient());
    }
}

#[test]
fn a_denial_names_action_and_resource() {
    let text = said("AccessDeniedException", false).to_string();
    assert!(text.contains("acm-pca:IssueCertificate") && text.contains(ARN) && text.contains("allow it"), "{text}");
    let text = said("InvalidStateException", false).to_string();
    assert!(text.contains(ARN) && text.contains("ACTIVE"), "{text}");
}

#[test]
fn what_to_do_fits_the_service() {
    let table = [
        ("acm-pca:IssueCertificate", "InvalidArgsException", "[credentials.acm_pca]"),
        ("acm-pca:IssueCertificate", "InvalidStateException", "make its status ACTIVE"),
        ("kms:Decrypt", "AccessDeniedException", "in the role's policy and in the key's"),
        ("kms:Decrypt", "DisabledException", "enable it, or cancel its deletion"),
        ("kms:Decrypt", "IncorrectKeyException", "another key than the one that is configured"),
        ("kms:Decrypt", "InvalidCiphertextException", "another encryption context"),
        ("kms:Sign", "InvalidKeyUsageException", "its usage and its key spec"),
        ("kms:Sign", "ValidationException", "the key's ARN, usage and key spec"),
        ("sts:GetCallerIdentity", "ValidationException", "what is configured for it"),
    ];
    for (action, code, words) in table {
        let text = AwsError::service(action, ARN, code, "because", false).to_string();
        let others = ["acm_pca", "ACTIVE", "key"].iter().filter(|word| !words.contains(**word));
        assert!(text.contains(words) && text.contains(action), "{text}");
        assert!(action.starts_with("kms:") || others.clone().all(|word| !text.contains(word)), "{text}");
    }
}

#[test]
fn the_root_is_left_out_of_the_chain_wherever_it_stands() {
    let top = TestCa::new("a.example");
    let below = top.intermediate("below");
    let leaf = below.issue("spiffe://a.example/sa/web");
    let certificate = leaf.chain_pem.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    for chain in [below.root_pem() + &top.root_pem(), top.root_pem() + &below.root_pem(), below.root_pem()] {
        assert_eq!(assemble(certificate, chain.trim_end()).unwrap(), leaf.chain);
    }
    assert_eq!(assemble(certificate, "").unwrap(), leaf.chain[..1]);
    let key = leaf.key_pem.as_str();
    for (certificate, chain) in [(key, ""), (certificate, key), ("", ""), (&*leaf.chain_pem, ""), (certificate, "junk")] {
        assert!(assemble(certificate, chain).is_err());
    }
}

#[test]
fn the_root_is_what_is_signed_with_its_own_key() {
    let (top, other) = (TestCa::new("a.example"), TestCa::new("b.example"));
    let below = top.intermediate("below");
    assert_eq!(root(&below.root_pem(), &top.root_pem()), Ok(top.root_der()));
    assert_eq!(root(&top.root_pem(), ""), Ok(top.root_der()));
    assert!(root(&below.root_pem(), "").unwrap_err().contains("no root"));
    assert!(root(&below.root_pem(), &(top.root_pem() + &other.root_pem())).unwrap_err().contains("more than one"));
    // The same name without the same key is no root.
    let namesake = TestCa::new("a.example").intermediate("test root a.example");
    assert!(root(&namesake.root_pem(), "").unwrap_err().contains("no root"));
}

#[test]
fn the_way_up_to_the_root_is_gone_step_by_step() {
    let (now, top) = (SystemTime::now(), TestCa::new("a.example"));
    let bounded = |length| AuthorityOptions { path_length: Some(length), ..AuthorityOptions::default() };
    let middle = top.intermediate_with("middle", &bounded(1));
    let below = middle.intermediate_with("below", &bounded(0));
    let chain = top.root_pem() + &middle.root_pem();
    let found = path(&below.root_pem(), &chain, now).unwrap();
    let expected = Path { root: top.root_der(), is_root: false, between: 1, length: Some(0), first_end: found.first_end };
    assert_eq!(found, expected);
    let alone = path(&top.root_pem(), "", now).unwrap();
    assert_eq!((alone.is_root, alone.between, alone.length), (true, 0, None));

    let too_deep = below.intermediate_with("too deep", &bounded(0));
    let ended = AuthorityOptions { not_after: now - Duration::from_secs(60), ..AuthorityOptions::default() };
    let ended = top.intermediate_with("ended", &ended);
    let leaf = below.issue("spiffe://a.example/sa/web");
    let leaf = leaf.chain_pem.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    let table = [
        (too_deep.root_pem(), chain.clone() + &below.root_pem(), "CN=below allows 0 authorities below it, and there are 1"),
        (ended.root_pem(), chain.clone(), "CN=ended has expired"),
        (below.root_pem(), top.root_pem(), "nothing in the chain issued CN=below"),
        (below.root_pem(), TestCa::new("a.example").intermediate("middle").root_pem(), "nothing in the chain issued CN=below"),
        (leaf.to_owned(), chain, "is not an authority's"),
    ];
    for (certificate, chain, problem) in table {
        let said = path(&certificate, &chain, now).unwrap_err();
        assert!(said.contains(problem), "{said}");
    }
}

#[test]
fn a_request_is_kept_for_as_long_as_it_is_worth_something() {
    let id = SpiffeId::parse("spiffe://a.example/sa/web").unwrap();
    let start = SystemTime::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut pending = Pending::new(&id, &[], Duration::from_secs(3_600), start).unwrap();
    assert_eq!((pending.token.len(), pending.ends), (32, at(3_600)));
    // AWS forgets the token; the name of a certificate it does not forget.
    assert!(pending.is_of_use(at(239)) && !pending.is_of_use(at(240)));
    assert!(!pending.is_of_use(start - Duration::from_secs(1)), "a clock that was set back");
    pending.arn = Some("arn".into());
    assert!(pending.is_of_use(at(3_599)) && !pending.is_of_use(at(3_600)));
    assert!(pending.may_appear(at(59)) && !pending.may_appear(at(60)));
    assert!(pending.may_be_accepted(at(359)) && !pending.may_be_accepted(at(360)));
    let long = Pending::new(&id, &[], Duration::from_secs(86_400), start).unwrap();
    assert!(long.may_be_accepted(at(599)) && !long.may_be_accepted(at(600)));
    assert_ne!(long.token, pending.token);
}
