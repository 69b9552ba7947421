//! Tables that are not what they seem.

use super::{Fortress, broad, everybody, usual};
use crate::support::eventually;
use crate::support::sidecar::run;

#[tokio::test]
async fn cve_2022_21679() {
    let fortress = Fortress::under(&usual()).await;
    // Whatever else a newer table says may mean something else.
    fortress.setup.write_policy(&format!("schema = 2\nname = 'test'\n{}", broad()));
    fortress.sidecar.log_line("the policy table was not replaced").await;
    fortress.unmatched(fortress.get("/other", &[]).await, "/other").await;
    fortress.denied(fortress.get("/admin/x", &[]).await, "no-admin", "/admin/x").await;
}

#[tokio::test]
async fn port_semantics() {
    let fortress = Fortress::under(&usual()).await;
    let port = fortress.sidecar.inbound().port();
    let other = if port == 443 { 444 } else { 443 };
    let table =
        |port: u16| format!("schema = 1\nname = 'test'\n{}", everybody("no", "deny", &format!("paths = ['/app/**']\nports = [{port}]")));
    fortress.setup.write_policy(&table(other));
    fortress.sidecar.log_line("is the port of no inbound listener").await;
    fortress.setup.write_policy(&(table(port) + &broad()));
    let tables =
        async || Some(fortress.sidecar.records().iter().filter(|record| record["kind"] == "policy").count()).filter(|count| *count == 2);
    eventually("the new table", tables).await;
    fortress.denied(fortress.get("/app/x", &[]).await, "no", "/app/x").await;

    let (code, said) = run(&["check", "--config", "countersign.toml"], fortress.setup.dir.path()).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("is the port of no inbound listener"), "{said}");
}
