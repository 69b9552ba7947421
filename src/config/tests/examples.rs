//! Every file under `config/` is what it says.

use crate::config::{Environment, Loaded, Origin, parse};
use std::path::{Path, PathBuf};

fn read(path: &Path) -> (String, Loaded) {
    let text = std::fs::read_to_string(path).unwrap();
    let environment = Environment::fixed(&[("SERVICE", "orders")]).in_surroundings(|fact| format!("of-{fact}"));
    let loaded = parse(&path.display().to_string(), &text, &environment).unwrap_or_else(|problems| panic!("{problems}"));
    (text, loaded)
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

#[test]
fn every_example_loads_without_a_warning() {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(home().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let (_, loaded) = read(&path);
        assert_eq!(loaded.warnings, [], "{}", path.display());
        names.push(path.file_name().unwrap().to_owned());
    }
    names.sort();
    assert_eq!(names, ["env-only.toml", "grpc.toml", "inbound-files.toml", "quickstart.toml", "two-upstreams.toml"]);
}

#[test]
fn the_quick_start_has_ten_lines() {
    let (text, loaded) = read(&home().join("examples/quickstart.toml"));
    assert_eq!(text.lines().count(), 10);
    assert_eq!(loaded.config.inbound, Some(crate::proxy::Inbound::default()));
}

#[test]
fn the_annotated_file_holds_every_key_at_its_default() {
    let (text, loaded) = read(&home().join("countersign.toml"));
    assert_eq!(loaded.warnings, []);
    for entry in loaded.effective.iter() {
        let key = entry.key.rsplit('.').next().unwrap_or(&entry.key);
        match &entry.origin {
            Origin::Default => {
                assert_eq!(entry.value, "unset", "{} is not in the file", entry.key);
                assert!(text.contains(&format!("\n# {key} = ")), "{} is not in the file", entry.key);
            }
            _ if entry.value == "present" => {}
            _ => assert!(entry.value == entry.default || ["required", "unset"].contains(&entry.default.as_str()), "{}", entry.key),
        }
    }
}
