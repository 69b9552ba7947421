//! An upstream by name goes where its answers say: as long as their time to live, and again when nobody is there.

use crate::support::dns::{Zone, parsed};
use crate::support::{Dns, Peer, Remote, Setup, Sidecar, eventually, within};
use http::StatusCode;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

const PAYMENTS: &str = "spiffe://test.example/payments";
const NAME: &str = "payments.test.example";

/// No new connection goes to an address later than its time to live and a second after it left the answer, and no request fails over it.
#[tokio::test]
async fn an_address_that_left_the_answer_gets_no_new_connection() {
    const TTL: u32 = 2;
    for alpn in ["h2", "http/1.1"] {
        let (dns, mut setup) = (Dns::start().await, Setup::new());
        let [old, new] = Remote::several(&setup.cert(PAYMENTS), &[alpn]).await;
        dns.at(NAME, &["127.0.0.1"], TTL);
        // Connections are soon old, so that there are new ones all the time.
        setup.set("timeouts.pool_idle", "'1ms'");
        let sidecar = start(&mut setup, &dns, &format!("dns://{NAME}:{}", old.address.port())).await;
        let (stop, stopped) = watch::channel(false);
        let mut apps = Peer::app_both(sidecar.outbound()).await;
        // One request at a time: on HTTP/2 a connection that is never without one would never be too old.
        let load = tokio::spawn(async move {
            let mut answers = 0;
            while !*stopped.borrow() {
                for app in &mut apps {
                    let answer = app.ask("payments", "/order").await;
                    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.headers);
                    answers += 1;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            answers
        });
        eventually("connections to the first address", async || (old.calls().len() > 10).then_some(())).await;
        dns.at(NAME, &["127.0.0.2"], TTL);
        let gone = Instant::now() + Duration::from_secs(u64::from(TTL) + 1);
        tokio::time::sleep_until(gone).await;
        let before = old.calls().len();
        let there = new.calls().len();
        assert!(there > 0, "{alpn}: nobody is at the new address yet");
        eventually("many connections to the new address", async || (new.calls().len() > there + 50).then_some(())).await;
        assert_eq!(old.calls().len(), before, "{alpn}: new connections to the old address");
        stop.send_replace(true);
        assert!(within("the end of the load", load).await.unwrap() > 0);
        assert_eq!(sidecar.metric("countersign_failures_total", &[]).await, 0.0);
    }
}

/// A pooled connection is not used any more either; what is on it already comes to its end.
#[tokio::test]
async fn a_request_under_way_ends_where_it_began() {
    for alpn in ["h2", "http/1.1"] {
        let (dns, mut setup) = (Dns::start().await, Setup::new());
        let [old, new] = Remote::several(&setup.cert(PAYMENTS), &[alpn]).await;
        dns.at(NAME, &["127.0.0.1"], 1);
        let sidecar = start(&mut setup, &dns, &format!("dns://{NAME}:{}", old.address.port())).await;
        let [mut held, mut app] = Peer::app_both(sidecar.outbound()).await;
        let held = held.begin(crate::support::client::at("payments", "/hold"));
        old.got("/hold").await;
        dns.at(NAME, &["127.0.0.2"], 1);
        eventually("the new address", async || (endpoints(&sidecar).await == [new.address.to_string()]).then_some(())).await;
        for _ in 0..5 {
            assert_eq!(app.ask("payments", "/new").await.status, StatusCode::OK);
        }
        assert_eq!(new.asked().len(), 5, "{alpn}");
        old.release();
        assert_eq!(within("the held answer", held).await.unwrap().status(), StatusCode::OK);
    }
}

/// Long before the time to live is over.
#[tokio::test]
async fn a_failed_connection_asks_again_now() {
    let (dns, mut setup) = (Dns::start().await, Setup::new());
    let [_gone, there] = Remote::several(&setup.cert(PAYMENTS), &["h2"]).await;
    let port = there.address.port();
    drop(_gone);
    dns.at(NAME, &["127.0.0.1"], 3_600);
    let sidecar = start(&mut setup, &dns, &format!("dns://{NAME}:{port}")).await;
    dns.at(NAME, &["127.0.0.2"], 3_600);
    let mut app = Peer::app_http1(sidecar.outbound()).await;
    let begun = Instant::now();
    let refused = app.ask("payments", "/first").await;
    assert_eq!((refused.status, refused.header("x-countersign-reason")), (StatusCode::BAD_GATEWAY, "peer_unreachable"));
    eventually("an answer", async || (app.ask("payments", "/again").await.status == StatusCode::OK).then_some(())).await;
    assert!(begun.elapsed() < Duration::from_secs(30), "the questions come once a minute otherwise");
    // However many requests fail, it asks at most once a second.
    dns.at(NAME, &["127.0.0.9"], 3_600);
    drop(there);
    let (before, begun) = (dns.times(NAME), Instant::now());
    while begun.elapsed() < Duration::from_secs(3) {
        app.ask("payments", "/nobody").await;
    }
    let asked = dns.times(NAME) - before;
    assert!(asked <= 5, "{asked} questions in 3 s");
}

/// Where one address of a name has nobody, another one has.
#[tokio::test]
async fn an_address_without_anybody_is_passed_over() {
    let (dns, mut setup) = (Dns::start().await, Setup::new());
    let remote = Remote::start(&setup.cert(PAYMENTS), &["http/1.1"]).await;
    dns.at(NAME, &["127.0.0.1", "127.0.0.2", "::1"], 60);
    let sidecar = start(&mut setup, &dns, &format!("{NAME}:{}", remote.address.port())).await;
    for mut app in Peer::app_both(sidecar.outbound()).await {
        for _ in 0..20 {
            assert_eq!(app.ask("payments", "/order").await.status, StatusCode::OK);
        }
    }
    assert_eq!(sidecar.metric("countersign_retries_total", &[]).await, 0.0);
}

#[tokio::test]
async fn answers_over_tcp_and_by_alias_and_of_both_families() {
    let (dns, mut setup) = (Dns::start().await, Setup::new());
    let many: Vec<String> = (1..=200).map(|host| format!("127.0.1.{host}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    dns.say("many.test.example", Zone::Truncated(parsed(&many), 60));
    dns.say("alias.test.example", Zone::Alias("both.test.example", 60));
    dns.at("both.test.example", &["127.0.0.1", "::1"], 60);
    dns.at("short.search.example", &["127.0.0.3"], 60);
    dns.serve(&mut setup, "search search.example\n");
    let addresses = ["many.test.example:1", "dns://alias.test.example:2", "dns://short:3", "10.0.0.1:4"];
    let list = addresses.map(|address| format!("'{address}'")).join(", ");
    setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'");
    setup.table("upstream", &format!("hosts = ['payments']\naddress = [{list}]\nid = '{PAYMENTS}'"));
    let sidecar = Sidecar::start(&setup).await;
    let endpoints = endpoints(&sidecar).await;
    assert_eq!(endpoints.len(), 200 + 2 + 1 + 1, "{endpoints:?}");
    for address in ["127.0.1.200:1", "127.0.0.1:2", "[::1]:2", "127.0.0.3:3", "10.0.0.1:4"] {
        assert!(endpoints.iter().any(|endpoint| endpoint == address), "{address}");
    }
    assert!(dns.asked().iter().any(|asked| asked.tcp));
    assert_eq!(sidecar.metric("countersign_upstream_endpoints", &["upstream=\"payments\""]).await, 204.0);
}

/// The shorter time to live on the way counts.
#[tokio::test]
async fn the_time_to_live_of_an_alias_counts() {
    let (dns, mut setup) = (Dns::start().await, Setup::new());
    dns.at("target.test.example", &["127.0.0.1"], 3_600);
    dns.say(NAME, Zone::Alias("target.test.example", 1));
    let _sidecar = start(&mut setup, &dns, &format!("dns://{NAME}:1")).await;
    dns.asked_again(NAME, 3).await;
}

async fn start(setup: &mut Setup, dns: &Dns, address: &str) -> Sidecar {
    dns.serve(setup, "");
    setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'").set("runtime.shards", "1");
    setup.table("upstream", &format!("hosts = ['payments']\naddress = '{address}'\nid = '{PAYMENTS}'"));
    Sidecar::start(setup).await
}

async fn endpoints(sidecar: &Sidecar) -> Vec<String> {
    let status = sidecar.status().await.unwrap();
    let endpoints = status["upstreams"][0]["endpoints"].as_array().unwrap();
    endpoints.iter().map(|endpoint| endpoint["address"].as_str().unwrap().to_owned()).collect()
}
