//! Policies like those in Istio's documentation, and what it says of them.

use super::*;
use Verdict::{Allow, Deny};

/// Imports without a gap, and decides so.
fn exactly(yaml: &str, asks: &[(&str, Verdict)]) {
    let imported = imported(yaml);
    assert_eq!(imported.gaps, [], "{yaml}");
    decides(&imported.toml, asks);
}

#[test]
fn sources_and_operations_are_alternatives() {
    let rules = "[{ from: [{ source: { principals: [cluster.local/ns/batch/sa/nightly] } }, { source: { namespaces: [lab] } }],
      to: [{ operation: { methods: [GET], paths: [/report*] } }, { operation: { methods: [POST], paths: [/upload] } }] }]";
    exactly(
        &policy("reports", "ALLOW", rules),
        &[
            ("GET /report from batch/nightly", Allow),
            ("GET /reports/2026 from lab/x", Allow),
            ("POST /upload from lab/x", Allow),
            ("POST /report from lab/x", Deny),
            ("GET /upload from batch/nightly", Deny),
            ("GET /report from batch/daily", Deny),
            ("GET /report from laboratory/x", Deny),
        ],
    );
}

#[test]
fn a_deny_overrides_an_allow() {
    let all = policy("readers", "ALLOW", "[{ to: [{ operation: { methods: [GET, HEAD] } }] }]");
    let deny = policy("not-lab", "DENY", "[{ from: [{ source: { namespaces: [lab] } }], to: [{ operation: { methods: [GET] } }] }]");
    exactly(&format!("{all}{deny}"), &[("GET / from lab/x", Deny), ("HEAD / from lab/x", Allow), ("GET / from web/x", Allow)]);
}

#[test]
fn a_policy_without_rules_allows_nothing() {
    let text = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: nothing, namespace: shop }\n";
    for spec in ["spec: {}\n", "", "spec:\n", "spec: { action: ALLOW }\n", "spec: { rules: null }\n"] {
        exactly(&format!("{text}{spec}"), &[("GET / from web/x", Deny), ("OPTIONS * from web/x", Deny)]);
    }
}

#[test]
fn an_empty_rule_allows_everything() {
    exactly(
        &policy("all", "ALLOW", "[{}]"),
        &[("GET / from web/x", Allow), ("OPTIONS * from web/x", Allow), ("DELETE /a/b/ from x/y", Allow)],
    );
}

#[test]
fn an_empty_rule_denies_everything() {
    let allow = policy("all", "ALLOW", "[{}]");
    exactly(&format!("{allow}{}", policy("none", "DENY", "[{}]")), &[("GET / from web/x", Deny), ("OPTIONS * from web/x", Deny)]);
}

#[test]
fn a_deny_without_rules_denies_nothing_and_without_allows_all_is_allowed() {
    let text = "apiVersion: security.istio.io/v1beta1\nkind: AuthorizationPolicy\nmetadata: { name: d }\nspec: { action: DENY }";
    exactly(text, &[("GET / from web/x", Allow), ("PUT /a from web/x", Allow)]);
}

#[test]
fn policies_of_the_root_namespace_are_about_all() {
    let root = policy("base", "ALLOW", "[]").replace("namespace: shop", "namespace: istio-system").replace("  rules: []\n", "");
    let own = policy("front", "ALLOW", "[{ from: [{ source: { principals: [cluster.local/ns/web/sa/front] } }] }]");
    let other = own.replace("namespace: shop", "namespace: bank").replace("sa/front", "sa/cash");
    let shop = Chosen { namespace: Some("shop".to_owned()), ..chosen() };
    let imported = imported_for(&format!("{root}{own}{other}"), shop);
    decides(&imported.toml, &[("GET / from web/front", Allow), ("GET / from web/cash", Deny)]);
    assert!(imported.notes.iter().any(|note| note.contains("bank/front")), "{:?}", imported.notes);
    let problems = import("p", &format!("{own}{other}"), &Origin::Istio(chosen()), "t").unwrap_err().to_string();
    assert!(problems.contains("the namespaces bank, shop"), "{problems}");
}

#[test]
fn a_selector_chooses_a_workload() {
    let one = policy("cart", "ALLOW", "[{}]").replace("spec:", "spec:\n  selector: { matchLabels: { app: cart } }");
    let other = policy("stock", "DENY", "[{}]").replace("spec:", "spec:\n  selector: { matchLabels: { app: stock } }");
    let both = format!("{one}{other}");
    let problems = import("p", &both, &Origin::Istio(chosen()), "t").unwrap_err().to_string();
    assert!(problems.contains("--workload"), "{problems}");
    let cart = Chosen { labels: vec![("app".to_owned(), "cart".to_owned()), ("v".to_owned(), "1".to_owned())], ..chosen() };
    decides(&imported_for(&both, cart).toml, &[("GET / from web/x", Allow)]);
    let nobody = Chosen { labels: vec![("app".to_owned(), "bank".to_owned())], ..chosen() };
    assert!(import("p", &both, &Origin::Istio(nobody), "t").is_err(), "without a policy everything would be allowed");
}

#[test]
fn any_principal_is_anybody_with_a_certificate() {
    exactly(
        &policy("mtls", "ALLOW", "[{ from: [{ source: { principals: ['*'] } }] }]"),
        &[("GET / from web/x", Allow), ("GET / from p.d", Allow)],
    );
    // Those without a certificate never get as far as this.
    exactly(&policy("mtls", "DENY", "[{ from: [{ source: { notPrincipals: ['*'] } }] }]"), &[("GET / from web/x", Allow)]);
}

#[test]
fn fields_of_one_source_must_all_be_met() {
    let rules = "[{ from: [{ source: { principals: [cluster.local/ns/web/*, cluster.local/ns/lab/sa/a], namespaces: [lab], ipBlocks: [10.1.2.3/8] } }] }]";
    exactly(
        &policy("both", "ALLOW", rules),
        &[
            ("GET / from lab/a source=10.9.9.9", Allow),
            ("GET / from lab/a source=11.0.0.1", Deny),
            ("GET / from web/a source=10.9.9.9", Deny),
            ("GET / from lab/b source=10.9.9.9", Deny),
        ],
    );
}

#[test]
fn an_allow_may_leave_out_paths() {
    let rules =
        "[{ from: [{ source: { namespaces: [web] } }], to: [{ operation: { paths: [/api/*], notPaths: [/api/keys, /api/keys/*] } }] }]";
    let other =
        policy("ops", "ALLOW", "[{ from: [{ source: { namespaces: [web, ops] } }], to: [{ operation: { paths: [/api/keys/old] } }] }]");
    exactly(
        &format!("{}{other}", policy("api", "ALLOW", rules)),
        &[
            ("GET /api/x from web/a", Allow),
            ("GET /api/keys from web/a", Deny),
            ("GET /api/keys/new from web/a", Deny),
            ("GET /api/keys/old from web/a", Allow),
            ("GET /api/keys/old from ops/a", Allow),
        ],
    );
}

#[test]
fn a_deny_may_leave_out_callers() {
    let allow = policy("api", "ALLOW", "[{ to: [{ operation: { paths: [/api/*] } }] }, { to: [{ operation: { paths: [/admin/*] } }] }]");
    let deny = policy("admin", "DENY", "[{ from: [{ source: { notNamespaces: [ops] } }], to: [{ operation: { paths: [/admin/*] } }] }]");
    let deny_too = policy(
        "keys",
        "DENY",
        "[{ from: [{ source: { notPrincipals: [cluster.local/ns/ops/sa/root] } }], to: [{ operation: { paths: [/admin/keys] } }] }]",
    );
    exactly(
        &format!("{allow}{deny}{deny_too}"),
        &[
            ("GET /api/x from web/a", Allow),
            ("GET /admin/x from web/a", Deny),
            ("GET /admin/x from ops/a", Allow),
            ("GET /admin/keys from ops/a", Deny),
            ("GET /admin/keys from ops/root", Allow),
            ("GET /admin/keys from web/root", Deny),
        ],
    );
    // The same where nothing has to be allowed.
    exactly(
        &deny,
        &[
            ("GET /admin/x from ops/a", Allow),
            ("GET /admin/x from web/a", Deny),
            ("OPTIONS * from web/a", Allow),
            ("GET /x from web/a", Allow),
        ],
    );
}

#[test]
fn ports_and_methods_may_be_left_out() {
    let deny = policy("only-get", "DENY", "[{ to: [{ operation: { notMethods: [GET], notPorts: ['8443'] } }] }]");
    exactly(
        &deny,
        &[
            ("POST / from web/x port=8444", Deny),
            ("GET / from web/x port=8444", Allow),
            ("POST / from web/x", Allow),
            ("GET / from web/x", Allow),
        ],
    );
}

#[test]
fn templates_go_by_segment() {
    let rules = "[{ to: [{ operation: { paths: ['/a/{*}', '/b/{*}/c', '/d/{**}'] } }] }]";
    exactly(
        &policy("templates", "ALLOW", rules),
        &[
            ("GET /a/x from web/x", Allow),
            ("GET /a/x*y from web/x", Allow),
            ("GET /a/x/y from web/x", Deny),
            ("GET /a/ from web/x", Deny),
            ("GET /b/x/c from web/x", Allow),
            ("GET /b/x/d from web/x", Deny),
            ("GET /d/ from web/x", Allow),
            ("GET /d/e/f from web/x", Allow),
            ("GET /d from web/x", Deny),
        ],
    );
}

#[test]
fn headers_are_conditions() {
    let rules =
        "[{ when: [{ key: 'request.headers[x-version]', values: [v1, 'beta*'] }, { key: 'request.headers[x-old]', notValues: ['*'] }] }]";
    exactly(
        &policy("versions", "ALLOW", rules),
        &[
            ("GET / from web/x x-version=v1", Allow),
            ("GET / from web/x x-version=beta-2", Allow),
            ("GET / from web/x x-version=v2", Deny),
            ("GET / from web/x", Deny),
            ("GET / from web/x x-version=v1 x-old=1", Deny),
        ],
    );
}

#[test]
fn attributes_have_their_fields() {
    let rules = "[{ when: [{ key: source.ip, values: [192.0.2.7], notValues: [192.0.2.0/30] }, { key: source.namespace, values: [web] },
      { key: source.principal, notValues: [cluster.local/ns/web/sa/bad] }, { key: destination.port, values: ['8443', '8444'] }] }]";
    exactly(
        &policy("when", "ALLOW", rules),
        &[
            ("GET / from web/x source=192.0.2.7", Allow),
            ("GET / from web/bad source=192.0.2.7", Deny),
            ("GET / from web/x source=192.0.2.8", Deny),
            ("GET / from web/x source=192.0.2.7 port=8445", Deny),
        ],
    );
}

#[test]
fn hosts_count_whatever_the_port() {
    let yaml = policy("host", "ALLOW", "[{ to: [{ operation: { hosts: [Shop.example, 'shop.example:*'] } }] }]");
    exactly(
        &yaml,
        &[("GET / from web/x host=shop.example", Allow), ("GET / from web/x host=shop.example:81", Allow), ("GET / from web/x", Deny)],
    );
    let alone = imported(&policy("host", "ALLOW", "[{ to: [{ operation: { hosts: [shop.example] } }] }]"));
    assert_eq!(gaps(&alone), ["spec.rules[0].to[0].operation.hosts[0]"]);
    decides(&alone.toml, &[("GET / from web/x host=shop.example", Deny)]);
}

#[test]
fn other_trust_domains_are_aliases() {
    let yaml =
        policy("td", "ALLOW", "[{ from: [{ source: { principals: [old.example/ns/web/sa/x] } }, { source: { namespaces: [lab] } }] }]");
    let domains = Chosen { trust_domains: vec!["new.example".to_owned(), "old.example".to_owned()], ..chosen() };
    let imported = imported_for(&yaml, domains);
    assert_eq!(imported.gaps, []);
    for (caller, verdict) in [
        ("spiffe://new.example/ns/web/sa/x", Allow),
        ("spiffe://old.example/ns/web/sa/x", Allow),
        ("spiffe://new.example/ns/lab/sa/x", Allow),
        ("spiffe://cluster.local/ns/web/sa/x", Deny),
    ] {
        decides(&imported.toml, &[(&format!("GET / from {caller}"), verdict)]);
    }
}

#[test]
fn a_namespace_in_a_deny_needs_to_know_all_trust_domains() {
    let nobody_said = Chosen { trust_domains: Vec::new(), ..chosen() };
    let deny = imported_for(&policy("d", "DENY", "[{ from: [{ source: { namespaces: [lab] } }] }]"), nobody_said.clone());
    assert_eq!(gaps(&deny), ["spec.rules[0].from[0].source.namespaces"]);
    decides(&deny.toml, &[("GET / from web/x", Deny)]);
    assert_eq!(imported_for(&policy("a", "ALLOW", "[{ from: [{ source: { namespaces: [lab] } }] }]"), nobody_said).gaps, []);
}

#[test]
fn a_dry_run_changes_nothing() {
    let yaml = policy("dry", "DENY", "[{}]").replace("namespace: shop", "namespace: shop, annotations: { istio.io/dry-run: 'true' }");
    let all = policy("all", "ALLOW", "[{}]");
    let imported = imported(&format!("{all}{yaml}"));
    assert!(imported.notes.iter().any(|note| note.contains("dry run")), "{:?}", imported.notes);
    decides(&imported.toml, &[("GET / from web/x", Allow)]);
}

#[test]
fn an_audit_changes_nothing() {
    let imported = imported(&policy("audited", "AUDIT", "[{ to: [{ operation: { paths: [/pay] } }] }]"));
    assert!(imported.toml.contains("effect = \"audit\"\n") && imported.gaps.is_empty());
    decides(&imported.toml, &[("GET /pay from web/x", Allow), ("GET / from web/x", Allow)]);
}

#[test]
fn accounts_are_named_with_their_namespace() {
    let yaml = policy("accounts", "ALLOW", "[{ from: [{ source: { serviceAccounts: [web/front, mine] } }] }]");
    exactly(&yaml, &[("GET / from web/front", Allow), ("GET / from shop/mine", Allow), ("GET / from web/mine", Deny)]);
}

/// What has no counterpart, each in a rule of its own. An allow with it is left out, a deny with it is wider: neither lets pass more than was meant.
#[test]
fn what_cannot_be_said_is_told_and_fails_closed() {
    let table = [
        ("from: [{ source: { requestPrincipals: ['*'] } }]", "from[0].source.requestPrincipals"),
        ("from: [{ source: { notRequestPrincipals: ['*'] } }]", "from[0].source.notRequestPrincipals"),
        ("from: [{ source: { remoteIpBlocks: [192.0.2.0/24] } }]", "from[0].source.remoteIpBlocks"),
        ("from: [{ source: { notRemoteIpBlocks: [192.0.2.0/24] } }]", "from[0].source.notRemoteIpBlocks"),
        ("from: [{ source: { principals: ['*/sa/front'] } }]", "from[0].source.principals[0]"),
        ("from: [{ source: { principals: ['cluster.local/ns/web/sa/fro*'] } }]", "from[0].source.principals[0]"),
        ("from: [{ source: { principals: ['cluster.local/ns/*/sa/x'] } }]", "from[0].source.principals[0]"),
        ("from: [{ source: { namespaces: ['web*'] } }]", "from[0].source.namespaces[0]"),
        ("to: [{ operation: { paths: ['*.png'] } }]", "to[0].operation.paths[0]"),
        ("to: [{ operation: { notPaths: ['/a', '*.png'] } }]", "to[0].operation.notPaths[1]"),
        ("to: [{ operation: { paths: ['/a/{**}/b'] } }]", "to[0].operation.paths[0]"),
        ("to: [{ operation: { methods: ['P*'] } }]", "to[0].operation.methods[0]"),
        ("to: [{ operation: { hosts: ['*.example'] } }]", "to[0].operation.hosts[0]"),
        ("when: [{ key: 'request.auth.claims[groups]', values: [a] }]", "when[0].values"),
        ("when: [{ key: 'request.headers[x-a]', values: ['*b'] }]", "when[0].values"),
        ("when: [{ key: 'request.headers[x-forwarded-for]', values: [b] }]", "when[0].values"),
        ("when: [{ key: remote.ip, notValues: [192.0.2.1] }]", "when[0].notValues"),
        ("when: [{ key: connection.sni, values: [a.foo] }]", "when[0].values"),
    ];
    for (field, place) in table {
        for action in ["ALLOW", "DENY"] {
            let all = if action == "DENY" { policy("all", "ALLOW", "[{}]") } else { String::new() };
            let imported = imported(&format!("{}{all}", policy("p", action, &format!("[{{ {field} }}]"))));
            let wanted = format!("spec.rules[0].{place}");
            assert!(gaps(&imported).iter().all(|gap| gap.ends_with(&wanted)) && imported.gaps.len() == 1, "{field}: {:?}", imported.gaps);
            let request = "GET /x.png from web/front host=a.example x-a=ab";
            let allowed = if field.contains("notPaths") && action == "DENY" { "GET /a from web/front" } else { request };
            let verdict = if allowed == request { Deny } else { Allow };
            decides(&imported.toml, &[(request, Deny), (allowed, verdict)]);
        }
    }
}

#[test]
fn an_authorizer_outside_is_taken_to_refuse() {
    let custom =
        policy("ext", "CUSTOM", "[{ to: [{ operation: { paths: [/pay/*] } }] }]").replace("spec:", "spec:\n  provider: { name: opa }");
    let imported = imported(&format!("{custom}{}", policy("all", "ALLOW", "[{}]")));
    assert_eq!((imported.gaps.len(), gaps(&imported)), (1, vec!["document[0].spec.rules[0]"]));
    decides(&imported.toml, &[("GET /pay/x from web/x", Deny), ("GET / from web/x", Allow)]);
}

#[test]
fn a_policy_of_a_gateway_is_told() {
    let yaml = policy("gw", "ALLOW", "[{}]")
        .replace("spec:", "spec:\n  targetRefs: [{ kind: Gateway, group: gateway.networking.k8s.io, name: g }]");
    let imported = imported(&yaml);
    assert_eq!(imported.gaps.len(), 1);
    decides(&imported.toml, &[("GET / from web/x", Deny)]);
}
