//! `dev --traffic`: callers that ask for what their work needs, and one that looks for what is none of its business, over and over.

use super::setup::Setup;
use super::tls;
use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Who asks, by the names of their certificates: `spiffe://dev.example/sa/<name>`.
pub const CALLERS: [&str; 4] = ["web", "billing", "reports", "guest"];

/// From one request to the next: 50 a second.
const PACE: Duration = Duration::from_millis(20);
/// From a request to the end of its answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Requests from one word about them to the next, some 20 s.
const TOLD: u64 = 1_000;

/// What one caller asks for.
struct Asked {
    caller: usize,
    method: Method,
    path: String,
}

/// Asks until the runtime that it gives is dropped.
///
/// # Errors
/// There is no thread for it.
pub fn start(setup: &Setup) -> std::io::Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("traffic").enable_all().build()?;
    runtime.spawn(ask_on(setup.clone()));
    Ok(runtime)
}

async fn ask_on(setup: Setup) {
    let mut connections: [Option<SendRequest<Empty<Bytes>>>; CALLERS.len()] = [const { None }; CALLERS.len()];
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut denied, mut failed) = (0_u64, 0_u64);
    for turn in 1_u64.. {
        pace.tick().await;
        let asked = asked(turn);
        let Some(connection) = connections.get_mut(asked.caller) else { continue };
        match timeout(ANSWER, ask(&setup, connection, &asked)).await {
            Ok(Ok(StatusCode::FORBIDDEN)) => denied += 1,
            Ok(Ok(_)) => {}
            // Whoever is cut or refused comes again, as a client does.
            Ok(Err(_)) | Err(_) => {
                *connection = None;
                failed += 1;
            }
        }
        if turn % TOLD == 0 {
            let answered = TOLD - denied - failed;
            println!("          traffic: {TOLD} requests, {answered} answered by the app, {denied} denied, {failed} without an answer");
            (denied, failed) = (0, 0);
        }
    }
}

async fn ask(setup: &Setup, kept: &mut Option<SendRequest<Empty<Bytes>>>, asked: &Asked) -> anyhow::Result<StatusCode> {
    let open = kept.take().filter(|connection| !connection.is_closed());
    let mut connection = match open {
        Some(connection) => connection,
        None => connect(setup, CALLERS.get(asked.caller).copied()).await?,
    };
    connection.ready().await?;
    let request = Request::builder().method(&asked.method).uri(&asked.path).header(http::header::HOST, "orders");
    let response = connection.send_request(request.body(Empty::new())?).await?;
    let status = response.status();
    response.into_body().collect().await?;
    *kept = Some(connection);
    Ok(status)
}

async fn connect(setup: &Setup, name: Option<&str>) -> anyhow::Result<SendRequest<Empty<Bytes>>> {
    let stream = tls::connect(setup, name).await.context("the handshake failed")?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    crate::runtime::tasks::spawn("traffic connection", connection);
    Ok(sender)
}

/// What is asked for in this turn: a round of 25, with other numbers each time.
fn asked(turn: u64) -> Asked {
    let get = |caller, path| Asked { caller, method: Method::GET, path };
    let number = turn.wrapping_mul(7_919) % 100_000;
    match turn % 25 {
        0..10 => get(0, format!("/orders/{number}")),
        10..14 => Asked { caller: 0, method: Method::POST, path: "/orders".into() },
        14..16 => get(0, "/hello".into()),
        16..19 => get(1, format!("/orders/{number}/invoice")),
        19..22 => Asked { caller: 1, method: Method::PUT, path: format!("/invoices/{}", uuid(turn)) },
        22..24 => get(2, format!("/reports/2026-{:02}-{:02}", turn / 25 % 12 + 1, turn % 28 + 1)),
        _ if turn % 50 == 24 => get(3, "/admin/users".into()),
        _ => get(3, "/admin".into()),
    }
}

/// One that is its turn's own (RFC 9562, version 8: what an application makes as it likes).
fn uuid(turn: u64) -> String {
    let mixed = turn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{:08x}-{:04x}-8{:03x}-8{:03x}-{:012x}", mixed >> 32, mixed >> 16 & 0xffff, mixed >> 4 & 0xfff, turn & 0xfff, mixed >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_round_is_the_same_work_with_other_numbers() {
        let all: Vec<Asked> = (1..=10_000).map(asked).collect();
        let of = |caller| all.iter().filter(|asked| asked.caller == caller).collect::<Vec<_>>();
        assert_eq!([0, 1, 2, 3].map(|caller| of(caller).len()), [6_400, 2_400, 800, 400]);
        let distinct =
            |prefix: &str| all.iter().filter(|asked| asked.path.starts_with(prefix)).map(|asked| &asked.path).collect::<BTreeSet<_>>();
        assert!(distinct("/orders/").len() > 1_000 && distinct("/invoices/").len() == 1_200 && distinct("/reports/").len() >= 28);
        assert_eq!(distinct("/admin").len(), 2);
        for invoice in distinct("/invoices/") {
            let parts: Vec<usize> = invoice.trim_start_matches("/invoices/").split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{invoice}");
        }
    }
}
