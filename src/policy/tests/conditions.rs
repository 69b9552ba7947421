//! `[rule.when]`.

use super::*;
use crate::identity::{Channel, Group};

const ALL: &str = "paths = ['/**']";

/// A table that lets pass where `when` holds.
fn allow_when(when: &str) -> Snapshot {
    table(&anyone("r", "allow", &format!("{ALL}\nwhen = {{ {when} }}")))
}

/// A table that refuses where `when` holds or cannot be told.
fn deny_when(when: &str) -> Snapshot {
    table(&(anyone("no", "deny", &format!("{ALL}\nwhen = {{ {when} }}")) + &anyone("all", "allow", ALL)))
}

/// Whether the allow matches, and whether the deny does.
fn ask(when: &str, caller: &Caller, now: SystemTime) -> (bool, bool) {
    let ask = |table: Snapshot| decide(&table, caller, &request("GET", "/", "a.foo"), now).is_ok();
    (ask(allow_when(when)), !ask(deny_when(when)))
}

const HOLDS: (bool, bool) = (true, true);
const FAILS: (bool, bool) = (false, false);
const UNKNOWN: (bool, bool) = (false, true);

/// The conditions that were looked at, and what came out.
fn looked(decision: &Decision) -> Vec<(String, &'static str)> {
    let facts = match decision {
        Ok(permit) => permit.facts(),
        Err(denial) => &denial.facts,
    };
    let one = |looked: &crate::policy::Looked| (looked.condition.name.to_string(), looked.result.letter());
    facts.conditions().iter().map(one).collect()
}

#[test]
fn tls_is_the_channel_of_the_connection() {
    let over = |version, group| {
        let channel = Channel { version, cipher: "", group: Some(group), alpn: "", sni: None };
        Caller { channel: Some(channel), ..caller(WEB) }
    };
    let (new, old) = (over("1.3", Group::X25519MlKem768), over("1.2", Group::X25519));
    assert_eq!(ask("tls = { min = '1.3' }", &new, noon()), HOLDS);
    assert_eq!(ask("tls = { min = '1.3' }", &old, noon()), FAILS);
    assert_eq!(ask("tls = { min = '1.2' }", &old, noon()), HOLDS);
    assert_eq!(ask("tls = { post_quantum = true }", &new, noon()), HOLDS);
    assert_eq!(ask("tls = { post_quantum = true }", &old, noon()), FAILS);
    assert_eq!(ask("tls = { post_quantum = true }", &caller(WEB), noon()), UNKNOWN);
    let decision = decide(&allow_when("tls = { min = '1.3' }"), &old, &request("GET", "/", "a.foo"), noon());
    assert_eq!(looked(&decision), [("tls".to_owned(), "f")]);
}

#[test]
fn source_ip_is_the_tcp_peer() {
    let from = |address: &str| Caller { source: address.parse().unwrap(), ..caller(WEB) };
    let (v4, mapped, v6) = (from("10.20.3.4:5"), from("[::ffff:10.20.3.4]:5"), from("[2600:1f18::7]:5"));
    for inside in ["10.20.0.0/16", "0.0.0.0/0", "10.20.3.4/32"] {
        assert_eq!(ask(&format!("source_ip = {{ in = ['{inside}'] }}"), &v4, noon()), HOLDS, "{inside}");
        assert_eq!(ask(&format!("source_ip = {{ in = ['{inside}'] }}"), &mapped, noon()), HOLDS, "{inside}");
        assert_eq!(ask(&format!("source_ip = {{ in = ['{inside}'] }}"), &v6, noon()), FAILS, "{inside}");
    }
    let sets = "[sets.cidrs]\nvpc = ['10.20.0.0/16', '2600:1f18::/32']\noffice = ['192.0.2.0/24']\n";
    let table = table_with(sets, &anyone("r", "allow", &format!("{ALL}\nwhen = {{ source_ip = {{ in = ['@vpc', '127.0.0.1/32'] }} }}")));
    let ask = |caller: &Caller| decide(&table, caller, &request("GET", "/", "a.foo"), noon()).is_ok();
    assert_eq!([&v4, &mapped, &v6, &caller(WEB), &from("192.0.2.1:5")].map(ask), [true, true, true, true, false]);
    assert_eq!(looked(&decide(&table, &v6, &request("GET", "/", "a.foo"), noon())), [("source_ip".to_owned(), "t")]);
}

#[test]
fn cert_age_begins_with_the_validity() {
    let hour = Duration::from_secs(3_600);
    let when = "cert_age = { max = '2h' }";
    assert_eq!(ask(when, &caller(WEB), noon()), HOLDS);
    let identity = PeerIdentity { not_after: noon() + 9 * hour, ..caller(WEB).identity.as_deref().unwrap().clone() };
    let long = Caller { identity: Some(Arc::new(identity)), ..caller(WEB) };
    assert_eq!(ask(when, &long, noon() + hour), HOLDS);
    assert_eq!(ask(when, &long, noon() + hour + Duration::from_millis(1)), FAILS);
    // Some clock is wrong: nobody knows how old it is.
    assert_eq!(ask(when, &long, noon() - 2 * hour), UNKNOWN);
}

#[test]
fn time_is_when_it_is_decided() {
    let when = "time = { tz = 'Europe/Berlin', days = 'mon-sat', between = ['06:00', '13:00'] }";
    let caller = |at: SystemTime| {
        let identity = PeerIdentity { not_after: at + Duration::from_secs(60), ..caller(WEB).identity.as_deref().unwrap().clone() };
        Caller { identity: Some(Arc::new(identity)), ..caller(WEB) }
    };
    let at = |text: &str| super::super::moment::parse(text).unwrap();
    for (moment, answer) in [
        ("2026-11-21T11:59:59Z", HOLDS),
        ("2026-11-21T12:00:00Z", FAILS),
        ("2026-11-20T04:59:59Z", FAILS),
        ("2026-11-20T05:00:00Z", HOLDS),
        ("2026-11-22T08:00:00Z", FAILS),
    ] {
        assert_eq!(ask(when, &caller(at(moment)), at(moment)), answer, "{moment}");
    }
}

#[test]
fn a_table_tells_when_its_answers_may_change() {
    let until = |when: &str| allow_when(when).unwrap().holds_until(noon());
    assert_eq!(until("time = { tz = 'UTC', between = ['06:00', '20:00'] }"), Some(noon() + Duration::from_secs(8 * 3_600)));
    assert_eq!(until("time = { tz = 'UTC', days = 'sat' }"), Some(noon() + Duration::from_secs(12 * 3_600)));
    assert_eq!(until("cert_age = { max = '24h' }"), Some(noon() + Duration::from_secs(10)));
    assert_eq!(until("tls = { min = '1.3' }"), None);
}

#[test]
fn cheap_conditions_come_first_and_what_they_spare_is_not_looked_at() {
    let rule = anyone(
        "r",
        "allow",
        &format!(
            "{ALL}\nheaders = [{{ name = 'x-a', present = true }}]\n[rule.when]\nsource_ip = {{ in = ['10.0.0.0/8'] }}\ntime = {{ tz = 'UTC', days = 'mon-sun' }}\ncert_age = {{ max = '24h' }}"
        ),
    );
    let decision = get(&table(&rule), "/");
    let expected = [("cert_age", "t"), ("time", "t"), ("source_ip", "f")].map(|(name, result)| (name.to_owned(), result));
    assert_eq!(looked(&decision), expected);
}

#[test]
fn conditions_are_the_same_however_they_are_spelled() {
    let facts = |when: &str| allow_when(when).unwrap().own().facts.sha256.clone();
    for (one, other) in [
        ("cert_age = { max = '1d' }", "cert_age = { max = '24h' }"),
        ("source_ip = { in = ['10.0.0.0/8', '10.1.0.0/16'] }", "source_ip = { in = ['10.0.0.0/8'] }"),
        ("time = { tz = 'europe/berlin', days = ['tue', 'mon'] }", "time = { days = 'mon-tue', tz = 'Europe/Berlin' }"),
        ("tls = { min = '1.3', post_quantum = true }", "tls = { post_quantum = true, min = '1.3' }"),
    ] {
        assert_eq!(facts(one), facts(other), "{one}");
    }
    assert_ne!(facts("cert_age = { max = '1d' }"), facts("cert_age = { max = '2d' }"));
    assert_ne!(facts("time = { tz = 'UTC', days = 'mon' }"), facts("time = { tz = 'UTC', days = 'tue' }"));
}

#[test]
fn cases_have_an_address_an_age_and_an_hour() {
    let rule = "[[rule]]\nid = 'r'\neffect = 'allow'\nfrom = { spiffe = ['spiffe://a/b'] }\nmethods = ['GET']\npaths = ['/a']\n";
    let case = "[[case]]\nname = 'c'\nfrom = 'spiffe://a/b'\nmethod = 'GET'\npath = '/a'\n";
    let problems = |when: &str, more: &str| {
        let text = format!("schema = 1\nname = 't'\n{rule}when = {{ {when} }}\n{case}{more}");
        parse_at("t", &text, &here(), noon()).map(|_| String::new()).unwrap_or_else(|problems| problems.to_string())
    };
    let time = "time = { tz = 'UTC', between = ['06:00', '20:00'] }";
    for (when, more) in [
        ("source_ip = { in = ['10.0.0.0/8'] }", "source_ip = '10.1.2.3'\nexpect = 'allow'"),
        ("source_ip = { in = ['10.0.0.0/8'] }", "expect = 'deny'"),
        ("cert_age = { max = '2h' }", "expect = 'allow'"),
        ("cert_age = { max = '2h' }", "cert_age = '3h'\nexpect = 'deny'"),
        ("tls = { min = '1.3', post_quantum = true }", "expect = 'allow'"),
        (time, "at = '2026-11-21T06:00:00Z'\nexpect = 'allow'"),
        (time, "at = '2026-11-21T05:59:59Z'\nexpect = 'deny'"),
    ] {
        assert_eq!(problems(when, more), "", "{when} {more}");
    }
    let found = problems(time, "expect = 'allow'");
    assert!(found.contains("case[0].expect: case `c` hangs on the hour at which the table is loaded; add at = "), "{found}");
    assert!(problems(time, "expect = 'allow'\nsource_ip = '10'").contains("`10` is no address; write"));
    assert!(problems(time, "expect = 'allow'\ncert_age = '10'").contains("cert_age: is \"10\"; write a whole number and a unit"));
}

#[test]
fn tags_are_read_off_the_identity() {
    let tags = "[tags]\ntemplate = ['spiffe://{td}/ns/{team}/sa/{name}']\n";
    let rules = |effect: &str, tag: &str| anyone("r", effect, &format!("{ALL}\nwhen = {{ principal_tag = {{ {tag} }} }}"));
    let ask = |tag: &str, id: &str| {
        let ask = |rules: &str| decide(&table_with(tags, rules), &caller(id), &request("GET", "/", "a.foo"), noon()).is_ok();
        (ask(&rules("allow", tag)), !ask(&(rules("deny", tag) + &anyone("all", "allow", ALL))))
    };
    assert_eq!(ask("team = 'web'", WEB), HOLDS);
    assert_eq!(ask("team = 'web', name = 'frontend', td = 'prod.example'", WEB), HOLDS);
    assert_eq!(ask("team = 'web', name = 'other'", WEB), FAILS);
    assert_eq!(ask("team = 'web'", "spiffe://prod.example/human/alice"), UNKNOWN);
    assert_eq!(ask("team = 'web'", "web.example"), UNKNOWN);
    let decision = get(&table_with(tags, &rules("allow", "team = 'ops'")), "/");
    assert_eq!(looked(&decision), [("principal_tag".to_owned(), "f")]);
    // What a tag is hangs on the template: with another one it is another condition.
    let hash = |tags: &str| table_with(tags, &rules("allow", "team = 'ops'")).unwrap().own().facts.sha256.clone();
    assert_ne!(hash(tags), hash("[tags]\ntemplate = ['spiffe://{td}/{ns}/{x}/{y}/{team}']"));
}

fn problems(more: &str) -> String {
    let text = format!("schema = 1\nname = 't'\n{}", anyone("r", "deny", &format!("{ALL}\n{more}")));
    parse_at("t", &text, &here(), noon()).map(|_| String::new()).unwrap_or_else(|problems| problems.to_string())
}

#[test]
fn conditions_that_say_nothing_are_refused() {
    let table = [
        ("when = {}", "rule[0].when: is empty; write a condition"),
        ("when = 1", "rule[0].when: is an integer"),
        ("when = { tsl = {} }", "when.tsl: unknown key; did you mean `tls`?"),
        ("when = { tls = {} }", "when.tls: says nothing; write tls = { min = \"1.3\" }"),
        ("when = { tls = { min = '1.1' } }", "`1.1` is no version of TLS that is spoken here; write \"1.2\" or \"1.3\""),
        ("when = { tls = { post_quantum = false } }", "post_quantum: is false, and there is no `not`"),
        ("when = { source_ip = {} }", "when.source_ip: says nothing; write source_ip = { in = "),
        ("when = { source_ip = { in = [] } }", "in: is an empty list"),
        ("when = { source_ip = { in = ['10.0.0.1'] } }", "`10.0.0.1` has no prefix length; write \"10.0.0.1/32\" for one address"),
        (
            "when = { source_ip = { in = ['10.0.0.1/8'] } }",
            "`10.0.0.1/8` has bits beyond its prefix; write \"10.0.0.0/8\", or a longer prefix",
        ),
        ("when = { source_ip = { in = ['10.0.0.0/33'] } }", "`10.0.0.0/33` is no network; write"),
        ("when = { source_ip = { in = ['010.0.0.0/8'] } }", "`010.0.0.0/8` is no network"),
        ("when = { source_ip = { in = ['@vpc'] } }", "`@vpc` is no set; define it in [sets.cidrs]"),
        ("when = { principal_tag = {} }", "when.principal_tag: says nothing; write principal_tag = { env"),
        (
            "when = { principal_tag = { env = 'prod' } }",
            "`env` is a tag that no template gives; name a {placeholder} of template in [tags]",
        ),
        ("when = { cert_age = {} }", "when.cert_age: says nothing"),
        ("when = { cert_age = { max = '0s' } }", "max: is no time at all"),
        ("when = { cert_age = { max = '1w' } }", "max: is \"1w\"; write a whole number and a unit"),
        ("when = { time = { tz = 'UTC' } }", "when.time: is always; add days"),
        ("when = { time = { days = 'mon' } }", "time.tz: is missing; write tz = \"UTC\""),
        ("when = { time = { tz = 'Mars', days = 'mon' } }", "`Mars` is no time zone"),
        ("when = { time = { tz = 'UTC', days = 'Mon' } }", "`Mon` is no day of the week; write \"mon-fri\""),
        ("when = { time = { tz = 'UTC', days = [] } }", "days: is an empty list"),
        ("when = { time = { tz = 'UTC', between = ['06:00'] } }", "between: is not from one time to another"),
        ("when = { time = { tz = 'UTC', between = ['06:00', '06:00'] } }", "between: is not from one time to another"),
        ("when = { time = { tz = 'UTC', between = ['6:00', '20:00'] } }", "`6:00` is no time of the day"),
    ];
    for (more, expected) in table {
        let found = problems(more);
        assert!(found.contains(expected) && found.lines().count() == 1, "{more}\n{found}");
    }
}

#[test]
fn sets_of_networks_are_read_whole() {
    let problems = |sets: &str| {
        let text = format!("schema = 1\nname = 't'\n[sets.cidrs]\n{sets}");
        parse_at("t", &text, &here(), noon()).map(|_| String::new()).unwrap_or_else(|problems| problems.to_string())
    };
    assert_eq!(problems("vpc = ['10.0.0.0/8', '::/0']"), "");
    assert!(problems("vpc = []").contains("sets.cidrs.vpc: is an empty set; list at least one network"));
    assert!(problems("vpc = ['10.0.0.0/8', '10.0.0.1/8']").contains("sets.cidrs.vpc[1]: `10.0.0.1/8` has bits beyond its prefix"));
    let why = "[[rule]]\nid = 'r'\neffect = 'allow'\nfrom = { spiffe = ['spiffe://a/b'] }\nmethods = ['GET']\npaths = ['/a']\nwhen = { source_ip = { in = ['@all'] } }\n";
    let found = problems(&format!("all = ['0.0.0.0/0']\n{why}"));
    assert!(found.contains("rule[0].why: is missing and the rule has a /0 in source_ip"), "{found}");
}

#[test]
fn templates_of_tags_are_read_whole() {
    let problems = |tags: &str| {
        let text = format!("schema = 1\nname = 't'\n[tags]\n{tags}");
        parse_at("t", &text, &here(), noon()).map(|_| String::new()).unwrap_or_else(|problems| problems.to_string())
    };
    assert_eq!(problems("template = ['spiffe://{td}/env/{env}/ns/{team}/sa/{name}', 'spiffe://prod.example/human/{name}']"), "");
    for (tags, expected) in [
        ("", "tags: has no template; write template = "),
        ("template = []", "tags.template: is an empty list"),
        ("template = ['spiffe://d/a']", "`spiffe://d/a` has no placeholder, so it gives no tag; write it as in"),
        ("templates = ['spiffe://d/{a}']", "tags.templates: unknown key; did you mean `template`?"),
        ("[tags.identities]\n'spiffe://a/b' = { env = 'prod' }", "tags.identities: is not built yet"),
    ] {
        let found = problems(tags);
        assert!(found.contains(expected), "{tags}\n{found}");
    }
}
