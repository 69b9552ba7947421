//! No text makes the reader panic.

use crate::config::{Environment, parse};
use proptest::prelude::*;

fn try_to_read(text: &str) {
    let environment = Environment::fixed(&[("A", "x")]);
    if let Err(problems) = parse("c", text, &environment) {
        assert!(problems.iter().count() > 0);
        assert!(!problems.to_string().is_empty());
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in ".{0,400}") {
        try_to_read(&text);
    }

    #[test]
    fn arbitrary_values_never_panic(index in 0usize..400, value in "(\"[ -~é€]{0,20}\"|-?[0-9]{1,21}|[0-9]\\.[0-9]|true|\\[\\]|\\{\\}|\\[\"x\", 1\\]|nan|inf|\"\\$\\{A\\}\"|[ -~]{0,12})") {
        let annotated = include_str!("../../../config/countersign.toml");
        let lines: Vec<String> = annotated.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')).map(str::to_owned).collect();
        let chosen = &lines[index % lines.len()];
        let key = chosen.split(" = ").next().unwrap_or_default();
        try_to_read(&annotated.replacen(&format!("\n{chosen}\n"), &format!("\n{key} = {value}\n"), 1));
    }
}

#[test]
fn deep_nesting_and_a_byte_order_mark_are_no_trouble() {
    for deep in ["[", "{a=", "a."] {
        try_to_read(&format!("a = {}", deep.repeat(100_000)));
        try_to_read(&deep.repeat(100_000));
    }
    let marked = format!("\u{feff}{}", include_str!("../../../config/countersign.toml"));
    assert!(parse("c", &marked, &Environment::fixed(&[])).is_ok());
}
