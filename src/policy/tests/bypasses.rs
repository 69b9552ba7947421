use super::*;

/// `web` may read `/public/**` and `/app/**`; nobody may touch `/admin/**`; with `broad`, everything else may be read.
fn in_force(broad: bool) -> Snapshot {
    let web = format!("{{ spiffe = ['{WEB}'] }}");
    let mut rules = rule("read", "allow", &web, "methods = ['GET']\npaths = ['/public/**', '/app/**']")
        + &anyone("no-admin", "deny", "paths = ['/admin/**']");
    if broad {
        rules += &anyone("broad", "allow", "methods = ['GET']\npaths = ['/**']");
    }
    table(&rules)
}

/// A table that denies `deny` and lets everything else pass: the deny must hold.
fn all_but(deny: &str) -> Snapshot {
    table(&(anyone("no", "deny", deny) + &anyone("all", "allow", "paths = ['/**']")))
}

#[test]
fn cve_2021_32779_and_39156_fragment() {
    assert_eq!(why(&get(&in_force(true), "/admin/x#frag")), (Reason::ExplicitDeny, "no-admin".into()));
}

#[test]
fn cve_2021_39155_host_in_capitals() {
    let decision = decide(&all_but("paths = ['/**']\nhosts = ['a.foo']"), &caller(WEB), &request("GET", "/", "A.Foo"), noon());
    assert_eq!(why(&decision), (Reason::ExplicitDeny, "no".into()));
}

#[test]
fn cve_2020_8595_empty_query() {
    let table = table(&anyone("secret", "allow", "paths = ['/secret']"));
    assert_eq!(why(&get(&table, "/secret?")), (Reason::Rule, "secret".into()));
    assert_eq!(why(&get(&table, "/secret?x")), (Reason::Rule, "secret".into()));
}

#[test]
fn cve_2020_15104_one_label_only() {
    let table = table(&rule("r", "allow", "{ dns_san = ['*.example.com'] }", "paths = ['/**']"));
    let ask = |name| decide(&table, &caller(name), &request("GET", "/", "a.foo"), noon());
    assert!(ask("a.example.com").is_ok());
    assert_eq!(why(&ask("a.b.example.com")), (Reason::ImplicitDeny, "-".into()));
}

#[test]
fn cve_2026_39350_a_dot_is_a_dot() {
    let table = table(&rule("r", "allow", "{ spiffe = ['spiffe://prod.example/sa/cert-manager.io'] }", "paths = ['/**']"));
    let ask = |id| decide(&table, &caller(id), &request("GET", "/", "a.foo"), noon());
    assert!(ask("spiffe://prod.example/sa/cert-manager.io").is_ok());
    assert_eq!(why(&ask("spiffe://prod.example/sa/cert-manager-io")), (Reason::ImplicitDeny, "-".into()));
}

#[test]
fn cve_2025_46821_star_in_a_segment() {
    assert_eq!(why(&get(&all_but("paths = ['/admin/{x}']"), "/admin/a*b")), (Reason::ExplicitDeny, "no".into()));
}

#[test]
fn cve_2024_10005_escaped_letter() {
    assert_eq!(why(&get(&in_force(true), "/%61dmin/x")), (Reason::ExplicitDeny, "no-admin".into()));
}

#[test]
fn escaped_sub_delim() {
    assert_eq!(why(&get(&all_but("paths = ['/users/@admin']"), "/users/%40admin")), (Reason::ExplicitDeny, "no".into()));
}

#[test]
fn escape_case() {
    assert_eq!(why(&get(&all_but("paths = ['/caf%C3%A9']"), "/caf%c3%a9")), (Reason::ExplicitDeny, "no".into()));
}

#[test]
fn square_brackets() {
    let table = all_but("paths = ['/a[1]']");
    for target in ["/a[1]", "/a%5b1%5D"] {
        assert_eq!(why(&get(&table, target)), (Reason::ExplicitDeny, "no".into()), "{target}");
    }
}

#[test]
fn host_port() {
    let decision = decide(&all_but("paths = ['/**']\nhosts = ['a.foo']"), &caller(WEB), &request("GET", "/", "a.foo:8443"), noon());
    assert_eq!(why(&decision), (Reason::ExplicitDeny, "no".into()));
}

#[test]
fn the_table_in_force_denies_what_it_does_not_name() {
    let table = in_force(false);
    assert!(get(&table, "/public/x").is_ok());
    assert_eq!(why(&get(&table, "/public")), (Reason::ImplicitDeny, "-".into()));
    assert_eq!(why(&get(&table, "/other")), (Reason::ImplicitDeny, "-".into()));
}
