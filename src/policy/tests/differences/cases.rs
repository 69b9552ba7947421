//! Differences one by one.

use super::*;
use crate::policy::diff::{By, Change, Limit};
use crate::policy::explain::RulePlace;
use crate::policy::{Destination, Part};

const HEAD: &str = "schema = 1\nname = 't'\n";

fn web(id: &str, effect: &str, more: &str) -> String {
    rule(id, effect, &format!("{{ spiffe = ['{WEB}'] }}"), more)
}

fn between(a: &str, b: &str) -> Difference {
    compare(&tables(&format!("{HEAD}{a}"), None), &tables(&format!("{HEAD}{b}"), None))
}

fn relation(a: &str, b: &str) -> Relation {
    let found = between(a, b);
    assert_eq!(found.limits, [], "{found:#?}");
    found.relation
}

/// The shortest of each direction.
fn shortest(found: &Difference, direction: usize) -> &Change {
    &found.changes[direction].shown[0]
}

#[test]
fn a_widened_rule_among_ten_thousand_is_found_with_its_shortest_witness() {
    let text = |widened: Option<usize>| -> String {
        let rule = |number: usize| {
            let end = if widened == Some(number) { "**" } else { "{id}" };
            let caller = number / 10;
            format!(
                "[[rule]]\nid = 'r{number}'\neffect = 'allow'\nwhy = 'w'\nfrom = {{ spiffe = ['spiffe://prod.example/sa/caller-{caller}'] }}\n\
                 methods = ['GET', 'HEAD']\npaths = ['/service-{}/items-{number}/{end}']\n",
                number % 100
            )
        };
        format!("{HEAD}{}", (0..10_000).rev().map(rule).collect::<String>())
    };
    let (a, b) = (tables(&text(None), None), tables(&text(Some(4_711)), None));
    let found = compare(&a, &b);
    assert_eq!((found.relation, &found.limits), (Relation::Wider, &vec![]));
    let [change] = &*found.changes[ALLOWED].shown else { panic!("{found:#?}") };
    assert_eq!(change.callers, ["spiffe://prod.example/sa/caller-471"]);
    assert_eq!(change.template.as_deref(), Some("/service-11/items-4711/**"));
    assert_eq!((&*change.methods, change.is_any_method), (&["GET".to_owned(), "HEAD".to_owned()][..], false));
    assert_eq!(change.witness.sought.to_string(), "GET /service-11/items-4711/");
    assert_eq!(change.witness.caller.as_str(), "spiffe://prod.example/sa/caller-471");
    let place = RulePlace { part: Part::Own, index: 10_000 - 1 - 4_711 };
    assert_eq!(change.witness.by, [By::Nothing(Part::Own), By::Rule(place)]);
    assert_eq!(compare(&b, &a).relation, Relation::Narrower);
    assert_eq!(compare(&a, &a).relation, Relation::Equal);
}

#[test]
fn what_means_the_same_is_equal() {
    let all = web("a", "allow", "paths = ['/a/**']");
    let table = [
        (
            web("a", "allow", "methods = ['GET', 'HEAD']\npaths = ['/a', '/b']"),
            ["GET", "HEAD"]
                .map(|method| web(&method.to_lowercase(), "allow", &format!("methods = ['{method}']\npaths = ['/b', '/a']")))
                .concat(),
        ),
        // A deny, and less that is allowed.
        (all.clone() + &anyone("no", "deny", "paths = ['/a/{x}/**']"), web("a", "allow", "paths = ['/a/', '/a/{x}']")),
        // What is spared is as if it were not denied.
        (all.clone() + &anyone("no", "deny", "paths = ['/**']\nexcept_rules = ['a']"), all.clone()),
        // What lets nothing more pass, and refuses nothing.
        (all.clone() + &web("b", "allow", "paths = ['/a/b']\nheaders = [{ name = 'x-a', eq = 'v' }]"), all.clone()),
        (anyone("no", "deny", "paths = ['/**']"), String::new()),
        (web("a", "allow", "paths = ['/a']\nexpires = '2026-11-21T11:00:00Z'"), String::new()),
        (
            web("a", "allow", "paths = ['/a']\nheaders = [{ name = 'x-a', in = ['u', 'v'] }]"),
            web("b", "allow", "paths = ['/a']\nheaders = [{ name = 'x-a', in = ['v', 'u'] }]"),
        ),
        (
            format!("[sets.principals]\none = ['{WEB}']\n") + &rule("a", "allow", "{ spiffe = ['@one'] }", "paths = ['/a']"),
            web("a", "allow", "paths = ['/a']"),
        ),
    ];
    for (a, b) in table {
        assert_eq!(relation(&a, &b), Relation::Equal, "{a}\n=====\n{b}");
    }
}

/// An allow wants what holds, a deny what may hold: what is unknown is between.
#[test]
fn what_is_unknown_grants_nothing_and_excuses_nothing() {
    let all = web("all", "allow", "paths = ['/a']");
    let when =
        |id: &str, effect: &str, more: &str| web(id, effect, &format!("paths = ['/a']\nheaders = [{{ name = 'x-a', eq = 'v' }}]\n{more}"));
    // What is let pass where it holds and denied where it may is denied where it is unknown, and so it is beside one that is let pass always.
    let unless = all.clone() + &when("some", "allow", "") + &when("no", "deny", "except_rules = ['some']");
    let found = between(&all, &unless);
    assert_eq!((found.relation, &found.limits), (Relation::Narrower, &vec![]));
    let given = &shortest(&found, DENIED).witness.given;
    assert_eq!(*given, [r#"{"header":{"in":["v"],"name":"x-a"}} cannot be told"#]);
    // Where it is denied whatever may hold, nothing is left of what holds.
    assert_eq!(relation(&(when("some", "allow", "") + &when("no", "deny", "")), ""), Relation::Equal);
    let found = between(&all, &when("some", "allow", ""));
    assert_eq!(shortest(&found, DENIED).witness.given.len(), 1);
    assert_eq!(found.relation, Relation::Narrower);
    // Other conditions are others, even if one is inside the other for whoever reads them.
    let other = web("some", "allow", "paths = ['/a']\nheaders = [{ name = 'x-a', prefix = 'v' }]");
    assert_eq!(relation(&when("some", "allow", ""), &other), Relation::Incomparable);
}

#[test]
fn more_than_twelve_conditions_at_one_place_are_not_compared() {
    let rules = |count: usize, last: &str| -> String {
        let rule = |at: usize| web(&format!("r{at}"), "allow", &format!("paths = ['/a']\nheaders = [{{ name = 'x-{at}', eq = 'v' }}]"));
        (0..count).map(rule).collect::<String>() + last
    };
    let last = web("last", "allow", "methods = ['GET']\npaths = ['/a']\nheaders = [{ name = 'x-0', eq = 'v' }]");
    assert_eq!(relation(&rules(12, ""), &rules(12, &last)), Relation::Equal);
    let found = between(&rules(13, ""), &rules(13, &last));
    assert_eq!(found.relation, Relation::Incomparable);
    assert_eq!(found.limits, [Limit::Conditions { count: 13, at: "GET /a".into() }]);
    // Where it does not hang on them, they do not matter.
    assert_eq!(relation(&rules(13, ""), &rules(13, &web("all", "allow", "paths = ['/b']"))), Relation::Wider);
    let no = web("no", "deny", "paths = ['/a']");
    assert_eq!(relation(&rules(13, &no), &(rules(13, &last) + &no)), Relation::Equal);
}

/// What names hosts cannot be told of a request without one: an allow is not met, and a deny is.
#[test]
fn a_request_without_a_host_is_told_apart() {
    let all = web("all", "allow", "paths = ['/a']");
    let one = web("one", "allow", "hosts = ['h.example']\npaths = ['/a']");
    let no = web("no", "deny", "hosts = ['h.example']\npaths = ['/a']\nexcept_rules = ['one']");
    let found = between(&all, &(all.clone() + &one + &no));
    assert_eq!((found.relation, &found.limits), (Relation::Narrower, &vec![]));
    assert_eq!(shortest(&found, DENIED).witness.sought.to_string(), "GET /a, without a host");
}

#[test]
fn of_several_ways_the_shortest_is_the_witness() {
    for paths in ["['/a/**', '/a/{x}/**', '/a/b/{y}']", "['/a/b/{y}', '/a/{x}/**', '/a/**']"] {
        let found = between("", &web("a", "allow", &format!("paths = {paths}")));
        assert_eq!(shortest(&found, ALLOWED).witness.sought.to_string(), "GET /a/", "{paths}");
    }
}

#[test]
fn shares_and_ends_have_an_order() {
    let share = |percent: u8| web("a", "allow", &format!("paths = ['/a']\nenforce_percent = {percent}"));
    let until = |hour: u8| web("a", "allow", &format!("paths = ['/a']\nexpires = '2026-11-21T{hour}:00:00Z'"));
    assert_eq!(relation(&share(10), &share(30)), Relation::Wider);
    assert_eq!(relation(&share(30), &share(10)), Relation::Narrower);
    assert_eq!(relation(&share(100), &share(99)), Relation::Narrower);
    assert_eq!(relation(&until(13), &until(14)), Relation::Wider);
    let found = between(&until(13), &until(14));
    assert_eq!(shortest(&found, ALLOWED).witness.given, ["it is before 2026-11-21T14:00:00Z"]);
    // Another name takes others.
    assert_eq!(relation(&share(30), &share(30).replace("id = 'a'", "id = 'b'")), Relation::Incomparable);
}

#[test]
fn trials_are_told_and_not_compared() {
    let shadow = "mode = 'shadow'\nshadow_until = '2026-11-28T00:00:00Z'\n";
    let all = web("a", "allow", "paths = ['/a']");
    let found = between(
        &all,
        &(all.clone() + &web("no", "deny", &format!("paths = ['/a']\n{shadow}")) + &anyone("watch", "audit", "paths = ['/a']")),
    );
    assert_eq!(found.relation, Relation::Equal);
    let told: Vec<(&str, Option<usize>)> = found.beside.iter().map(|beside| (&*beside.what, beside.only_in)).collect();
    assert_eq!(told, [("audit rule `watch`", Some(1)), ("deny `no` in shadow", Some(1))]);
    // A table in shadow refuses nothing.
    let found = between(&all, &(shadow.to_owned() + &all));
    assert_eq!((found.relation, shortest(&found, ALLOWED).witness.by[1]), (Relation::Wider, By::Shadow));
    assert_eq!(shortest(&found, ALLOWED).witness.sought, Sought::Connection);
    assert_eq!(relation(&(shadow.to_owned() + &all), &all), Relation::Narrower);
    let found = between(&(shadow.to_owned() + &all), &(shadow.to_owned() + &anyone("b", "allow", "paths = ['/b']")));
    assert_eq!(found.relation, Relation::Equal);
    assert_eq!(found.beside[0].what, "both tables are in shadow: nothing of either is enforced");
    assert_eq!(found.beside.len(), 3);
}

#[test]
fn a_boundary_is_part_of_what_is_compared() {
    let own = |more: &str| format!("{HEAD}{}{more}", web("a", "allow", "paths = ['/a']"));
    let platform = format!("{HEAD}{}", anyone("cap", "allow", "paths = ['/a', '/b']"));
    let wider = own(&web("c", "allow", "paths = ['/c']"));
    let with = |own: &str, boundary: Option<&str>| tables(own, boundary);
    // What the boundary takes back is no widening.
    assert_eq!(compare(&with(&own(""), Some(&platform)), &with(&wider, Some(&platform))).relation, Relation::Equal);
    assert_eq!(compare(&with(&own(""), None), &with(&wider, None)).relation, Relation::Wider);
    let found = compare(&with(&wider, None), &with(&wider, Some(&platform)));
    assert_eq!(found.relation, Relation::Narrower);
    let change = shortest(&found, DENIED);
    assert_eq!((change.witness.sought.to_string().as_str(), change.witness.by[1]), ("GET /c", By::Nothing(Part::Boundary)));
    let looser = platform.replace("'/b'", "'/c'");
    assert_eq!(compare(&with(&wider, Some(&platform)), &with(&wider, Some(&looser))).relation, Relation::Wider);
}

#[test]
fn tokens_of_other_issuers_are_others() {
    let issuer =
        |name: &str| format!("[[jwt_issuer]]\niss = 'https://{name}'\naud = ['orders']\njwks = 'https://{name}/keys'\nalgs = ['RS256']\n");
    let rule = web("a", "allow", "paths = ['/a']\nclaims = { sub = { eq = 'a' } }");
    assert_eq!(relation(&(issuer("one") + &issuer("two") + &rule), &(issuer("two") + &issuer("one") + &rule)), Relation::Equal);
    let found = between(&(issuer("one") + &rule), &(issuer("two") + &rule));
    assert_eq!(found.relation, Relation::Incomparable);
    assert!(found.beside.iter().any(|beside| beside.what.starts_with("the issuers of tokens differ")), "{found:#?}");
}

#[test]
fn destinations_are_compared() {
    let egress = |host: &str, ports: &str| format!("[[egress]]\nid = 'e'\nhosts = ['{host}']\n{ports}tls = 'required'\n");
    let found = between(&egress("api.stripe.com", "ports = [443]\n"), &egress("*.stripe.com", "ports = [443]\n"));
    assert_eq!(found.relation, Relation::Wider);
    let leaving = found.leaving[ALLOWED].as_ref().unwrap();
    assert_eq!(leaving.to, Destination { host: "x.stripe.com".into(), port: 443, tls: true });
    assert_eq!(leaving.by, [None, Some("e".to_owned())]);
    assert_eq!(relation(&egress("a.b", ""), &egress("a.b", "ports = [443]\n")), Relation::Narrower);
    assert_eq!(relation(&egress("a.b", ""), &egress("A.b", "").replace("'e'", "'f'")), Relation::Equal);
    // A table without a list restricts nothing.
    assert_eq!(relation("", &egress("a.b", "")), Relation::Narrower);
    // Of two entries neither says less than the one.
    let two = egress("a.b", "ports = [1]\n") + &egress("a.b", "ports = [2]\n").replace("'e'", "'f'");
    assert_eq!(relation(&egress("a.b", "ports = [2, 1]\n"), &two), Relation::Equal);
}

/// Callers of a set are told once, by the member that came to it.
#[test]
fn a_member_more_is_told_as_such() {
    let text = |more: &str| {
        let members: Vec<String> = (0..200).map(|number| format!("'spiffe://d/{number}'")).collect();
        let rules: String = (0..50)
            .map(|number| rule(&format!("r{number}"), "allow", "{ spiffe = ['@all'] }", &format!("paths = ['/{number}']")))
            .collect();
        format!("[sets.principals]\nall = [{}{more}]\n{rules}", members.join(", "))
    };
    let found = between(&text(""), &text(", 'spiffe://d/new'"));
    assert_eq!((found.relation, &found.limits), (Relation::Wider, &vec![]));
    assert!(found.changes[ALLOWED].shown.iter().all(|change| change.callers == ["spiffe://d/new"]));
    assert_eq!(found.changes[ALLOWED].shown.len(), 50);
    assert!(found.changes[ALLOWED].shown.iter().all(|change| change.is_any_method && change.methods == ["*"]));
}

/// What was a rule about many paths and is one about many others differs at one path: it is told once, as the path that it is.
#[test]
fn one_request_is_told_once() {
    let a = web("a", "allow", "paths = ['/a/{x}']");
    let b = web("b", "allow", "paths = ['/a/{x}', '/c']") + &anyone("no", "deny", "paths = ['/a/b']");
    let found = between(&a, &b);
    assert_eq!((found.relation, &found.limits), (Relation::Incomparable, &vec![]));
    let [change] = &*found.changes[DENIED].shown else { panic!("{found:#?}") };
    assert_eq!((change.template.as_deref(), change.callers[0].as_str()), (Some("/a/b"), "any authenticated caller"));
    // Where others are denied there as well, they are told.
    let both = web("b", "allow", "paths = ['/a/{x}', '/c']") + &anyone("no", "deny", "paths = ['/a/b', '/a/c']");
    let templates =
        |found: &Difference| found.changes[DENIED].shown.iter().filter_map(|change| change.template.clone()).collect::<Vec<_>>();
    assert_eq!(templates(&between(&a, &both)), ["/a/b", "/a/c"]);
    let less = web("b", "allow", "paths = ['/a/{x}/', '/c']") + &anyone("no", "deny", "paths = ['/a/b']");
    assert_eq!(templates(&between(&a, &less)), ["/a/{x}", "/a/b"]);
}

#[test]
fn what_would_take_hours_is_said_and_never_equal() {
    let rules: String =
        (0..24).map(|at| anyone(&format!("r{at}"), "deny", &format!("paths = ['{}/a/**']", "/{x}".repeat(at + 1)))).collect();
    let found = between(&rules, &(rules.clone() + &anyone("last", "allow", "paths = ['/**']")));
    assert_eq!((found.relation, &*found.limits), (Relation::Incomparable, &[Limit::Work][..]));
}
