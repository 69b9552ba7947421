//! The policies in `deploy/iam` allow what the sidecar asks of AWS, on one resource, and nothing else.

use serde_json::Value;
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
