//! A revocation list at a URL is as good as one in a file, and a server that fails, or lies, takes nothing away.

use crate::support::Dns;
use crate::support::client::is_taken;
use crate::support::lists::{Answer, ListServer, status};
use crate::support::setup::DOMAIN;
use crate::support::{ALICE, App, BOB, Peer, Setup, Sidecar, eventually, policy};
use countersign::testing::pki::{CrlOptions, LeafOptions, TestCa, TestCert};
use http::StatusCode;
use rustls::pki_types::CertificateDer;
use std::time::{Duration, SystemTime};

/// A list of the root's.
fn list(setup: &Setup, number: u64, revoked: &[&CertificateDer<'_>]) -> Vec<u8> {
    setup.ca.crl_with(revoked, &CrlOptions { number, ..CrlOptions::default() }).0
}

/// A set-up whose lists are at these URLs.
fn listening_to(mode: &str, urls: &[&str]) -> Setup {
    let mut setup = Setup::new();
    setup.write_policy(&policy(&[("alice", ALICE, "/**"), ("bob", BOB, "/**")]));
    let urls: Vec<String> = urls.iter().map(|url| format!("'{url}'")).collect();
    setup.revocation(&format!("mode = '{mode}'\ncrl = [{}]", urls.join(", ")));
    setup
}

async fn is_refused(sidecar: &Sidecar, cert: &TestCert) {
    eventually("the list to be in force", async || (!is_taken(sidecar.inbound(), Some(cert)).await).then_some(())).await;
}

async fn is_accepted(sidecar: &Sidecar, cert: &TestCert) {
    eventually("the list to be in force", async || is_taken(sidecar.inbound(), Some(cert)).await.then_some(())).await;
}

/// Has it ask its servers now.
async fn ask(sidecar: &Sidecar) {
    assert_eq!(sidecar.post("/reload").await.status, 200);
}

/// Waits until so many questions ended so.
async fn counted(sidecar: &Sidecar, result: &str, least: f64) {
    sidecar.metric_reaches("countersign_crl_fetches_total", &[&format!("result=\"{result}\"")], least).await;
}

/// What the status says of the list at `url`.
async fn standing(sidecar: &Sidecar, url: &str) -> serde_json::Value {
    let status = sidecar.status().await.unwrap();
    status["revocation_lists"].as_array().unwrap().iter().find(|list| list["from"] == url).unwrap().clone()
}

#[tokio::test]
async fn and_open_connections_end_with_what_they_say() {
    for (mode, secure) in [("best_effort", false), ("require", true)] {
        let web = TestCa::named("web", "web root");
        let server = match secure {
            false => ListServer::http(status("503 Not Yet")).await,
            true => ListServer::https(status("503 Not Yet"), &web.issue_with(&LeafOptions::dns("localhost"))).await,
        };
        let url = server.url_at("localhost");
        let mut setup = listening_to(mode, &[&url]);
        web.write_root(setup.dir.path(), "web.pem");
        let roots = setup.path("web.pem").display().to_string();
        setup.env("SSL_CERT_FILE", &roots);
        let (stolen, kept) = (setup.cert(ALICE), setup.cert(BOB));
        server.answers(Answer::List(list(&setup, 1, &[]), "one"));
        let app = App::start().await;
        let sidecar = setup.start(&app).await;
        is_accepted(&sidecar, &stolen).await;
        let theirs = Peer::both(sidecar.inbound(), &stolen).await;
        let mut bob = Peer::http2(sidecar.inbound(), &kept).await;

        server.answers(Answer::List(list(&setup, 2, &[&stolen.chain[0]]), "two"));
        ask(&sidecar).await;
        for peer in &theirs {
            peer.facts().ended().await;
        }
        is_refused(&sidecar, &stolen).await;
        assert_eq!(bob.get("/").await.status, StatusCode::OK, "{mode}");
        let says = standing(&sidecar, &url).await;
        assert!(says["number"] == "2" && says["age_s"].is_u64() && says["problem"].is_null(), "{says}");
        let report =
            crate::support::sidecar::run(&["trust", "report", "--socket", sidecar.socket().to_str().unwrap()], setup.dir.path()).await;
        assert!(report.0 == 0 && report.1.contains(&format!("{DOMAIN}  crl {url}: CN=test root {DOMAIN}, number 2, of ")), "{report:?}");
        let asked = server.asked();
        assert!(asked[0].starts_with("get /a.crl http/1.1\r\n") && asked[0].contains("accept-encoding: identity\r\n"), "{asked:?}");
        assert!(asked[0].contains(&format!("host: localhost:{}\r\n", server.address.port())), "{asked:?}");
    }
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let server = ListServer::http(status("503 Not Yet")).await;
    let mut setup = listening_to("require", &[&server.url()]);
    server.answers(Answer::List(list(&setup, 1, &[]), "one"));
    let app = App::start().await;
    let sidecar = setup.start(&app).await;
    is_accepted(&sidecar, &setup.cert(ALICE)).await;
    let before = server.asked().len();
    ask(&sidecar).await;
    assert!(server.is_asked_after(before).await.contains("if-none-match: \"one\"\r\n"));
    counted(&sidecar, "unchanged", 1.0).await;
    is_accepted(&sidecar, &setup.cert(ALICE)).await;
    // Another version is sent.
    let alice = setup.cert(ALICE);
    server.answers(Answer::List(list(&setup, 2, &[&alice.chain[0]]), "two"));
    ask(&sidecar).await;
    is_refused(&sidecar, &alice).await;
}

#[tokio::test]
async fn whatever_a_server_answers_the_last_good_list_stays() {
    const LIMIT: usize = 8 << 20;
    let server = ListServer::http(status("503 Not Yet")).await;
    let mut setup = listening_to("best_effort", &[&server.url()]);
    let (revoked, kept) = (setup.cert(ALICE), setup.cert(BOB));
    server.answers(Answer::List(list(&setup, 5, &[&revoked.chain[0]]), "five"));
    let app = App::start().await;
    let sidecar = setup.start(&app).await;
    is_refused(&sidecar, &revoked).await;
    is_accepted(&sidecar, &kept).await;

    let raw = |text: &str| Answer::Raw(text.as_bytes().to_vec());
    let hour_ago = CrlOptions { number: 9, this_update: SystemTime::now() - Duration::from_secs(3_600), ..CrlOptions::default() };
    let faults: Vec<(&str, &str, Answer)> = vec![
        ("status", "answers 404", status("404 Not Found")),
        ("status", "answers 403", status("403 Forbidden")),
        ("status", "answers 500", status("500 Oh")),
        ("status", "answers 206", raw("HTTP/1.1 206 Partial Content\r\ncontent-length: 1\r\n\r\n0")),
        (
            "redirect",
            "points to \"http://elsewhere/a.crl\"",
            raw("HTTP/1.1 302 Found\r\nlocation: http://elsewhere/a.crl\r\ncontent-length: 0\r\n\r\n"),
        ),
        ("too_large", "longer than 8 MiB", raw(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", LIMIT + 1))),
        ("too_large", "longer than 8 MiB", Answer::Endless("HTTP/1.1 200 OK\r\n\r\n")),
        ("too_large", "longer than 8 MiB", Answer::Endless("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1000000\r\n")),
        ("malformed", "content-encoding \"gzip\"", raw("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\n0")),
        ("malformed", "cannot be read", raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")),
        ("malformed", "cannot be read", raw("SSH-2.0-hello\r\n")),
        ("malformed", "cannot be read", Answer::Endless("HTTP/1.1 200 OK\r\n")),
        ("unusable", "holds no CRL", raw("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>")),
        ("unusable", "other than CRLs", Answer::List(setup.ca.root_pem().into_bytes(), "pem")),
        ("older", "older than the one in force", Answer::List(list(&setup, 4, &[]), "four")),
        ("older", "older than the one in force", Answer::List(setup.ca.crl_with(&[], &hour_ago).0, "hour ago")),
    ];
    for (result, said, answer) in faults {
        let before = sidecar.metric("countersign_crl_fetches_total", &[&format!("result=\"{result}\"")]).await;
        server.answers(answer);
        ask(&sidecar).await;
        counted(&sidecar, result, before + 1.0).await;
        let note = async || {
            let note = sidecar.status().await.unwrap()["notes"]["crl_fetch"].as_str().unwrap_or_default().to_owned();
            note.contains(said).then_some(())
        };
        eventually(&format!("a note of {said}"), note).await;
        assert!(!is_taken(sidecar.inbound(), Some(&revoked)).await, "{said}");
        assert!(is_taken(sidecar.inbound(), Some(&kept)).await, "{said}");
    }
    // A list that nobody of that key signed may come, and says nothing.
    let impostor = TestCa::named(DOMAIN, &format!("test root {DOMAIN}"));
    server.answers(Answer::List(impostor.crl_with(&[&kept.chain[0]], &CrlOptions { number: 50, ..CrlOptions::default() }).0, "forged"));
    ask(&sidecar).await;
    eventually("the forged list", async || (standing(&sidecar, &server.url()).await["confirmed"] == false).then_some(())).await;
    assert!(!is_taken(sidecar.inbound(), Some(&revoked)).await && is_taken(sidecar.inbound(), Some(&kept)).await);
    // And all is well again.
    server.answers(Answer::List(list(&setup, 6, &[&kept.chain[0]]), "six"));
    ask(&sidecar).await;
    is_refused(&sidecar, &kept).await;
    is_accepted(&sidecar, &revoked).await;
    eventually("the note to go", async || sidecar.status().await.unwrap()["notes"]["crl_fetch"].is_null().then_some(())).await;
}

#[tokio::test]
async fn a_server_that_hangs_holds_up_nothing_else() {
    let hanging = ListServer::http(Answer::Hang(Vec::new())).await;
    let dripping = ListServer::http(Answer::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n0".to_vec())).await;
    let good = ListServer::http(status("503 Not Yet")).await;
    let mut setup = listening_to("best_effort", &[&hanging.url(), &dripping.url(), &good.url()]);
    let (revoked, kept) = (setup.cert(ALICE), setup.cert(BOB));
    good.answers(Answer::List(list(&setup, 1, &[&revoked.chain[0]]), "one"));
    let deny = setup.path("deny.txt").display().to_string();
    setup.write_deny_list("");
    let urls = [hanging.url(), dripping.url(), good.url()];
    setup.revocation(&format!("mode = 'best_effort'\ncrl = {urls:?}\ndeny_list = '{deny}'"));
    let app = App::start().await;
    let sidecar = setup.start(&app).await;
    is_refused(&sidecar, &revoked).await;
    is_accepted(&sidecar, &kept).await;
    ask(&sidecar).await;
    for server in [&hanging, &dripping] {
        server.is_asked_after(0).await;
    }
    let said = async || sidecar.metric("countersign_crl_fetches_total", &["result=\"timeout\""]).await;
    let before = said().await;
    setup.write_deny_list(BOB);
    is_refused(&sidecar, &kept).await;
    assert_eq!(said().await, before, "they hang for ten seconds");
    counted(&sidecar, "timeout", 2.0).await;
    assert_eq!(sidecar.metric("countersign_crl_fetched_timestamp_seconds", &[]).await, 0.0, "two were never there");
}

#[tokio::test]
async fn where_the_list_must_be_there_nobody_is_taken_and_nothing_is_ready_before_it_is() {
    let server = ListServer::http(status("503 Not Yet")).await;
    let url = server.url();
    let mut setup = listening_to("require", &[&url]);
    let app = App::start().await;
    setup.in_front_of(app.address);
    let sidecar = Sidecar::start_unready(&setup).await;
    let pending = async || {
        let status = sidecar.status().await.unwrap();
        let text = status["pending"]["crl_fetch"].as_str().unwrap_or_default().to_owned();
        (text.contains(&url) && text.contains("answers 503") && status["certificate"].is_object()).then_some(())
    };
    eventually("that the list is waited for, and nothing else", pending).await;
    assert_eq!(sidecar.is_ready().await, Some(false));
    let alice = setup.cert(ALICE);
    assert!(!is_taken(sidecar.inbound(), Some(&alice)).await);
    sidecar.record("the refusal", |record| record["reason"] == "unauthenticated:revocation_unknown").await;
    assert!(standing(&sidecar, &url).await["issuer"].is_null());

    server.answers(Answer::List(list(&setup, 1, &[]), "one"));
    is_accepted(&sidecar, &alice).await;
    eventually("readiness", async || sidecar.is_ready().await.filter(|ready| *ready)).await;
}

#[tokio::test]
async fn other_settings_forget_no_list() {
    let server = ListServer::http(status("503 Not Yet")).await;
    let mut setup = listening_to("best_effort", &[&server.url()]);
    let (revoked, kept) = (setup.cert(ALICE), setup.cert(BOB));
    server.answers(Answer::List(list(&setup, 1, &[&revoked.chain[0]]), "one"));
    let app = App::start().await;
    let sidecar = setup.start(&app).await;
    is_refused(&sidecar, &revoked).await;
    server.answers(status("503 Gone"));
    setup.write_deny_list(BOB);
    let deny = setup.path("deny.txt").display().to_string();
    setup.revocation(&format!("mode = 'best_effort'\ncrl = ['{}']\ndeny_list = '{deny}'", server.url()));
    setup.write_config();
    ask(&sidecar).await;
    is_refused(&sidecar, &kept).await;
    assert!(!is_taken(sidecar.inbound(), Some(&revoked)).await);
    counted(&sidecar, "status", 1.0).await;
    assert!(!is_taken(sidecar.inbound(), Some(&revoked)).await);
}

#[tokio::test]
async fn without_the_list_others_are_taken_and_counted() {
    let server = ListServer::http(status("503 Not Yet")).await;
    let mut setup = listening_to("best_effort", &[&server.url()]);
    let app = App::start().await;
    let sidecar = setup.start(&app).await;
    is_accepted(&sidecar, &setup.cert(ALICE)).await;
    sidecar.metric_reaches("countersign_revocation_unknown_total", &[], 1.0).await;
}

#[tokio::test]
async fn nobody_without_a_name_that_the_machine_trusts_is_asked_over_https() {
    let web = TestCa::named("web", "web root");
    let stranger = TestCa::named("web", "web root").issue_with(&LeafOptions::dns("localhost"));
    let misnamed = web.issue_with(&LeafOptions::dns("elsewhere"));
    for cert in [stranger, misnamed] {
        let server = ListServer::https(status("503 Not Yet"), &cert).await;
        let url = server.url_at("localhost");
        let mut setup = listening_to("best_effort", &[&url]);
        web.write_root(setup.dir.path(), "web.pem");
        let roots = setup.path("web.pem").display().to_string();
        setup.env("SSL_CERT_FILE", &roots);
        let app = App::start().await;
        let sidecar = setup.start(&app).await;
        counted(&sidecar, "tls", 1.0).await;
        assert!(server.asked().iter().all(|asked| asked.starts_with("refused")), "{:?}", server.asked());
    }
}

#[tokio::test]
async fn names_that_lead_to_metadata_are_not_followed() {
    let server = ListServer::http(status("503 Not Yet")).await;
    let dns = Dns::start().await;
    dns.at("crl.shop", &["169.254.169.254", "fd00:ec2::254"], 60);
    let url = server.url_at("crl.shop");
    let mut setup = listening_to("best_effort", &[&url]);
    dns.serve(&mut setup, "");
    server.answers(Answer::List(list(&setup, 1, &[]), "one"));
    let app = App::start().await;
    let sidecar = setup.start(&app).await;
    counted(&sidecar, "forbidden", 1.0).await;
    sidecar.log_line("it is not asked").await;
    // The name is asked for again each time.
    dns.at("crl.shop", &["127.0.0.1"], 60);
    ask(&sidecar).await;
    counted(&sidecar, "ok", 1.0).await;
    dns.at("crl.shop", &["169.254.170.2"], 60);
    ask(&sidecar).await;
    counted(&sidecar, "forbidden", 2.0).await;
}

#[tokio::test]
async fn each_partition_speaks_for_its_own_certificates() {
    let [one, two] = ["http://crl.shop/1.crl", "http://crl.shop/2.crl"];
    for mode in ["best_effort", "require"] {
        let servers = [ListServer::http(status("503 Not Yet")).await, ListServer::http(status("503 Not Yet")).await];
        let mut setup = listening_to(mode, &[&servers[0].url(), &servers[1].url()]);
        let in_partition =
            |id: &str, url: Option<&str>| setup.ca.issue_with(&LeafOptions { crl_url: url.map(str::to_owned), ..LeafOptions::id(id) });
        let [first, second, other] = [one, two, two].map(|url| in_partition(ALICE, Some(url)));
        let (unlisted, nameless, revoked) =
            (in_partition(ALICE, Some("http://crl.shop/3.crl")), in_partition(ALICE, None), in_partition(ALICE, None));
        let partition = |url: &str, number, certs: &[&CertificateDer<'_>]| {
            let options = CrlOptions { number, partition: Some(url.to_owned()), ..CrlOptions::default() };
            setup.ca.crl_with(certs, &options).0
        };
        servers[0].answers(Answer::List(partition(one, 9, &[]), "one"));
        servers[1].answers(Answer::List(partition(two, 1, &[&second.chain[0], &revoked.chain[0]]), "two"));
        setup.own_certificate(&LeafOptions { crl_url: Some(one.into()), ..LeafOptions::id(crate::support::ORDERS) });
        let app = App::start().await;
        let sidecar = setup.start(&app).await;
        for cert in [&first, &other] {
            is_accepted(&sidecar, cert).await;
        }
        for cert in [&second, &revoked] {
            is_refused(&sidecar, cert).await;
        }
        // Of these no partition can say that they are not revoked.
        let known = mode == "best_effort";
        for cert in [&unlisted, &nameless] {
            assert_eq!(is_taken(sidecar.inbound(), Some(cert)).await, known, "{mode}");
        }
    }
}
