//! What is said to differ differs, and nothing else does: against every request over the tables' own words, with every value of what is opaque.

mod brute;
mod cases;

use super::*;
use crate::policy::Tables;
use crate::policy::diff::{ALLOWED, DENIED, Difference, Relation, Sought, diff};
use brute::Brute;
use fastrand::Rng;

/// Pairs of policies that are compared, by default; `DIFF_CASES` says otherwise.
const CASES: usize = 40;

fn tables(own: &str, boundary: Option<&str>) -> Arc<Tables> {
    Arc::new(Tables::new(read(own), boundary.map(read), None))
}

fn read(text: &str) -> Arc<Table> {
    let listeners = Listeners { ports: vec![PORT, PORT + 1], ..Listeners::default() };
    parse_at("t.toml", text, &listeners, noon()).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

fn compare(a: &Arc<Tables>, b: &Arc<Tables>) -> Difference {
    diff(a, b, None, 100, noon())
}

/// As much of a path as witnesses are ordered by.
fn size(sought: &Sought) -> (usize, usize) {
    match sought {
        Sought::Connection => (0, 0),
        Sought::Request { path, .. } => (path.split('/').count(), path.len()),
    }
}

#[test]
fn what_differs_is_found_and_nothing_else() {
    let cases = std::env::var("DIFF_CASES").ok().map_or(CASES, |text| text.parse().unwrap());
    let seed = std::env::var("DIFF_SEED").ok().map_or_else(|| fastrand::u64(..), |text| text.parse().unwrap());
    println!("DIFF_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let mut seen = [0_usize; 4];
    for _ in 0..cases {
        let own = Draft::random(&mut rng);
        let changed = if rng.u8(..4) == 0 { Draft::random(&mut rng) } else { own.changed(&mut rng) };
        let boundary = rng.bool().then(|| Draft::random(&mut rng));
        let capping = boundary.as_ref().map(|boundary| if rng.bool() { boundary.shuffled(&mut rng) } else { boundary.changed(&mut rng) });
        let texts = [own.text(), changed.text(), text_of(boundary.as_ref()), text_of(capping.as_ref())];
        let a = tables(&texts[0], boundary.is_some().then_some(&texts[2]));
        let b = tables(&texts[1], capping.is_some().then_some(&texts[3]));
        let found = compare(&a, &b);
        let expected = Brute::new([&a, &b]).differences();
        let context = format!("DIFF_SEED={seed}\n{}", texts.join("\n=====\n"));
        assert_eq!(found.limits, [], "{context}");
        for direction in [ALLOWED, DENIED] {
            let shortest = found.changes[direction].shown.first().map(|change| size(&change.witness.sought));
            assert_eq!(shortest.is_some(), expected[direction].is_some(), "{direction}: {found:#?}\n{context}");
            assert!(shortest <= expected[direction], "{direction}: {expected:?} {found:#?}\n{context}");
        }
        let relation = match expected.map(|shortest| shortest.is_some()) {
            [false, false] => Relation::Equal,
            [true, false] => Relation::Wider,
            [false, true] => Relation::Narrower,
            [true, true] => Relation::Incomparable,
        };
        assert_eq!(found.relation, relation, "{context}");
        seen[relation as usize] += 1;
    }
    assert!(seen.iter().all(|count| count * 30 > cases), "{seen:?}");
}

#[test]
fn a_reordered_and_renamed_copy_is_equal() {
    let mut rng = Rng::with_seed(5);
    for _ in 0..30 {
        let own = Draft::random(&mut rng);
        let (a, b) = (own.text(), own.shuffled(&mut rng).text());
        let found = compare(&tables(&a, None), &tables(&b, None));
        assert_eq!((found.relation, &found.limits), (Relation::Equal, &vec![]), "{found:#?}\n{a}\n=====\n{b}");
    }
}

/// Rules whose ids and places can be changed.
#[derive(Debug, Clone)]
struct Draft {
    head: &'static str,
    /// `ID` stands for its own id in each; `SPARED` for that of the first allow.
    rules: Vec<(&'static str, String)>,
    /// The name of each rule, by place.
    names: Vec<String>,
}

impl Draft {
    fn random(rng: &mut Rng) -> Self {
        let head =
            of(rng, &["", "", "", "", "", "", "", "mode = 'shadow'\nshadow_until = '2026-11-28T00:00:00Z'\n", "enforce_percent = 50\n"]);
        let rules: Vec<_> = (0..5).map(|_| random_rule(rng)).collect();
        let names = (0..rules.len()).map(|at| format!("r{at}")).collect();
        Self { head, rules, names }
    }

    /// The same in other words: what has a percentage keeps its name.
    fn shuffled(&self, rng: &mut Rng) -> Self {
        let mut both: Vec<_> = self.rules.iter().cloned().zip(self.names.iter().cloned()).collect();
        rng.shuffle(&mut both);
        let renamed = both.into_iter().map(|((effect, text), name)| {
            let name = if text.contains("percent") { name } else { format!("renamed-{name}") };
            ((effect, text.replace("{x}", "{y}")), name)
        });
        let (rules, names) = renamed.unzip();
        Self { head: self.head, rules, names }
    }

    /// Some of it is something else.
    fn changed(&self, rng: &mut Rng) -> Self {
        let mut changed = self.shuffled(rng);
        match rng.u8(..8) {
            0 => changed.rules.truncate(4),
            1 => changed.head = "",
            _ => {
                let at = rng.usize(..changed.rules.len());
                changed.rules[at] = random_rule(rng);
            }
        }
        changed
    }

    fn text(&self) -> String {
        let mut text = format!("schema = 1\nname = 't'\n{}", self.head);
        let named = || self.rules.iter().zip(&self.names);
        // By its text and not by its place: the same after shuffling.
        let spared = named()
            .filter(|((effect, _), _)| *effect == "allow")
            .min_by_key(|((_, text), _)| text.replace("{y}", "{x}"))
            .map(|(_, name)| name);
        for ((effect, more), name) in named() {
            let more = match spared {
                Some(spared) => more.replace("SPARED", spared),
                None => more.replace("except_rules = ['SPARED']\n", ""),
            };
            text += &format!("[[rule]]\nid = '{name}'\neffect = '{effect}'\nwhy = 'a test'\n{more}");
        }
        text
    }
}

fn text_of(draft: Option<&Draft>) -> String {
    draft.map(Draft::text).unwrap_or_default()
}

fn of<T: Copy>(rng: &mut Rng, all: &[T]) -> T {
    all[rng.usize(..all.len())]
}

fn random_rule(rng: &mut Rng) -> (&'static str, String) {
    let effect = of(rng, &["allow", "allow", "allow", "deny", "deny", "audit"]);
    let from = of(
        rng,
        &[
            "{ any_authenticated = true }",
            "{ any_authenticated = true }",
            "{ spiffe = ['spiffe://d/*'] }",
            "{ spiffe = ['spiffe://d/**'] }",
            "{ spiffe = ['spiffe://d/a', 'spiffe://d/b'] }",
            "{ spiffe = ['spiffe://d/b', 'spiffe://d/a/b'] }",
            "{ dns_san = ['*.d'] }",
        ],
    );
    let mut more = format!("from = {from}\n");
    if rng.u8(..8) == 0 {
        more += "tcp = true\n";
    } else if rng.u8(..8) == 0 {
        more += "grpc = ['a/b']\n";
    } else {
        let methods = of(rng, &["", "", "", "methods = ['GET']\n", "methods = ['GET', 'HEAD', 'OPTIONS']\n"]);
        let paths = ["'/**'", "'/**'", "'/a/**'", "'/a/{x}'", "'/a', '/a/**'", "'/{x}/b'", "'/a{x}'", "'/{x}b', '/a'", "'*', '/**'"];
        let paths = if methods == "methods = ['GET']\n" { &paths[..8] } else { &paths[..] };
        more += &format!("paths = [{}]\n{methods}", of(rng, paths));
        more += of(rng, &["", "", "", "", "", "hosts = ['h']\n", "hosts = ['*.h', 'h']\n"]);
        more += of(
            rng,
            &[
                "",
                "",
                "",
                "",
                "headers = [{ name = 'x-a', eq = 'v' }]\n",
                "headers = [{ name = 'x-a', eq = 'v' }, { name = 'x-b', present = true }]\n",
            ],
        );
    }
    more += of(rng, &["", "", "", "", "", "ports = [8443]\n", "ports = [8444, 8443]\n"]);
    more += of(
        rng,
        &[
            "",
            "",
            "",
            "",
            "",
            "expires = '2026-11-21T13:00:00Z'\n",
            "expires = '2026-11-21T14:00:00Z'\n",
            "expires = '2026-11-21T11:00:00Z'\n",
        ],
    );
    if effect != "audit" {
        more += of(
            rng,
            &[
                "",
                "",
                "",
                "",
                "",
                "",
                "mode = 'shadow'\nshadow_until = '2026-11-28T00:00:00Z'\n",
                "enforce_percent = 30\n",
                "enforce_percent = 60\n",
            ],
        );
    }
    if effect == "deny" {
        more += of(rng, &["", "except_rules = ['SPARED']\n"]);
    }
    (effect, more)
}
