//! Rules about TCP connections and about where the service connects to.

use super::super::parse::parse_at;
use super::super::{Destination, Outgoing, Tables, decide_connection, decide_destination};
use super::*;

fn connect(table: &Snapshot, id: &str) -> (Reason, String) {
    why(&decide_connection(table, &caller(id), noon()))
}

#[test]
fn tcp_rules_decide_connections_and_no_requests() {
    let rules = rule("db", "allow", &format!("{{ spiffe = ['{WEB}'] }}"), &format!("tcp = true\nports = [{PORT}]"));
    let only = table(&rules);
    assert_eq!(connect(&only, WEB), (Reason::Rule, "db".into()));
    assert_eq!(connect(&only, "spiffe://prod.example/ns/web/sa/other"), (Reason::ImplicitDeny, "-".into()));
    assert_eq!(why(&get(&only, "/")), (Reason::ImplicitDeny, "-".into()), "a request is none");
    assert_eq!(connect(&table(&anyone("all", "allow", "paths = ['/**']")), WEB), (Reason::ImplicitDeny, "-".into()));
    let denied = table(&(rules.clone() + &anyone("no", "deny", "tcp = true")));
    assert_eq!(connect(&denied, WEB), (Reason::ExplicitDeny, "no".into()));
    let conditional = table(&(rules + "[rule.when]\ntls = { min = '1.3' }\n"));
    assert_eq!(connect(&conditional, WEB), (Reason::ImplicitDeny, "-".into()), "the caller of these tests has no TLS, which is unknown");
}

#[test]
fn what_only_a_request_has_is_refused_beside_tcp() {
    for more in ["paths = ['/']", "methods = ['GET']", "grpc = ['a.B/C']", "hosts = ['a']", "headers = [{ name = 'x', present = true }]"] {
        let text = format!("schema = 1\nname = 't'\n{}", anyone("r", "allow", &format!("tcp = true\n{more}")));
        let problems = parse_at("t", &text, &here(), noon()).unwrap_err().to_string();
        assert!(problems.contains("stands beside tcp"), "{more}: {problems}");
    }
}

const STRIPE: &str = "[[egress]]\nid = 'stripe'\nhosts = ['api.stripe.com', '*.stripe.network']\nports = [443]\ntls = 'required'\n";

#[test]
fn a_table_that_lists_destinations_allows_no_others() {
    let to = |host: &str, port, tls| Destination { host: host.into(), port, tls };
    let decide = |own: &str, boundary: Option<&str>, to: Destination| {
        let tables = Tables::new(parsed("", own), boundary.map(|rules| parsed("", rules)), None);
        match decide_destination(&tables, &to) {
            Outgoing::Allowed(entry) => entry.id.clone(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(decide("", None, to("anywhere", 1, false)), "Unlisted");
    for (destination, expected) in [
        (to("api.stripe.com", 443, true), "stripe"),
        (to("x.stripe.network", 443, true), "stripe"),
        (to("x.y.stripe.network", 443, true), "Denied(Own)"),
        (to("api.stripe.com", 443, false), "Denied(Own)"),
        (to("api.stripe.com", 80, true), "Denied(Own)"),
        (to("elsewhere", 443, true), "Denied(Own)"),
    ] {
        assert_eq!(decide(STRIPE, None, destination.clone()), expected, "{destination:?}");
    }
    let other = STRIPE.replace("api.stripe.com", "api.other.com");
    assert_eq!(decide(STRIPE, Some(&other), to("api.stripe.com", 443, true)), "Denied(Boundary)");
    assert_eq!(decide("", Some(STRIPE), to("api.stripe.com", 443, true)), "stripe");
}

#[test]
fn cases_about_connections_run_with_the_table() {
    let table = anyone("db", "allow", "tcp = true") + STRIPE;
    let case = |what: &str, expect: &str| format!("[[case]]\nname = 'c'\n{what}\nexpect = '{expect}'\n");
    let good = [
        case(&format!("tcp = true\nrule = 'db'\nfrom = '{WEB}'"), "allow"),
        case("egress = 'tls://api.stripe.com:443'", "allow"),
        case("egress = 'tcp://api.stripe.com:443'", "deny"),
    ];
    parsed("", &(table.clone() + &good.concat()));
    for (bad, what) in [
        (case(&format!("tcp = true\nfrom = '{WEB}'"), "deny"), "expects deny and gets allow by `db`"),
        (case("egress = 'tls://api.stripe.com:443'", "deny"), "expects deny and gets allow by `stripe`"),
        (case("egress = 'https://api.stripe.com'", "deny"), "is no destination"),
        (case("egress = 'tls://api.stripe.com'", "deny"), "is no destination"),
        (case("tcp = true\nfrom = 'spiffe://d/a'\npath = '/'", "allow"), "path: unknown key"),
    ] {
        let text = format!("schema = 1\nname = 't'\n{table}{bad}");
        let problems = parse_at("t", &text, &here(), noon()).unwrap_err().to_string();
        assert!(problems.contains(what), "{what}: {problems}");
    }
}

#[test]
fn a_sidecar_refuses_what_it_does_not_carry() {
    let listeners = Listeners { http_only: true, ..here() };
    for rules in [anyone("db", "allow", "tcp = true"), STRIPE.to_owned()] {
        let text = format!("schema = 1\nname = 't'\n{rules}");
        assert!(parse_at("t", &text, &here(), noon()).is_ok());
        let problems = parse_at("t", &text, &listeners, noon()).unwrap_err().to_string();
        assert!(problems.contains("yet") && problems.contains("`countersign policy` takes it"), "{problems}");
    }
}
