//! A reload of `[[upstream]]` begins to follow the names that it brings, and ends what nobody names any more.

use crate::support::setup::replace;
use crate::support::{Dns, Peer, Remote, Setup, Sidecar, eventually};
use http::StatusCode;

const PAYMENTS: &str = "spiffe://test.example/payments";

#[tokio::test]
async fn names_come_and_go_with_their_upstreams() {
    let (dns, mut setup) = (Dns::start().await, Setup::new());
    let remote = Remote::start(&setup.cert(PAYMENTS), &["h2"]).await;
    dns.serve(&mut setup, "");
    for name in ["old.test.example", "new.test.example", "stays.test.example"] {
        dns.at(name, &["127.0.0.1"], 1);
    }
    setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'");
    for (host, name) in [("payments", "old.test.example"), ("stays", "stays.test.example")] {
        setup.table("upstream", &format!("hosts = ['{host}']\naddress = 'dns://{name}:{}'\nid = '{PAYMENTS}'", remote.address.port()));
    }
    let sidecar = Sidecar::start(&setup).await;
    dns.asked_again("old.test.example", 1).await;
    assert_eq!(dns.times("new.test.example"), 0);

    let mut app = Peer::app_http1(sidecar.outbound()).await;
    let there = setup.config();
    let mut last = there.clone();
    for round in 0..4 {
        let (from, to) = if round % 2 == 0 { ("old", "new") } else { ("new", "old") };
        last = last.replace(&format!("{from}.test.example"), &format!("{to}.test.example"));
        replace(&setup.path("countersign.toml"), &last);
        let answer = sidecar.post("/reload").await;
        assert!(answer.is_success(), "{answer:?}");
        // When it is said to be in force, it works.
        assert_eq!(app.ask("payments", "/order").await.status, StatusCode::OK);
        let status = sidecar.status().await.unwrap();
        assert!(status["upstreams"][0]["names"][format!("{to}.test.example")].is_object(), "{status}");
    }
    assert_eq!(last, there);
    // A reload that is refused begins nothing.
    let refused = last.replace("old.test.example", "new.test.example").replace("policy.toml", "no-such-policy.toml");
    replace(&setup.path("countersign.toml"), &refused);
    assert!(!sidecar.post("/reload").await.is_success());
    let before = dns.times("new.test.example");
    // One question is still on its way perhaps.
    dns.asked_again("old.test.example", 3).await;
    let asked = dns.times("new.test.example");
    assert!(asked <= before + 1, "{asked} after {before}");
    // One task for each name, whatever came and went: about one question a second each.
    let (old, stays) = (dns.times("old.test.example"), dns.times("stays.test.example"));
    dns.asked_again("stays.test.example", 4).await;
    let (old, stays) = (dns.times("old.test.example") - old, dns.times("stays.test.example") - stays);
    assert!(old.abs_diff(stays) <= 2, "{old} questions beside {stays}");
}

#[tokio::test]
async fn a_name_that_does_not_answer_does_not_hold_a_reload_for_long() {
    let (dns, mut setup) = (Dns::start().await, Setup::new());
    dns.serve(&mut setup, "");
    dns.say("silent.test.example", crate::support::dns::Zone::Silence);
    setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'");
    setup.table("upstream", &format!("hosts = ['payments']\naddress = '127.0.0.1:9'\nid = '{PAYMENTS}'"));
    let sidecar = Sidecar::start(&setup).await;
    replace(&setup.path("countersign.toml"), &setup.config().replace("127.0.0.1:9", "dns://silent.test.example:9"));
    let reload = sidecar.post("/reload");
    tokio::pin!(reload);
    // The control socket answers meanwhile.
    tokio::select! {
        answer = &mut reload => panic!("it did not wait: {answer:?}"),
        () = eventually("a question", async || (dns.times("silent.test.example") > 0).then_some(())) => {}
    }
    assert!(sidecar.status().await.is_some());
    assert!(crate::support::within("the reload", reload).await.is_success());
}
