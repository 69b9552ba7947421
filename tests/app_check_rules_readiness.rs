//! `[health] app_check`: not ready before the app was well once, and while it is not.

use crate::support::app::full;
use crate::support::{App, Setup, Sidecar, eventually};
use http::{Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use tokio::net::{TcpListener, UnixListener};

/// An app whose answer to `/healthz` changes; everything else is 200.
async fn start(status: &Arc<AtomicU16>) -> App {
    let status = Arc::clone(status);
    App::serve(move |request| {
        let told = if request.uri().path() == "/healthz" { status.load(Ordering::SeqCst) } else { 200 };
        async move {
            let mut response = Response::new(full("said"));
            *response.status_mut() = StatusCode::from_u16(told).unwrap();
            response
        }
    })
    .await
}

#[tokio::test]
async fn readiness_follows_what_the_app_says() {
    let (status, mut setup) = (Arc::new(AtomicU16::new(503)), Setup::new());
    let app = start(&status).await;
    setup.in_front_of(app.address).set("health.app_check", "'/healthz?deep=1'");
    let sidecar = Sidecar::start_unready(&setup).await;
    not_ready(&sidecar, "/healthz?deep=1: it answers 503").await;
    assert_eq!(sidecar.status().await.unwrap()["app"]["well"], false);
    for (well, ill) in [(200, 404), (302, 500), (204, 400)] {
        status.store(well, Ordering::SeqCst);
        eventually("readiness", async || sidecar.is_ready().await.filter(|ready| *ready)).await;
        assert_eq!(sidecar.status().await.unwrap()["app"]["well"], true);
        assert_eq!(sidecar.metric("countersign_app_well", &[]).await, 1.0);
        status.store(ill, Ordering::SeqCst);
        not_ready(&sidecar, &format!("it answers {ill}")).await;
        assert_eq!(sidecar.metric("countersign_app_well", &[]).await, 0.0);
    }
    let asked = app.got("/healthz?deep=1").await;
    assert_eq!((asked.method.as_str(), &asked.headers["user-agent"]), ("GET", &"countersign-app-check".parse().unwrap()));
    assert_eq!(asked.headers["host"], app.address.to_string());
    assert!(!asked.headers.contains_key("x-countersign-peer"));
    assert!(sidecar.records().iter().all(|record| record["kind"] != "decision"), "it is no request of anybody");
    assert!(sidecar.log().contains("the app is well") && sidecar.log().contains("the app is not well"));
    assert!(sidecar.metric("countersign_app_checks_total", &["result=\"failed\""]).await >= 4.0);
}

#[tokio::test]
async fn an_app_that_is_not_there_or_says_nothing_is_not_well() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let cases = [(gone, "nobody listens"), (silent.local_addr().unwrap(), "no answer within 3s")];
    for (address, why) in cases {
        let mut setup = Setup::new();
        setup.in_front_of(address).set("health.app_check", "'/healthz'");
        let sidecar = Sidecar::start_unready(&setup).await;
        not_ready(&sidecar, why).await;
    }
}

#[tokio::test]
async fn an_app_on_a_unix_socket_is_asked_too() {
    let mut setup = Setup::new();
    let path = setup.path("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(|_| async { Ok::<_, Infallible>(Response::new(full("well"))) });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    setup.set("inbound.app", &format!("'unix:{}'", path.display())).set("health.app_check", "'/healthz'");
    let sidecar = Sidecar::start(&setup).await;
    assert_eq!(sidecar.status().await.unwrap()["app"]["well"], true);
}

/// An app that ends beside us is not ill.
#[tokio::test]
async fn nothing_is_asked_while_it_drains() {
    let (status, mut setup) = (Arc::new(AtomicU16::new(200)), Setup::new());
    let app = start(&status).await;
    setup.in_front_of(app.address).set("health.app_check", "'/healthz'").set("timeouts.pre_drain", "'7s'");
    let mut sidecar = Sidecar::start(&setup).await;
    eventually("a question", async || (!app.seen().is_empty()).then_some(())).await;
    sidecar.post("/drain").await;
    let asked = app.seen().len();
    sidecar.exit().await;
    // One may have been on its way.
    assert!(app.seen().len() <= asked + 1, "{} questions, {asked} before the drain", app.seen().len());
    assert!(!sidecar.log().contains("the app is not well"));
}

async fn not_ready(sidecar: &Sidecar, why: &str) {
    let look = async || {
        let answer = sidecar.ask(sidecar.health, "/ready").await;
        (answer.status == 503 && answer.body.contains("app: ") && answer.body.contains(why)).then_some(())
    };
    eventually(why, look).await;
}
