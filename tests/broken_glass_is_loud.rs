//! Each use of a break-glass rule is recorded with its ticket, at once and at its end, and counted, however little is recorded of others.

use crate::support::app::{AppBody, full};
use crate::support::streaming::{Streams, fed};
use crate::support::{ALICE, App, BOB, Peer, Setup, eventually, policy};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

fn table() -> String {
    let soon = OffsetDateTime::from(SystemTime::now() + Duration::from_secs(3_600)).format(&Rfc3339).unwrap();
    let glass = format!(
        "[[rule]]\nid = 'glass'\neffect = 'allow'\nfrom = {{ spiffe = ['{ALICE}'] }}\npaths = ['/admin/**']\nwhy = 'incident'\nsample = 0\nexpires = '{soon}'\nbreak_glass = {{ ticket = 'INC-4711' }}\n"
    );
    let deny = "[[rule]]\nid = 'no-admin'\neffect = 'deny'\nfrom = { any_authenticated = true }\npaths = ['/admin/**']\nexcept_rules = ['glass']\n";
    policy(&[("all-alice", ALICE, "/**"), ("all-bob", BOB, "/**")]) + &glass + deny
}

#[tokio::test]
async fn each_use_is_recorded_twice_and_counted() {
    let (app, mut setup) = (App::start().await, Setup::new());
    setup.set("audit.sample", "0.0").write_policy(&table());
    let sidecar = setup.start(&app).await;
    let alice = setup.cert(ALICE);
    for mut peer in Peer::both(sidecar.inbound(), &alice).await {
        for _ in 0..5 {
            assert_eq!(peer.get("/plain").await.status, 200);
            assert_eq!(peer.get("/admin/x").await.status, 200);
        }
    }
    assert_eq!(Peer::http2(sidecar.inbound(), &setup.cert(BOB)).await.get("/admin/x").await.status, 403);
    let of_glass = |phase: &str| {
        let records = sidecar.records();
        records.iter().filter(|record| record["break_glass"] == "INC-4711" && record["rule"] == "glass" && record["phase"] == phase).count()
    };
    eventually("both records of each use", async || (of_glass("open") == 10 && of_glass("end") == 10).then_some(())).await;
    assert!(sidecar.metric("countersign_break_glass_total", &[]).await >= 10.0);
    let others = sidecar.records().iter().filter(|record| record["decision"] == "allow" && record.get("break_glass").is_none()).count();
    assert!(others <= 2, "the first between the two alone, on each shard");
}

#[tokio::test]
async fn a_use_is_recorded_before_it_ends() {
    let (app, mut setup) = (App::serve(taken).await, Setup::new());
    setup.write_policy(&table());
    let sidecar = setup.start(&app).await;
    for mut peer in Streams::both(sidecar.inbound(), &setup.cert(ALICE)).await {
        let (body, feed) = fed(None);
        let path = format!("/admin/{}", peer.name());
        let answer = tokio::spawn(peer.send("POST", &path, body));
        let record = sidecar.record("the use under way", |record| record["http"]["path"] == path.as_str()).await;
        assert_eq!((&record["phase"], &record["break_glass"]), (&"open".into(), &"INC-4711".into()));
        assert!(record["total_us"].as_u64().unwrap() < 5_000_000, "whatever is open for 5 s is recorded open: {record}");
        feed.send(Ok(Bytes::from_static(b"the end"))).await.unwrap();
        drop(feed);
        assert_eq!(answer.await.unwrap().unwrap().status(), 200);
        let id = record["id"].clone();
        sidecar.record("the end of the use", |record| record["id"] == id && record["phase"] == "end").await;
    }
}

/// Answers when the whole request is there.
async fn taken(request: Request<Incoming>) -> Response<AppBody> {
    let _ = request.into_body().collect().await;
    Response::new(full("ok"))
}
