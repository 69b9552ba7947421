//! `countersign policy check` finds what is probably not meant, `policy test` what does not hold, each with its place and its exit code.

use crate::support::sidecar::run;
use serde_json::Value;
use std::path::Path;

const CLEAN: &str = "schema = 1
name = 'orders'

[[rule]]
id = 'web-reads'
effect = 'allow'
from = { spiffe = ['spiffe://d/web'] }
methods = ['GET', 'HEAD']
paths = ['/orders/{id}']

[[case]]
name = 'web reads'
from = 'spiffe://d/web'
method = 'GET'
path = '/orders/17'
expect = 'allow'
rule = 'web-reads'
";

const SLIPS: &str = "
[sets.principals]
old = ['spiffe://d/old']

[[rule]]
id = 'web-posts'
effect = 'allow'
from = { spiffe = ['spiffe://d/web'] }
methods = ['POST']
paths = ['/admin/x']

[[rule]]
id = 'no-admin'
effect = 'deny'
from = { any_authenticated = true }
paths = ['/admin/**']
";

async fn policy(dir: &Path, arguments: &[&str]) -> (i32, String) {
    run(&[&["policy"], arguments].concat(), dir).await
}

#[tokio::test]
async fn each_finding_has_its_line() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("clean.toml"), CLEAN).unwrap();
    std::fs::write(dir.path().join("slips.toml"), format!("{CLEAN}{SLIPS}")).unwrap();
    std::fs::write(dir.path().join("broken.toml"), CLEAN.replace("/orders/17", "/order/17")).unwrap();
    let (code, said) = policy(dir.path(), &["check", "clean.toml"]).await;
    assert_eq!((code, said.as_str()), (0, "ok: clean.toml: 1 rules, nothing found\n"));

    let (code, said) = policy(dir.path(), &["check", "slips.toml", "clean.toml"]).await;
    assert_eq!(code, 1, "{said}");
    let begins = [
        "slips.toml:20:1: note unused-set: no rule names the set `@old`",
        "slips.toml:22:1: warning allow-under-deny: allow `web-posts` lets nothing pass: everything that it is about is denied by `no-admin`",
        "slips.toml:33:10: warning subtree-without-root: rule `no-admin` is about everything below /admin and not about /admin itself",
        "slips.toml: 3 findings in 3 rules",
        "ok: clean.toml",
    ];
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.len() == begins.len() && lines.iter().zip(begins).all(|(line, begin)| line.starts_with(begin)), "{said}");

    let (code, said) = policy(dir.path(), &["check", "slips.toml", "--format", "json"]).await;
    let said: Value = serde_json::from_str(&said).expect(&said);
    assert_eq!(
        (code, &said["tables"][0]["findings"][1]["lint"], &said["tables"][0]["findings"][1]["line"]),
        (1, &"allow-under-deny".into(), &22.into())
    );

    let (code, said) = policy(dir.path(), &["check", "broken.toml", "clean.toml"]).await;
    assert_eq!(code, 2, "{said}");
    assert!(
        said.starts_with("error: broken.toml:16:1: case[0].expect: case `web reads` expects allow and gets deny by implicit_deny"),
        "{said}"
    );
    assert_eq!(policy(dir.path(), &["check", "nothing.toml"]).await.0, 2);
    assert_eq!(policy(dir.path(), &["check"]).await.0, 2, "there is no countersign.toml");
}

/// What a code host reads: SARIF 2.1.0, sections 3.13 to 3.30, as far as it is used here.
#[tokio::test]
async fn sarif_is_well_formed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("slips.toml"), format!("{CLEAN}{SLIPS}")).unwrap();
    std::fs::write(dir.path().join("bad.toml"), "schema = 2").unwrap();
    let (code, said) = policy(dir.path(), &["check", "slips.toml", "bad.toml", "--format", "sarif"]).await;
    let log: Value = serde_json::from_str(&said).expect(&said);
    assert_eq!((code, &log["version"]), (2, &"2.1.0".into()));
    let [run] = log["runs"].as_array().unwrap().as_slice() else { panic!("{log:#}") };
    let rules: Vec<&str> = run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 4, "{log:#}");
    for result in results {
        assert!(rules.contains(&result["ruleId"].as_str().unwrap()), "{result:#}");
        assert!(["note", "warning", "error"].contains(&result["level"].as_str().unwrap()), "{result:#}");
        assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()), "{result:#}");
        let place = &result["locations"][0]["physicalLocation"];
        assert!(["slips.toml", "bad.toml"].contains(&place["artifactLocation"]["uri"].as_str().unwrap()), "{result:#}");
        assert!(place["region"]["startLine"].as_u64().is_some_and(|line| line > 0), "{result:#}");
    }
    assert_eq!(results[3]["ruleId"], "unusable");
}

#[tokio::test]
async fn cases_and_what_they_reach_are_told() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("clean.toml"), CLEAN).unwrap();
    std::fs::write(dir.path().join("slips.toml"), format!("{CLEAN}{SLIPS}")).unwrap();
    let case = |path: &str, expect: &str| {
        format!("[[case]]\nname = 'c'\nfrom = 'spiffe://d/x'\nmethod = 'GET'\npath = '{path}'\nexpect = '{expect}'\n")
    };
    std::fs::write(dir.path().join("more.toml"), case("/admin/x", "deny") + &case("/orders/1", "allow")).unwrap();
    let (code, said) = policy(dir.path(), &["test", "clean.toml", "--require-coverage"]).await;
    assert_eq!((code, said.as_str()), (0, "clean.toml: 1 of 1 cases hold, and 1 of 1 rules decide in some\n"));
    let (code, said) = policy(dir.path(), &["test", "slips.toml"]).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = policy(dir.path(), &["test", "slips.toml", "--require-coverage"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("web-posts decides in none  (slips.toml:22)") && said.contains("no-admin decides in none"), "{said}");
    let (code, said) = policy(dir.path(), &["test", "slips.toml", "--cases", "more.toml"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.starts_with("more.toml:12:1: case[1].expect: case `c` expects allow and gets deny by implicit_deny"), "{said}");
    assert!(said.contains("slips.toml: 2 of 3 cases hold, and 2 of 3 rules decide in some\n  web-posts decides in none"), "{said}");
    std::fs::write(dir.path().join("more.toml"), "schema = 1\n").unwrap();
    assert_eq!(policy(dir.path(), &["test", "slips.toml", "--cases", "more.toml"]).await.0, 2);
}

const CONFIG: &str = "
[workload]
id = 'spiffe://d/orders'
[credentials]
source = 'dev'
[[trust]]
domain = 'd'
[inbound]
[policy]
file = 'clean.toml'
boundary = 'platform.toml'
";

/// What a table grants is what is left under its boundary: both commands look at the pair.
#[tokio::test]
async fn the_boundary_of_a_configuration_counts() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("countersign.toml"), CONFIG).unwrap();
    std::fs::write(dir.path().join("clean.toml"), CLEAN).unwrap();
    let boundary = |path: &str| CLEAN.replace("'web-reads'", "'platform'").replace("/orders/{id}", path).replace("/orders/17", path);
    std::fs::write(dir.path().join("platform.toml"), boundary("/orders/17")).unwrap();
    let (code, said) = policy(dir.path(), &["check"]).await;
    assert_eq!((code, said.as_str()), (0, "ok: clean.toml: 1 rules, nothing found\nok: platform.toml: 1 rules, nothing found\n"));
    let (code, said) = policy(dir.path(), &["test"]).await;
    assert_eq!((code, said.as_str()), (0, "clean.toml: 1 of 1 cases hold, and 1 of 1 rules decide in some\n"));

    std::fs::write(dir.path().join("platform.toml"), boundary("/users")).unwrap();
    let (code, said) = policy(dir.path(), &["check"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.starts_with("clean.toml:4:1: warning capped-allow: allow `web-reads` lets nothing pass: the boundary allows nothing"),
        "{said}"
    );
    let (code, said) = policy(dir.path(), &["test"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("case `web reads` expects allow, and the boundary allows nothing of it") && said.contains("0 of 1 cases hold"),
        "{said}"
    );
}
