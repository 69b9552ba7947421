//! What may change while running.

use super::load;
use crate::config::reload::{Part, compare};

const FILES: &str = "[credentials]\nsource = 'file'\n[credentials.file]\nchain = 'a'\nkey = 'b'\n";

#[test]
fn reloadable_parts_are_named() {
    let up = "[outbound]\n[[upstream]]\nhosts = ['p']\naddress = 'p:1'\nid = 'spiffe://d/p'\n";
    let table = [
        ("", "", vec![]),
        ("", "[timeouts]\nidle = '60s'", vec![]),
        ("", "[timeouts]\nidle = '1s'", vec![Part::Timeouts]),
        ("", "[policy]\nfile = 'other.toml'", vec![Part::Policy]),
        ("", "[[trust]]\ndomain = 'd'\n[[trust]]\ndomain = 'e'", vec![Part::Trust]),
        ("", "[audit]\nsample = 0.5\n[log]\nlevel = 'debug'", vec![Part::AuditSample, Part::LogLevel]),
        (FILES, &FILES.replace("'a'", "'c'"), vec![Part::CredentialFiles]),
        (up, &up.replace("p:1", "p:2"), vec![Part::Upstreams]),
    ];
    for (old, new, parts) in table {
        let changes = compare(&load(old).unwrap(), &load(new).unwrap()).unwrap();
        assert_eq!(changes.iter().collect::<Vec<_>>(), parts, "{new}");
        assert_eq!(changes.is_empty(), parts.is_empty());
        assert!(parts.iter().all(|part| changes.contains(*part)));
    }
}

#[test]
fn everything_else_needs_a_restart() {
    let table = [
        ("", "[workload]\nid = 'spiffe://d/b'", vec!["workload.id: cannot change while running (it is \"spiffe://d/app\")"]),
        ("", "[log]\nformat = 'json'\nlevel = 'debug'", vec!["log.format: cannot change while running (it is \"auto\")"]),
        ("", FILES, vec!["credentials.source: cannot change while running (it is \"dev\")"]),
        ("", "[workload]\nid = 'spiffe://d/app'\nlabels = {a = '1'}", vec!["workload.labels: cannot change while running (it is {})"]),
        (
            "",
            "[limits]\nin_flight = 1\n[runtime]\nshards = 3\n[timeouts]\nidle = '1s'",
            vec!["limits.in_flight: cannot change while running (it is 4096)", "runtime.shards: cannot change while running (it is 0)"],
        ),
        (
            "[outbound]\n[[upstream]]\nhosts = ['p']\naddress = 'p:1'\nid = 'spiffe://d/p'\n",
            "",
            vec!["outbound: cannot change while running (it is present)"],
        ),
    ];
    for (old, new, expected) in table {
        let problems = compare(&load(old).unwrap(), &load(new).unwrap()).unwrap_err();
        let actual: Vec<String> = problems.iter().map(|problem| super::strip_line(&problem.to_string())).collect();
        let expected: Vec<String> = expected.into_iter().map(|what| format!("{what}; restart, or put the old value back")).collect();
        assert_eq!(actual, expected, "{new}");
    }
}

/// A certificate that was sealed under one key does not open under another: nothing changes half-way.
#[cfg(feature = "aws")]
#[test]
fn the_key_that_seals_stays() {
    let cache = |key: &str| load(&format!("[credentials]\nsource = 'dev'\n[credentials.cache]\ndir = 'c'\n{key}\n")).unwrap();
    let arn = |id: char| format!("arn:aws:kms:eu-west-1:123456789012:key/{id}");
    let kms = |id| cache(&format!("kms_key = '{}'", arn(id)));
    for (old, new, expected) in [
        (kms('a'), kms('b'), vec![format!("kms_key: cannot change while running (it is {:?})", arn('a'))]),
        (
            cache("sealing_key_file = 'k'"),
            kms('a'),
            vec![
                "sealing_key_file: cannot change while running (it is \"k\")".to_owned(),
                "kms_key: cannot change while running (it is unset)".to_owned(),
            ],
        ),
    ] {
        let problems = compare(&old, &new).unwrap_err();
        let actual: Vec<String> = problems.iter().map(|problem| super::strip_line(&problem.to_string())).collect();
        let whole = |what: String| format!("credentials.cache.{what}; restart, or put the old value back");
        assert_eq!(actual, expected.into_iter().map(whole).collect::<Vec<_>>());
    }
}

#[test]
fn a_section_that_appears_needs_a_restart() {
    let new = "[outbound]\n[[upstream]]\nhosts = ['p']\naddress = 'p:1'\nid = 'spiffe://d/p'\n";
    let problems = compare(&load("").unwrap(), &load(new).unwrap()).unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|problem| problem.place.key.as_str()).collect();
    assert_eq!(keys, ["outbound"]);
}
