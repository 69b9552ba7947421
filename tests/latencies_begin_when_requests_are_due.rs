//! The load generator does not spare a server that stalls: at a fixed rate, each latency begins when its request was due.

#[path = "../benches/load/mod.rs"]
mod load;

use http::uri::{Authority, PathAndQuery};
use load::histogram::Histogram;
use load::{Check, Load, Pace, Protocol, Slots, Tally, Target, Until};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const STALL: Duration = Duration::from_millis(200);

/// One connection whose first answer is late.
async fn stall_once(listener: TcpListener) -> std::io::Result<()> {
    let (mut stream, _) = listener.accept().await?;
    let mut head = Vec::new();
    for answered in 0.. {
        head.clear();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        if answered == 0 {
            // The fault itself, no waiting for anything.
            tokio::time::sleep(STALL).await;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
    }
    Ok(())
}

#[test]
fn requests_that_had_to_wait_for_a_stall_count_their_wait() {
    let tally = load::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let target = Target {
            address: listener.local_addr()?,
            protocol: Protocol::Http1,
            authority: Authority::from_static("localhost"),
            wallet: None,
        };
        let server = tokio::task::spawn_local(stall_once(listener));
        let tally = Rc::new(Tally::default());
        let load = Load { streams: 1, pace: Pace::Open(1_000.0), until: Until::Requests(400), check: Check::Success };
        Rc::new(Slots::new(target, 1)).drive(PathAndQuery::from_static("/"), load, &tally).await;
        server.abort();
        Ok(tally)
    });
    let tally = tally.unwrap();
    assert_eq!(tally.right.get(), 400, "{:?}", tally.failures.borrow());
    // The requests of the first 100 ms were all answered after 200 ms: a quarter of all waited for 100 ms or more. Counted from when they were
    // sent, it would be one of 400.
    assert!(tally.percentile(0.76) >= Duration::from_millis(99), "{:?}", tally.percentile(0.76));
}

#[test]
fn percentiles_are_right_to_a_percent() {
    let mut histogram = Histogram::default();
    assert_eq!(histogram.percentile(0.5), Duration::ZERO);
    for micros in 1..=100_000 {
        histogram.add(Duration::from_micros(micros));
    }
    for (share, micros) in [(0.00001, 1.0), (0.5, 50_000.0), (0.9, 90_000.0), (0.99, 99_000.0), (0.999, 99_900.0), (1.0, 100_000.0)] {
        let found = histogram.percentile(share).as_secs_f64() * 1e6;
        assert!((found / micros - 1.0_f64).abs() < 0.01, "{share}: {found} µs instead of {micros}");
    }
    // Nothing is too long, and nothing too short.
    for latency in [Duration::ZERO, Duration::from_nanos(127), Duration::from_nanos(128), Duration::MAX] {
        let mut one = Histogram::default();
        one.add(latency);
        assert_eq!(one.count(), 1);
        assert!(one.percentile(1.0) >= latency.min(Duration::from_secs(600)), "{latency:?}");
    }
}
