//! Who may import whom: the rooms of the house, and that no room reaches into one that it must not know.
#![allow(clippy::unwrap_used, clippy::panic)]

mod scan;

use scan::{Finding, Target};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each room and the rooms that its code may name; its own name is always allowed. Unit tests are exempt: they may use `testing` and any neighbour.
const TABLE: &[(&str, &[&str])] = &[
    // The root declares the rooms and re-exports nothing: a path through it would hide whose item it is.
    ("lib", &[]),
    // The ground: nothing of ours.
    ("identity", &[]),
    ("request", &[]),
    ("telemetry", &[]),
    ("document", &[]),
    ("runtime", &["telemetry"]),
    ("fetch", &["runtime", "telemetry"]),
    ("trust", &["identity", "runtime", "telemetry", "fetch"]),
    // `document`: the table is a text of its own, and its problems are reported as the configuration's are.
    ("policy", &["identity", "request", "runtime", "telemetry", "fetch", "document"]),
    ("audit", &["policy", "identity", "request", "runtime", "telemetry", "fetch"]),
    ("credentials", &["trust", "identity", "runtime", "telemetry"]),
    ("tls", &["credentials", "trust", "identity", "runtime", "telemetry"]),
    // `trust`: an open connection holds its peer's place among those whom a change of trust reaches.
    ("upstream", &["tls", "trust", "identity", "request", "runtime", "telemetry"]),
    // `trust`: a handshake's error says whom the verifier refused, in its words. `testing`: the hooks that provoke faults, behind the feature.
    ("proxy", &["upstream", "tls", "trust", "policy", "audit", "identity", "request", "runtime", "telemetry", "testing"]),
    ("aws", &["credentials", "trust", "runtime", "identity", "telemetry", "fetch"]),
    // Each room's own settings, and the types that they are made of.
    (
        "config",
        &[
            "document",
            "admin",
            "audit",
            "credentials",
            "identity",
            "policy",
            "proxy",
            "request",
            "runtime",
            "telemetry",
            "tls",
            "trust",
            "upstream",
        ],
    ),
    // Less than it might: what it reports on and sets off is handed to it as closures.
    ("admin", &["runtime", "telemetry"]),
];

/// Rooms that may name every other one.
const WIRING: &[&str] = &["app", "cli", "main", "testing"];

#[test]
fn every_import_goes_the_allowed_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let found = violations(&sources(&root));
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_table_has_no_circle_and_names_only_rooms() {
    for (room, may) in TABLE {
        for target in *may {
            assert!(TABLE.iter().any(|(known, _)| known == target) || *target == "testing", "{room} may name {target}, which is no room");
            assert!(!reaches(target, room), "{room} and {target} reach each other");
        }
    }
}

fn reaches(from: &str, to: &str) -> bool {
    let may = TABLE.iter().find(|(room, _)| *room == from).map_or(&[][..], |(_, may)| *may);
    may.iter().any(|next| *next == to || reaches(next, to))
}

/// Each kind of import that could slip through, planted into a room that must not have it.
#[test]
fn planted_violations_are_found() {
    let planted = [
        ("identity/mod.rs", "use crate::policy::Table;"),
        ("identity/mod.rs", "use crate::policy;"),
        ("identity/mod.rs", "pub use crate::policy::Table;"),
        ("identity/mod.rs", "pub(crate) use crate::{identity::SpiffeId, policy::Table};"),
        (
            "identity/mod.rs",
            "use crate::{\n    identity::{\n        SpiffeId,\n        x509,\n    },\n    audit::{\n        Decision,\n    },\n};",
        ),
        ("identity/mod.rs", "use {std::fmt, crate::proxy::Shard};"),
        ("identity/mod.rs", "fn f() -> crate::policy::Table { todo!() }"),
        ("identity/mod.rs", "fn f() { let _ = crate :: runtime :: clock :: SystemClock; }"),
        ("identity/mod.rs", "fn f() { use crate::tls as other; }"),
        ("identity/mod.rs", "macro_rules! m { () => { $crate::upstream::Route }; }"),
        ("identity/mod.rs", "use super::policy::Table;"),
        ("identity/x509/name.rs", "use super::super::super::policy::Table;"),
        ("identity/x509/name.rs", "use super::super::{super::{policy}, SpiffeId};"),
        ("identity/mod.rs", "mod inner { use super::super::policy; }"),
        ("identity/mod.rs", "mod inner { mod tests { } use super::super::policy; }"),
        ("identity/mod.rs", "use self::super::policy;"),
        ("identity/mod.rs", "use crate::*;"),
        ("identity/mod.rs", "use crate as house; use house::policy;"),
        ("identity/mod.rs", "use crate::{self as house};"),
        ("identity/mod.rs", "use super::*;"),
        ("identity/mod.rs", "use super as house;"),
        ("identity/mod.rs", "extern crate self as house;"),
        ("identity/mod.rs", "use countersign::policy::Table;"),
        ("identity/mod.rs", "#[path = \"../policy/table.rs\"]\nmod table;"),
        ("identity/mod.rs", "include!(\"../policy/table.rs\");"),
        ("identity/mod.rs", "/* a /* nested */ comment */ use /* here */ crate::/* too */policy::Table;"),
        ("identity/mod.rs", "const X: &str = \"//\"; use crate::policy::Table;"),
        ("identity/mod.rs", "const X: &str = r#\"\"//\"#; use crate::policy::Table;"),
        ("identity/mod.rs", "const X: char = '\"'; use crate::policy::Table;"),
        ("identity/mod.rs", "#[cfg(test)] mod tests { } use crate::policy::Table;"),
        ("identity/mod.rs", "#[cfg(not(test))] mod real { use crate::policy::Table; }"),
        ("identity/mod.rs", "use r#crate::policy; use crate::r#policy::Table;"),
        ("runtime/clock.rs", "use crate::policy::Table;"),
        ("request/path.rs", "use crate::telemetry::metrics;"),
        ("telemetry/log.rs", "use crate::identity::SpiffeId;"),
        ("tls/accept.rs", "use crate::policy::Table;"),
        ("policy/mod.rs", "use crate::config::Config;"),
        ("audit/mod.rs", "use crate::proxy::Plan;"),
        ("admin/mod.rs", "use crate::audit::Journal;"),
        ("upstream/mod.rs", "use crate::app::Sidecar;"),
        ("proxy/mod.rs", "use crate::cli::main;"),
        ("attic.rs", "use std::fmt;"),
        ("identity/mod.rs", "use crate::SomethingFromTheRoot;"),
        ("lib.rs", "pub use policy::Table;"),
        ("lib.rs", "pub use crate::policy::Table as Anything;"),
    ];
    for (path, text) in planted {
        let found = violations(&[(PathBuf::from(path), text.to_owned())]);
        assert!(!found.is_empty(), "not found in {path}: {text}");
    }
}

/// And what is no violation is none: a rule that cries without cause is switched off.
#[test]
fn allowed_imports_pass() {
    let fine = [
        ("identity/mod.rs", "use crate::identity::SpiffeId; use super::identity; use self::spiffe::SpiffeId; pub(crate) fn f() {}"),
        ("identity/x509.rs", "use super::{SpiffeId, x509::Leaf}; pub(in crate::identity) fn f() {} pub(super) fn g() {}"),
        (
            "identity/mod.rs",
            "//! See crate::policy.\n/// And [`crate::policy::Table`].\n// use crate::policy;\nconst X: &str = \"crate::policy\";",
        ),
        ("identity/mod.rs", "mod inner { use super::SpiffeId; use super::*; }"),
        ("identity/mod.rs", "#[cfg(test)]\nmod tests {\n    use crate::testing::pki::TestCa;\n    use crate::policy::Table;\n}"),
        ("identity/mod.rs", "#[cfg(all(test, feature = \"testing\"))]\nmod tests { use crate::testing::pki::TestCa; }"),
        ("identity/tests.rs", "use crate::policy::Table;"),
        ("policy/tests/format.rs", "use crate::proxy::Plan;"),
        ("proxy/headers_tests.rs", "use crate::app::Sidecar;"),
        ("tls/state.rs", "use crate::{credentials::Issued, trust::{Bundle, Bundles}};"),
        ("cli/run.rs", "use crate::{app, proxy, policy};"),
        ("lib.rs", "pub mod policy; mod tls;"),
        ("main.rs", "fn main() { countersign::cli::main(); }"),
        ("proxy/forward.rs", "fn f<'crate_>(x: &'static str, c: char) -> bool { c == 'c' && x == '\\''.to_string() }"),
    ];
    for (path, text) in fine {
        let found = violations(&[(PathBuf::from(path), text.to_owned())]);
        assert!(found.is_empty(), "{path}: {text}\n{}", found.join("\n"));
    }
}

/// A file that no `mod` names is not compiled, and its tests do not run.
#[test]
fn every_file_belongs_to_a_module() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for room in ["src", "tests"] {
        let files = sources(&root.join(room));
        let lost = files.iter().filter(|(path, _)| !is_named(path, &files)).map(|(path, _)| path.display().to_string());
        assert_eq!(lost.collect::<Vec<_>>(), Vec::<String>::new(), "in {room}");
    }
    let planted = [("main.rs", "mod a;"), ("a/mod.rs", "mod b;"), ("a/b.rs", ""), ("a/lost.rs", ""), ("lost.rs", "")];
    let planted: Vec<_> = planted.map(|(path, text)| (PathBuf::from(path), text.to_owned())).into();
    let lost: Vec<_> = planted.iter().filter(|(path, _)| !is_named(path, &planted)).map(|(path, _)| path.to_str().unwrap()).collect();
    assert_eq!(lost, ["a/lost.rs", "lost.rs"]);
}

/// Whether the file is the root of a crate, or one beside or above it has its `mod` or its `#[path]`.
fn is_named(path: &Path, files: &[(PathBuf, String)]) -> bool {
    let stem = path.file_stem().unwrap().to_str().unwrap();
    // `corpus` is a test of its own in Cargo.toml.
    if ["main", "lib", "corpus"].contains(&stem) {
        return true;
    }
    let module = if stem == "mod" { path.parent().unwrap() } else { &path.with_extension("") };
    let (name, above) = (module.file_name().unwrap().to_str().unwrap(), module.parent().unwrap());
    let parents = ["mod.rs", "main.rs", "lib.rs"].map(|file| above.join(file)).into_iter().chain([above.with_extension("rs")]);
    let declared = [format!("mod {name};"), format!("mod {name} {{")];
    let declares = |text: &str| text.lines().any(|line| declared.iter().any(|mark| line.trim_end().ends_with(mark.as_str())));
    let by_path = format!("#[path = \"{}\"]", path.file_name().unwrap().to_str().unwrap());
    let beside = |other: &Path| other.parent() == path.parent();
    parents.into_iter().any(|parent| files.iter().any(|(path, text)| *path == parent && declares(text)))
        || files.iter().any(|(other, text)| beside(other) && text.contains(&by_path))
}

/// Every violation, each with its file and line.
fn violations(sources: &[(PathBuf, String)]) -> Vec<String> {
    let mut found = BTreeSet::new();
    for (path, text) in sources {
        let room = scan::room(path);
        if WIRING.contains(&room.as_str()) {
            continue;
        }
        let Some((_, may)) = TABLE.iter().find(|(known, _)| *known == room) else {
            found.insert(format!("{}: `{room}` is not in the table of rooms", path.display()));
            continue;
        };
        for Finding { line, target } in scan::findings(path, text) {
            let problem = match target {
                Target::Room(target) if target == room || may.contains(&target.as_str()) => continue,
                Target::Room(target) => format!("`{room}` must not name `{target}`"),
                Target::Hidden(how) => format!("`{room}` hides what it names: {how}"),
            };
            found.insert(format!("{}:{line}: {problem}", path.display()));
        }
    }
    found.into_iter().collect()
}

fn sources(root: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 50, "only {} files", found.len());
    found
}
