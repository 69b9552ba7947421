//! Every file in `config/` is one that `countersign check` takes, and `countersign run` too once what it names is there.

use crate::support::metadata::{METADATA, Metadata, task};
use crate::support::sidecar::{run, run_with};
use countersign::testing::pki::TestCa;
use std::path::{Path, PathBuf};

/// What the examples take from their environment.
const SERVICE: (&str, &str) = ("SERVICE", "orders");

/// The metadata endpoint of a task, for the example that is for one.
async fn metadata() -> Metadata {
    Metadata::start(Some(&task("blue", "orders"))).await
}

/// A variable that says that this is a task, where the configuration asks for what the task is called.
fn surroundings<'m>(path: &Path, metadata: &'m Metadata) -> (&'static str, &'m str) {
    let text = std::fs::read_to_string(path).unwrap();
    if text.contains("\nid = \"spiffe://prod.example/ecs/${ecs.") { (METADATA, &metadata.url) } else { ("NOTHING", "") }
}

fn configurations() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let files = |dir: &Path| std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let mut found = [files(&root), files(&root.join("examples"))].concat();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "toml") && !path.ends_with("policy.toml"));
    found.sort();
    assert!(found.len() >= 5, "{found:?}");
    found
}

fn policy() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/policy.toml")).unwrap()
}

/// Puts what `text` names under `/etc`, `/mnt` and `/var` into `home`, and lets it name that.
fn at_home(text: &str, home: &Path) -> String {
    let ca = TestCa::new("prod.example");
    let own =
        [("etc/countersign/tls", "spiffe://prod.example/ns/shop/sa/orders"), ("mnt/tls/orders", "spiffe://prod.example/ecs/blue/orders")];
    for (dir, id) in own {
        let dir = home.join(dir);
        std::fs::create_dir_all(&dir).unwrap();
        let cert = ca.issue(id);
        std::fs::write(dir.join("chain.pem"), &cert.chain_pem).unwrap();
        std::fs::write(dir.join("key.pem"), &cert.key_pem).unwrap();
        std::fs::write(dir.join("roots.pem"), ca.root_pem()).unwrap();
    }
    std::fs::write(home.join("mnt/tls/roots.pem"), ca.root_pem()).unwrap();
    std::fs::write(home.join("etc/countersign/partner-roots.pem"), TestCa::new("partner.example").root_pem()).unwrap();
    std::fs::write(home.join("etc/countersign/policy.toml"), policy()).unwrap();
    std::fs::write(home.join("policy.toml"), policy()).unwrap();
    let places = ["/etc/countersign/", "/mnt/tls/", "/var/log/"];
    places.iter().fold(text.to_owned(), |text, place| text.replace(&format!("\"{place}"), &format!("\"{}{place}", home.display())))
}

#[tokio::test]
async fn each_is_well_formed_where_its_files_are_missing() {
    let home = tempfile::tempdir().unwrap();
    let metadata = metadata().await;
    for path in configurations() {
        let arguments = ["check", "--config", path.to_str().unwrap()];
        let (code, said) = run_with(&arguments, home.path(), &[SERVICE, surroundings(&path, &metadata)]).await;
        assert_eq!(code, 1, "{}: {said}", path.display());
        for line in said.lines().filter(|line| !line.starts_with("warning: ")) {
            assert!(line.contains("cannot be read (No such file") || line.contains("is not set"), "{}: {line}", path.display());
        }
    }
}

#[tokio::test]
async fn each_is_fine_where_its_files_are_there() {
    let (table, metadata) = (policy(), metadata().await);
    for path in configurations() {
        let home = tempfile::tempdir().unwrap();
        let text = at_home(&std::fs::read_to_string(&path).unwrap(), home.path());
        let environment =
            [SERVICE, surroundings(&path, &metadata), ("COUNTERSIGN_POLICY", table.as_str()), ("COUNTERSIGN_CONFIG", text.as_str())];
        std::fs::write(home.path().join("countersign.toml"), &text).unwrap();
        for arguments in [&["check"][..], &["check", "--config", "env:COUNTERSIGN_CONFIG"], &["check", "--effective"]] {
            let (code, said) = run_with(arguments, home.path(), &environment).await;
            assert_eq!(code, 0, "{}: {said}", path.display());
            assert!(said.lines().any(|line| line.starts_with("ok: ")), "{}: {said}", path.display());
        }
    }
}

#[tokio::test]
async fn a_mistake_in_any_of_them_is_found() {
    let metadata = metadata().await;
    for path in configurations() {
        let home = tempfile::tempdir().unwrap();
        let text = at_home(&std::fs::read_to_string(&path).unwrap(), home.path());
        std::fs::write(home.path().join("countersign.toml"), format!("filee = \"x\"\n{text}")).unwrap();
        let (code, said) = run_with(&["check"], home.path(), &[SERVICE, surroundings(&path, &metadata)]).await;
        assert_eq!(code, 2, "{}: {said}", path.display());
        assert!(said.contains("countersign.toml:") && said.contains("filee"), "names file, line and key: {said}");
    }
}

#[tokio::test]
async fn a_malformed_policy_is_found_before_it_is_deployed() {
    let home = tempfile::tempdir().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples/quickstart.toml");
    std::fs::copy(path, home.path().join("countersign.toml")).unwrap();
    std::fs::write(home.path().join("policy.toml"), policy().replacen("effect  = \"allow\"", "effect  = \"permit\"", 1)).unwrap();
    for arguments in [&["check"][..], &["run"]] {
        let (code, said) = run(arguments, home.path()).await;
        assert_eq!(code, 2, "{arguments:?}: {said}");
        assert!(said.contains("policy.toml:") && said.contains("permit"), "{arguments:?}: names file, line and value: {said}");
    }
}
