//! The load generator alone, for any server: `cargo bench --bench load -- https://127.0.0.1:8443/orders/17 --help`.
//!
//! One thread. HTTP/1.1 or HTTP/2, plain or with TLS and a client certificate, on connections that stay or a new one for each request, as
//! fast as answers come or at a fixed rate. At a fixed rate a request's time begins when it was due, not when it could be sent: a server that
//! stalls is not spared the requests that had to wait for it meanwhile.

#[path = "mod.rs"]
mod load;

use anyhow::Context as _;
use clap::Parser;
use http::Uri;
use http::uri::PathAndQuery;
use load::{Check, Load, Pace, Protocol, Slots, Tally, Target, Until, Wallet};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// Sends GET requests and says how long the answers took.
#[derive(Debug, Parser)]
#[command(name = "load")]
struct Options {
    /// http://… or https://…
    url: Uri,
    /// HTTP/2; without TLS with prior knowledge
    #[arg(long)]
    http2: bool,
    /// Open connections
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Requests at a time on each HTTP/2 connection
    #[arg(long, default_value_t = 1)]
    streams: usize,
    /// A new connection for each request
    #[arg(long)]
    new_connections: bool,
    /// Requests per second over all connections; without it the next request follows the answer to the last one
    #[arg(long)]
    rate: Option<f64>,
    /// How long, in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// So many requests instead
    #[arg(long, conflicts_with = "seconds")]
    requests: Option<u64>,
    /// Roots that the server's certificate must lead to, PEM; required for https
    #[arg(long)]
    roots: Option<PathBuf>,
    /// Our certificate and its issuers, PEM
    #[arg(long, requires = "key")]
    chain: Option<PathBuf>,
    /// Our key, PEM
    #[arg(long, requires = "chain")]
    key: Option<PathBuf>,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    if !load::is_asked_for() {
        return ExitCode::SUCCESS;
    }
    match load::block_on(run(Options::parse())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> anyhow::Result<bool> {
    anyhow::ensure!(options.connections > 0 && options.streams > 0, "--connections and --streams: at least 1");
    anyhow::ensure!(options.streams == 1 || options.http2, "--streams: HTTP/1.1 has one request at a time; add --http2");
    anyhow::ensure!(options.rate.is_none_or(|rate| rate > 0.0 && rate.is_finite()), "--rate: more than 0");
    let path = options.url.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let mut slots = Slots::new(target(&options)?, options.connections);
    if options.new_connections {
        slots = slots.fresh();
    }
    let until = match options.requests {
        Some(count) => Until::Requests(count),
        None => Until::Time(Instant::now() + Duration::from_secs(options.seconds)),
    };
    let pace = options.rate.map_or(Pace::Closed, Pace::Open);
    let (tally, begun) = (Rc::new(Tally::default()), Instant::now());
    Rc::new(slots).drive(path, Load { streams: options.streams, pace, until, check: Check::Success }, &tally).await;
    Ok(print(&tally, begun.elapsed()))
}

#[expect(clippy::disallowed_methods, reason = "no part of the static binary")]
fn target(options: &Options) -> anyhow::Result<Target> {
    let secure = options.url.scheme_str() == Some("https");
    let authority = options.url.authority().context("the URL: where to?")?.clone();
    let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let host = authority.host().trim_matches(['[', ']']);
    let address: SocketAddr = (host, port).to_socket_addrs()?.next().with_context(|| format!("{host} has no address"))?;
    let protocol = if options.http2 { Protocol::Http2 } else { Protocol::Http1 };
    let wallet = match (&options.roots, secure) {
        (Some(roots), true) => Some(Wallet::read(roots, options.chain.as_deref().zip(options.key.as_deref()))?),
        (None, true) => anyhow::bail!("https needs --roots"),
        (_, false) => None,
    };
    Ok(Target { address, protocol, authority, wallet })
}

fn print(tally: &Tally, took: Duration) -> bool {
    let right = tally.right.get();
    println!("answered   {right} ({:.0} per second)", right as f64 / took.as_secs_f64());
    println!("failed     {}", tally.failed.get());
    println!("handshakes {}", tally.handshakes.borrow().len());
    for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("largest", 1.0)] {
        println!("{name:<10} {:.1} µs", tally.percentile(share).as_secs_f64() * 1e6);
    }
    for failure in tally.failures.borrow().iter() {
        println!("    {failure}");
    }
    right > 0 && tally.failed.get() == 0
}
