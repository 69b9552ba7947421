//! The policies in `deploy/iam` allow what the sidecar asks of AWS, on one resource, and nothing else.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// One string, or a list of them.
fn strings(value: &Value) -> Vec<String> {
    let one = |value: &Value| value.as_str().unwrap().to_owned();
    value.as_array().map_or_else(|| vec![one(value)], |all| all.iter().map(one).collect())
}

/// All of the code below a directory.
fn sources(dir: &Path) -> String {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| if path.is_dir() { sources(path) } else { std::fs::read_to_string(path).unwrap() }).collect()
}

/// The actions of a service that the code names.
fn called(service: &str) -> BTreeSet<String> {
    let text = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/aws"));
    let named = text.split("const ACTION: &str = \"").skip(1).map(|rest| rest.split('"').next().unwrap());
    named.filter(|action| action.split(':').next() == Some(service)).map(str::to_owned).collect()
}

/// The actions that the code asks for in the hope that they are denied.
fn hoped_to_be_denied() -> BTreeSet<String> {
    let text = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/aws"));
    text.split("const DENIED_ACTION: &str = \"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// `GetCallerIdentity` is the one call that needs no permission.
#[test]
fn of_whom_we_are() {
    assert_eq!(called("sts"), BTreeSet::from(["sts:GetCallerIdentity".to_owned()]));
}

#[test]
fn of_the_private_ca() {
    const AUTHORITY: &str = "arn:aws:acm-pca:REGION:ACCOUNT:certificate-authority/AUTHORITY";
    let policy: Value = serde_json::from_str(&read("deploy/iam/acm-pca.json")).unwrap();
    let (mut allowed, mut denied) = (BTreeSet::new(), 0);
    for statement in policy["Statement"].as_array().unwrap() {
        let actions = strings(&statement["Action"]);
        if statement["Effect"] == "Allow" {
            assert_eq!(strings(&statement["Resource"]), [AUTHORITY], "{statement}");
            allowed.extend(actions);
        } else {
            // Another policy of the role cannot open what this one leaves out.
            assert_eq!((actions, statement["Resource"].as_str()), (vec!["acm-pca:IssueCertificate".to_owned()], Some("*")), "{statement}");
            denied += 1;
        }
        let issues = strings(&statement["Action"]).contains(&"acm-pca:IssueCertificate".to_owned());
        assert_eq!(issues, statement["Condition"].to_string().contains("template/EndEntityCertificate/V1\""), "{statement}");
    }
    assert_eq!((allowed, denied), (called("acm-pca"), 1));
    let page = read("docs/aws.md");
    assert!(called("acm-pca").iter().all(|action| page.contains(&format!("`{action}`"))));
}

#[test]
fn of_policy_bundles() {
    const BUNDLE: &str = "arn:aws:s3:::BUCKET/KEY";
    let policy: Value = serde_json::from_str(&read("deploy/iam/s3-bundles.json")).unwrap();
    let everything = json!({ "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] });
    assert_eq!(called("s3"), BTreeSet::from(["s3:GetObject".to_owned()]));
    assert!(allows(&[&policy], ("s3:GetObject", BUNDLE, &[])));
    assert!(!allows(&[&policy], ("s3:GetObject", "arn:aws:s3:::BUCKET/OTHER", &[])));
    for action in ["s3:PutObject", "s3:DeleteObject"] {
        assert!(!allows(&[&policy, &everything], (action, BUNDLE, &[])), "{action}");
    }
    assert!(read("docs/policy-bundles.md").contains("`s3:GetObject`"));
}

/// What is asked of IAM: an action, on a resource, with what conditions look at.
type Request<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// As IAM evaluates statements, as far as these go: what is denied is denied, and the rest needs an allowance.
fn allows(policies: &[&Value], (action, resource, context): Request<'_>) -> bool {
    let named = |statement: &Value, name: &str, value: &str| {
        let is = |pattern: &String| pattern == "*" || pattern == value;
        match (statement.get(name), statement.get(format!("Not{name}"))) {
            (Some(listed), None) => strings(listed).iter().any(is),
            (None, Some(listed)) => !strings(listed).iter().any(is),
            _ => panic!("{statement}"),
        }
    };
    let holds = |statement: &Value| {
        let operators = statement.get("Condition").and_then(Value::as_object).into_iter().flatten();
        let tests = operators.flat_map(|(operator, tests)| tests.as_object().unwrap().iter().map(move |test| (operator.as_str(), test)));
        tests.into_iter().all(|(operator, (key, value))| {
            let equals = context.iter().any(|(known, is)| known == key && Some(*is) == value.as_str());
            match operator {
                "StringEquals" => equals,
                "StringNotEquals" => !equals,
                _ => panic!("{operator}"),
            }
        })
    };
    let matching = |effect: &str| {
        let statements = policies.iter().flat_map(|policy| policy["Statement"].as_array().unwrap());
        let mut of_effect = statements.filter(|statement| statement["Effect"] == effect);
        of_effect.any(|statement| named(statement, "Action", action) && named(statement, "Resource", resource) && holds(statement))
    };
    matching("Allow") && !matching("Deny")
}

#[test]
fn of_keys() {
    const SEALING: &str = "arn:aws:kms:REGION:ACCOUNT:key/SEALING_KEY";
    const SIGNING: &str = "arn:aws:kms:REGION:ACCOUNT:key/SIGNING_KEY";
    const POLICY: &str = "arn:aws:kms:REGION:ACCOUNT:key/POLICY_KEY";
    const OURS: &[(&str, &str)] =
        &[("kms:EncryptionContext:workload", "spiffe://TRUST_DOMAIN/WORKLOAD"), ("kms:EncryptionContext:purpose", "certificate")];
    const OTHER_WORKLOAD: &[(&str, &str)] = &[("kms:EncryptionContext:workload", "spiffe://TRUST_DOMAIN/OTHER"), OURS[1]];
    const OTHER_PURPOSE: &[(&str, &str)] = &[OURS[0], ("kms:EncryptionContext:purpose", "policy")];
    const DIGEST: &[(&str, &str)] = &[("kms:MessageType", "DIGEST"), ("kms:SigningAlgorithm", "ECDSA_SHA_256")];
    const RAW: &[(&str, &str)] = &[("kms:MessageType", "RAW"), DIGEST[1]];

    let [sealer, signer] = ["sealer", "signer"].map(|name| read(&format!("deploy/iam/kms-{name}.json")));
    let [sealer, signer]: [Value; 2] = [sealer, signer].map(|text| serde_json::from_str(&text).unwrap());
    let both = [&sealer, &signer];
    for request in [
        ("kms:GenerateDataKey", SEALING, OURS),
        ("kms:Decrypt", SEALING, OURS),
        ("kms:Sign", SIGNING, DIGEST),
        ("kms:GetPublicKey", SIGNING, &[]),
    ] {
        assert!(allows(&both, request), "{request:?}");
    }
    // Also where another policy of the role allows everything.
    let everything = json!({ "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] });
    let denied: [Request<'_>; 15] = [
        ("kms:Decrypt", SEALING, OTHER_WORKLOAD),
        ("kms:Decrypt", SEALING, OTHER_PURPOSE),
        ("kms:Decrypt", SEALING, &[]),
        ("kms:GenerateDataKey", SEALING, OTHER_WORKLOAD),
        ("kms:Encrypt", SEALING, OURS),
        ("kms:ReEncryptFrom", SEALING, OURS),
        ("kms:CreateGrant", SEALING, &[]),
        ("kms:Sign", SEALING, DIGEST),
        ("kms:Decrypt", SIGNING, OURS),
        ("kms:CreateGrant", SIGNING, &[]),
        ("kms:ScheduleKeyDeletion", SIGNING, &[]),
        ("kms:Sign", SIGNING, RAW),
        ("kms:Sign", POLICY, DIGEST),
        ("kms:Sign", POLICY, RAW),
        ("kms:Sign", "arn:aws:kms:REGION:ACCOUNT:key/ANOTHER", &[]),
    ];
    for request in denied {
        assert!(!allows(&[&sealer, &signer, &everything], request), "{request:?}");
    }
    let hoped = hoped_to_be_denied();
    assert!(hoped.len() == 2 && hoped.iter().all(|action| denied.iter().any(|(named, ..)| named == action)), "{hoped:?}");
    for request in [("kms:Decrypt", POLICY, OURS), ("kms:Sign", SIGNING, &DIGEST[..1]), ("kms:DescribeKey", SEALING, &[])] {
        assert!(!allows(&both, request), "{request:?}");
    }

    // What is allowed is what the code asks for, with the names that it gives.
    let statements = both.iter().flat_map(|policy| policy["Statement"].as_array().unwrap());
    let allowed = statements.filter(|statement| statement["Effect"] == "Allow").flat_map(|statement| strings(&statement["Action"]));
    assert_eq!(allowed.collect::<BTreeSet<_>>(), called("kms"));
    let code = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/aws"));
    for (name, _) in OURS {
        assert!(code.contains(&format!("(\"{}\".to_owned(), context.", name.rsplit(':').next().unwrap())), "{name}");
    }
    let page = read("docs/aws.md");
    assert!(called("kms").iter().all(|action| page.contains(&format!("`{action}`"))));
}
