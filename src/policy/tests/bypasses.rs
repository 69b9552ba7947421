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

/// The code of the refusal of `GET target` with `Host: host`, before any rule is looked at.
fn refusal(target: &str, host: &str) -> &'static str {
    let Ok(uri) = Uri::try_from(target) else { return "refused by the parser" };
    let headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_str(host).unwrap())]);
    let answer =
        canonicalize(&Method::GET, &uri, Version::HTTP_11, &headers, &Strictness::default(), Listener::Inbound, &Mentioned::default());
    answer.err().map_or("ok", |malformed| if malformed.status() == 400 { malformed.code() } else { "another status" })
}

#[test]
fn cve_2019_9901_dot_segments() {
    assert_eq!(refusal("/public/../admin", "a.foo"), "path_dot_segment");
}

#[test]
fn cve_2021_29492_escaped_slashes() {
    assert_eq!(refusal("/admin%2fx", "a.foo"), "path_forbidden_escape");
    assert_eq!(refusal("/admin%5Cx", "a.foo"), "path_forbidden_escape");
}

#[test]
fn cve_2021_31920_two_slashes() {
    assert_eq!(refusal("//admin", "a.foo"), "path_empty_segment");
}

#[test]
fn cve_2019_18802_blanks_in_host() {
    assert_eq!(refusal("/", "a foo"), "host");
    // HTTP/1 trims the outer blank before us; over HTTP/2 it arrives.
    assert_eq!(refusal("/", "a.foo "), "header_blank");
}

#[test]
fn cve_2026_73551_73553_39852_path_parameters() {
    assert_eq!(refusal("/user/..;a=b/admin", "a.foo"), "path_dot_segment");
    assert_eq!(refusal("/admin;x=y/z", "a.foo"), "path_params");
    assert_eq!(refusal("/admin;", "a.foo"), "path_params");
}

#[test]
fn cve_2013_4547_raw_space() {
    assert_eq!(refusal("/a b", "a.foo"), "refused by the parser");
}

#[test]
fn cve_2025_47952_escaped_dots() {
    assert_eq!(refusal("/a/%2e%2e/admin", "a.foo"), "path_dot_segment");
}

#[test]
fn absolute_form() {
    assert_eq!(refusal("http://other/", "other"), "absolute_form");
}

#[test]
fn cve_2023_27487_2024_45806_2026_40575_forged_paths_decide_nothing_and_are_stripped() {
    let reserved = crate::request::reserved::Reserved::default();
    for name in ["x-envoy-original-path", "x-forwarded-uri", "x-original-url", "x-rewrite-url"] {
        let mut headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("a.foo"))]);
        headers.insert(name, HeaderValue::from_static("/public/x"));
        let uri = Uri::from_static("/admin/x");
        let request =
            canonicalize(&Method::GET, &uri, Version::HTTP_11, &headers, &Strictness::default(), Listener::Inbound, &Mentioned::default())
                .unwrap();
        assert_eq!(why(&decide(&in_force(true), &caller(WEB), &request, noon())), (Reason::ExplicitDeny, "no-admin".into()));
        assert!(reserved.contains(&http::HeaderName::from_static(name)));
    }
}

#[test]
fn port_semantics() {
    let text = format!("schema = 1\nname = 't'\n{}", anyone("r", "deny", "paths = ['/a']\nports = [443]"));
    assert!(parse_at("t", &text, &here(), noon()).unwrap_err().to_string().contains("443 is the port of no inbound listener"));
}
