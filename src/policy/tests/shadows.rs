use super::*;

const UNTIL: &str = "mode = 'shadow'\nshadow_until = '2026-11-28T00:00:00Z'\n";

fn shadow(id: &str, effect: &str, more: &str) -> String {
    anyone(id, effect, &format!("{UNTIL}{more}"))
}

#[test]
fn a_table_in_shadow_lets_pass_and_says_so() {
    let table = table_with(UNTIL, &(anyone("r", "allow", "paths = ['/a']") + &anyone("no", "deny", "paths = ['/b']")));
    assert_eq!((why(&get(&table, "/a")), would(&get(&table, "/a"))), ((Reason::Rule, "r".into()), None));
    assert_eq!(why(&get(&table, "/b")), (Reason::Shadow, "-".into()));
    assert_eq!(would(&get(&table, "/b")), Some((Verdict::Deny, Some("no".into()))));
    assert_eq!(would(&get(&table, "/c")), Some((Verdict::Deny, None)));
}

#[test]
fn no_shadow_lets_an_unauthenticated_caller_pass() {
    let table = table_with(UNTIL, "");
    let mut nobody = caller(WEB);
    nobody.identity = None;
    assert!(decide(&table, &nobody, &request("GET", "/", "a.foo"), noon()).is_err());
}

#[test]
fn a_shadow_rule_changes_no_outcome() {
    let rules = anyone("r", "allow", "paths = ['/a', '/b']")
        + &shadow("no", "deny", "paths = ['/a']")
        + &shadow("yes", "allow", "paths = ['/b', '/c']");
    let table = table(&rules);
    assert_eq!(why(&get(&table, "/a")), (Reason::Rule, "r".into()));
    assert_eq!(would(&get(&table, "/a")), Some((Verdict::Deny, Some("no".into()))));
    assert_eq!(would(&get(&table, "/b")), None);
    assert_eq!(why(&get(&table, "/c")), (Reason::ImplicitDeny, "-".into()));
    assert_eq!(would(&get(&table, "/c")), Some((Verdict::Allow, Some("yes".into()))));
}

#[test]
fn a_shadow_allow_is_spared_by_no_enforced_deny() {
    let rules = shadow("glass", "allow", "paths = ['/a']") + &anyone("no", "deny", "paths = ['/a']\nexcept_rules = ['glass']");
    let decision = get(&table(&rules), "/a");
    assert_eq!(why(&decision), (Reason::ExplicitDeny, "no".into()));
    assert_eq!(would(&decision), Some((Verdict::Allow, Some("glass".into()))));
}

#[test]
fn overdue_shadows_stay_and_are_told() {
    let table = table_with(UNTIL, &(shadow("s", "deny", "paths = ['/a']") + &anyone("r", "allow", "paths = ['/b']")));
    let table = table.as_ref().unwrap();
    let day = Duration::from_secs(24 * 3_600);
    assert!(table.overdue_shadows(noon() + 6 * day).is_empty());
    let overdue: Vec<_> =
        table.overdue_shadows(noon() + 7 * day).into_iter().map(|shadow| shadow.rule.map(|rule| rule.id.clone())).collect();
    assert_eq!(overdue, [None, Some("s".into())]);
    assert!(parse_at("t", &format!("schema = 1\nname = 't'\n{UNTIL}"), &here(), noon() + 30 * day).is_ok());
}
