//! Whatever a sidecar writes with `format = "ocsf"`, and whatever `audit export --ocsf` makes of what it wrote before, is an event of OCSF.

use crate::support::client::is_taken;
use crate::support::sidecar::run;
use crate::support::{ALICE, App, BOB, ORDERS, Peer, Setup, Sidecar, eventually, policy};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use jsonschema::Validator;
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

#[tokio::test]
async fn what_is_written() {
    let (_app, mut setup, mut sidecar) = begun("'ocsf'").await;
    happenings(&mut setup, &sidecar, |event| &event["unmapped"]).await;
    end(&mut sidecar).await;
    let lines = lines(&decisions(&setup));
    let events = all_fit(&lines);
    assert_eq!(of_class(&events, 4002, "Allowed"), 3);
    assert_eq!((of_class(&events, 4002, "Denied"), of_class(&events, 4002, "Observed")), (3, 2));
    assert_eq!((of_class(&events, 4001, "Denied"), of_class(&events, 0, "Denied")), (1, 1));
    chain_holds(&lines);
    checkpoints_hold(&lines);
}

#[tokio::test]
async fn what_is_exported() {
    let (_app, mut setup, mut sidecar) = begun("'countersign'").await;
    happenings(&mut setup, &sidecar, |record| record).await;
    end(&mut sidecar).await;
    let dir = decisions(&setup);
    let records = lines(&dir);
    let (code, said) = run(&["audit", "export", "--ocsf", dir.to_str().unwrap()], setup.dir.path()).await;
    let exported: Vec<String> = said.lines().map(str::to_owned).collect();
    assert_eq!((code, exported.len()), (0, records.len()), "{said}");
    let events = all_fit(&exported);
    for (record, event) in records.iter().zip(&events) {
        let record: Value = serde_json::from_str(record).unwrap();
        let kept = &event["unmapped"];
        assert_eq!((&record["seq"], &record["kind"], &record["chain"]), (&kept["seq"], &kept["kind"], &kept["source_chain"]));
    }

    // What is no record is said, and what stands around it is exported.
    let file = std::fs::read_dir(&dir)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "ndjson"));
    let mut file = std::fs::OpenOptions::new().append(true).open(file.unwrap()).unwrap();
    write!(file, "{{\"_aws\":{{}}}}\nhalf a re\n{}\n{{\"v\":\"counter", records[0]).unwrap();
    let (code, said) = run(&["audit", "export", "--ocsf", dir.to_str().unwrap()], setup.dir.path()).await;
    assert_eq!((code, said.lines().filter(|line| line.starts_with('{')).count()), (1, records.len() + 1), "{said}");
    for text in ["is no JSON object", "has no end", "1 lines of something else were left out"] {
        assert!(said.contains(text), "{text}: {said}");
    }
}

async fn begun(format: &str) -> (App, Setup, Sidecar) {
    let (app, mut setup) = (App::start().await, Setup::new());
    let until = (OffsetDateTime::now_utc() + Duration::from_secs(86_400)).format(&Rfc3339).unwrap();
    let shadow = format!(
        "\n[[rule]]\nid = 'later'\neffect = 'deny'\nmode = 'shadow'\nshadow_until = '{until}'\nfrom = {{ spiffe = ['{ALICE}'] }}\npaths = ['/shadowed']\n"
    );
    setup.write_policy(&(policy(&[("alice", ALICE, "/**")]) + &shadow));
    setup.set("audit.format", format).set("workload.labels", "{ \"team\\u0000\" = 'sh\"op' }").deny("# nobody yet\n");
    let sidecar = setup.start(&app).await;
    (app, setup, sidecar)
}

/// Something of everything that leaves a record; `native` finds the members of a record that keep their names.
async fn happenings(setup: &mut Setup, sidecar: &Sidecar, native: impl Fn(&Value) -> &Value) {
    for mut peer in Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await {
        assert_eq!(peer.get("/a/%22b%22").await.status, StatusCode::OK);
        assert_eq!(peer.get("/shadowed").await.status, StatusCode::OK);
    }
    for mut peer in Peer::both(sidecar.inbound(), &setup.cert(BOB)).await {
        assert_eq!(peer.get("/denied").await.status, StatusCode::FORBIDDEN);
    }
    let [mut peer, _] = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    assert_eq!(peer.get("/a/%2e%2e/b").await.status, StatusCode::BAD_REQUEST);
    assert!(!is_taken(sidecar.inbound(), None).await);
    setup.write_policy(&policy(&[("alice", ALICE, "/**"), ("bob", BOB, "/**")]));
    let second = |record: &Value| native(record)["kind"] == "policy" && native(record)["generation"] != 2;
    sidecar.record("the second table", second).await;
    let [mut peer, _] = Peer::both(sidecar.inbound(), &setup.cert(BOB)).await;
    assert_eq!(peer.get("/allowed").await.status, StatusCode::OK);
    setup.write_deny_list(&format!("{BOB}\n"));
    sidecar.record("the withdrawal", |record| native(record)["kind"] == "trust").await;
    let mut kinds = BTreeMap::new();
    eventually("every record", async || {
        kinds.clear();
        for record in sidecar.records() {
            *kinds.entry(native(&record)["kind"].as_str()?.to_owned()).or_insert(0) += 1;
        }
        (kinds.get("decision") == Some(&8) && kinds.get("handshake") == Some(&1)).then_some(())
    })
    .await;
}

async fn end(sidecar: &mut Sidecar) {
    sidecar.signal(Signal::TERM);
    sidecar.exit().await;
}

fn decisions(setup: &Setup) -> PathBuf {
    setup.path("decisions")
}

fn lines(dir: &Path) -> Vec<String> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "ndjson"));
    files.sort();
    files.iter().flat_map(|file| std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn all_fit(lines: &[String]) -> Vec<Value> {
    let schema: Value = serde_json::from_str(include_str!("ocsf/schema.json")).unwrap();
    let schema: Validator = jsonschema::draft202012::new(&schema).unwrap();
    let fits = |line: &String| {
        let event: Value = serde_json::from_str(line).unwrap();
        let faults: Vec<String> = schema.iter_errors(&event).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
        assert!(faults.is_empty(), "{faults:?}: {line}");
        let tag = &event["metadata"]["tags"][0];
        assert_eq!((&tag["name"], &tag["value"]), (&"team\0".into(), &"sh\"op".into()));
        event
    };
    lines.iter().map(fits).collect()
}

fn of_class(events: &[Value], class: u64, action: &str) -> usize {
    events.iter().filter(|event| event["class_uid"] == class && event["action"] == action).count()
}

/// A signature is over the bytes of the event before it.
fn checkpoints_hold(lines: &[String]) {
    let points: Vec<&String> = lines.iter().filter(|line| line.contains("\"kind\":\"checkpoint\"")).collect();
    assert!(!points.is_empty());
    for line in points {
        let (signed, rest) = line.split_once(",\"signature\":\"").unwrap();
        let signature = BASE64_STANDARD.decode(rest.split('"').next().unwrap()).unwrap();
        let point: Value = serde_json::from_str(line).unwrap();
        let spki = BASE64_STANDARD.decode(point["unmapped"]["key"].as_str().unwrap()).unwrap();
        // Of a P-256 key's SubjectPublicKeyInfo the last 65 bytes are the point.
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &spki[spki.len() - 65..]);
        key.verify(signed.as_bytes(), &signature).unwrap();
    }
}

/// The last member of the last member of each line commits to all before it.
fn chain_holds(lines: &[String]) {
    let mut last = vec![0; 32];
    for line in lines {
        let (hashed, rest) = line.rsplit_once(",\"chain\":\"").unwrap();
        let link = digest(&SHA256, &[last.as_slice(), hashed.as_bytes()].concat()).as_ref().to_vec();
        let digits: String = link.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(rest, format!("{digits}\"}}}}"), "{line}");
        last = link;
    }
    assert!(lines[0].contains(ORDERS), "the first line opens the log");
}
