use super::{HostPattern, PathPattern};
use proptest::prelude::*;

#[test]
fn paths_match_by_segment() {
    let table = [
        ("/", "/", true),
        ("/", "/a", false),
        ("/a", "/a", true),
        ("/a", "/a/", false),
        ("/a", "/ab", false),
        ("/a/", "/a/", true),
        ("/a/", "/a", false),
        ("/a/**", "/a", false),
        ("/a/**", "/a/", true),
        ("/a/**", "/a/b/c/", true),
        ("/a/**", "/ab/c", false),
        ("/**", "/", true),
        ("/**", "/a/b", true),
        ("/**", "*", false),
        ("/{x}", "*", false),
        ("*", "*", true),
        ("*", "/", false),
        ("*", "/*", false),
        ("*", "/a", false),
        ("/a/{x}", "/a/b", true),
        ("/a/{x}", "/a/", false),
        ("/a/{x}", "/a/b/", false),
        ("/a/{x}/c", "/a/b/c", true),
        ("/a/{x}/c", "/a/b/d", false),
        ("/a/{x}/c", "/a/b", false),
        ("/a/{x}/", "/a/b/", true),
        ("/{x}/**", "/a", false),
        ("/{x}/**", "/a/", true),
        ("/{x}/**", "/a/b/c", true),
        ("/{x}/b/**", "/a/b", false),
        ("/{x}/b/**", "/a/b/c", true),
        ("/admin/{x}", "/admin/a*b", true),
        ("/img-{n}.png", "/img-1.png", true),
        ("/img-{n}.png", "/img-.png", false),
        ("/img-{n}.png", "/img-1.png.gz", false),
        ("/img-{n}.png", "/ximg-1.png", false),
        ("/.{ext}", "/.git", true),
        ("/v{n}0", "/v%20", false),
        ("/v{n}0", "/v%200", true),
        ("/caf%c3%a9", "/caf%C3%A9", true),
        ("/users/%40admin", "/users/@admin", true),
        ("/a%2Ab", "/a*b", true),
        ("/a%2fb", "/a%2Fb", true),
        ("/a/%2A%2A", "/a/**", true),
        ("/a/%2A%2A", "/a/b", false),
        ("/{x}/%2A%2A", "/a/**", true),
        ("/{x}/%2A%2A", "/a/b/c", false),
        ("/%2A%2A/**", "/**/a", true),
        ("/%2A%2A/**", "/b/a", false),
        ("/%2A", "/*", true),
    ];
    for (pattern, path, expected) in table {
        let parsed = PathPattern::parse(pattern).unwrap();
        assert_eq!(parsed.matches(path), expected, "{pattern} {path}");
        assert_eq!(PathPattern::of(parsed.as_str()), parsed, "{pattern}");
    }
}

#[test]
fn bad_path_patterns_are_refused() {
    let table = [
        "", "**", "*/", "*a", "a", "/*", "/a*", "/**/a", "/a**", "//", "//**", "/a//b", "/{x}//b", "/{x}//**", "/..", "/a/../b", "/{}",
        "/{x", "/x}", "/{x}{y}", "/{a b}", "/{x/y}", "/a?b", "/a#b", "/a b", "/%zz", "/%00", "/.%2e", "/\u{e9}", "/%4{x}",
    ];
    for pattern in table {
        assert!(PathPattern::parse(pattern).is_err(), "{pattern:?}");
    }
}

#[test]
fn hosts_match_by_label() {
    let table = [
        ("a.foo", "a.foo", true),
        ("A.Foo.", "a.foo", true),
        ("a.foo", "b.foo", false),
        ("*.foo", "a.foo", true),
        ("*.foo", "a.b.foo", false),
        ("*.foo", "foo", false),
        ("a.*.foo", "a.b.foo", true),
        ("*", "localhost", true),
        ("*", "[::1]", false),
        ("[0::1]", "[::1]", true),
        ("10.0.0.1", "10.0.0.1", true),
    ];
    for (pattern, host, expected) in table {
        assert_eq!(HostPattern::parse(pattern).unwrap().matches(host), expected, "{pattern} {host}");
    }
    for pattern in ["", "a.foo:80", "**", "*a.foo", "a..foo", "http://a", "[::1]:80", "a/b", "[*]", "a b"] {
        assert!(HostPattern::parse(pattern).is_err(), "{pattern:?}");
    }
}

/// The meaning of a pattern, word by word.
fn means(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        (["**"], rest) => !rest.is_empty(),
        ([first, pattern @ ..], [segment, path @ ..]) => {
            let fits = if first.starts_with('{') { !segment.is_empty() } else { first == segment };
            fits && means(pattern, path)
        }
        (pattern, path) => pattern.is_empty() && path.is_empty(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_000) })]

    #[test]
    fn patterns_mean_what_they_say(
        pattern in prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "{x}"]), 0..4),
        end in prop::sample::select(vec!["", "**", "a", "{x}"]),
        path in prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "c"]), 0..4),
        last in prop::sample::select(vec!["", "a", "b"]),
    ) {
        let pattern = [pattern, vec![end]].concat();
        let path = [path, vec![last]].concat();
        let parsed = PathPattern::parse(&format!("/{}", pattern.join("/"))).unwrap();
        prop_assert_eq!(parsed.matches(&format!("/{}", path.join("/"))), means(&pattern, &path));
    }
}
