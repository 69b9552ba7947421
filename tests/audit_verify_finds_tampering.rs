//! What a sidecar wrote is whole, also where it was killed; what somebody changed afterwards is found, with its line, by whoever has the files.

use crate::support::sidecar::{run, run_with_input};
use crate::support::{ALICE, App, BOB, Peer, Setup, Sidecar};
use rustix::process::Signal;
use std::path::{Path, PathBuf};

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// One start with an allow and a denial that are on the disk.
async fn serve(setup: &Setup, path: &str) -> Sidecar {
    let sidecar = Sidecar::start(setup).await;
    Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await.get(path).await;
    Peer::http1(sidecar.inbound(), &setup.cert(BOB)).await.get(&format!("{path}/denied")).await;
    sidecar.record("the allow", |record| record["http"]["path"] == path).await;
    sidecar.record("the denial", |record| record["http"]["path"] == format!("{path}/denied")).await;
    sidecar
}

#[tokio::test]
async fn after_a_kill_and_a_restart() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.in_front_of(app.address);
    let dir = setup.path("decisions");
    setup.set("audit.dir", &format!("'{}'", dir.display())).set("audit.compress", "false");
    let verify =
        async |arguments: &[&str]| run(&[&["audit", "verify"], arguments, &[dir.to_str().unwrap()]].concat(), setup.dir.path()).await;

    let mut killed = serve(&setup, "/first").await;
    let (code, said) = verify(&[]).await;
    assert!(code == 0 && said.contains("boundary"), "while it runs: {said}");
    killed.signal(Signal::KILL);
    killed.exit().await;
    // As a kill in the middle of a write leaves it.
    let first = files(&dir).remove(0);
    std::fs::write(&first, std::fs::read_to_string(&first).unwrap() + "{\"v\":\"counters").unwrap();
    let (code, said) = verify(&[]).await;
    assert!(code == 0 && said.contains("and half a line: its process was killed") && said.contains("fine, as far"), "{code}: {said}");

    let mut ended = serve(&setup, "/second").await;
    ended.signal(Signal::TERM);
    assert!(ended.exit().await.success());
    let (code, said) = verify(&["--format", "json"]).await;
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &report["ok"], report["boots"].as_array().unwrap().len()), (0, &true.into(), 2), "{said}");
    assert_eq!((&report["boots"][1]["ended"], report["boundaries"].as_array().unwrap().len()), (&true.into(), 1));

    // Through a pipe as well.
    let all: String =
        files(&dir).iter().map(|file| std::fs::read_to_string(file).unwrap()).collect::<String>().replace("{\"v\":\"counters{", "{");
    let (code, said) = run_with_input(&["audit", "verify", "-"], setup.dir.path(), &all).await;
    assert_eq!(code, 0, "{said}");

    let whole = std::fs::read_to_string(&first).unwrap();
    let line = 1 + whole.lines().position(|line| line.contains("\"/first/denied\"")).unwrap();
    std::fs::write(&first, whole.replace("\"/first/denied\"", "\"/first/allowed\"")).unwrap();
    let (code, said) = verify(&[]).await;
    let place = format!("{}:{line}: record ", first.display());
    assert!(code == 1 && said.starts_with(&place) && said.contains("it was changed") && said.contains("NOT FINE"), "{code}: {said}");
    std::fs::write(&first, whole).unwrap();

    for (arguments, wanted) in [
        (vec!["--public-key", "/nowhere"], "/nowhere cannot be read"),
        (vec!["--checkpoints", first.to_str().unwrap()], "line 1 is no checkpoint"),
        (vec!["/nowhere"], "/nowhere cannot be opened"),
    ] {
        let (code, said) = verify(&arguments).await;
        assert!(code == 2 && said.contains(wanted), "{code}: {said}");
    }
    let (code, said) = run_with_input(&["audit", "verify"], setup.dir.path(), "").await;
    assert!(code == 2 && said.contains("no record of a decision log"), "{code}: {said}");
}
