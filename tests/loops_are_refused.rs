//! A request that would come back to where it is is refused: at start where the configuration shows it, otherwise at the latest by the hop counter.

use crate::support::client::{Answer, Peer, at, get, tls};
use crate::support::sidecar::run;
use crate::support::{ALICE, App, Remote, Setup, Sidecar, within};
use http::StatusCode;
use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PAYMENTS: &str = "spiffe://test.example/payments";

#[tokio::test]
async fn an_upstream_at_our_own_listener_is_a_problem_of_the_configuration() {
    let own = [("127.0.0.1:15001", "outbound.listen"), ("localhost:15001", "outbound.listen"), ("127.0.0.1:9901", "admin.listen")];
    for (address, listener) in own {
        let mut setup = Setup::new();
        setup.set("outbound.listen", "'127.0.0.1:15001'").set("admin.listen", "'127.0.0.1:9901'");
        setup.table("upstream", &format!("hosts = ['payments']\naddress = '{address}'\nid = '{PAYMENTS}'"));
        for command in ["check", "run"] {
            let said = refused_by(command, &setup).await;
            assert!(said.contains("upstream[0].address") && said.contains(listener), "{command} {address}: {said}");
        }
    }
    for (app, listener) in [("127.0.0.1:15001", "outbound.listen"), ("[::1]:8443", "inbound.listen"), ("127.0.0.1:8443", "inbound.listen")]
    {
        let mut setup = Setup::new();
        setup
            .set("outbound.listen", "'127.0.0.1:15001'")
            .set("inbound.listen", "'[::]:8443'")
            .set("inbound.app", &format!("'http://{app}'"));
        setup.table("upstream", &format!("hosts = ['payments']\naddress = '10.0.0.1:8443'\nid = '{PAYMENTS}'"));
        let said = refused_by("check", &setup).await;
        assert!(said.contains("inbound.app") && said.contains(listener), "{app}: {said}");
    }
}

/// Which port is ours is known once it is bound, and where a name leads only when it is asked.
#[tokio::test]
async fn an_upstream_that_turns_out_to_be_ourselves() {
    let mut setup = Setup::new();
    setup.unset("inbound").set("outbound.listen", "'127.0.0.1:0'");
    setup.table("upstream", &format!("hosts = ['payments']\naddress = '127.0.0.1:9'\nid = '{PAYMENTS}'"));
    let sidecar = Sidecar::start(&setup).await;
    let port = sidecar.outbound().port();
    for (reloads, address) in (1..).zip([format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("127.0.0.2:{port}")]) {
        let text = setup.config().replace("'127.0.0.1:9'", &format!("'{address}'"));
        crate::support::setup::replace(&setup.path("countersign.toml"), &text);
        sidecar.signal(Signal::HUP);
        sidecar.metric_reaches("countersign_config_reloads_total", &["result=\"ok\""], f64::from(reloads)).await;
        for mut app in Peer::app_both(sidecar.outbound()).await {
            let answer = app.ask("payments", "/").await;
            if address.starts_with("127.0.0.2") {
                // Nobody listens there: our own listener has one address.
                assert_eq!(answer.header("x-countersign-reason"), "peer_unreachable");
                continue;
            }
            assert_eq!(answer.status, StatusCode::LOOP_DETECTED, "{address}");
            assert_eq!(answer.header("x-countersign-reason"), "loop");
            let record = sidecar.record_of(answer.header("x-countersign-decision")).await;
            assert_eq!((record["close_reason"].as_str(), record["http"]["status"].as_u64()), (Some("loop"), Some(508)));
        }
    }
}

#[tokio::test]
async fn too_many_hops() {
    let (app, remote, setup, sidecar) = start().await;
    let with_hops = |hops: &str| {
        let mut requests = [get("/hops"), at("payments", "/hops")];
        requests.iter_mut().for_each(|request| drop(request.headers_mut().insert("x-countersign-hop", hops.parse().unwrap())));
        requests
    };
    let inbound = Peer::both(sidecar.inbound(), &setup.cert(ALICE)).await;
    let outbound = Peer::app_both(sidecar.outbound()).await;
    for (mut inbound, mut outbound) in inbound.into_iter().zip(outbound) {
        for hops in ["16", "17", "99999999999999999999999", "-1", "x", ""] {
            let [in_request, out_request] = with_hops(hops);
            let (inward, outward) = (inbound.send(in_request).await.unwrap(), outbound.send(out_request).await.unwrap());
            refused(&sidecar, &inward, 508, "loop").await;
            refused(&sidecar, &outward, 508, "loop").await;
            assert_eq!((inward.header("x-countersign-reason"), outward.header("x-countersign-reason")), ("", "loop"), "{hops:?}");
        }
        for (hops, next) in [("0", "1"), ("1", "2"), ("15", "16")] {
            let [in_request, out_request] = with_hops(hops);
            assert_eq!(inbound.send(in_request).await.unwrap().status, StatusCode::OK);
            assert_eq!(outbound.send(out_request).await.unwrap().status, StatusCode::OK);
            assert_eq!(app.seen().last().unwrap().headers["x-countersign-hop"], next);
            assert_eq!(remote.asked().last().unwrap().headers["x-countersign-hop"], next);
        }
    }
}

/// What the counter is for: two sidecars whose apps send everything on to each other, counter included.
#[tokio::test]
async fn a_real_loop_ends() {
    let (app, _remote, setup, sidecar) = start().await;
    let mut request = get("/around");
    let mut peer = Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await;
    let mut turns = 0;
    loop {
        let answer = peer.send(request).await.unwrap();
        if answer.status == StatusCode::LOOP_DETECTED {
            break;
        }
        turns += 1;
        assert!(turns <= 16, "it goes on");
        request = get("/around");
        request.headers_mut().insert("x-countersign-hop", app.seen().last().unwrap().headers["x-countersign-hop"].clone());
    }
    assert_eq!(turns, 16);
}

#[tokio::test]
async fn connect_is_not_allowed() {
    let (app, remote, setup, sidecar) = start().await;
    let inbound = tls(sidecar.inbound(), Some(&setup.cert(ALICE)), &["http/1.1"]).await.unwrap();
    let outbound = TcpStream::connect(sidecar.outbound()).await.unwrap();
    let inward = raw(inbound, "CONNECT orders:443 HTTP/1.1\r\nhost: orders:443\r\n\r\n").await;
    let outward = raw(outbound, "CONNECT payments:443 HTTP/1.1\r\nhost: payments:443\r\n\r\n").await;
    for (said, direction) in [(inward, "inbound"), (outward, "outbound")] {
        assert!(said.starts_with("HTTP/1.1 405 "), "{direction}: {said}");
        let record = sidecar.record("a CONNECT", |record| record["http"]["method"] == "CONNECT" && record["dir"] == direction).await;
        assert_eq!((record["decision"].as_str(), record["reason"].as_str()), (Some("deny"), Some("malformed:connect")));
        assert_eq!(record["http"]["status"], 405);
    }
    assert!(app.seen().is_empty() && remote.calls().is_empty());
}

#[tokio::test]
async fn an_unknown_host_leads_nowhere() {
    let (_app, remote, _setup, sidecar) = start().await;
    for mut app in Peer::app_both(sidecar.outbound()).await {
        for host in ["elsewhere.example", "payments.example", "169.254.169.254", "127.0.0.1"] {
            let answer = app.ask(host, "/latest/meta-data").await;
            refused(&sidecar, &answer, 502, "unknown_host").await;
            assert_eq!(answer.header("x-countersign-reason"), "unknown_host");
            let record = sidecar.record_of(answer.header("x-countersign-decision")).await;
            assert_eq!(record["dst"]["host"], host);
        }
        assert_eq!(app.ask("payments", "/").await.status, StatusCode::OK);
    }
    assert!(remote.asked().iter().all(|asked| asked.host == "payments"));
    // As a proxy in `HTTP_PROXY` is asked.
    let stream = TcpStream::connect(sidecar.outbound()).await.unwrap();
    let said = raw(stream, "GET http://payments/absolute HTTP/1.1\r\nhost: payments\r\nconnection: close\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    let stream = TcpStream::connect(sidecar.outbound()).await.unwrap();
    let said = raw(stream, "GET http://elsewhere.example/ HTTP/1.1\r\nhost: elsewhere.example\r\nconnection: close\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 502 ") && said.contains("unknown_host"), "{said}");
}

/// Both directions, one upstream that works.
async fn start() -> (App, Remote, Setup, Sidecar) {
    let (app, mut setup) = (App::start().await, Setup::new());
    let remote = Remote::start(&setup.cert(PAYMENTS), &["h2"]).await;
    setup.set("outbound.listen", "'127.0.0.1:0'");
    setup.table("upstream", &format!("hosts = ['payments']\naddress = '{}'\nid = '{PAYMENTS}'", remote.address));
    let sidecar = setup.start(&app).await;
    (app, remote, setup, sidecar)
}

async fn refused_by(command: &str, setup: &Setup) -> String {
    let config = setup.write_config();
    let (code, said) = run(&[command, "--config", config.to_str().unwrap()], setup.dir.path()).await;
    assert_eq!(code, 2, "{said}");
    said
}

async fn refused(sidecar: &Sidecar, answer: &Answer, status: u16, reason: &str) {
    assert_eq!(answer.status.as_u16(), status);
    let record = sidecar.record_of(answer.header("x-countersign-decision")).await;
    assert_eq!((record["decision"].as_str(), record["reason"].as_str()), (Some("deny"), Some(reason)));
    assert_eq!(record["http"]["status"], status);
}

/// Sends these bytes; gives the beginning of the answer.
async fn raw<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = String::new();
    let reading = async {
        while !said.contains("\r\n\r\n") {
            let mut bytes = [0; 1_024];
            match stream.read(&mut bytes).await {
                Ok(count) if count > 0 => said += &String::from_utf8_lossy(&bytes[..count]),
                _ => break,
            }
        }
    };
    within("an answer", reading).await;
    said
}
