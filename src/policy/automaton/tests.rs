use super::*;
use crate::policy::pattern::{PathPattern, Shape, segments};
use proptest::prelude::*;

fn automaton(patterns: &[PathPattern]) -> Result<Automaton, TooLarge> {
    Automaton::new(&patterns.iter().map(PathPattern::shape).collect::<Vec<Shape>>())
}

fn parsed(patterns: &[&str]) -> Vec<PathPattern> {
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
        let patterns: Vec<PathPattern> = texts.iter().map(|text| PathPattern::parse(text).unwrap()).collect();
        let automaton = automaton(&patterns).unwrap();
        for path in &paths {
            let matching: Vec<u32> = (0..).zip(&patterns).filter(|(_, pattern)| pattern.matches(path)).map(|(number, _)| number).collect();
            prop_assert_eq!(automaton.set(automaton.find(segments(path))), &*matching, "{} of {:?}", path, texts);
        }
    }
}

#[test]
fn without_patterns_nothing_is_found() {
    let automaton = automaton(&[]).unwrap();
    assert_eq!(automaton.find(segments("/")), NONE);
    assert_eq!(automaton.find([]), NONE);
}

/// Patterns that differ in where their placeholders are tell apart as many paths as there are subsets of them.
#[test]
fn what_would_grow_without_bound_is_refused_at_once() {
    let placed = |at: usize| (0..24).map(|segment| if segment == at { "/a" } else { "/{x}" }).collect::<String>();
    let texts: Vec<String> = (0..24).map(placed).collect();
    let patterns = parsed(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(automaton(&patterns).unwrap_err(), TooLarge);
    let ends: Vec<String> = (0..100).map(|number| format!("/{{x}}.{number}")).collect();
    assert_eq!(automaton(&parsed(&ends.iter().map(String::as_str).collect::<Vec<_>>())).unwrap_err(), TooLarge);
    let nested: Vec<String> = (0..40).map(|length| format!("/{}{{x}}", "a".repeat(length))).collect();
    assert_eq!(automaton(&parsed(&nested.iter().map(String::as_str).collect::<Vec<_>>())).unwrap_err(), TooLarge);
}

#[test]
fn many_literal_patterns_take_a_state_for_each_segment() {
    let texts: Vec<String> = (0..100_000).map(|number| format!("/service-{}/items-{number}/{{id}}", number % 100)).collect();
    let patterns: Vec<PathPattern> = texts.iter().map(|text| PathPattern::parse(text).unwrap()).collect();
    let automaton = automaton(&patterns).unwrap();
    assert!(automaton.states() < 200_200, "{}", automaton.states());
    assert_eq!(automaton.set(automaton.find(segments("/service-7/items-99907/x"))), [99_907]);
    assert_eq!(automaton.set(automaton.find(segments("/service-8/items-99907/x"))), [0_u32; 0]);
}
