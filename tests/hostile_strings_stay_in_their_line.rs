//! Whatever a peer writes into a path, a host, a header's name or the server name of TLS: the log stays one valid JSON object a line, and nothing in it
//! steers a terminal.

use crate::support::raw::Raw;
use crate::support::raw_http2::{block, flag, kind};
use crate::support::{ALICE, App, BOB, Setup, Sidecar, eventually, within};
use serde_json::Value;
use std::path::PathBuf;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What goes into each place, as bytes on the wire.
const HOSTILE: [&[u8]; 14] = [
    b"\"}\n{\"v\":\"countersign.decision/1\",\"seq\":0}",
    b"\\\",\"decision\":\"allow\"",
    b"%22%7d%0a%7b%22kind%22:%22boot%22%7d",
    b"%00",
    b"\x00",
    b"\r\n\r\n",
    b"%1b%5b2J",
    b"\x1b[2J\x1b]0;owned\x07",
    b"%e2%80%ae%e2%80%a8",
    "\u{202e}\u{2028}\u{85}".as_bytes(),
    b"\xff\xfe\xc0\xaf",
    b"%ff%fe",
    b"\x7f",
    b"%7f%c2%9b31m",
];

#[tokio::test]
async fn in_requests() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    let mut refused = 0;
    for text in HOSTILE {
        for cert in [setup.cert(ALICE), setup.cert(BOB)] {
            for place in [Place::Path, Place::Host, Place::Name, Place::Method] {
                let mut raw = Raw::http1(sidecar.inbound(), &cert).await;
                raw.send(place.request(text)).await;
                if let Some(answer) = raw.response().await {
                    refused += u32::from(!answer.header("x-countersign-decision").is_empty());
                }
                let mut raw = Raw::http2(sidecar.inbound(), &cert).await;
                raw.frame(kind::HEADERS, flag::END_STREAM | flag::END_HEADERS, 1, place.block(text)).await;
                let _ = raw.outcome(1).await;
            }
        }
    }
    assert!(refused > 40, "only {refused} of the requests got as far as to a record");
    whole(&sidecar, setup.path("decisions")).await;
}

#[tokio::test]
async fn in_the_server_name() {
    let (app, mut setup) = (App::start().await, Setup::new());
    let sidecar = setup.start(&app).await;
    for text in HOSTILE {
        let mut stream = TcpStream::connect(sidecar.inbound()).await.unwrap();
        stream.write_all(&client_hello(text)).await.unwrap();
        let mut end = Vec::new();
        let _ = within("the end of a refused handshake", stream.read_to_end(&mut end)).await;
    }
    let refused = |records: &[Value]| records.iter().filter(|record| record["kind"] == "handshake").count();
    eventually("a record of each", async || (refused(&sidecar.records()) >= HOSTILE.len()).then_some(())).await;
    whole(&sidecar, setup.path("decisions")).await;
}

/// Where a hostile text goes.
#[derive(Clone, Copy)]
enum Place {
    Path,
    Host,
    Name,
    Method,
}

impl Place {
    fn request(self, text: &[u8]) -> Vec<u8> {
        let at = |place: &'static [u8], here: bool| if here { text } else { place };
        let (method, path) = (at(b"GET", matches!(self, Self::Method)), at(b"x", matches!(self, Self::Path)));
        let (host, name) = (at(b"orders", matches!(self, Self::Host)), at(b"x-some", matches!(self, Self::Name)));
        [method, b" /", path, b" HTTP/1.1\r\nhost: ", host, b"\r\n", name, b": 1\r\n\r\n"].concat()
    }

    fn block(self, text: &[u8]) -> Vec<u8> {
        let path = if matches!(self, Self::Path) { [b"/", text].concat() } else { b"/x".to_vec() };
        let at = |place: &[u8], here: bool| if here { text.to_vec() } else { place.to_vec() };
        block(&[
            (b":method".to_vec(), at(b"GET", matches!(self, Self::Method))),
            (b":scheme".to_vec(), b"https".to_vec()),
            (b":authority".to_vec(), at(b"orders", matches!(self, Self::Host))),
            (b":path".to_vec(), path),
            (at(b"x-some", matches!(self, Self::Name)), b"1".to_vec()),
        ])
    }
}

/// A ClientHello (RFC 8446 section 4.1.2) without anything but a server name (RFC 6066 section 3).
fn client_hello(name: &[u8]) -> Vec<u8> {
    let with_length = |width: usize, bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes()[4 - width..], bytes].concat();
    let names = with_length(2, &[&[0][..], &with_length(2, name)].concat());
    let extension = [&[0, 0][..], &with_length(2, &names)].concat();
    let body =
        [&[3, 3][..], &[7; 32], &with_length(1, &[]), &with_length(2, &[0x13, 0x01]), &with_length(1, &[0]), &with_length(2, &extension)]
            .concat();
    let message = [&[1][..], &with_length(3, &body)].concat();
    [&[22, 3, 1][..], &with_length(2, &message)].concat()
}

/// Each line is one record with the numbers in order, and no byte of the log is one that a terminal acts on.
async fn whole(sidecar: &Sidecar, directory: PathBuf) {
    let records = eventually("records", async || Some(sidecar.records()).filter(|records| records.len() > 10)).await;
    assert!(records.iter().enumerate().all(|(number, record)| record["seq"] == number && record["v"] == "countersign.decision/1"));
    let boots = records.iter().filter(|record| record["kind"] == "boot").count();
    assert_eq!(boots, 1, "somebody else wrote a boot record");
    for file in std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let steers = |c: &char| c.is_control() && *c != '\n';
        assert_eq!(text.chars().find(steers), None, "{}", file.display());
    }
}
