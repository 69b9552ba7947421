//! An HTTP/2 client that answers neither PING nor GOAWAY is gone or unwilling: it costs a drain seconds, not all of `[timeouts] drain`.

use crate::support::client::tls;
use crate::support::{ALICE, App, PATIENCE, Setup};
use rustix::process::Signal;
use tokio::io::AsyncWriteExt as _;

/// The preface and a SETTINGS frame without a setting.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// HEADERS that end stream 1: GET, https, /, and the authority `orders`.
const REQUEST: &[u8] = b"\0\0\x0b\x01\x05\0\0\0\x01\x82\x84\x87\x41\x06orders";

/// One that never asked for anything, and one whose only request was answered: both are idle, so no request is cut and the exit code is 0.
#[tokio::test]
async fn the_drain_ends_before_its_time_out() {
    let (app, mut setup) = (App::start().await, Setup::new());
    // Longer than the test waits for anything.
    setup.set("timeouts.drain", &format!("'{}s'", 4 * PATIENCE.as_secs()));
    let mut sidecar = setup.start(&app).await;
    let alice = setup.cert(ALICE);
    let mut silent = Vec::new();
    for opening in [PREFACE.to_vec(), [PREFACE, REQUEST].concat()] {
        let mut stream = tls(sidecar.inbound(), Some(&alice), &["h2"]).await.unwrap();
        stream.write_all(&opening).await.unwrap();
        silent.push(stream);
    }
    app.got("/").await;
    sidecar.record("the answered request", |record| record["http"]["path"] == "/" && record["http"]["status"] == 200).await;
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.exit().await.code(), Some(0));
    drop(silent);
}
