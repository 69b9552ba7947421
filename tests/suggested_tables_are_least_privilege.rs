//! `countersign policy suggest` recovers from a log the table that the owners of a service had in mind, and `policy replay` of another day finds next to
//! nothing that it would deny.

use crate::support::Setup;
use crate::support::service::{Asked, CALLERS, INTENDED, day, record, unwanted, wanted};
use crate::support::sidecar::{run, run_with_input};
use countersign::identity::{PeerIdentity, Principal, SpiffeId};
use countersign::policy::{Caller, Listeners, Snapshot, decide, parse};
use countersign::request::{Authority, CanonicalRequest, ContentType, Noted, Trace};
use fastrand::Rng;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

fn tables(text: &str) -> Snapshot {
    let table = parse("table", text, &Listeners::default()).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    Some(Arc::new(table.into()))
}

fn passes(tables: &Snapshot, asked: &Asked) -> bool {
    let now = SystemTime::now();
    let principal = match SpiffeId::parse(asked.caller) {
        Ok(id) => Principal::Spiffe(id),
        Err(_) => Principal::Dns(asked.caller.into()),
    };
    let identity = PeerIdentity {
        principal,
        serial: String::new(),
        fingerprint: String::new(),
        issuer: String::new(),
        subject: String::new(),
        dns_names: Vec::new(),
        not_after: now + Duration::from_secs(60),
        not_before: now - Duration::from_secs(60),
    };
    let caller = Caller::new(Some(Arc::new(identity)), ([127, 0, 0, 1], 1).into(), 8443, None);
    let request = CanonicalRequest {
        method: asked.method.parse().unwrap(),
        target: asked.path.parse().unwrap(),
        authority: Some(Authority::parse_str("orders.example").unwrap()),
        version: http::Version::HTTP_11,
        content_type: ContentType::named(asked.ctype).unwrap(),
        framing: None,
        noted: Noted::default(),
        trace: Trace::None,
    };
    decide(tables, &caller, &request, now).is_ok()
}

/// Every caller and method, with paths that are and are not those of the service.
fn everything(rng: &mut Rng) -> Vec<Asked> {
    let paths = (0..400).map(|number| if number % 2 == 0 { wanted(rng).path } else { unwanted(rng).path });
    let odd = [
        "/",
        "/api",
        "/api/v1/orders/",
        "/api/v1/orders/7/lines",
        "/files/x",
        "/files/%7Bold%7D",
        "/reports",
        "/reports/latest/summary",
        "/shop.Orders/Delete",
    ];
    let paths: Vec<String> = paths.chain(odd.map(str::to_owned)).collect();
    let mut all = Vec::new();
    for path in paths {
        for caller in CALLERS {
            for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"] {
                all.extend(["none", "grpc"].map(|ctype| Asked { caller, method, path: path.clone(), ctype }));
            }
        }
    }
    all
}

#[tokio::test]
async fn the_table_that_was_meant_is_recovered_from_two_days_and_holds_on_the_third() {
    let (setup, mut rng) = (Setup::new(), Rng::with_seed(42));
    let path = |name: &str| setup.path(name).to_str().unwrap().to_owned();
    std::fs::create_dir(setup.path("log")).unwrap();
    for number in 1..3 {
        let log = day(&mut rng, number, 6_000);
        std::fs::write(setup.path(&format!("log/decisions-{number}.ndjson.zst")), zstd::encode_all(log.as_bytes(), 3).unwrap()).unwrap();
    }
    std::fs::write(setup.path("third.ndjson"), day(&mut rng, 3, 6_000)).unwrap();

    let (code, said) = run(&["policy", "suggest", &path("log"), "--name", "orders", "--format", "json"], setup.dir.path()).await;
    let said: Value = serde_json::from_str(&said).expect(&said);
    assert_eq!((code, said["learnt"].as_u64(), said["bad_lines"].as_u64()), (0, Some(12_000), Some(0)));
    let left_out: Vec<_> =
        said["left_out"].as_object().unwrap().iter().map(|(why, count)| (why.as_str(), count.as_u64().unwrap())).collect();
    assert_eq!(left_out, [("aggregate", 2_880), ("break_glass", 240), ("denied", 240), ("gap", 720), ("malformed", 240)]);
    let text = said["table"].as_str().unwrap();

    let (intended, suggested) = (tables(INTENDED), tables(text));
    for asked in everything(&mut rng) {
        assert_eq!(passes(&suggested, &asked), passes(&intended, &asked), "{asked:?}\n{text}");
    }

    std::fs::write(setup.path("suggested.toml"), text).unwrap();
    let (code, said) = run(&["policy", "test", &path("suggested.toml"), "--require-coverage"], setup.dir.path()).await;
    assert_eq!(code, 0, "{said}");
    let (_, said) =
        run(&["policy", "replay", &path("third.ndjson"), "--policy", &path("suggested.toml"), "--format", "json"], setup.dir.path()).await;
    let said: Value = serde_json::from_str(&said).expect(&said);
    // What a break-glass rule had let pass is denied, as it should be.
    let denied = said["would_be_denied"].as_u64().unwrap() - 120;
    assert!(said["decided"].as_u64().unwrap() == 6_240 && denied * 1_000 <= 6_000, "{said:#}");
    assert_eq!((said["would_be_allowed"].as_u64(), said["undecidable"].as_u64()), (Some(0), Some(1_440)), "{said:#}");
}

#[tokio::test]
async fn a_log_that_cannot_be_fully_read_is_refused_line_by_line() {
    let (setup, mut rng) = (Setup::new(), Rng::with_seed(1));
    let log = setup.path("log.ndjson");
    let (log_name, table) = (log.to_str().unwrap(), setup.path("policy.toml"));
    let line = || record(&wanted(&mut Rng::with_seed(1)), "allow", "rule", "2026-11-01T00:00:00Z", 1);
    let mut lines: Vec<String> = (0..20).map(|_| record(&wanted(&mut rng), "allow", "rule", "2026-11-01T00:00:00Z", 1)).collect();
    lines[3] = "no JSON".into();
    lines[5] = line().replace("2026-11-01T", "yesterday ");
    lines[7] = line()[..200].into();
    lines.extend((0..12).map(|_| "{".to_owned()));
    std::fs::write(&log, lines.join("\n") + "\n").unwrap();
    for command in [&["policy", "suggest", log_name][..], &["policy", "replay", log_name, "--policy", table.to_str().unwrap()]] {
        let (code, said) = run(command, setup.dir.path()).await;
        assert_eq!(code, 2, "{said}");
        for wanted in [
            "log.ndjson, line 4 is no JSON",
            "line 6 has a time that no sidecar writes",
            "line 8 is no JSON",
            "and 5 more that cannot be read",
        ] {
            assert!(said.contains(wanted), "{wanted}: {said}");
        }
        assert!(said.contains("15 lines of 32 cannot be read; --skip-bad goes on without them") && !said.contains("[[rule]]"), "{said}");
        let (code, said) = run(&[command, &["--skip-bad", "--format", "json"]].concat(), setup.dir.path()).await;
        assert!(code < 2 && said.contains("\"bad_lines\": 15"), "{said}");
    }

    // A compressed file that is cut, events for other tools, and standard input.
    let packed = zstd::encode_all(day(&mut rng, 1, 5_000).as_bytes(), 3).unwrap();
    std::fs::write(setup.path("cut.ndjson.zst"), &packed[..packed.len() / 2]).unwrap();
    let (code, said) = run(&["policy", "suggest", setup.path("cut.ndjson.zst").to_str().unwrap()], setup.dir.path()).await;
    assert!(code == 2 && said.contains("cut.ndjson.zst cannot be read beyond line "), "{said}");
    let events = run_with_input(&["audit", "export", "--ocsf"], setup.dir.path(), &(line() + "\n")).await.1;
    let (code, said) = run_with_input(&["policy", "suggest", "-"], setup.dir.path(), &events).await;
    assert!(code == 2 && said.contains("standard input is in OCSF"), "{said}");
    // A line of somebody else has the name of a field for something else.
    let lines = "{\"time\":17}\n".to_owned() + &line();
    let (code, said) = run_with_input(&["policy", "suggest", "-"], setup.dir.path(), &lines).await;
    assert!(code == 0 && said.contains("[[rule]]"), "{said}");
    let (code, said) = run_with_input(&["policy", "suggest", "-"], setup.dir.path(), "").await;
    assert!(code == 1 && said.contains("the table allows nothing"), "{said}");
}
