//! `countersign policy sign` makes bundles of tables whose cases hold, and `countersign policy verify` says which a sidecar would accept.

use crate::support::bundles::Signer;
use crate::support::sidecar::{run, run_for};
use crate::support::{ALICE, BOB, Setup, policy};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

fn table() -> String {
    let case = |from: &str, expect: &str| {
        format!("[[case]]\nname = '{expect}'\nfrom = '{from}'\nmethod = 'GET'\npath = '/a'\nexpect = '{expect}'\n")
    };
    format!(
        "{}{}{}",
        policy(&[("alice", ALICE, "/**")]).replace("\n[[rule]]", "\nversion = '3'\n[[rule]]"),
        case(ALICE, "allow"),
        case(BOB, "deny")
    )
}

async fn sign(dir: &Path, more: &[&str]) -> (i32, String) {
    run(&[&["policy", "sign", "table.toml", "--output", "out.json"][..], more].concat(), dir).await
}

const KEY: [&str; 2] = ["--key", "signing-key.pem"];

#[tokio::test]
async fn what_is_signed_is_accepted_and_in_force() {
    let (signer, mut setup) = (Signer::new().await, Setup::new());
    let dir = setup.dir.path().to_owned();
    signer.key_file(&dir);
    std::fs::write(dir.join("table.toml"), table()).unwrap();
    std::fs::write(dir.join("public.pem"), signer.public_pem()).unwrap();
    let (code, said) = sign(&dir, &[&KEY[..], &["--sequence", "7", "--days", "30"]].concat()).await;
    assert!(code == 0 && said.starts_with("out.json: test 3, sequence 7, good until 20"), "{said}");

    let verify = ["policy", "verify", "out.json", "--public-key", "public.pem"];
    let (code, said) = run(&verify, &dir).await;
    assert!(code == 0 && said.contains("\n  sequence   7\n") && said.contains("\naccepted: signed by sha256:"), "{said}");
    let (code, said) = run(&[&verify[..], &["--name", "test", "--min-sequence", "7", "--format", "json"]].concat(), &dir).await;
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["accepted"], &said["manifest"]["version"]), (0, &true.into(), &"3".into()));

    // Another implementation, from the page's own words.
    let bundle: Value = serde_json::from_slice(&std::fs::read(dir.join("out.json")).unwrap()).unwrap();
    let manifest = &bundle["manifest"];
    let canonical = format!(
        "{{\"name\":\"test\",\"not_after\":{},\"sequence\":7,\"sha256\":{},\"version\":\"3\"}}",
        manifest["not_after"], manifest["sha256"]
    );
    std::fs::write(dir.join("manifest"), canonical).unwrap();
    std::fs::write(dir.join("signature"), BASE64_STANDARD.decode(bundle["signature"].as_str().unwrap()).unwrap()).unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "manifest"]).current_dir(&dir);
    let said = openssl.output().unwrap();
    assert!(said.status.success(), "{said:?}");

    signer.pin(&mut setup);
    setup.set("policy.file", &format!("'{}'", dir.join("out.json").display()));
    for command in [&["check"][..], &["policy", "test"], &["policy", "explain", "--from", ALICE, "--method", "GET", "--path", "/a"]] {
        let (code, said) = run_for(&setup, command).await;
        assert_eq!(code, 0, "{command:?}: {said}");
    }
    let (_, said) = run_for(&setup, &["policy", "check"]).await;
    assert!(said.contains("1 finding in 1 rules") || said.contains("nothing found"), "{said}");
}

#[tokio::test]
async fn what_is_refused_is_a_finding_and_what_is_no_bundle_is_unusable() {
    let (signer, other, dir) = (Signer::new().await, Signer::new().await, tempfile::tempdir().unwrap());
    let dir = dir.path();
    std::fs::write(dir.join("public.pem"), signer.public_pem()).unwrap();
    let good = signer.bundle(&table(), 7).await;
    let past = signer.bundle_until("test", &table(), 7, SystemTime::now() - Duration::from_secs(60)).await;
    let wrong_case = signer.bundle(&table().replace("expect = 'deny'", "expect = 'allow'"), 7).await;
    let refused = [
        ("signature", other.bundle(&table(), 7).await, vec![]),
        ("changed", good.replace("/**", "/*"), vec![]),
        ("expired", past, vec![]),
        ("old_sequence", good.clone(), vec!["--min-sequence", "8"]),
        ("other_name", good.clone(), vec!["--name", "payments"]),
        ("table", wrong_case, vec![]),
    ];
    let verify = ["policy", "verify", "bundle.json", "--public-key", "public.pem", "--format", "json"];
    for (reason, bundle, more) in refused {
        std::fs::write(dir.join("bundle.json"), bundle).unwrap();
        let (code, said) = run(&[&verify[..], &more].concat(), dir).await;
        let document: Value = serde_json::from_str(&said).unwrap();
        assert_eq!((code, &document["reason"], &document["accepted"]), (1, &reason.into(), &false.into()), "{said}");
    }
    for (said, bundle) in [("is not signed", table()), ("EOF while parsing", good[..good.len() - 30].to_owned())] {
        std::fs::write(dir.join("bundle.json"), bundle).unwrap();
        let (code, text) = run(&verify, dir).await;
        assert!(code == 2 && text.contains(said), "{text}");
    }
}

#[tokio::test]
async fn nothing_is_signed_that_no_sidecar_would_accept() {
    let (signer, dir) = (Signer::new().await, tempfile::tempdir().unwrap());
    let dir = dir.path();
    let key = signer.key_file(dir);
    std::fs::write(dir.join("table.toml"), table()).unwrap();
    let refused = [
        (&["--sequence", "7", "--days", "31"][..], "31 is not in 1..=30"),
        (&["--sequence", "7", "--not-after", "2020-01-01"], "which is past"),
        (&["--sequence", "7", "--not-after", "2099-01-01T00:00:00Z"], "more than 30 days from now"),
        (&["--sequence", "7", "--not-after", "soon"], "such as 2026-12-05"),
        (&["--sequence", "7"], "required"),
        (&["--sequence", "0", "--days", "1"], "`sequence` is missing, or is not a whole number from 1"),
        (&["--sequence", "7", "--days", "1", "--version", "4"], "the table says version = \"3\""),
    ];
    for (arguments, said) in refused {
        let (code, text) = sign(dir, &[&KEY[..], arguments].concat()).await;
        assert!(code == 2 && text.contains(said), "{arguments:?}: {text}");
    }
    let arguments = [&KEY[..], &["--sequence", "7", "--days", "1"]].concat();
    std::fs::write(dir.join("table.toml"), table().replace("expect = 'deny'", "expect = 'allow'")).unwrap();
    let (code, said) = sign(dir, &arguments).await;
    assert!(code == 2 && said.contains("case"), "{said}");
    std::fs::write(dir.join("table.toml"), table()).unwrap();
    std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let (code, said) = sign(dir, &arguments).await;
    assert!(code == 2 && said.contains("can be read by others"), "{said}");
    assert!(!dir.join("out.json").exists());
}

#[cfg(feature = "aws")]
#[tokio::test]
async fn a_key_of_kms_signs_as_one_in_a_file() {
    use crate::support::aws::{Aws, double_of};
    use crate::support::sidecar::run_with;
    use countersign::aws::KmsSigner;
    use countersign::runtime::key_arn::KeyArn;
    use countersign::runtime::signer::DigestSigner as _;
    let (aws, dir) = (Aws::start().await, tempfile::tempdir().unwrap());
    let dir = dir.path();
    std::fs::write(dir.join("table.toml"), table()).unwrap();
    let endpoint = format!("http://{}", aws.address);
    let environment = [
        ("AWS_ENDPOINT_URL_KMS", &*endpoint),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let arn = aws.key("ECC_NIST_P256").await;
    let sign = |arn: String| async move {
        let arguments = ["policy", "sign", "table.toml", "--kms", &arn, "--sequence", "7", "--days", "1", "-o", "out.json"];
        run_with(&arguments, dir, &environment).await
    };
    let (code, said) = sign(aws.key("SYMMETRIC_DEFAULT").await).await;
    assert!(code == 2 && !dir.join("out.json").exists(), "{said}");
    let (code, said) = sign(arn.clone()).await;
    assert_eq!(code, 0, "{said}");
    let key = KmsSigner::new(double_of(&aws).await, KeyArn::parse(&arn).unwrap()).public_key().await.unwrap();
    std::fs::write(dir.join("public.der"), key.spki()).unwrap();
    let (code, said) = run(&["policy", "verify", "out.json", "--public-key", "public.der"], dir).await;
    assert!(code == 0 && said.contains(&key.fingerprint()), "{said}");
}
