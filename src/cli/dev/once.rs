//! `dev --once`: sends the four requests and says whether each ended as it must.

use super::requests::{Expected, Request, Way};
use super::setup::{ORDERS, Setup};
use super::show;
use super::tls;
use crate::cli::Outcome;
use crate::cli::readable::Reader;
use crate::cli::terminal::Style;
use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// From a request to its answer.
const ANSWER: Duration = Duration::from_secs(10);
/// From an answer to its records.
const RECORDS: Duration = Duration::from_secs(5);

/// How a request ended.
enum Ended {
    Answer(http::StatusCode, String),
    Broken(String),
}

/// Sends all of them; a request that ends otherwise than it must is a finding.
///
/// # Errors
/// The terminal or the runtime fails.
pub fn run(setup: &Setup, requests: &[Request], lines: &Receiver<Arc<str>>, style: Style) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut reader = Reader::deciding(ORDERS);
    let (mut good, mut why) = (0, None);
    println!("{}", style.bold(&format!("Countersign {}: four requests through two sidecars", env!("CARGO_PKG_VERSION"))));
    for (number, request) in (1..).zip(requests) {
        println!("\n{}  {}", style.bold(&number.to_string()), style.bold(request.title));
        println!("   {}", request.curl(setup));
        let ended = runtime.block_on(async {
            match tokio::time::timeout(ANSWER, send(setup, request)).await {
                Ok(Ok((status, body))) => Ended::Answer(status, body),
                Ok(Err(error)) => Ended::Broken(format!("{error:#}")),
                Err(_) => Ended::Broken(format!("no answer within {} s", ANSWER.as_secs())),
            }
        });
        match &ended {
            Ended::Answer(status, body) => {
                println!("   {} {}", style.dim("status"), status);
                body.lines().take(6).for_each(|line| println!("   {} {line}", style.dim("body  ")));
            }
            Ended::Broken(error) => println!("   {} {error}", style.dim("error ")),
        }
        let records = collect(lines, request.expected.records(request.way), &mut reader);
        for (line, _) in &records {
            println!("   {} {}", style.dim("log   "), reader.readable(line, style).unwrap_or_default());
            why = why.or_else(|| show::why(line, setup));
        }
        let as_it_must = judge(request, &ended, &records);
        good += usize::from(as_it_must);
        let verdict = if as_it_must { style.green("as it must") } else { style.red("NOT as it must") };
        println!("   {} {verdict}", style.dim("so    "));
    }
    println!("\n{good} of {} ended as they must.", requests.len());
    if let Some(why) = why {
        println!("{} {why}   (why the second one was denied)", style.dim("why: "));
    }
    Ok(if good == requests.len() { Outcome::Fine } else { Outcome::Findings })
}

/// Where to go from here.
pub fn closing(setup: &Setup, style: Style) -> String {
    format!(
        "{} {}/ has the full records, {} the rules.\n{} {} dev   (the same, and it stays for you to try)",
        style.dim("look:"),
        setup.dir.join("log").display(),
        setup.policy().display(),
        style.dim("next:"),
        show::program()
    )
}

async fn send(setup: &Setup, request: &Request) -> anyhow::Result<(http::StatusCode, String)> {
    match request.way {
        Way::Sidecar => {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, setup.outbound)).await?;
            exchange(stream, &format!("http://orders{}", request.path), "orders").await
        }
        Way::Certificate(name) => direct(setup, Some(name), request.path).await,
        Way::Nothing => direct(setup, None, request.path).await,
    }
}

async fn direct(setup: &Setup, name: Option<&str>, path: &str) -> anyhow::Result<(http::StatusCode, String)> {
    let stream = tls::connect(setup, name).await.context("the handshake failed")?;
    exchange(stream, path, &format!("localhost:{}", setup.inbound)).await
}

async fn exchange<S>(stream: S, target: &str, host: &str) -> anyhow::Result<(http::StatusCode, String)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driven = tokio::spawn(connection);
    let request = http::Request::get(target).header(http::header::HOST, host).body(Empty::<Bytes>::new())?;
    let response = match sender.send_request(request).await {
        Ok(response) => response,
        Err(error) => {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            anyhow::bail!("{}", source.unwrap_or_else(|| error.to_string()));
        }
    };
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    drop(sender);
    let _ = driven.await;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// The next `count` records about requests and handshakes, or fewer where they do not come.
fn collect(lines: &Receiver<Arc<str>>, count: usize, reader: &mut Reader) -> Vec<(Arc<str>, Value)> {
    let end = Instant::now() + RECORDS;
    let mut records: Vec<(Arc<str>, Value)> = Vec::new();
    while records.len() < count {
        let Ok(line) = lines.recv_timeout(end.saturating_duration_since(Instant::now())) else { break };
        let Ok(record) = serde_json::from_str::<Value>(&line) else { continue };
        if matches!(record["kind"].as_str(), Some("decision" | "handshake")) {
            records.push((line, record));
        } else {
            // It remembers who is who.
            let _ = reader.readable(&line, Style::PLAIN);
        }
    }
    records.sort_by_key(|(_, record)| record["dir"] == "inbound");
    records
}

fn judge(request: &Request, ended: &Ended, records: &[(Arc<str>, Value)]) -> bool {
    let all = |field: &str, value: &str| records.iter().all(|(_, record)| record[field] == value);
    let complete = records.len() == request.expected.records(request.way);
    complete
        && match (request.expected, ended) {
            (Expected::Answered, Ended::Answer(status, _)) => {
                !status.is_server_error() && all("decision", "allow") && records.iter().all(|(_, record)| record["close_reason"].is_null())
            }
            (Expected::Forbidden, Ended::Answer(status, _)) => *status == http::StatusCode::FORBIDDEN && all("decision", "deny"),
            (Expected::NoHandshake, Ended::Broken(_)) => all("kind", "handshake") && all("reason", "unauthenticated:no_certificate"),
            _ => false,
        }
}
