use super::*;
use crate::policy::lists::Lists;
use crate::policy::pattern::{PathPattern, segments};
use proptest::prelude::*;

fn automaton(patterns: &[PathPattern<'_>]) -> Result<(Automaton, Lists), TooLarge> {
    Automaton::new(&patterns.iter().map(PathPattern::shape).collect::<Vec<_>>(), WORK)
}

fn parsed(patterns: &[String]) -> Vec<PathPattern<'static>> {
    patterns.iter().map(|text| PathPattern::parse(text).unwrap()).collect()
}

/// Few names, so that patterns and paths meet often.
fn pattern() -> impl Strategy<Value = String> {
    const SOME: &str = "(/(a|b|ab|\\{x\\}|\\{x\\}|a\\{x\\}|\\{x\\}b|a\\{x\\}b|aa\\{x\\}|\\{x\\}ab|%2A)){1,5}(|/|/\\*\\*)";
    prop_oneof![12 => SOME, 1 => Just("/".to_owned()), 1 => Just("/**".to_owned()), 1 => Just("*".to_owned())]
}

fn path() -> impl Strategy<Value = String> {
    prop_oneof![12 => "(/(a|b|ab|aab|abb|aabb|c|a%25|\\*)){1,6}/?", 1 => Just("/".to_owned()), 1 => Just("*".to_owned())]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn it_finds_what_each_pattern_finds_by_itself(texts in prop::collection::vec(pattern(), 0..12), paths in prop::collection::vec(path(), 1..12)) {
        let patterns = parsed(&texts);
        let (automaton, sets) = automaton(&patterns).unwrap();
        for path in &paths {
            let matching: Vec<u32> = (0..).zip(&patterns).filter(|(_, pattern)| pattern.matches(path)).map(|(number, _)| number).collect();
            prop_assert_eq!(sets.members(automaton.find(segments(path))), &*matching, "{} of {:?}", path, texts);
        }
    }
}

#[test]
fn without_patterns_nothing_is_found() {
    let (automaton, _) = automaton(&[]).unwrap();
    assert_eq!(automaton.find(segments("/")), NONE);
    assert_eq!(automaton.find([]), NONE);
}

/// Patterns that differ in where their placeholders are tell apart as many paths as there are subsets of them.
#[test]
fn what_would_grow_without_bound_is_refused_at_once() {
    let placed = |at: usize| (0..24).map(|segment| if segment == at { "/a" } else { "/{x}" }).collect::<String>();
    let texts: Vec<String> = (0..24).map(placed).collect();
    assert_eq!(automaton(&parsed(&texts)).unwrap_err(), TooLarge);
    let ends: Vec<String> = (0..100).map(|number| format!("/{{x}}.{number}")).collect();
    assert_eq!(automaton(&parsed(&ends)).unwrap_err(), TooLarge);
    let nested: Vec<String> = (0..40).map(|length| format!("/{}{{x}}", "a".repeat(length))).collect();
    assert_eq!(automaton(&parsed(&nested)).unwrap_err(), TooLarge);
}

#[test]
fn many_literal_patterns_take_an_edge_and_a_state_each() {
    let texts: Vec<String> = (0..100_000).map(|number| format!("/service-{}/items-{number}/{{id}}", number % 100)).collect();
    let (automaton, sets) = automaton(&parsed(&texts)).unwrap();
    assert!(automaton.size() < 200_400, "{}", automaton.size());
    assert_eq!(sets.members(automaton.find(segments("/service-7/items-99907/x"))), [99_907]);
    for path in ["/service-8/items-99907/x", "/service-7/items-99907/", "/service-7/items-99907/x/", "/service-7/items-99907"] {
        assert_eq!(sets.members(automaton.find(segments(path))), [0_u32; 0], "{path}");
    }
}
