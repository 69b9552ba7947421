use super::*;
use proptest::prelude::*;

/// A rule as the test understands it, without anything of the evaluator.
#[derive(Debug, Clone)]
struct Simple {
    effect: &'static str,
    shadow: bool,
    who: &'static str,
    method: &'static str,
    paths: Vec<&'static str>,
    host: &'static str,
    excepts: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Ask {
    who: &'static str,
    method: &'static str,
    path: &'static str,
    host: &'static str,
}

fn pick(items: &[&'static str]) -> impl Strategy<Value = &'static str> + use<> {
    prop::sample::select(items.to_vec())
}

fn simple() -> impl Strategy<Value = Simple> {
    let path = pick(&["/a", "/a/", "/a/{x}", "/a/**", "/**", "/b", "/a/b", "/a/b/{x}", "/a/b/**", "/{x}/b", "/ab"]);
    (
        pick(&["allow", "deny", "allow", "audit"]),
        any::<bool>(),
        pick(&["*", "x", "y"]),
        pick(&["*", "GET", "POST"]),
        prop::collection::vec(path, 1..3),
        pick(&["", "h", "*.h"]),
        prop::collection::vec(0_usize..9, 0..3),
    )
        .prop_map(|(effect, shadow, who, method, paths, host, excepts)| Simple {
            effect,
            shadow: shadow && effect != "audit",
            who,
            method,
            paths,
            host,
            excepts,
        })
}

fn text(rules: &[Simple]) -> String {
    let one = |(index, rule): (usize, &Simple)| {
        let from =
            if rule.who == "*" { "{ any_authenticated = true }".into() } else { format!("{{ spiffe = ['spiffe://d/{}'] }}", rule.who) };
        let mut more = format!("methods = ['{}']\npaths = {:?}\n", rule.method, rule.paths);
        if !rule.host.is_empty() {
            more += &format!("hosts = ['{}']\n", rule.host);
        }
        if rule.shadow {
            more += "mode = 'shadow'\nshadow_until = '2026-11-28T00:00:00Z'\n";
        }
        let excepts: Vec<String> = spared(rules, rule).iter().map(|index| format!("r{index}")).collect();
        if !excepts.is_empty() {
            more += &format!("except_rules = {excepts:?}\n");
        }
        super::rule(&format!("r{index}"), rule.effect, &from, &more)
    };
    rules.iter().enumerate().map(one).collect()
}

fn spared(rules: &[Simple], rule: &Simple) -> Vec<usize> {
    let allow = |index: &usize| rules.get(*index).is_some_and(|rule| rule.effect == "allow");
    if rule.effect == "deny" { rule.excepts.iter().copied().filter(allow).collect() } else { Vec::new() }
}

fn path_fits(pattern: &str, path: &str) -> bool {
    match pattern {
        "/**" => true,
        "/a/**" => path.starts_with("/a/"),
        "/a/b/**" => path.starts_with("/a/b/"),
        "/a/{x}" => path.strip_prefix("/a/").is_some_and(|rest| !rest.is_empty() && !rest.contains('/')),
        "/a/b/{x}" => path.strip_prefix("/a/b/").is_some_and(|rest| !rest.is_empty() && !rest.contains('/')),
        "/{x}/b" => {
            path.strip_suffix("/b").and_then(|rest| rest.strip_prefix('/')).is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
        }
        exact => path == exact,
    }
}

fn fits(rule: &Simple, ask: Ask) -> bool {
    let host = match rule.host {
        "" => true,
        "h" => ask.host == "h",
        _ => ask.host.strip_suffix(".h").is_some_and(|label| !label.is_empty() && !label.contains('.')),
    };
    let who = rule.who == "*" || rule.who == ask.who;
    host && who && (rule.method == "*" || rule.method == ask.method) && rule.paths.iter().any(|path| path_fits(path, ask.path))
}

/// The verdict and the rule that decided, from first principles.
fn expected(rules: &[Simple], ask: Ask, shadows: bool) -> (bool, Option<usize>) {
    let met = |effect: &str| -> Vec<usize> {
        let counts = |rule: &Simple| rule.effect == effect && (shadows || !rule.shadow) && fits(rule, ask);
        rules.iter().enumerate().filter(|(_, rule)| counts(rule)).map(|(index, _)| index).collect()
    };
    let (denies, allows) = (met("deny"), met("allow"));
    let allowed = allows.into_iter().find(|allow| denies.iter().all(|deny| spared(rules, &rules[*deny]).contains(allow)));
    match allowed {
        Some(rule) => (true, Some(rule)),
        None => (false, denies.first().copied()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn decisions_follow_from_the_rules(
        rules in prop::collection::vec(simple(), 0..9),
        asks in prop::collection::vec((pick(&["x", "y", "z"]), pick(&["GET", "POST", "PUT"]), pick(&["/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/b", "/c/b", "/ab", "/abc", "/a/b/c/d"]), pick(&["h", "i.h", "i.j.h", "k"])), 1..8),
    ) {
        let table = table(&text(&rules));
        for (who, method, path, host) in asks {
            let ask = Ask { who, method, path, host };
            let decision = decide(&table, &caller(&format!("spiffe://d/{who}")), &request(method, path, host), noon());
            let (allowed, by) = expected(&rules, ask, false);
            let (would_allow, would_by) = expected(&rules, ask, true);
            prop_assert_eq!(decision.is_ok(), allowed, "{:?}", ask);
            prop_assert_eq!(why(&decision).1, by.map_or("-".into(), |by| format!("r{by}")));
            let differs = (would_allow != allowed).then(|| (if would_allow { Verdict::Allow } else { Verdict::Deny }, would_by.map(|by| format!("r{by}"))));
            prop_assert_eq!(would(&decision), differs);
            let audited = rules.iter().any(|rule| rule.effect == "audit" && fits(rule, ask));
            let facts = match &decision { Ok(permit) => permit.facts(), Err(denial) => &denial.facts };
            prop_assert_eq!(facts.audited, audited);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(schema = 1\n)?(name = 't'\n)?([a-z_]{1,8}|\\[\\[rule\\]\\]|\\[\\[case\\]\\]|from|paths|ports|id|=|\\[|\\]|\\{|\\}|'[^'\n]{0,6}'|[0-9]{1,3}|\n| ){0,30}") {
        let _ = parse_at("t", &text, &here(), noon());
    }
}
