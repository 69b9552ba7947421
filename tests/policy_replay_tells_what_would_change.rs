//! `countersign policy replay` decides what a real sidecar recorded again: by the same table nothing changes, by another one exactly what it says otherwise.

use crate::support::sidecar::run;
use crate::support::{ALICE, App, BOB, Peer, Setup, client};
use rustix::process::Signal;
use serde_json::{Value, json};

const RULES: &str = "schema = 1
name = 'orders'

[[rule]]
id = 'alice-reads'
effect = 'allow'
from = { spiffe = ['spiffe://test.example/alice'] }
methods = ['GET']
paths = ['/orders/{id}']
headers = [{ name = 'x-tenant', in = ['eu-1', 'eu-2'] }]

[[rule]]
id = 'everybody-lists'
effect = 'allow'
from = { any_authenticated = true }
methods = ['GET']
paths = ['/orders']
why = 'the list is public'

[[rule]]
id = 'no-admin'
effect = 'deny'
from = { any_authenticated = true }
paths = ['/admin/**']
";

/// Three orders for alice, of which one has the wrong tenant, two lists, two denials of bob and what cannot be read.
async fn traffic(setup: &mut Setup) -> Vec<String> {
    setup.write_policy(RULES);
    let app = App::start().await;
    let mut sidecar = setup.start(&app).await;
    let [mut alice, mut bob] =
        [Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await, Peer::http2(sidecar.inbound(), &setup.cert(BOB)).await];
    let mut denied = Vec::new();
    for (path, tenant, status) in [("/orders/1", "eu-1", 200), ("/orders/2", "eu-2", 200), ("/orders/3", "us-1", 403), ("/orders", "", 200)]
    {
        let mut request = client::get(path);
        request.headers_mut().insert("x-tenant", tenant.parse().unwrap());
        let answer = alice.send(request).await.unwrap();
        assert_eq!(answer.status, status, "{path}");
        if status == 403 {
            denied.push(answer.header("x-countersign-decision").to_owned());
        }
    }
    for (path, status) in [("/orders", 200), ("/orders/1", 403), ("/admin/x", 403), ("/a/../b", 400)] {
        let answer = bob.send(client::get(path)).await.unwrap();
        assert_eq!(answer.status, status, "{path}");
        if status == 403 {
            denied.push(answer.header("x-countersign-decision").to_owned());
        }
    }
    drop((alice, bob));
    sidecar.signal(Signal::TERM);
    sidecar.exit().await;
    denied
}

async fn replay(setup: &Setup, table: &str, more: &[&str]) -> (i32, Value) {
    std::fs::write(setup.path("new.toml"), table).unwrap();
    let (log, new) = (setup.path("decisions"), setup.path("new.toml"));
    let arguments = ["policy", "replay", log.to_str().unwrap(), "--policy", new.to_str().unwrap(), "--format", "json"];
    let (code, said) = run(&[&arguments[..], more].concat(), setup.dir.path()).await;
    (code, serde_json::from_str(&said).expect(&said))
}

fn groups(said: &Value) -> Vec<Value> {
    let fields = |group: &Value| {
        json!([group["would_be"], group["caller"], group["method"], group["template"], group["was"], group["now"], group["count"]])
    };
    said["groups"].as_array().unwrap().iter().map(fields).collect()
}

#[tokio::test]
async fn what_a_sidecar_recorded_is_decided_again_as_it_was_and_otherwise_where_the_table_differs() {
    let mut setup = Setup::new();
    let denied = traffic(&mut setup).await;

    let (code, said) = replay(&setup, RULES, &["--strict"]).await;
    assert_eq!((code, &said["decided"], &said["undecidable"], groups(&said).len()), (0, &7.into(), &0.into(), 0), "{said:#}");
    assert_eq!(said["not_by_rules"], json!({ "malformed": 1 }));

    // Without a rule: exactly its requests.
    let without = RULES.replace("id = 'alice-reads'\neffect = 'allow'", "id = 'alice-reads'\neffect = 'audit'");
    let (code, said) = replay(&setup, &without, &[]).await;
    assert_eq!(code, 1);
    assert_eq!(groups(&said), [json!(["denied", ALICE, "GET", "/orders/{id}", "alice-reads", "implicit_deny", 2])], "{said:#}");

    // With a wider one, and another in the place of the list's.
    let wider =
        RULES.replace("/alice'] }", "/*'] }\nwhy = 'all'").replace("headers = [{ name = 'x-tenant', in = ['eu-1', 'eu-2'] }]\n", "");
    let (code, said) = replay(&setup, &wider.replace("everybody-lists", "list"), &[]).await;
    assert_eq!((code, &said["by_another_rule"]), (1, &2.into()), "{said:#}");
    let allowed = |caller| json!(["allowed", caller, "GET", "/orders/{id}", "implicit_deny", "alice-reads", 1]);
    assert_eq!(groups(&said), [allowed(ALICE), allowed(BOB)], "{said:#}");
    assert_eq!([0, 1].map(|group| said["groups"][group]["example"].as_str().unwrap().to_owned()), [denied[0].clone(), denied[1].clone()]);

    // A condition that nobody looked at then.
    let (code, said) = replay(&setup, &RULES.replace("'x-tenant'", "'x-region'"), &[]).await;
    assert_eq!((code, &said["undecidable"], &said["decided"]), (0, &3.into(), &4.into()), "{said:#}");
    let name = said["missing"].as_object().unwrap().keys().next().unwrap();
    assert!(name.starts_with("header:x-region "), "{name}");
    let (code, _) = replay(&setup, &RULES.replace("'x-tenant'", "'x-region'"), &["--strict"]).await;
    assert_eq!(code, 1);

    // In shadow nothing changes but by --enforced; and a boundary caps.
    let shadow = without.replace("name = 'orders'", "name = 'orders'\nmode = 'shadow'\nshadow_until = '2000-01-01T00:00:00Z'");
    let (_, said) = replay(&setup, &shadow, &[]).await;
    assert_eq!((&said["would_be_denied"], &said["would_be_allowed"]), (&0.into(), &3.into()), "{said:#}");
    let (_, said) = replay(&setup, &shadow, &["--enforced"]).await;
    assert_eq!((&said["would_be_denied"], &said["would_be_allowed"]), (&2.into(), &0.into()), "{said:#}");
    std::fs::write(setup.path("boundary.toml"), "schema = 1\nname = 'platform'\n").unwrap();
    let (code, said) = replay(&setup, RULES, &["--boundary", setup.path("boundary.toml").to_str().unwrap()]).await;
    assert_eq!((code, &said["would_be_denied"], &said["groups"][0]["now"]), (1, &4.into(), &"boundary".into()), "{said:#}");
}
