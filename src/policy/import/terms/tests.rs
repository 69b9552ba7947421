use super::*;

fn paths_of(said: Said) -> Option<Vec<String>> {
    match said {
        Ok(Expr::Is(like)) => like.paths,
        _ => None,
    }
}

#[test]
fn string_prefixes_are_told_in_segments() {
    let patterns = paths_of(path(Text::Prefix("/api"))).unwrap();
    for tail in ["", "/", "/x", "x", "x/", "x/y/z", "%20", "/a*b", ".v1"] {
        let path = format!("/api{tail}");
        assert!(patterns.iter().any(|pattern| PathPattern::parse(pattern).unwrap().matches(&path)), "{path}");
    }
    for path in ["/ap", "/", "/x/api", "*", "/apI"] {
        assert!(!patterns.iter().any(|pattern| PathPattern::parse(pattern).unwrap().matches(path)), "{path}");
    }
    assert_eq!(paths_of(path(Text::Prefix("/a/"))), Some(vec!["/a/**".to_owned()]));
    assert_eq!(paths_of(path(Text::Exact("/a*b"))), Some(vec!["/a%2Ab".to_owned()]));
    for text in
        [Text::Exact("/a//b"), Text::Exact("/%61"), Text::Exact("/caf%c3%a9"), Text::Prefix("/a%2"), Text::Exact("a"), Text::Prefix("a")]
    {
        assert!(path(text).is_err(), "{text:?}");
    }
}

#[test]
fn templates_are_told_where_they_are_whole_segments() {
    let template = |text| paths_of(path_template(text)).map(|paths| paths.join(" "));
    assert_eq!(template("/a/{*}/b").as_deref(), Some("/a/{s2}/b"));
    assert_eq!(template("/a/{*}/{**}").as_deref(), Some("/a/{s2}/**"));
    assert_eq!(template("/{**}").as_deref(), Some("/**"));
    for text in ["/a/{**}/b", "/a{*}", "/a/{**}.js", "/a/{*}/*", "{**}"] {
        assert_eq!(template(text), None, "{text}");
    }
}

#[test]
fn hosts_count_with_every_port_or_not_at_all() {
    let said = |texts: &[&str]| {
        let texts: Vec<Text<'_>> = texts.iter().map(|text| Text::starred(text)).collect();
        hosts(&texts).into_iter().map(|said| said.is_ok()).collect::<Vec<_>>()
    };
    assert_eq!(said(&["a.Foo", "A.foo:*"]), [true, true]);
    assert_eq!(said(&["a.foo"]), [false]);
    assert_eq!(said(&["a.foo", "b.foo:*", "*"]), [false, false, true]);
    assert_eq!(said(&["a.foo:8443", "*.foo", "a*"]), [false, false, false]);
}
