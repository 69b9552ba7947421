//! `countersign policy import` writes a table that decides as its origin, or names each field that keeps it from doing so and writes nothing.

use crate::support::sidecar::{run, run_with_input};
use serde_json::Value;
use std::fs::File;
use std::path::Path;

const HEAD: &str =
    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: shop, namespace: shop }\nspec:\n  rules:\n";

const EXACT: &str = "  - from:
    - source: { principals: [cluster.local/ns/web/sa/front] }
    to:
    - operation: { methods: [GET], paths: [/orders/*], notPaths: [/orders/export] }
";

const INEXACT: &str = "  - to:
    - operation: { paths: ['*.png'] }
";

async fn import(dir: &Path, arguments: &[&str]) -> (i32, String) {
    run(&[&["policy", "import"], arguments].concat(), dir).await
}

async fn decided(dir: &Path, table: &str, path: &str) -> i32 {
    let ask = ["--from", "spiffe://cluster.local/ns/web/sa/front", "--method", "GET", "--path", path];
    run(&[&["policy", "explain", "--policy", table], ask.as_slice()].concat(), dir).await.0
}

#[tokio::test]
async fn what_is_exact_is_written_and_loads() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("p.yaml"), format!("{HEAD}{EXACT}")).unwrap();
    let (code, said) = import(dir.path(), &["--istio", "p.yaml", "--output", "table.toml"]).await;
    assert_eq!((code, said.as_str()), (0, "2 rules\n"));
    for (path, wanted) in [("/orders/17", 0), ("/orders/export", 1), ("/stock", 1)] {
        assert_eq!(decided(dir.path(), "table.toml", path).await, wanted, "{path}");
    }
    // The same by standard input, to standard output.
    let (code, said) = run_with_input(&["policy", "import", "--istio", "-"], dir.path(), &format!("{HEAD}{EXACT}")).await;
    assert!(code == 0 && said.contains("id = \"shop-not\"") && said.ends_with("2 rules\n"), "{said}");
}

#[tokio::test]
async fn what_is_not_is_named_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("p.yaml"), format!("{HEAD}{EXACT}{INEXACT}")).unwrap();
    let (code, said) = import(dir.path(), &["--istio", "p.yaml", "-o", "table.toml"]).await;
    assert!(code == 1 && !dir.path().join("table.toml").exists(), "{said}");
    let place = "not expressed: p.yaml:11:28: spec.rules[1].to[0].operation.paths[0]: `*.png` compares the path by a suffix; list the paths, by segment";
    assert!(said.contains(place) && said.contains("(AuthorizationPolicy shop/shop, rule 1)"), "{said}");
    assert!(said.contains("1 field cannot be expressed, nothing was written"), "{said}");

    let (code, said) = import(dir.path(), &["--istio", "p.yaml", "--format", "json"]).await;
    let said: Value = serde_json::from_str(&said).expect(&said);
    assert_eq!((code, &said["written"], &said["table"]), (1, &false.into(), &Value::Null));
    assert_eq!((&said["gaps"][0]["line"], &said["gaps"][0]["rule"]), (&11.into(), &"AuthorizationPolicy shop/shop, rule 1".into()));

    // In part it allows less, and says so in the table too.
    let (code, said) = import(dir.path(), &["--istio", "p.yaml", "--partial", "-o", "table.toml"]).await;
    assert!(code == 0 && said.contains("the table allows less than its origin"), "{said}");
    assert!(
        std::fs::read_to_string(dir.path().join("table.toml")).unwrap().contains("# Not expressed, AuthorizationPolicy shop/shop, rule 1")
    );
    assert_eq!((decided(dir.path(), "table.toml", "/orders/17").await, decided(dir.path(), "table.toml", "/orders.png").await), (0, 1));
}

#[tokio::test]
async fn an_rbac_filter_is_read_as_json() {
    let dir = tempfile::tempdir().unwrap();
    let rbac = r#"{ "action": "DENY", "policies": { "p": { "permissions": [{ "urlPath": { "path": { "prefix": "/admin" } } }], "principals": [{ "any": true }] } } }"#;
    std::fs::write(dir.path().join("rbac.json"), rbac).unwrap();
    let (code, said) = import(dir.path(), &["--envoy-rbac", "rbac.json", "-o", "table.toml"]).await;
    assert_eq!((code, said.as_str()), (0, "2 rules\n"));
    assert_eq!((decided(dir.path(), "table.toml", "/administrator").await, decided(dir.path(), "table.toml", "/a").await), (1, 0));
}

#[tokio::test]
async fn unusable_input_is_two() {
    let dir = tempfile::tempdir().unwrap();
    File::create(dir.path().join("large.yaml")).unwrap().set_len(100 << 20).unwrap();
    std::fs::write(dir.path().join("hidden.yaml"), "a\u{1b}[2J: &a 1\n").unwrap();
    for (file, what) in
        [("large.yaml", "is larger than 8 MiB"), ("hidden.yaml", "hidden.yaml:1:"), ("missing.yaml", "missing.yaml cannot be read")]
    {
        let (code, said) = import(dir.path(), &["--istio", file]).await;
        assert!(code == 2 && said.contains(what) && !said.contains('\u{1b}'), "{said}");
    }
    assert_eq!(import(dir.path(), &[]).await.0, 2);
    assert_eq!(import(dir.path(), &["--istio", "a", "--envoy-rbac", "b"]).await.0, 2);
}

#[tokio::test]
async fn what_is_exported_comes_back_and_what_cannot_be_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("p.yaml"), format!("{HEAD}{}", EXACT.replace(", notPaths: [/orders/export]", ""))).unwrap();
    assert_eq!(import(dir.path(), &["--istio", "p.yaml", "-o", "table.toml"]).await.0, 0);
    let export = async |arguments: &[&str]| run(&[&["policy", "export"], arguments].concat(), dir.path()).await;
    let (code, said) = export(&["table.toml", "--istio", "--name", "n", "--namespace", "shop", "-o", "again.yaml"]).await;
    assert_eq!((code, said.as_str()), (0, ""));
    assert_eq!(import(dir.path(), &["--istio", "again.yaml", "-o", "again.toml"]).await.0, 0);
    for (path, wanted) in [("/orders/17", 0), ("/stock", 1)] {
        assert_eq!(decided(dir.path(), "again.toml", path).await, wanted, "{path}");
    }
    let (code, said) = export(&["table.toml", "--cedar"]).await;
    assert!(
        code == 0 && said.contains("permit (principal, action, resource)\nwhen {\n  context.caller == \"spiffe://cluster.local/"),
        "{said}"
    );

    // A deny that spares the other allow.
    let wide = "  - to:\n    - operation: { paths: [/orders/*] }\n";
    std::fs::write(dir.path().join("p.yaml"), format!("{HEAD}{wide}{EXACT}")).unwrap();
    std::fs::write(dir.path().join("t.toml"), import(dir.path(), &["--istio", "p.yaml"]).await.1.replace("\n3 rules\n", "\n")).unwrap();
    let (code, said) = export(&["t.toml", "--istio", "-o", "no.yaml"]).await;
    let gap = "rule `shop-1-not`: except_rules: a deny spares no allow there\nnothing was written\n";
    assert!(
        code == 1 && said.starts_with("not expressed: t.toml:") && said.ends_with(gap) && !dir.path().join("no.yaml").exists(),
        "{said}"
    );
    let (code, said) = export(&["t.toml", "--cedar", "--format", "json"]).await;
    let said: Value = serde_json::from_str(&said).expect(&said);
    assert_eq!((code, &said["written"], &said["gaps"][0]["field"]), (1, &false.into(), &"except_rules".into()));
}
