//! `countersign aws doctor` says what is wrong between a workload and AWS, and what to do about each; it changes nothing there.

use crate::support::Setup;
use crate::support::aws::{Authority, Aws};
use crate::support::sidecar::run_for;
use serde_json::{Value, json};

/// What is said where nothing is wrong.
const SOUND: &str = "\
DIR/countersign.toml: spiffe://test.example/orders

The way to AWS
  ok         credentials  from the environment
  ok         caller       arn:aws:sts::123456789012:user/moto
  ok         endpoint     acm-pca.eu-central-1 answers
  ok         clock        as AWS's

The authority
  ok         arn          AUTHORITY
  ok         state        ACTIVE
  ok         mode         short-lived: 7d at most, and validity is 24h
  ok         end          TIME, in 1824 days
  ok         kind         subordinate
  ok         key          EC_prime256v1
  ok         revocation   none: certificates end by themselves
  ok         path         to the root above it; the first certificate on it ends TIME
  ok         path length  0: there are no authorities below it
  ok         trust        [[trust]] of test.example has its root, in DIR/roots.pem

What the role needs
  ok         DescribeCertificateAuthority        allowed
  ok         GetCertificateAuthorityCertificate  allowed
  ok         IssueCertificate                    allowed by EndEntityCertificate/V1; a request that cannot be read was refused as such
  ok         GetCertificate                      allowed; a certificate that was never issued is not there

What the role must not do
  ok         BlankEndEntityCertificate_APIPassthrough/V1  denied
  ok         EndEntityCertificate_CSRPassthrough/V1       denied
  ok         SubordinateCACertificate_PathLen0/V1         denied

broken: 0, warnings: 0, unknown or not asked: 0; no certificate was issued
";

/// What the role of a sound set-up may not do.
const DENIED: [&str; 2] = ["IssueCertificate:*Passthrough/V1", "IssueCertificate:*CACertificate*"];

#[tokio::test]
async fn nothing_is_wrong_and_nothing_is_issued() {
    let aws = Aws::start().await;
    let (mut setup, authority) = sound(&aws).await;
    says(&setup, &authority, 0, SOUND).await;
    assert_eq!(aws.issued().await, 0);

    let (code, said) = run_for(&setup, &["aws", "doctor", "--json"]).await;
    let document: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &document["ok"]), (0, &json!(true)));
    let first = json!({ "group": "way", "check": "credentials", "state": "ok", "found": "from the environment", "fix": null });
    assert_eq!((&document["findings"][0], document["findings"].as_array().unwrap().len()), (&first, 21));

    setup.without_tables().table("trust", "domain = 'test.example'\nsource = 'acm-pca'");
    let trust = "  ok         trust        [[trust]] of test.example asks it for its root";
    says(&setup, &authority, 0, &sound_but(&[("trust", trust)])).await;

    // What nobody needs is nothing to fix.
    aws.turn(json!({ "deny": [DENIED[0], DENIED[1], "DescribeCertificateAuthority"] })).await;
    setup.set("credentials.acm_pca.signing_algorithm", "'SHA256WITHECDSA'");
    let (code, said) = doctor(&setup, &authority).await;
    let describe = "  ok         DescribeCertificateAuthority        not allowed, and not needed: signing_algorithm is written\n";
    assert!(code == 0 && said.contains(describe), "{said}");

    let unusable = run_for(setup.set("credentials.acm_pca.authority", "'no-arn'"), &["aws", "doctor"]).await;
    assert!(unusable.0 == 2 && unusable.1.contains("is no ARN"), "{}", unusable.1);
    let elsewhere = run_for(&Setup::new(), &["aws", "doctor"]).await;
    assert!(elsewhere.0 == 0 && elsewhere.1.contains("it needs nothing of AWS"), "{}", elsewhere.1);
}

#[tokio::test]
async fn what_the_role_may_not_do() {
    let aws = Aws::start().await;
    let (mut setup, authority) = sound(&aws).await;
    setup.without_tables().table("trust", "domain = 'test.example'\nsource = 'acm-pca'");
    aws.turn(json!({ "deny": ["IssueCertificate", "IssueCertificate:*", "GetC*"] })).await;
    let expected = [
        (
            "caller",
            "  unknown    caller       denied: User: USER is not authorized to perform: sts:GetCallerIdentity
             fix: nothing, if the rest is well: only this command asks STS who it is",
        ),
        ("path", "  not asked  path         the authority does not tell its certificate"),
        ("path length", ""),
        ("trust", ""),
        (
            "GetCertificateAuthorityCertificate",
            "  BROKEN     GetCertificateAuthorityCertificate  denied: User: USER is not authorized to perform: acm-pca:GetCertificateAuthorityCertificate
             fix: allow acm-pca:GetCertificateAuthorityCertificate on AUTHORITY (deploy/iam/acm-pca.json), or give the root in a file ([[trust]] source = \"file\")",
        ),
        (
            "IssueCertificate",
            "  BROKEN     IssueCertificate                    denied for EndEntityCertificate/V1: User: USER is not authorized to perform: acm-pca:IssueCertificate
             fix: allow acm-pca:IssueCertificate on AUTHORITY where acm-pca:TemplateArn is arn:aws:acm-pca:::template/EndEntityCertificate/V1 (deploy/iam/acm-pca.json)",
        ),
        (
            "GetCertificate",
            "  BROKEN     GetCertificate                      denied: User: USER is not authorized to perform: acm-pca:GetCertificate
             fix: allow acm-pca:GetCertificate on AUTHORITY (deploy/iam/acm-pca.json)",
        ),
        ("broken:", "broken: 3, warnings: 0, unknown or not asked: 2; no certificate was issued"),
    ];
    says(&setup, &authority, 1, &sound_but(&expected)).await;
}

#[tokio::test]
async fn what_the_role_may_do_too_much() {
    let aws = Aws::start().await;
    let (setup, authority) = sound(&aws).await;
    aws.turn(json!({ "deny": [] })).await;
    let fix = "\n             fix: deny acm-pca:IssueCertificate where acm-pca:TemplateArn is not arn:aws:acm-pca:::template/EndEntityCertificate/V1 (\"FromNoOther\" in deploy/iam/acm-pca.json)";
    let [blank, passing, below] = [
        "  BROKEN     BlankEndEntityCertificate_APIPassthrough/V1  allowed: certificates with any name and usage that the caller writes",
        "  BROKEN     EndEntityCertificate_CSRPassthrough/V1       allowed: certificates with extensions that the caller writes",
        "  BROKEN     SubordinateCACertificate_PathLen0/V1         allowed: authorities of the caller's own",
    ]
    .map(|line| line.to_owned() + fix);
    let expected = sound_but(&[
        ("BlankEndEntityCertificate_APIPassthrough/V1", &blank),
        ("EndEntityCertificate_CSRPassthrough/V1", &passing),
        ("SubordinateCACertificate_PathLen0/V1", &below),
        ("broken:", "broken: 3, warnings: 0, unknown or not asked: 0; no certificate was issued"),
    ]);
    says(&setup, &authority, 1, &expected).await;
    assert_eq!(aws.issued().await, 0);

    // Where AWS refuses for a reason of its own, nothing is known, and nothing is claimed.
    aws.turn(json!({ "refuse": { "IssueCertificate": { "name": "ValidationException", "message": "as ordered", "times": 9 } } })).await;
    let (code, said) = doctor(&setup, &authority).await;
    let line = "  unknown    BlankEndEntityCertificate_APIPassthrough/V1  AWS refuses acm-pca:IssueCertificate: ";
    assert!(code == 0 && said.contains(line), "{said}");
}

#[tokio::test]
async fn an_authority_that_does_not_issue() {
    let aws = Aws::start().await;
    let (mut setup, authority) = sound(&aws).await;
    aws.set_status(&authority, "DISABLED").await;
    let not_asked = |check: &str| format!("  not asked  {check}  the authority does not issue as it is");
    let (certificate, issue, get) =
        ("GetCertificateAuthorityCertificate", "IssueCertificate                  ", "GetCertificate                    ");
    let (blank, passing, below) = (
        "BlankEndEntityCertificate_APIPassthrough/V1",
        "EndEntityCertificate_CSRPassthrough/V1     ",
        "SubordinateCACertificate_PathLen0/V1       ",
    );
    let [certificate, issue, get, blank, passing, below] = [certificate, issue, get, blank, passing, below].map(not_asked);
    let mut expected = vec![
        (
            "state",
            "  BROKEN     state        DISABLED
             fix: enable it: aws acm-pca update-certificate-authority --status ACTIVE --certificate-authority-arn AUTHORITY",
        ),
        ("path", "  not asked  path         the authority does not issue as it is"),
        ("path length", ""),
        ("trust", ""),
        ("GetCertificateAuthorityCertificate", &certificate),
        ("IssueCertificate", &issue),
        ("GetCertificate", &get),
        ("BlankEndEntityCertificate_APIPassthrough/V1", &blank),
        ("EndEntityCertificate_CSRPassthrough/V1", &passing),
        ("SubordinateCACertificate_PathLen0/V1", &below),
        ("broken:", "broken: 1, warnings: 0, unknown or not asked: 7; no certificate was issued"),
    ];
    says(&setup, &authority, 1, &sound_but(&expected)).await;
    aws.set_status(&authority, "EXPIRED").await;
    expected[0].1 = "  BROKEN     state        EXPIRED
             fix: install a new certificate for it, or write another one in [credentials.acm_pca] authority";
    says(&setup, &authority, 1, &sound_but(&expected)).await;

    setup.set("credentials.acm_pca.authority", &format!("'{}0'", authority.arn));
    let (code, said) = doctor(&setup, &authority).await;
    let line = "  BROKEN     arn          there is no such authority (Resource AUTHORITY0 not found)
             fix: compare account, region and id of [credentials.acm_pca] authority with the console\n";
    assert!(code == 1 && said.contains(line), "{said}");
}

#[tokio::test]
async fn a_validity_that_the_authority_does_not_bear() {
    let aws = Aws::start().await;
    let (mut setup, authority) = sound(&aws).await;
    setup.set("credentials.acm_pca.validity", "'8d'");
    let mode = "  BROKEN     mode         short-lived: 7d at most, and validity is 8d
             fix: write validity = \"7d\" or less in [credentials.acm_pca], or use a general-purpose authority";
    let one = ("broken:", "broken: 1, warnings: 0, unknown or not asked: 0; no certificate was issued");
    says(&setup, &authority, 1, &sound_but(&[("mode", mode), one])).await;

    let old = aws.authority_like(json!({ "name": "old", "days": 3, "usage_mode": "GENERAL_PURPOSE", "path_length": 1 })).await;
    let mut setup = Setup::new();
    aws.certify(&mut setup, &old, "7d");
    let expected = [
        ("mode", "  ok         mode         general purpose; for validity 7d short-lived mode would do, at an eighth of the monthly price"),
        (
            "end",
            "  BROKEN     end          TIME, in 2 days: before a certificate of validity 7d would end, so none is issued
             fix: write a shorter validity in [credentials.acm_pca], and put another authority beside it in time: its root into [[trust]] everywhere, then its ARN into [credentials.acm_pca] authority",
        ),
        (
            "path length",
            "  warning    path length  1: authorities may be made below it
             fix: sign its certificate by SubordinateCACertificate_PathLen0/V1",
        ),
        ("broken:", "broken: 1, warnings: 1, unknown or not asked: 0; no certificate was issued"),
    ];
    says(&setup, &old, 1, &sound_but(&expected)).await;
}

#[tokio::test]
async fn a_root_that_the_workload_does_not_believe() {
    let aws = Aws::start().await;
    let (setup, authority) = sound(&aws).await;
    setup.ca.write_root(setup.dir.path(), "roots.pem");
    let trust = "  BROKEN     trust        [[trust]] of test.example does not have its root: DIR/roots.pem has others
             fix: put the root above AUTHORITY into DIR/roots.pem, or write source = \"acm-pca\" there";
    let one = ("broken:", "broken: 1, warnings: 0, unknown or not asked: 0; no certificate was issued");
    says(&setup, &authority, 1, &sound_but(&[("trust", trust), one])).await;

    // Only believed, and of another region.
    let mut setup = Setup::new();
    aws.lead(&mut setup);
    let far = aws.authority_like(json!({ "name": "far", "region": "us-east-1" })).await;
    setup.table("trust", &format!("domain = 'far.example'\nsource = 'acm-pca'\nauthority = '{}'", far.arn));
    let expected = "\
DIR/countersign.toml: spiffe://test.example/orders

The way to AWS
  ok         credentials  from the environment
  ok         caller       arn:aws:sts::123456789012:user/moto
  ok         endpoint     acm-pca.us-east-1 answers
  ok         clock        as AWS's

The authority
  ok         trust far.example  AUTHORITY tells its root; the first certificate on the way ends TIME

broken: 0, warnings: 0, unknown or not asked: 0; no certificate was issued
";
    says(&setup, &far, 0, expected).await;
}

#[tokio::test]
async fn nobody_to_ask() {
    let aws = Aws::start().await;
    let (mut setup, authority) = sound(&aws).await;
    // Nobody listens there.
    setup.env("AWS_ENDPOINT_URL_ACM_PCA", "http://127.0.0.1:9");
    let endpoint = "\
DIR/countersign.toml: spiffe://test.example/orders

The way to AWS
  ok         credentials  from the environment
  ok         caller       arn:aws:sts::123456789012:user/moto
  BROKEN     endpoint     acm-pca.eu-central-1 cannot be reached: io error: client error (Connect): tcp connect error: Connection refused (os error 111)
             fix: open a way to acm-pca.eu-central-1: a NAT or a VPC endpoint with port 443 open to this task, or AWS_ENDPOINT_URL_ACM_PCA; HTTPS_PROXY does not count
  ok         clock        as AWS's

The authority
  not asked  all of it    AWS Private CA cannot be asked

What the role needs
  not asked  all of it    AWS Private CA cannot be asked

What the role must not do
  not asked  all of it    AWS Private CA cannot be asked

broken: 1, warnings: 0, unknown or not asked: 3; no certificate was issued
";
    says(&setup, &authority, 1, endpoint).await;

    setup.env("AWS_ACCESS_KEY_ID", "");
    let credentials = "\
DIR/countersign.toml: spiffe://test.example/orders

The way to AWS
  BROKEN     credentials  none in environment, profile, web identity token, container endpoint and instance metadata
             fix: give the task a role (ECS: taskRoleArn; EKS: Pod Identity or a role for the service account); the execution role is not it
  not asked  clock        nobody answered who knows the time

The authority
  not asked  all of it    there are no credentials that AWS accepts

What the role needs
  not asked  all of it    there are no credentials that AWS accepts

What the role must not do
  not asked  all of it    there are no credentials that AWS accepts

broken: 1, warnings: 0, unknown or not asked: 4; no certificate was issued
";
    says(&setup, &authority, 1, credentials).await;
}

#[tokio::test]
async fn a_clock_that_is_off() {
    let aws = Aws::start().await;
    let (setup, authority) = sound(&aws).await;
    aws.turn(json!({ "clock_skew_s": 600 })).await;
    let off = "\
DIR/countersign.toml: spiffe://test.example/orders

The way to AWS
  unknown    credentials  from the environment; AWS looks at no signature of this clock
             fix: set the clock first
  BROKEN     clock        10 min behind AWS's; AWS takes no signature that is 5 min off, and certificates are judged by this clock
             fix: set this machine's clock by NTP (on EC2: chrony with 169.254.169.123)

The authority
  not asked  all of it    there are no credentials that AWS accepts

What the role needs
  not asked  all of it    there are no credentials that AWS accepts

What the role must not do
  not asked  all of it    there are no credentials that AWS accepts

broken: 1, warnings: 0, unknown or not asked: 4; no certificate was issued
";
    says(&setup, &authority, 1, off).await;

    aws.turn(json!({ "clock_skew_s": -160 })).await;
    let clock = "  warning    clock        3 min ahead of AWS's
             fix: set this machine's clock by NTP (on EC2: chrony with 169.254.169.123)";
    let one = ("broken:", "broken: 0, warnings: 1, unknown or not asked: 0; no certificate was issued");
    says(&setup, &authority, 0, &sound_but(&[("clock", clock), one])).await;
}

/// A workload that has what it needs of AWS and no more.
async fn sound(aws: &Aws) -> (Setup, Authority) {
    let (mut setup, authority) = (Setup::new(), aws.authority("doctor").await);
    aws.certify(&mut setup, &authority, "24h");
    aws.turn(json!({ "deny": DENIED })).await;
    (setup, authority)
}

/// [`SOUND`] with other lines for the named checks; an empty one is left out.
fn sound_but(others: &[(&str, &str)]) -> String {
    let mut used = 0;
    let lines = SOUND.lines().map(|line| {
        let other = others.iter().find(|(check, _)| {
            line.starts_with(check) || line.strip_prefix("  ok         ").is_some_and(|rest| rest.split("  ").next() == Some(check))
        });
        used += usize::from(other.is_some());
        match other {
            Some((_, "")) => String::new(),
            Some((_, other)) => format!("{other}\n"),
            None => format!("{line}\n"),
        }
    });
    let text = lines.collect();
    assert_eq!(used, others.len());
    text
}

async fn says(setup: &Setup, authority: &Authority, exit: i32, expected: &str) {
    let (code, said) = doctor(setup, authority).await;
    assert!(said == expected && code == exit, "exit code {code}\n--- said\n{said}\n--- expected\n{expected}");
}

/// The exit code and the table, with what differs from run to run in capitals.
async fn doctor(setup: &Setup, authority: &Authority) -> (i32, String) {
    let (code, said) = run_for(setup, &["aws", "doctor"]).await;
    let said = said.replace(&authority.arn, "AUTHORITY").replace(&*setup.dir.path().to_string_lossy(), "DIR");
    let said = said.replace("arn:aws:sts::123456789012:assumed-role/orders/task", "USER");
    let words = said.split_inclusive([' ', ',', '\n']).map(|word| {
        let bare = word.trim_end_matches([' ', ',', '\n']);
        let is_time = bare.len() == 20 && bare.ends_with('Z') && bare.as_bytes()[10] == b'T';
        if is_time { word.replace(bare, "TIME") } else { word.to_owned() }
    });
    (code, words.collect())
}
