use super::Document;

#[test]
fn every_problem_is_reported_with_its_line() {
    let text = "a = 1\nb = \"x\"\n[inner]\nlisten = 3\nlisten_on = \"y\"\n";
    let document = Document::parse("f.toml", text).expect("is TOML");
    let root = document.root();
    assert_eq!(root.str("a").map(|item| item.value), None);
    assert_eq!(root.str("b").map(|item| item.value).as_deref(), Some("x"));
    let inner = root.section("inner").expect("is a table");
    assert!(inner.str("listen").is_none());
    inner.close();
    root.close();
    let problems = document.finish(Some(())).expect_err("has problems").to_string();
    assert_eq!(
        problems,
        "f.toml:1:1: a: is an integer; write a string in quotes\n\
         f.toml:4:1: inner.listen: is an integer; write a string in quotes\n\
         f.toml:5:1: inner.listen_on: unknown key; known here: listen"
    );
}

#[test]
fn a_near_miss_is_suggested() {
    let document = Document::parse("f", "lisen = 'x'").expect("is TOML");
    let root = document.root();
    assert!(root.str("listen").is_none());
    root.close();
    let problems = document.finish(Some(())).expect_err("has a problem").to_string();
    assert!(problems.contains("did you mean `listen`?"), "{problems}");
}

#[test]
fn several_syntax_errors_come_together() {
    let problems = Document::parse("f", "a = \nb = 1\nc = = 2\n").err().expect("is not TOML");
    assert!(problems.iter().count() >= 2, "{problems}");
    assert_eq!(problems.iter().next().map(|problem| problem.place.line), Some(1));
}
