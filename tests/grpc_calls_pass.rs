//! gRPC passes in its four kinds, from a peer to the app and from our app to a peer behind its own sidecar; a real library is on both sides.

use crate::support::grpc::{GrpcApp, GrpcClient, Note, Pair};
use crate::support::{BOB, Setup, eventually, within};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request};

/// A caller's way to the app, and what lies on it.
struct Ways {
    app: GrpcApp,
    pair: Pair,
}

impl Ways {
    async fn open() -> Self {
        let (app, mut far) = (GrpcApp::start().await, Setup::new());
        far.in_front_of(app.address).set("inbound.app_protocol", "'h2c'");
        Self { app, pair: Pair::start(far, Setup::new()).await }
    }

    /// Mutual TLS to the app's sidecar; and in the clear to our own, which calls the other.
    fn clients(&self) -> [(&'static str, GrpcClient); 2] {
        [("peer", GrpcClient::peer(self.pair.far.inbound(), &self.pair.alice)), ("app", GrpcClient::app(self.pair.near.outbound()))]
    }
}

#[tokio::test]
async fn four_kinds() {
    let ways = Ways::open().await;
    for (way, mut client) in ways.clients() {
        let note = Note { text: "caf\u{e9}".into(), blob: vec![0, 255], number: 7 };
        assert_eq!(client.echo(note.clone()).await.unwrap(), note, "{way}");

        let sum = within("a sum", client.sum(tokio_stream::iter((1..=100).map(Note::number)))).await.unwrap();
        assert_eq!(sum.number, 5_050, "{way}");

        let counted = within("a stream", client.count(Note::number(100))).await.unwrap();
        let counted: Vec<u32> = within("its end", counted.map(|note| note.unwrap().number).collect()).await;
        assert!(counted.into_iter().eq(0..100), "{way}");

        // Each word waits for the other side's: nothing on the way holds one back.
        let (say, said) = mpsc::channel(1);
        let mut heard = within("a conversation", client.chat(ReceiverStream::new(said))).await.unwrap();
        for number in 0..20 {
            say.send(Note::number(number)).await.unwrap();
            assert_eq!(within("an echo", heard.message()).await.unwrap(), Some(Note::number(number)), "{way}");
        }
        drop(say);
        assert_eq!(within("the end", heard.message()).await.unwrap(), None, "{way}");
    }
    assert_eq!(ways.app.facts.open(), 0);
}

#[tokio::test]
async fn metadata_and_failures() {
    let ways = Ways::open().await;
    for (way, mut client) in ways.clients() {
        let mut request = Request::new(Note::default());
        request.metadata_mut().insert("x-ask", "a, b; c".parse().unwrap());
        let bytes = MetadataValue::from_bytes(b"\0\x01\xfe\xff");
        request.metadata_mut().insert_bin("x-ask-bin", bytes.clone());
        request.set_timeout(std::time::Duration::from_secs(60));
        let answer = client.unary("/test.Notes/Echo", request).await.unwrap();
        assert_eq!(answer.metadata().get("x-answer").unwrap(), "a, b; c", "{way}");
        assert_eq!(answer.metadata().get_bin("x-answer-bin").unwrap(), &bytes, "{way}");
        let seen = ways.app.facts.metadata().pop().unwrap();
        assert_eq!(seen.get("te").unwrap(), "trailers", "{way}");
        assert!(seen.get("grpc-timeout").is_some(), "{way}");

        let status = client.unary("/test.Notes/Fail", Request::new(Note::default())).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "caf\u{e9}: 100 %"), "{way}");
        assert_eq!(
            (status.details(), status.metadata().get("x-why").unwrap().to_str().unwrap()),
            (&b"\0details\xff"[..], "because"),
            "{way}"
        );
        let status = client.unary("/test.Notes/Nothing", Request::new(Note::default())).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{way}");
    }
}

/// In threads: to compress takes a while, and meanwhile the app must answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn large_and_compressed_messages() {
    let ways = Ways::open().await;
    let blob: Vec<u8> = (0..8 << 20).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (way, client) in ways.clients() {
        for (kind, mut client) in [("plain", client.clone()), ("compressed", client.compressed())] {
            let note = Note { text: kind.into(), blob: blob.clone(), number: 1 };
            assert!(client.echo(note.clone()).await.unwrap() == note, "{way} {kind}");
            let many = note.clone();
            let sum = within("a sum", client.sum(tokio_stream::iter((0..3).map(move |_| many.clone())))).await.unwrap();
            assert_eq!((sum.number, sum.text), (3, (24 << 20).to_string()), "{way} {kind}");
            let mut counted = client.count(Note { number: 3, ..note.clone() }).await.unwrap();
            for number in 0..3 {
                assert!(within("a note", counted.message()).await.unwrap() == Some(Note { number, ..note.clone() }), "{way} {kind}");
            }
            assert_eq!(counted.message().await.unwrap(), None, "{way} {kind}");
        }
    }
}

/// A caller that goes ends its call at the app, whatever the call is doing.
#[tokio::test]
async fn cancellation() {
    let ways = Ways::open().await;
    let facts = &ways.app.facts;
    for (way, client) in ways.clients() {
        let open = async |calls: usize, what: &str| {
            eventually(&format!("{calls} open calls: {way}, {what}"), async || (facts.open() == calls).then_some(())).await;
        };
        // Nothing was answered.
        let mut caller = client.clone();
        let call = tokio::spawn(async move { caller.unary("/test.Notes/Hang", Request::new(Note::default())).await });
        open(1, "unary").await;
        call.abort();
        open(0, "unary").await;

        // The answer is under way.
        let mut caller = client.clone();
        let mut counted = caller.count(Note::number(0)).await.unwrap();
        assert_eq!(within("a note", counted.message()).await.unwrap().unwrap().number, 0);
        open(1, "counting").await;
        drop(counted);
        open(0, "counting").await;

        // The request is under way.
        let mut caller = client.clone();
        let (say, said) = mpsc::channel(1);
        let call = tokio::spawn(async move { caller.sum(ReceiverStream::new(said)).await });
        say.send(Note::number(1)).await.unwrap();
        open(1, "summing").await;
        call.abort();
        open(0, "summing").await;

        // Both are.
        let mut caller = client.clone();
        let (say, said) = mpsc::channel(1);
        let mut heard = within("a conversation", caller.chat(ReceiverStream::new(said))).await.unwrap();
        say.send(Note::number(1)).await.unwrap();
        assert_eq!(within("an echo", heard.message()).await.unwrap(), Some(Note::number(1)));
        open(1, "chatting").await;
        // Who stops listening and goes on speaking has not gone.
        drop((heard, say));
        open(0, "chatting").await;
    }
}

#[tokio::test]
async fn a_denial_is_permission_denied() {
    let (app, mut setup) = (GrpcApp::start().await, Setup::new());
    setup.in_front_of(app.address).set("inbound.app_protocol", "'h2c'");
    let sidecar = crate::support::Sidecar::start(&setup).await;
    let mut bob = GrpcClient::peer(sidecar.inbound(), &setup.cert(BOB));
    let unary = bob.echo(Note::default()).await.unwrap_err();
    let streaming = within("a refusal", bob.chat(tokio_stream::pending::<Note>())).await.map(drop).unwrap_err();
    for status in [unary, streaming] {
        assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "403 Forbidden"));
        let id = status.metadata().get("x-countersign-decision").unwrap().to_str().unwrap().to_owned();
        let record = sidecar.record_of(&id).await;
        assert_eq!(
            (record["decision"].as_str(), record["reason"].as_str(), record["http"]["ctype"].as_str()),
            (Some("deny"), Some("implicit_deny"), Some("grpc"))
        );
    }
    assert!(app.facts.metadata().is_empty());
}
