use super::read::parse;
use super::*;
use fastrand::Rng;
use toml::de::{DeTable, DeValue};

/// A value as text, in which the order of names does not matter.
fn ours(tree: &Tree<'_>, id: Id) -> String {
    match tree.view(id) {
        View::Table => {
            let mut all: Vec<String> =
                tree.members(id).map(|member| format!("{:?}@{}={}", tree.key(member), tree.key_at(member), ours(tree, member))).collect();
            all.sort();
            format!("{{{}}}", all.join(","))
        }
        View::List => format!(
            "[{}]",
            tree.members(id).map(|member| format!("@{}{}", tree.at(member), ours(tree, member))).collect::<Vec<_>>().join(",")
        ),
        View::Datetime => "time".into(),
        other => format!("{other:?}"),
    }
}

fn theirs(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Table(table) => of_table(table),
        DeValue::Array(list) => {
            format!(
                "[{}]",
                list.iter().map(|value| format!("@{}{}", value.span().start, theirs(value.get_ref()))).collect::<Vec<_>>().join(",")
            )
        }
        DeValue::String(text) => format!("{:?}", View::String(text)),
        DeValue::Integer(number) => format!("{:?}", View::Integer(number.as_str(), number.radix())),
        DeValue::Float(number) => format!("{:?}", View::Float(number.as_str())),
        DeValue::Boolean(value) => format!("{:?}", View::Boolean(*value)),
        DeValue::Datetime(_) => "time".into(),
    }
}

fn of_table(table: &DeTable<'_>) -> String {
    let mut all: Vec<String> =
        table.iter().map(|(key, value)| format!("{:?}@{}={}", key.get_ref(), key.span().start, theirs(value.get_ref()))).collect();
    all.sort();
    format!("{{{}}}", all.join(","))
}

/// The same as the `toml` crate makes of it, or both refuse it.
fn agree(text: &str) -> bool {
    let (table, errors) = DeTable::parse_recoverable(text);
    match parse(text) {
        // A date that is none: nothing of ours takes one, whatever it is.
        Ok(_)
            if !errors.is_empty()
                && errors.iter().all(|error| error.message().starts_with("invalid da") || error.message().starts_with("invalid ti")) =>
        {
            false
        }
        Ok(tree) => {
            assert!(errors.is_empty(), "only the crate refuses it: {errors:?}\n{text}");
            assert_eq!(ours(&tree, Tree::ROOT), of_table(table.get_ref()), "{text}");
            true
        }
        Err(wrong) => {
            assert!(!errors.is_empty(), "only we refuse it: {wrong:?}\n{text}");
            // The crate builds what it has parsed whole, so that its errors come in another order.
            let same =
                |error: &toml::de::Error| error.span().map_or(0, |span| span.start) == wrong[0].at && error.message() == wrong[0].what;
            assert!(errors.iter().any(same), "{wrong:?}\n{errors:?}\n{text}");
            false
        }
    }
}

/// Few names, so that statements about the same thing meet often.
fn random(rng: &mut Rng) -> String {
    let of = |rng: &mut Rng, all: &[&str]| all[rng.usize(..all.len())].to_owned();
    let key = |rng: &mut Rng| {
        let names = ["a", "b", "'c'", "\"a\"", "\"\\u0062\"", "d-1"];
        (0..rng.usize(1..4)).map(|_| of(rng, &names)).collect::<Vec<_>>().join(if rng.bool() { "." } else { " . " })
    };
    let value = |rng: &mut Rng| {
        let some = [
            "1",
            "0x1F",
            "-3_0",
            "1.5e3",
            "inf",
            "true",
            "'x'",
            "\"y\\n\"",
            "\"\"\"\nz\"\"\"",
            "[]",
            "[1, 2]",
            "[[1], {a = 1}]",
            "{}",
            "{a = 1}",
            "{a.b = 1, a.c = 2}",
            "{a = {}, a.b = 1}",
            "{a.b = [1], a.b.c = 1}",
            "[\n  'x', # why\n  'y',\n]",
            "{a = {b.c = 1}, d-1 = 'x'}",
            "1979-05-27",
        ];
        of(rng, &some)
    };
    let mut text = String::new();
    for _ in 0..rng.usize(1..8) {
        text += &match rng.u8(..10) {
            0 | 1 => format!("[{}]\n", key(rng)),
            2 | 3 => format!("[[{}]]\n", key(rng)),
            4 => "# nothing\n\n".into(),
            _ => format!("{} = {}\n", key(rng), value(rng)),
        };
    }
    if rng.u8(..10) == 0 {
        text.insert(rng.usize(..text.len()), of(rng, &["[", "]", "{", "=", ".", "'", "\n", ",", "#"]).chars().next().unwrap_or(' '));
    }
    text
}

#[test]
fn it_is_what_the_toml_crate_reads() {
    let mut rng = Rng::with_seed(5);
    let good = (0..20_000).filter(|_| agree(&random(&mut rng))).count();
    assert!(good > 2_000 && good < 18_000, "{good}");
}

#[test]
fn each_statement_is_read_where_many_are() {
    let many: String = (0..20_000).map(|number| format!("[[r]]\nid = 'n{number}'\nl = [\n 1,\n 2]\n")).collect();
    assert!(agree(&many));
    let names: String = (0..1_000).map(|number| format!("k{number} = {number}\n")).collect();
    assert!(agree(&names));
    assert!(!agree(&format!("{names}k77 = 1\n")));
    assert!(!agree(&format!("{many}x = \n")));
}

#[test]
fn what_would_take_the_memory_is_refused() {
    let deep = "[".repeat(100_000);
    assert!(parse(&format!("a = {deep}")).unwrap_err()[0].what.contains("recursion"));
    let wide = "a = [".to_owned() + &"1,".repeat(2 << 20) + "]\n";
    assert!(parse(&wide).unwrap_err()[0].what.contains("statement of more than"));
    let parts = vec!["a"; 100].join(".");
    assert!(parse(&format!("{parts} = 1")).unwrap_err()[0].what.contains("80 parts"));
    assert_eq!(parse(&"=\n".repeat(100_000)).unwrap_err().len(), 1_000);
}
