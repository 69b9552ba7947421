//! What the documentation of Istio and Envoy says of its examples holds for the same policies written as tables. Each table in `documented/`
//! names the page that it comes from and has the requests of that page, with the documented verdicts, as its cases.

use super::super::Listeners;
use super::super::parse::parse_at;
use super::noon;
use std::fs;
use std::path::Path;

/// The file's name and its text.
fn tables() -> Vec<(String, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/policy/tests/documented");
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())).collect()
}

fn listeners() -> Listeners {
    Listeners { ports: vec![8_443, 80, 443, 8_080, 9_000, 9_001, 9_002, 27_017], ..Listeners::default() }
}

#[test]
fn each_table_decides_as_documented() {
    let mut cases = 0;
    for (file, text) in tables() {
        assert!(text.starts_with("# https://istio.io/latest/docs/") || text.starts_with("# https://www.envoyproxy.io/docs/"), "{file}");
        parse_at(&file, &text, &listeners(), noon()).unwrap_or_else(|problems| panic!("{problems}"));
        cases += text.matches("[[case]]").count();
    }
    assert!(cases >= 60, "{cases} cases");
}

#[test]
fn no_table_decides_otherwise() {
    for (file, text) in tables() {
        for (at, _) in text.match_indices("\nexpect = \"") {
            let (before, verdict) = text.split_at(at + "\nexpect = \"".len());
            let (right, wrong) = if verdict.starts_with("allow") { ("allow", "deny") } else { ("deny", "allow") };
            let flipped = format!("{before}{}", verdict.replacen(right, wrong, 1));
            let problems = parse_at(&file, &flipped, &listeners(), noon()).unwrap_err().to_string();
            assert!(problems.contains(&format!("expects {wrong}")) && problems.contains(&format!("gets {right}")), "{problems}");
        }
    }
}
