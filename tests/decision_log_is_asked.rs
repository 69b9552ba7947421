//! `countersign audit query`, `top` and `edges` find, count and draw what a sidecar logged, in plain and in compressed files.

use crate::support::sidecar::{blocking, run, run_for, run_with_input};
use crate::support::{ALICE, App, BOB, ORDERS, Peer, Setup, client};
use rustix::process::Signal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Three allows and two denials, and the ids of the denials.
async fn logged(setup: &mut Setup) -> Vec<String> {
    let app = App::start().await;
    let mut sidecar = setup.start(&app).await;
    let [mut alice, mut bob] =
        [Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await, Peer::http2(sidecar.inbound(), &setup.cert(BOB)).await];
    for path in ["/orders/1", "/orders/2", "/users/1"] {
        assert_eq!(alice.send(client::get(path)).await.unwrap().status, 200);
    }
    let mut denied = Vec::new();
    for path in ["/orders/1", "/users/2"] {
        let answer = bob.send(client::get(path)).await.unwrap();
        assert_eq!(answer.status, 403);
        denied.push(answer.header("x-countersign-decision").to_owned());
    }
    drop((alice, bob));
    sidecar.signal(Signal::TERM);
    sidecar.exit().await;
    denied
}

fn log_files(setup: &Setup) -> Vec<PathBuf> {
    std::fs::read_dir(setup.path("decisions")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
}

fn ids(said: &str) -> Vec<String> {
    said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn denials_are_found_in_plain_and_compressed_files_and_on_standard_input() {
    let mut setup = Setup::new();
    let denied = logged(&mut setup).await;
    let filter = "decision=deny and src.id~\"spiffe://*/bob\"";
    let (code, said) = run_for(&setup, &["audit", "query", filter]).await;
    assert_eq!((code, ids(&said)), (0, denied.clone()), "{said}");

    let whole: Vec<u8> = log_files(&setup).iter().flat_map(|path| std::fs::read(path).unwrap()).collect();
    let (code, said) =
        run_with_input(&["audit", "query", filter, "--limit", "1"], setup.dir.path(), std::str::from_utf8(&whole).unwrap()).await;
    assert_eq!((code, ids(&said)), (0, denied[..1].to_vec()), "{said}");

    for path in log_files(&setup).iter().filter(|path| path.extension().is_some_and(|extension| extension == "ndjson")) {
        let packed = zstd::encode_all(&*std::fs::read(path).unwrap(), 3).unwrap();
        std::fs::write(path.with_extension("ndjson.zst"), packed).unwrap();
        std::fs::remove_file(path).unwrap();
    }
    let directory = setup.path("decisions");
    let columns = ["--columns", "id,src.id,http.path,http.status,rule"];
    let (code, said) =
        ask(&setup, &[&["audit", "query", filter, directory.to_str().unwrap(), "--format", "csv"], &columns[..]].concat()).await;
    let rows =
        format!("id,src.id,http.path,http.status,rule\r\n{},{BOB},/orders/1,403,-\r\n{},{BOB},/users/2,403,-\r\n", denied[0], denied[1]);
    assert_eq!((code, said), (0, rows));
    let (code, said) =
        ask(&setup, &["audit", "query", "decision=deny", directory.to_str().unwrap(), "--since", "1h", "--format", "table"]).await;
    assert_eq!((code, said.lines().count()), (0, 3), "{said}");
    let (code, said) = ask(&setup, &["audit", "query", "decision=deny", directory.to_str().unwrap(), "--until", "1h"]).await;
    assert_eq!((code, said.as_str()), (0, ""));
}

async fn ask(setup: &Setup, arguments: &[&str]) -> (i32, String) {
    run(arguments, setup.dir.path()).await
}

#[tokio::test]
async fn decisions_are_counted_and_callers_are_drawn() {
    let mut setup = Setup::new();
    logged(&mut setup).await;
    let (code, said) = run_for(&setup, &["audit", "top", "--by", "src.id,rule"]).await;
    let wanted = format!(
        "{}\n{}\n",
        format_args!("{{\"count\":3,\"denied\":0,\"rule\":\"alice\",\"src.id\":\"{ALICE}\"}}"),
        format_args!("{{\"count\":2,\"denied\":2,\"rule\":\"-\",\"src.id\":\"{BOB}\"}}")
    );
    assert_eq!((code, said), (0, wanted));

    let (code, said) = run_for(&setup, &["audit", "edges", "--format", "csv"]).await;
    let wanted = format!("caller,callee,seen by,allowed,denied\r\n{ALICE},{ORDERS},callee,3,0\r\n{BOB},{ORDERS},callee,0,2\r\n");
    assert_eq!((code, said), (0, wanted));

    let (code, said) = run_for(&setup, &["audit", "edges", "--dot"]).await;
    assert_eq!(code, 0);
    assert!(said.starts_with("digraph countersign {\n") && said.ends_with("}\n"), "{said}");
    assert!(
        said.contains(&format!("  \"{BOB}\" -> \"{ORDERS}\" [label=\"2 denied\", style=solid, color=red, fontcolor=red];\n")),
        "{said}"
    );
}

#[tokio::test]
async fn mistakes_and_damage_are_said_and_do_not_end_it() {
    let setup = Setup::new();
    let (code, said) = ask(&setup, &["audit", "query", "decison=deny", "-"]).await;
    assert_eq!(code, 2);
    assert!(said.contains("the filter, column 1: there is no field decison; did you mean decision?\n  decison=deny\n  ^"), "{said}");
    let line = |id: u64| {
        format!("{{\"kind\":\"decision\",\"id\":\"{id}\",\"decision\":\"deny\",\"rule\":\"\u{9b}2J\u{1b}\"}}\n")
            .replace('\u{1b}', "\\u001b")
    };
    let dir = setup.path("log");
    std::fs::create_dir(&dir).unwrap();
    let many: String = (0..50_000).map(|id| line(id * 7_919)).collect();
    let packed = zstd::encode_all(many.as_bytes(), 3).unwrap();
    std::fs::write(dir.join("decisions-1.ndjson.zst"), &packed[..packed.len() / 2]).unwrap();
    std::fs::write(dir.join("decisions-2.ndjson"), line(1) + "{\"kind\":\"decision\",\"id\":\"2\",\"decision\":\"deny\"").unwrap();
    std::fs::write(dir.join("decisions-3.ndjson"), "{\"class_uid\":4002,\"unmapped\":{\"kind\":\"decision\"}}\n").unwrap();
    let dir = dir.to_str().unwrap();
    let (code, said) = ask(&setup, &["audit", "query", "decision=deny", dir]).await;
    assert!(said.contains("decisions-3.ndjson is in OCSF, and filters name the fields of Countersign's own format"), "{}", tail(&said));
    assert_eq!(code, 2);
    assert!(said.contains("decisions-1.ndjson.zst cannot be read beyond line "), "{}", tail(&said));
    assert!(said.contains("\"id\":\"1\"") && said.contains("passed over 1 lines that are no JSON"), "{}", tail(&said));
    for format in ["json", "csv", "table"] {
        let (_, said) = ask(&setup, &["audit", "query", "id=1", dir, "--format", format, "--columns", "id,rule"]).await;
        assert!(said.contains('1') && !said.contains(['\u{9b}', '\u{1b}']), "{said:?}");
    }
}

fn tail(text: &str) -> &str {
    text.get(text.len().saturating_sub(600)..).unwrap_or(text)
}

#[tokio::test]
async fn a_reader_that_has_enough_ends_it_quietly() {
    let setup = Setup::new();
    let line = format!("{{\"kind\":\"decision\",\"decision\":\"deny\",\"rule\":\"{}\"}}\n", "x".repeat(500));
    std::fs::write(setup.path("big.ndjson"), line.repeat(20_000)).unwrap();
    let (program, dir) = (env!("CARGO_BIN_EXE_countersign"), setup.dir.path().to_owned());
    let piped = move |format: &str| {
        let script = format!("{program} audit query decision=deny big.ndjson --format {format} | head -n 2; echo ${{PIPESTATUS[0]}}");
        bash(&script, &dir)
    };
    let said = blocking(move || ["json", "csv", "table"].map(piped)).await;
    for said in said {
        assert!(said.ends_with("\n0\n") && said.lines().count() == 3, "{said}");
    }
}

fn bash(script: &str, dir: &Path) -> String {
    let output = Command::new("bash").args(["-c", script]).current_dir(dir).output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}
