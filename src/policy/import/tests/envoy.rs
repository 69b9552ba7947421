//! RBAC of Envoy.

use super::*;
use Verdict::{Allow, Deny};

fn rbac(text: &str) -> Imported {
    import("rbac.yaml", text, &Origin::EnvoyRbac, "t").unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

/// One policy of these permissions and principals.
fn one(action: &str, permissions: &str, principals: &str) -> Imported {
    rbac(&format!("{{ action: {action}, policies: {{ p: {{ permissions: [{permissions}], principals: [{principals}] }} }} }}"))
}

#[test]
fn one_permission_and_one_principal_are_enough() {
    let text = r#"{
      "action": "ALLOW",
      "policies": {
        "accounts": {
          "permissions": [
            { "andRules": { "rules": [
              { "header": { "name": ":method", "stringMatch": { "exact": "GET" } } },
              { "urlPath": { "path": { "prefix": "/accounts" } } },
              { "orRules": { "rules": [ { "destinationPort": 8443 }, { "destination_port": 8444 } ] } }
            ] } },
            { "url_path": { "path": { "exact": "/health" } } }
          ],
          "principals": [
            { "authenticated": { "principal_name": { "exact": "spiffe://cluster.local/ns/web/sa/front" } } },
            { "authenticated": { "principalName": { "prefix": "spiffe://cluster.local/ns/ops/" } } },
            { "authenticated": { "principal_name": { "exact": "billing.corp.example" } } }
          ]
        }
      }
    }"#;
    let imported = rbac(text);
    assert_eq!(imported.gaps, []);
    decides(
        &imported.toml,
        &[
            ("GET /accounts/1 from web/front", Allow),
            ("GET /accounts/1 from ops/any", Allow),
            ("GET /accounts/1 from billing.corp.example", Allow),
            ("GET /accounts/1 from web/back", Deny),
            ("PUT /accounts/1 from web/front", Deny),
            ("PUT /health from web/front", Allow),
            ("GET /accounts/1 from web/front port=8444", Allow),
        ],
    );
}

#[test]
fn not_is_exact_at_every_depth() {
    let and = "{ and_rules: { rules: [{ header: { name: ':method', exact_match: GET } }, { url_path: { path: { prefix: /a/ } } }] } }";
    let imported = one(
        "ALLOW",
        &format!("{{ not_rule: {and} }}"),
        "{ not_id: { or_ids: { ids: [{ source_ip: { address_prefix: 10.0.0.0, prefix_len: 8 } }, { authenticated: { principal_name: { exact: 'spiffe://cluster.local/ns/web/sa/bad' } } }] } } }",
    );
    assert_eq!(imported.gaps, []);
    let asks = [
        ("GET /a/x from web/x", Deny),
        ("PUT /a/x from web/x", Allow),
        ("GET /b from web/x", Allow),
        ("GET /b from web/bad", Deny),
        ("GET /b from web/x source=10.1.1.1", Deny),
    ];
    decides(&imported.toml, &asks);
    let deny = one("DENY", &format!("{{ not_rule: {and} }}"), "{ any: true }");
    assert_eq!(deny.gaps, []);
    decides(&deny.toml, &[("GET /a/x from web/x", Allow), ("PUT /a/x from web/x", Deny), ("OPTIONS * from web/x", Deny)]);
}

#[test]
fn actions_and_filters_have_their_meaning() {
    decides(
        &one("DENY", "{ url_path: { path: { exact: /a } } }", "{ any: true }").toml,
        &[("GET /a from web/x", Deny), ("GET /b from web/x", Allow)],
    );
    decides(&one("LOG", "{ any: true }", "{ any: true }").toml, &[("GET /a from web/x", Allow)]);
    decides(&one("ALLOW", "{ any: true }", "{ authenticated: {} }").toml, &[("GET /a from web/x", Allow)]);
    decides(&rbac("{ policies: {} }").toml, &[("GET /a from web/x", Deny)]);
    let filter =
        "name: envoy.filters.http.rbac\ntyped_config:\n  '@type': type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC\n";
    let shadow = rbac(&format!("{filter}  shadow_rules: {{ action: DENY, policies: {{}} }}\n"));
    assert!(shadow.notes.iter().any(|note| note.contains("shadow_rules")) && shadow.gaps.is_empty());
    decides(&shadow.toml, &[("GET /a from web/x", Allow)]);
    let rules = rbac(&format!("{filter}  rules: {{ action: ALLOW, policies: {{}} }}\n"));
    decides(&rules.toml, &[("GET /a from web/x", Deny)]);
    let matcher = rbac(&format!("{filter}  matcher: {{ anything: 1 }}\n"));
    assert_eq!(matcher.gaps.len(), 1);
    decides(&matcher.toml, &[("GET /a from web/x", Deny)]);
}

#[test]
fn headers_of_http2_are_fields_of_a_rule() {
    let header = |more: &str| one("ALLOW", &format!("{{ header: {{ {more} }} }}"), "{ any: true }");
    decides(&header("name: ':path', prefix_match: /a/").toml, &[("GET /a/b?x=/c from web/x", Allow), ("GET /b?/a/ from web/x", Deny)]);
    decides(&header("name: x-a, present_match: true").toml, &[("GET / from web/x x-a=1", Allow), ("GET / from web/x", Deny)]);
    decides(&header("name: x-a, present_match: false").toml, &[("GET / from web/x x-a=1", Deny), ("GET / from web/x", Allow)]);
    decides(
        &header("name: x-a, string_match: { prefix: eu- }").toml,
        &[("GET / from web/x x-a=eu-1", Allow), ("GET / from web/x x-a=e", Deny)],
    );
}

#[test]
fn what_cannot_be_said_is_told_and_fails_closed() {
    let permissions = [
        "url_path: { path: { suffix: .png } }",
        "url_path: { path: { safe_regex: { regex: '/a.*' } } }",
        "url_path: { path: { exact: /a, ignore_case: true } }",
        "header: { name: ':path', exact_match: /a }",
        "header: { name: ':authority', exact_match: a.foo }",
        "header: { name: x-a, exact_match: b, invert_match: true }",
        "header: { name: x-a, contains_match: b }",
        "header: { name: x-a, range_match: { start: 1, end: 2 } }",
        "destination_ip: { address_prefix: 10.0.0.0, prefix_len: 8 }",
        "destination_port_range: { start: 1, end: 2 }",
        "requested_server_name: { exact: a.foo }",
        "metadata: { filter: a }",
        "uri_template: { name: a }",
    ];
    for permission in permissions {
        for action in ["ALLOW", "DENY"] {
            let imported = one(action, &format!("{{ {permission} }}"), "{ any: true }");
            assert_eq!(imported.gaps.len(), 1, "{permission}");
            decides(&imported.toml, &[("GET /a from web/x", Deny)]);
            let inside = one(action, &format!("{{ not_rule: {{ {permission} }} }}"), "{ any: true }");
            decides(&inside.toml, &[("GET /a from web/x", Deny)]);
        }
    }
    for principal in
        ["remote_ip: { address_prefix: 10.0.0.0 }", "filter_state: {}", "metadata: {}", "authenticated: { principal_name: { suffix: /x } }"]
    {
        assert_eq!(one("ALLOW", "{ any: true }", &format!("{{ {principal} }}")).gaps.len(), 1, "{principal}");
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    let table = [
        ("{ action: 3 }", "action: is no action"),
        ("{ polices: {} }", "polices: is a field that is not known here"),
        ("{ policies: { p: { permissions: [{ any: true }] } } }", "has no principals"),
        ("{ policies: { p: { permissions: [], principals: [{ any: true }] } } }", "permissions: is an empty list"),
        ("{ policies: { p: { permissions: [{ any: false }], principals: [{ any: true }] } } }", "any: is not true"),
        (
            "{ policies: { p: { permissions: [{ any: true, not_rule: {} }], principals: [{ any: true }] } } }",
            "has 2 fields, and one of them counts",
        ),
        ("{ policies: { p: { permissions: [{ all: true }], principals: [{ any: true }] } } }", "all: is a field that is not known here"),
        ("{ '@type': x.v3.Router }", "is a `x.v3.Router`"),
        ("{ policies: {}, policies: {} }", "has the key `policies` twice"),
        ("{}\n---\n{}", "begins a second document"),
        ("", "is empty"),
    ];
    for (text, what) in table {
        let said = import("r", text, &Origin::EnvoyRbac, "t").map(|imported| imported.toml).expect_err(text).to_string();
        assert!(said.contains(what), "{text}\n{said}");
    }
}
