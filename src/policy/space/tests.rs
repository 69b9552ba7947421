use super::*;
use crate::identity::pattern::PrincipalPattern;
use crate::policy::pattern::HostPattern;
use crate::policy::principals;
use fastrand::Rng;

/// Random patterns over a small alphabet, beside every sequence over it and one segment more.
#[test]
fn no_way_is_missed_and_each_has_its_example() {
    let mut rng = Rng::with_seed(11);
    let mut ways_seen = 0;
    for _ in 0..400 {
        let texts: Vec<String> = (0..rng.usize(2..5)).map(|_| random_path(&mut rng)).collect();
        let shapes: Vec<Shape> = texts.iter().map(|text| Shape::of_path(text)).collect();
        let (target, others) = shapes.split_first().unwrap();
        let others: Vec<&Shape> = others.iter().collect();
        let found = ways(target, &others, Alphabet::Path, &mut Budget::new(1_000_000)).unwrap();
        for way in &found {
            assert_eq!(met(target, &others, &way.example), Some(way.met.clone()), "{texts:?} {way:?}");
        }
        for path in all_paths() {
            if let Some(met) = met(target, &others, &path) {
                let way = found.iter().find(|way| way.met == met).unwrap_or_else(|| panic!("{texts:?}: {path:?} meets {met:?}"));
                assert!(size(&way.example) <= size(&path), "{texts:?}: {path:?} is shorter than {way:?}");
            }
        }
        ways_seen += found.len();
    }
    assert!(ways_seen > 400, "{ways_seen}");
}

/// What a path meets, by the patterns' own matching; `None`: the target does not take it in.
fn met(target: &Shape, others: &[&Shape], path: &[String]) -> Option<Vec<usize>> {
    takes(target, path).then(|| (0..others.len()).filter(|other| takes(others[*other], path)).collect())
}

/// Segments, then bytes: what an example has as few as can be of.
fn size(path: &[String]) -> (usize, usize) {
    (path.len(), path.iter().map(String::len).sum())
}

fn takes(shape: &Shape, path: &[String]) -> bool {
    let (fixed, rest) = path.split_at(path.len().min(shape.steps.len()));
    fixed.len() == shape.steps.len() && shape.steps.iter().zip(fixed).all(|(step, part)| step.fits(part)) && rest.is_empty() != shape.rest
}

fn random_path(rng: &mut Rng) -> String {
    let parts = ["a", "b", "ab", "{x}", "a{x}", "{x}b", "a{x}b", "ab{x}", "{x}ba"];
    let path: String = (0..rng.usize(0..4)).map(|_| format!("/{}", parts[rng.usize(..parts.len())])).collect();
    let ends: &[&str] = if path.is_empty() { &["/", "/**"] } else { &["", "", "/", "/**"] };
    path + ends[rng.usize(..ends.len())]
}

/// Every path of up to four segments, the last one perhaps empty.
fn all_paths() -> Vec<Vec<String>> {
    let segments = ["a", "b", "ab", "aab", "abb", "aba", "abab", "ba", "xba", "q", "aq", "qb", "aqb"];
    let mut all = vec![vec![String::new()]];
    let mut paths = Vec::new();
    for _ in 0..3 {
        let longer = |path: &Vec<String>, segment: &str| path.iter().cloned().chain([segment.to_owned()]).collect::<Vec<_>>();
        paths.extend(all.iter().map(|path| longer(path, "")));
        all = all.iter().flat_map(|path| segments.iter().map(|segment| longer(path, segment))).collect();
        paths.extend(all.iter().cloned());
    }
    paths
}

#[test]
fn what_is_too_much_is_said() {
    let texts: Vec<String> = (0..12).map(|at| format!("{}/a/**", "/{x}".repeat(at))).collect();
    let shapes: Vec<Shape> = texts.iter().map(|text| Shape::of_path(text)).collect();
    let others: Vec<&Shape> = shapes.iter().collect();
    let everything = Shape::of_path("/**");
    assert_eq!(ways(&everything, &others, Alphabet::Path, &mut Budget::new(1_000)), Err(Exhausted));
}

#[test]
fn identities_have_no_empty_parts_and_hosts_no_labels_in_brackets() {
    let patterns = ["spiffe://d/**", "spiffe://d/*", "spiffe://d/*/**"].map(|text| PrincipalPattern::spiffe(text).unwrap());
    let [all, one, more] = patterns.each_ref().map(principals::shape);
    let found = ways(&all, &[&one, &more], Alphabet::Identity, &mut Budget::new(1_000)).unwrap();
    let met: Vec<&[usize]> = found.iter().map(|way| &*way.met).collect();
    assert_eq!(met, [&[0][..], &[1]], "each is one part, or more than one");
    assert_eq!(identity::principal(&found[0].example).unwrap().as_str(), "spiffe://d/x");
    let [address, label] = ["[::1]", "*"].map(|text| HostPattern::parse(text).unwrap());
    let found = ways(&host::shape(&address), &[&host::shape(&label)], Alphabet::Host, &mut Budget::new(1_000)).unwrap();
    assert_eq!(found, [Way { example: vec!["[::1]".into()], met: vec![] }]);
}
