//! The schemas say what the readers do: the same keys, the same ranges and names, and every example fits.

use super::File;
use crate::config::{self, Environment};
use crate::policy::{self, Listeners};
use jsonschema::Validator;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn schema(file: File) -> Value {
    serde_json::from_str(file.schema()).unwrap()
}

fn validator(file: File) -> Validator {
    jsonschema::draft202012::new(&schema(file)).unwrap()
}

fn json(text: &str) -> Value {
    toml::from_str(text).unwrap()
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn annotated(file: &str) -> String {
    std::fs::read_to_string(home().join(file)).unwrap()
}

/// Every problem of a configuration, as text.
fn problems(text: &str) -> String {
    let environment = Environment::fixed(&[]).in_surroundings(|fact| format!("of-{fact}"));
    config::parse("c", text, &environment).map_or_else(|problems| problems.to_string(), |_| String::new())
}

fn table_problems(text: &str) -> String {
    let listeners = Listeners { ports: vec![8_443], ..Listeners::default() };
    policy::parse("t", text, &listeners).map_or_else(|problems| problems.to_string(), |_| String::new())
}

#[test]
fn every_example_fits() {
    for (file, annotated, others) in
        [(File::Config, "countersign.toml", "examples"), (File::Policy, "policy.toml", "../src/policy/tests/documented")]
    {
        let validator = validator(file);
        let others = std::fs::read_dir(home().join(others)).unwrap().map(|entry| entry.unwrap().path());
        for path in others.chain([home().join(annotated)]) {
            let value = json(&std::fs::read_to_string(&path).unwrap());
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", path.display());
        }
    }
}

/// A schema's keys as the reader names them, each with what the schema says of it.
fn keys(at: &str, schema: &Value, found: &mut BTreeMap<String, Value>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let key = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        match inner["type"].as_str() {
            Some("object") if inner["additionalProperties"] == false => keys(&key, inner, found),
            Some("array") if inner["items"]["type"] == "object" => keys(&format!("{key}[0]"), &inner["items"], found),
            _ => drop(found.insert(key, inner.clone())),
        }
    }
}

#[test]
fn the_configuration_has_these_keys_and_these_defaults() {
    let environment = Environment::fixed(&[]).in_surroundings(|fact| format!("of-{fact}"));
    let loaded = config::parse("c", &annotated("countersign.toml"), &environment).unwrap();
    let mut known = BTreeMap::new();
    keys("", &schema(File::Config), &mut known);
    let read: BTreeMap<&str, &str> = loaded
        .effective
        .iter()
        .filter(|entry| entry.value != "present")
        .map(|entry| (entry.key.as_str(), entry.default.as_str()))
        .collect();
    assert_eq!(known.keys().map(String::as_str).collect::<BTreeSet<_>>(), read.keys().copied().collect());
    for (key, schema) in known {
        // TOML writes these values as JSON does, but for blanks.
        let default = schema.get("default").map_or_else(|| "unset".into(), Value::to_string);
        let theirs = read[key.as_str()].replace(", ", ",");
        assert!(default == theirs || theirs == "required", "{key}: {default} and {theirs}");
    }
}

/// The annotated configuration with one line replaced.
fn with(key: &str, value: &str) -> String {
    let (section, name) = key.rsplit_once('.').unwrap();
    let section = section.replace("[0]", "");
    let mut inside = false;
    let lines = annotated("countersign.toml").lines().map(str::to_owned).collect::<Vec<_>>();
    let replaced = lines.into_iter().map(|line| {
        if line.starts_with('[') {
            inside = line.trim_matches(['[', ']']) == section;
        }
        if inside && line.starts_with(&format!("{name} = ")) { format!("{name} = {value}") } else { line }
    });
    replaced.collect::<Vec<_>>().join("\n")
}

#[test]
fn numbers_and_names_are_those_of_the_reader() {
    let mut known = BTreeMap::new();
    keys("", &schema(File::Config), &mut known);
    let validator = validator(File::Config);
    let mut tried = 0;
    for (key, schema) in &known {
        let mut agree = |value: String, fits: bool| {
            let text = with(key, &value);
            assert_ne!(text, annotated("countersign.toml"), "{key} is not in the file");
            // A value may fit and still not go with another key.
            let refused = problems(&text).lines().any(|problem| problem.contains(&format!(" {key}: is ")));
            assert_eq!((validator.is_valid(&json(&text)), refused), (fits, !fits), "{key} = {value}\n{}", problems(&text));
            tried += 1;
        };
        for (bound, beyond) in [("minimum", -1_i32), ("maximum", 1)] {
            if let Some(bound) = schema[bound].as_i64().filter(|_| schema["type"] == "integer") {
                agree((bound + i64::from(beyond)).to_string(), false);
            } else if let Some(bound) = schema[bound].as_f64() {
                agree(format!("{:?}", bound + f64::from(beyond)), false);
            }
        }
        if schema["enum"].is_array() {
            agree("\"nothing\"".to_owned(), false);
        }
    }
    assert!(tried > 30, "{tried}");
}

#[test]
fn choices_are_all_taken() {
    let mut known = BTreeMap::new();
    keys("", &schema(File::Config), &mut known);
    for (key, schema) in &known {
        for value in schema["enum"].as_array().into_iter().flatten() {
            let found = problems(&with(key, &value.to_string()));
            assert!(!found.lines().any(|problem| problem.contains(&format!(" {key}: is "))), "{key} = {value}: {found}");
        }
    }
}

/// The keys that the reader of a table names when it meets one that it does not know.
fn named(text: &str, at: &str) -> BTreeSet<String> {
    let found = table_problems(text);
    let line = found.lines().find(|line| line.contains(&format!(" {at}qqqqqqqqqqqq: unknown key")));
    let line = line.unwrap_or_else(|| panic!("{at}: {found}"));
    line.split("known here: ").nth(1).unwrap().split(", ").map(str::to_owned).collect()
}

#[test]
fn a_table_has_these_keys() {
    let schema = schema(File::Policy);
    let properties = |pointer: &str| -> BTreeSet<String> {
        let found = schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer}"));
        found.as_object().unwrap().keys().cloned().collect()
    };
    let head = "schema = 1\nname = 't'\n";
    let rule = |more: &str| {
        format!("{head}[[rule]]\nid = 'r'\neffect = 'allow'\nfrom = {{ any_authenticated = true }}\npaths = ['/']\nwhy = 'w'\n{more}")
    };
    let case = |more: &str| format!("{head}[[case]]\n{more}qqqqqqqqqqqq = 1");
    let rules = "/properties/rule/items/properties";
    for (text, at, pointer) in [
        (format!("{head}qqqqqqqqqqqq = 1"), "", "/properties".to_owned()),
        (format!("{head}[sets]\nqqqqqqqqqqqq = 1"), "sets.", "/properties/sets/properties".to_owned()),
        (format!("{head}[tags]\nqqqqqqqqqqqq = 1"), "tags.", "/properties/tags/properties".to_owned()),
        (rule("qqqqqqqqqqqq = 1"), "rule[0].", rules.to_owned()),
        (rule("").replace("any_authenticated", "qqqqqqqqqqqq"), "rule[0].from.", format!("{rules}/from/properties")),
        (rule("headers = [{ qqqqqqqqqqqq = 1 }]"), "rule[0].headers[0].", format!("{rules}/headers/items/properties")),
        (rule("break_glass = { qqqqqqqqqqqq = 1 }"), "rule[0].break_glass.", format!("{rules}/break_glass/properties")),
        (rule("[rule.when]\nqqqqqqqqqqqq = 1"), "rule[0].when.", format!("{rules}/when/properties")),
        (rule("[rule.when]\ntls = { qqqqqqqqqqqq = 1 }"), "rule[0].when.tls.", format!("{rules}/when/properties/tls/properties")),
        (
            rule("[rule.when]\ntime = { tz = 'UTC', qqqqqqqqqqqq = 1 }"),
            "rule[0].when.time.",
            format!("{rules}/when/properties/time/properties"),
        ),
        (
            rule("[rule.when]\ncert_age = { qqqqqqqqqqqq = 1 }"),
            "rule[0].when.cert_age.",
            format!("{rules}/when/properties/cert_age/properties"),
        ),
        (
            rule("[rule.when]\nsource_ip = { qqqqqqqqqqqq = 1 }"),
            "rule[0].when.source_ip.",
            format!("{rules}/when/properties/source_ip/properties"),
        ),
        (format!("{head}[[egress]]\nqqqqqqqqqqqq = 1"), "egress[0].", "/properties/egress/items/properties".to_owned()),
        (format!("{head}[[jwt_issuer]]\nqqqqqqqqqqqq = 1"), "jwt_issuer[0].", "/properties/jwt_issuer/items/properties".to_owned()),
    ] {
        let mut theirs = named(&text, at);
        // Refused by name, since it belongs into tables that are signed.
        theirs.remove("identities");
        assert_eq!(properties(&pointer), theirs, "{at}");
    }
    let of_cases: BTreeSet<String> =
        ["", "tcp = true\n", "egress = 'tls://a:1'\n"].iter().flat_map(|kind| named(&case(kind), "case[0].")).collect();
    assert_eq!(properties("/properties/case/items/properties"), of_cases);
}

#[test]
fn mistakes_are_mistakes_in_both() {
    let policy = validator(File::Policy);
    let text = annotated("policy.toml");
    for (what, instead) in [
        ("schema  = 1 ", "schema  = 2 "),
        ("effect  = \"audit\"", "effect  = \"log\""),
        ("effect  = \"audit\"", "efect  = \"audit\""),
        ("methods = [\"GET\", \"HEAD\"]", "methods = []"),
        ("methods = [\"GET\", \"HEAD\"]", "methods = [\"get\"]"),
        ("sample  = 0.1 ", "sample  = 1.1 "),
        ("days = \"mon-fri\", between", "days = \"mon-fri\", betwen"),
        ("min = \"1.3\"", "min = \"1.4\""),
        ("post_quantum = true", "post_quantum = false"),
        ("max = \"24h\"", "max = \"24\""),
        ("{ max_age = \"15m\" }", "{ max_age = \"15m\", eq = 1 }"),
        ("{ eq = \"https://idp.example/pool\" }", "{ }"),
        ("algs = [\"RS256\", \"ES256\"]", "algs = [\"HS256\"]"),
        ("algs = [\"RS256\", \"ES256\"]", "algs = []"),
        ("\"shop.Stock/Get\"", "\"shop.Stock\""),
        ("{ name = \"x-tenant\", in", "{ name = \"x-tenant\", eq = \"a\", in"),
        ("expect = \"allow\"", "expect = \"yes\""),
    ] {
        assert!(text.contains(what), "{what}");
        let wrong = text.replacen(what, instead, 1);
        assert!(!policy.is_valid(&json(&wrong)) && !table_problems(&wrong).is_empty(), "{what} → {instead}\n{}", table_problems(&wrong));
    }
}
