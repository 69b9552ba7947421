//! `countersign policy diff` says what one policy lets pass that another one does not, with a request that shows it, and its exit codes carry a gate.

use crate::support::sidecar::run;
use serde_json::{Value, json};
use std::path::Path;

const TABLE: &str = "schema = 1
name = 'orders'

[[rule]]
id = 'web-reads'
effect = 'allow'
from = { spiffe = ['spiffe://d/web'] }
methods = ['GET', 'HEAD']
paths = ['/orders/{id}']

[[rule]]
id = 'web-writes'
effect = 'allow'
from = { spiffe = ['spiffe://d/web'] }
methods = ['POST']
paths = ['/orders']
headers = [{ name = 'x-tenant', eq = 'eu' }]
";

const CAP: &str = "schema = 1
name = 'platform'

[[rule]]
id = 'cap'
effect = 'allow'
why = 'all that services may open'
from = { any_authenticated = true }
paths = ['/orders', '/orders/{id}']
";

/// Writes files and compares.
async fn diff(files: &[(&str, &str)], arguments: &[&str]) -> (i32, String) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    policy_diff(dir.path(), arguments).await
}

async fn policy_diff(dir: &Path, arguments: &[&str]) -> (i32, String) {
    run(&[&["policy", "diff"], arguments].concat(), dir).await
}

#[tokio::test]
async fn the_way_of_a_change_is_the_exit_code() {
    let renamed = TABLE.replace("web-", "front-").replace("{id}", "{order}");
    let wider = TABLE.replace("/orders/{id}", "/orders/**").replace("methods = ['GET'", "why = 'w'\nmethods = ['GET'");
    let other = TABLE.replace("/orders/{id}", "/bills/{id}");
    let files = [("a.toml", TABLE), ("renamed.toml", &renamed), ("wider.toml", &wider), ("other.toml", &other)];
    for (pair, plain, gate, word) in [
        (["a.toml", "renamed.toml"], 0, 0, "equal: "),
        (["a.toml", "wider.toml"], 1, 1, "wider: "),
        (["wider.toml", "a.toml"], 1, 0, "narrower: "),
        (["a.toml", "other.toml"], 1, 1, "incomparable: "),
    ] {
        let (code, said) = diff(&files, &pair).await;
        assert!(code == plain && said.starts_with(word), "{pair:?} {code} {said}");
        let (code, said) = diff(&files, &[&pair[..], &["--deny-wider"]].concat()).await;
        assert!(code == gate && said.starts_with(word), "{pair:?} {code} {said}");
    }
    let (code, said) = diff(&files, &["a.toml", "wider.toml"]).await;
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    let expected = [
        "wider: wider.toml lets more pass than a.toml",
        "allowed now:",
        "spiffe://d/web: GET HEAD /orders/**",
        "as in    GET /orders/, by spiffe://d/web",
        "before   no rule allows it",
        "now      `web-reads`  (wider.toml:4)",
    ];
    assert_eq!((code, lines), (1, expected.to_vec()));
}

#[tokio::test]
async fn programs_get_the_same_as_json() {
    let open = TABLE.replace("headers = [{ name = 'x-tenant', eq = 'eu' }]", "");
    let (code, said) = diff(&[("a.toml", TABLE), ("b.toml", &open)], &["a.toml", "b.toml", "--format", "json"]).await;
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["relation"], &said["denied"]["requests"]), (1, &json!("wider"), &json!([])));
    let change = &said["allowed"]["requests"][0];
    assert_eq!(change["example"]["where"], json!([r#"{"header":{"in":["eu"],"name":"x-tenant"}} does not hold"#]));
    assert_eq!((&change["example"]["method"], &change["example"]["path"]), (&json!("POST"), &json!("/orders")));
    assert_eq!((&change["before"]["rule"], &change["now"]["rule"]), (&Value::Null, &json!("web-writes")));
    assert_eq!(change["now"]["place"], "b.toml:11");
    let beside = json!([{ "what": "a rule that mentions header `x-tenant`, which no request may repeat then,", "only_in": "a.toml" }]);
    assert_eq!(said["not_compared"], beside);
}

#[tokio::test]
async fn boundaries_are_part_of_it() {
    let wider = format!(
        "{TABLE}\n[[rule]]\nid = 'more'\neffect = 'allow'\nfrom = {{ spiffe = ['spiffe://d/web'] }}\nmethods = ['GET']\npaths = ['/bills']\n"
    );
    let looser = CAP.replace("'/orders', ", "'/orders', '/bills', ");
    let files = [("a.toml", TABLE), ("b.toml", &wider), ("cap.toml", CAP), ("looser.toml", &looser)];
    let relation =
        async |arguments: &[&str]| diff(&files, &[&["a.toml", "b.toml"], arguments].concat()).await.1.split(':').next().unwrap().to_owned();
    assert_eq!(relation(&[]).await, "wider");
    assert_eq!(relation(&["--boundary", "cap.toml"]).await, "equal");
    assert_eq!(relation(&["--boundary-a", "cap.toml", "--boundary-b", "looser.toml"]).await, "wider");
    assert_eq!(relation(&["--boundary-a", "looser.toml", "--boundary-b", "cap.toml"]).await, "equal");
    assert_eq!(relation(&["--boundary-b", "cap.toml"]).await, "equal");
}

#[tokio::test]
async fn a_configuration_gives_tables_listeners_and_the_boundary() {
    let config = "[inbound]\nlisten = '127.0.0.1:8443'\napp = '127.0.0.1:8080'\n[policy]\nfile = 'a.toml'\ncandidate = 'b.toml'\nboundary = 'cap.toml'\n";
    let on_port = TABLE.replace("methods = ['GET'", "ports = [8443]\nmethods = ['GET'");
    let files = [("countersign.toml", config), ("a.toml", TABLE), ("b.toml", &on_port), ("cap.toml", CAP)];
    // The one listener has the port that is named.
    let (code, said) = diff(&files, &[]).await;
    assert!(code == 0 && said.starts_with("equal: "), "{code} {said}");
    let (code, said) = diff(&files, &["b.toml", "--config", "countersign.toml"]).await;
    assert!(code == 0 && said.starts_with("equal: "), "{code} {said}");
    let (code, said) = diff(&files, &["a.toml", "b.toml"]).await;
    assert!(code == 1 && said.starts_with("narrower: ") && said.contains(", port 1, by spiffe://d/web"), "{code} {said}");
    let config = config.replace("candidate = 'b.toml'\n", "");
    let (code, said) = diff(&[("countersign.toml", &config), files[1], files[3]], &[]).await;
    assert_eq!(code, 2, "{said}");
}

#[tokio::test]
async fn what_cannot_be_used_is_said_and_is_no_answer() {
    let broken = TABLE.replace("'/orders/{id}'", "'/orders/{'");
    let (code, said) = diff(&[("a.toml", TABLE), ("broken.toml", &broken)], &["a.toml", "broken.toml"]).await;
    assert!(code == 2 && said.starts_with("broken.toml:"), "{code} {said}");
    assert_eq!(diff(&[("a.toml", TABLE)], &["a.toml", "gone.toml"]).await.0, 2);
}
