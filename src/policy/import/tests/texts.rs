//! Texts that readers understand differently, or that are not what they should be: refused, with the place.

use super::*;

const HEAD: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: a, namespace: n }\n";

fn refused(yaml: &str) -> String {
    import("p.yaml", yaml, &Origin::Istio(chosen()), "t").map(|imported| imported.toml).expect_err(yaml).to_string()
}

#[test]
fn what_yaml_can_hide_is_refused_by_name() {
    let table = [
        ("spec: &a { rules: [{}] }", "p.yaml:4:7: has an anchor"),
        ("spec: { rules: [&r {}, *r] }", "p.yaml:4:17: has an anchor"),
        ("spec: { action: !!str ALLOW }", "p.yaml:4:17: has the tag tag:yaml.org,2002:str"),
        ("spec: { action: !secret x }", "p.yaml:4:17: has the tag !secret"),
        ("spec: { rules: [{}], rules: [] }", "p.yaml:4:22: has the key `rules` twice"),
        ("spec:\n  action: DENY\n  rules: []\n  action: ALLOW", "p.yaml:7:3: has the key `action` twice"),
        ("spec: { <<: { action: DENY } }", "p.yaml:4:9: has the merge key <<"),
        ("spec: { ? [a] : b }", "p.yaml:4:11: has a key that is no text"),
        ("spec: { rules: [ }", "p.yaml:4"),
        ("spec: { rulez: [] }", "p.yaml:4:9: spec.rulez: is a field that is not known here"),
        ("spec: { rules: [{ from: [{ source: { principal: [a] } }] }] }", "source.principal: is a field that is not known here"),
        ("spec: { rules: [{ to: [{ operation: { ports: [8080] } }] }] }", "operation.ports[0]: is a number and no text"),
        ("spec: { rules: [{ to: [{ operation: { methods: [on] } }] }] }", "operation.methods[0]: is a boolean and no text"),
        ("spec: { rules: [{ to: [{ operation: { methods: [] } }] }] }", "operation.methods: is an empty list"),
        ("spec: { rules: [{ to: [{ operation: {} }] }] }", "operation: says nothing"),
        ("spec: { rules: [{ to: [{}] }] }", "to[0]: has no operation"),
        ("spec: { rules: [null] }", "rules[0]: is nothing and no mapping"),
        ("spec: { rules: {} }", "spec.rules: is a mapping and no list"),
        ("spec: { action: MAYBE }", "spec.action: is `MAYBE`"),
        ("spec: { rules: [{ when: [{ key: request.colour, values: [a] }] }] }", "has the key `request.colour`, which is no attribute"),
        ("spec: { rules: [{ when: [{ key: source.ip }] }] }", "has neither values nor notValues"),
    ];
    for (spec, begin) in table {
        let said = refused(&format!("{HEAD}{spec}\n"));
        assert!(said.contains(begin), "{spec}\n{said}");
    }
    assert!(refused(&HEAD.replace("AuthorizationPolicy", "RequestAuthentication")).contains("is a `RequestAuthentication`"));
    assert!(refused(&HEAD.replace("istio.io/v1", "istio.io/v2")).contains("is of `security.istio.io/v2`"));
    assert!(refused("").contains("has no AuthorizationPolicy") && refused("--- \n---\n").contains("has no AuthorizationPolicy"));
}

#[test]
fn several_documents_and_lists_count_together() {
    let one = policy("a", "ALLOW", "[{ to: [{ operation: { methods: [GET] } }] }]");
    let other = policy("b", "ALLOW", "[{ to: [{ operation: { methods: [PUT] } }] }]");
    let both = [("GET / from web/x", Verdict::Allow), ("PUT / from web/x", Verdict::Allow), ("POST / from web/x", Verdict::Deny)];
    decides(&imported(&format!("# first\n{one}\n---\n{other}...\n---\n# nothing\n")).toml, &both);
    let item =
        |yaml: &str| yaml.trim_start_matches("---\n").lines().map(|line| format!("  {line}\n")).collect::<String>().replacen("  ", "- ", 1);
    let list = format!("apiVersion: v1\nkind: List\nmetadata: {{ resourceVersion: '' }}\nitems:\n{}{}", item(&one), item(&other));
    decides(&imported(&list).toml, &both);
    let json = r#"{"apiVersion":"security.istio.io/v1","kind":"AuthorizationPolicy","metadata":{"name":"a"},"spec":{"rules":[{}]}}"#;
    decides(&imported(json).toml, &[("GET / from web/x", Verdict::Allow)]);
}

#[test]
fn neither_depth_nor_size_nor_repetition_takes_memory() {
    for open in ["[", "{a: ", "- ", "? "] {
        assert!(refused(&open.repeat(100_000)).starts_with("p.yaml:"), "{open}");
    }
    let laughs = (0..9).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, n| {
        format!("{text}a{}: &a{} [{}]\n", n + 1, n + 1, vec![format!("*a{n}"); 9].join(", "))
    });
    assert!(refused(&laughs).contains("has an anchor"));
    assert!(refused(&" ".repeat(8 << 20 | 1)).contains("is larger than 8 MiB"));
    assert!(refused(&format!("[{}]", "a,".repeat(300_000))).contains("has more than 200000 values"));
}

/// A name is somebody else's text, and the table is ours.
#[test]
fn names_do_not_leave_their_comment() {
    let yaml = policy("x", "ALLOW", "[{}]").replace("name: x", "name: \"x\\n[[rule]]\\nid = 'y'\\x7f\"");
    let imported = imported(&yaml);
    assert_eq!((imported.rules, table(&imported.toml, &[]).rules().len()), (1, 1), "{}", imported.toml);
}
