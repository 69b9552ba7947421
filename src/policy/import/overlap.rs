//! What two patterns have in common, as patterns.

use super::matching::Meeting;
use crate::identity::pattern::{Part, PrincipalPattern};
use crate::policy::pattern::{Affix, PathPattern, Shape, Step};
use ipnet::IpNet;

/// The most pairs of patterns that are compared for one rule.
const PAIRS: usize = 40_000;

/// What two lists have in common, of which one entry each must fit.
pub(super) fn overlap<T: Clone + PartialEq>(one: &[T], other: &[T], meet: impl Fn(&T, &T) -> Meeting<Vec<T>>) -> Meeting<Vec<T>> {
    if one.len().saturating_mul(other.len()) > PAIRS {
        return Meeting::Unsaid;
    }
    let mut all: Vec<T> = Vec::new();
    let mut unsaid = false;
    for (one, other) in one.iter().flat_map(|one| other.iter().map(move |other| (one, other))) {
        match meet(one, other) {
            Meeting::Both(both) => {
                for item in both {
                    if !all.contains(&item) {
                        all.push(item);
                    }
                }
            }
            Meeting::Never => {}
            Meeting::Unsaid => unsaid = true,
        }
    }
    match () {
        () if unsaid => Meeting::Unsaid,
        () if all.is_empty() => Meeting::Never,
        () => Meeting::Both(all),
    }
}

/// Two networks lie in one another or apart.
pub(super) fn networks(one: &IpNet, other: &IpNet) -> Meeting<Vec<IpNet>> {
    match () {
        () if other.contains(one) => Meeting::Both(vec![*one]),
        () if one.contains(other) => Meeting::Both(vec![*other]),
        () => Meeting::Never,
    }
}

/// Patterns of identities, part by part.
pub(super) fn principals(one: &PrincipalPattern, other: &PrincipalPattern) -> Meeting<Vec<PrincipalPattern>> {
    if one == other {
        return Meeting::Both(vec![one.clone()]);
    }
    let (mut ours, mut theirs) = (one.parts(), other.parts());
    let mut parts: Vec<Part<'_>> = Vec::new();
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => break,
            (Some(Part::Rest), Some(part)) => {
                parts.push(part);
                parts.extend(theirs);
                break;
            }
            (Some(part), Some(Part::Rest)) => {
                parts.push(part);
                parts.extend(ours);
                break;
            }
            (Some(Part::Any), Some(part)) | (Some(part), Some(Part::Any)) => parts.push(part),
            (Some(Part::Literal(one)), Some(Part::Literal(other))) if one == other => parts.push(Part::Literal(one)),
            _ => return Meeting::Never,
        }
    }
    let text = |part: &Part<'_>| match part {
        Part::Literal(text) => (*text).to_owned(),
        Part::Any => "*".to_owned(),
        Part::Rest => "**".to_owned(),
    };
    // The first part is the kind.
    let rest: Vec<String> = parts.iter().skip(1).map(text).collect();
    let both = if one.as_str().contains("://") {
        PrincipalPattern::spiffe(&format!("spiffe://{}", rest.join("/")))
    } else {
        PrincipalPattern::dns(&rest.join("."))
    };
    both.map_or(Meeting::Unsaid, |both| Meeting::Both(vec![both]))
}

/// Patterns of paths, as an author writes them, segment by segment.
pub(super) fn paths(one: &String, other: &String) -> Meeting<Vec<String>> {
    if one == other {
        return Meeting::Both(vec![one.clone()]);
    }
    let (Ok(ours), Ok(theirs)) = (PathPattern::parse(one), PathPattern::parse(other)) else { return Meeting::Unsaid };
    let (ours, theirs) = (ours.shape(), theirs.shape());
    let (short, long) = if ours.steps.len() <= theirs.steps.len() { (&ours, &theirs) } else { (&theirs, &ours) };
    // What is longer goes on where `**` of the shorter takes one segment or more.
    let goes_on = long.steps.len() > short.steps.len() || (long.rest && short.rest);
    if (goes_on && !short.rest) || (!goes_on && (long.rest || short.rest)) {
        return Meeting::Never;
    }
    let mut steps: Vec<Step<'_>> = Vec::with_capacity(long.steps.len());
    for (index, step) in long.steps.iter().enumerate() {
        match short.steps.get(index).map_or(Meeting::Both(*step), |other| both(*step, *other)) {
            Meeting::Both(step) => steps.push(step),
            Meeting::Never => return Meeting::Never,
            Meeting::Unsaid => return Meeting::Unsaid,
        }
    }
    Meeting::Both(vec![written(&Shape { steps, rest: long.rest })])
}

fn both<'p>(one: Step<'p>, other: Step<'p>) -> Meeting<Step<'p>> {
    match (one, other) {
        (Step::Literal(text), step) | (step, Step::Literal(text)) if step.fits(text) => Meeting::Both(Step::Literal(text)),
        (Step::Literal(_), _) | (_, Step::Literal(_)) => Meeting::Never,
        (Step::Any, step) | (step, Step::Any) => Meeting::Both(step),
        (Step::Between(one), Step::Between(other)) if is_inside(one, other) => Meeting::Both(Step::Between(one)),
        (Step::Between(one), Step::Between(other)) if is_inside(other, one) => Meeting::Both(Step::Between(other)),
        (Step::Between(one), Step::Between(other)) if !one.may_meet(other) => Meeting::Never,
        _ => Meeting::Unsaid,
    }
}

/// Whether whatever fits one fits the other.
fn is_inside(one: Affix<'_>, other: Affix<'_>) -> bool {
    one.before.starts_with(other.before) && one.after.ends_with(other.after)
}

/// A shape as an author writes it.
fn written(shape: &Shape<'_>) -> String {
    let star = |text: &str| text.replace('*', "%2A");
    let each = shape.steps.iter().enumerate().map(|(index, step)| match step {
        Step::Literal("*") if shape.steps.len() == 1 => "*".to_owned(),
        Step::Literal(text) => star(text),
        Step::Any => format!("{{s{index}}}"),
        Step::Between(Affix { before, after }) => format!("{}{{s{index}}}{}", star(before), star(after)),
    });
    let path = each.collect::<Vec<_>>().join("/");
    if shape.rest { format!("{path}/**") } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_overlap_by_segment() {
        let table: [(&str, &str, Meeting<&str>); 18] = [
            ("/a", "/a", Meeting::Both("/a")),
            ("/a", "/b", Meeting::Never),
            ("/**", "/a", Meeting::Both("/a")),
            ("/**", "/", Meeting::Both("/")),
            ("/**", "*", Meeting::Never),
            ("/a/**", "/a", Meeting::Never),
            ("/a/**", "/a/", Meeting::Both("/a/")),
            ("/a/**", "/a/b/**", Meeting::Both("/a/b/**")),
            ("/a/**", "/{x}/**", Meeting::Both("/a/**")),
            ("/a/**", "/{x}/{y}", Meeting::Both("/a/{s2}")),
            ("/{x}", "/a/**", Meeting::Never),
            ("/{x}/**", "/a", Meeting::Never),
            ("/a{x}", "/ab{y}", Meeting::Both("/ab{s1}")),
            ("/a{x}", "/{x}.png", Meeting::Unsaid),
            ("/a{x}", "/b{y}", Meeting::Never),
            ("/a{x}", "/a", Meeting::Never),
            ("/%2A", "/{x}", Meeting::Both("/%2A")),
            ("/a{x}/**", "/ab/c", Meeting::Both("/ab/c")),
        ];
        for (one, other, wanted) in table {
            let (one, other) = (one.to_owned(), other.to_owned());
            let wanted = match wanted {
                Meeting::Both(text) => Meeting::Both(vec![text.to_owned()]),
                Meeting::Never => Meeting::Never,
                Meeting::Unsaid => Meeting::Unsaid,
            };
            assert_eq!(paths(&one, &other), wanted, "{one} {other}");
            assert_eq!(paths(&other, &one), wanted, "{other} {one}");
        }
    }

    #[test]
    fn principals_overlap_by_part() {
        let table = [
            ("spiffe://d/ns/a/sa/b", "spiffe://d/ns/a/**", Some("spiffe://d/ns/a/sa/b")),
            ("spiffe://d/ns/*/sa/b", "spiffe://d/ns/a/**", Some("spiffe://d/ns/a/sa/b")),
            ("spiffe://d/**", "spiffe://e/**", None),
            ("spiffe://d/a", "spiffe://d/a/**", None),
            ("spiffe://d/a/**", "spiffe://d/**", Some("spiffe://d/a/**")),
            ("spiffe://d/a/*", "spiffe://d/*/b", Some("spiffe://d/a/b")),
        ];
        for (one, other, wanted) in table {
            let pattern = |text| PrincipalPattern::spiffe(text).unwrap();
            let wanted = wanted.map_or(Meeting::Never, |text| Meeting::Both(vec![pattern(text)]));
            assert_eq!(principals(&pattern(one), &pattern(other)), wanted, "{one} {other}");
        }
        let (dns, spiffe) = (PrincipalPattern::dns("d").unwrap(), PrincipalPattern::spiffe("spiffe://d/**").unwrap());
        assert_eq!(principals(&dns, &spiffe), Meeting::Never);
    }
}
