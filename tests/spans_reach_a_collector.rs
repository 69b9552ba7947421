//! In a build with the feature `otlp`, a traced request leaves a span at each sidecar that it passes, each the child of the one before, at a collector that
//! is nobody of ours: it reads the protocol by its own definitions.

use crate::support::app::full;
use crate::support::client::{Peer, at};
use crate::support::grpc::Pair;
use crate::support::{ALICE, App, BOB, Setup, eventually, get};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use prost::Message;
use rustix::process::Signal;
use std::sync::{Arc, Mutex};

const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
const CALLER: u64 = 0x00f0_67aa_0ba9_02b7;

/// `opentelemetry/proto/collector/trace/v1/trace_service.proto` and what it imports, as far as it is looked at.
#[derive(Clone, PartialEq, Message)]
struct ExportRequest {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start: u64,
    #[prost(fixed64, tag = "8")]
    end: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(int64, optional, tag = "3")]
    number: Option<i64>,
}

const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const ERROR: i32 = 2;

fn value(attributes: &[KeyValue], key: &str) -> Option<String> {
    let AnyValue { text, number } = attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?;
    text.or(number.map(|number| number.to_string()))
}

impl Span {
    fn says(&self, key: &str) -> Option<String> {
        value(&self.attributes, key)
    }

    fn is_error(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.code == ERROR)
    }
}

/// An HTTP server that takes spans.
struct Collector {
    app: App,
    taken: Arc<Mutex<Vec<(String, Span)>>>,
}

impl Collector {
    /// Answers with `status`.
    async fn start(status: StatusCode) -> Self {
        let taken = Arc::<Mutex<Vec<_>>>::default();
        let sink = Arc::clone(&taken);
        let app = App::serve(move |request: Request<hyper::body::Incoming>| {
            let sink = Arc::clone(&sink);
            async move {
                assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/v1/traces"));
                assert_eq!(request.headers()["content-type"], "application/x-protobuf");
                let body = request.into_body().collect().await.unwrap().to_bytes();
                for resource in ExportRequest::decode(body).unwrap().resources {
                    let service = value(&resource.resource.unwrap().attributes, "service.name").unwrap();
                    let spans = resource.scopes.into_iter().flat_map(|scope| scope.spans);
                    sink.lock().unwrap().extend(spans.map(|span| (service.clone(), span)));
                }
                let mut response = Response::new(full(""));
                *response.status_mut() = status;
                response
            }
        })
        .await;
        Self { app, taken }
    }

    /// Has the sidecar of `setup` send its spans here.
    fn of(&self, setup: &mut Setup) {
        setup.set("trace.otlp", &format!("'http://{}'", self.app.address));
    }

    fn spans(&self) -> Vec<Span> {
        self.taken.lock().unwrap().iter().map(|(_, span)| span.clone()).collect()
    }

    async fn got(&self, count: usize) -> Vec<Span> {
        eventually(&format!("{count} spans"), async || Some(self.spans()).filter(|spans| spans.len() >= count)).await
    }
}

fn parent(flags: &str) -> String {
    format!("00-{TRACE:032x}-{CALLER:016x}-{flags}")
}

fn traced<B>(mut request: Request<B>, flags: &str) -> Request<B> {
    request.headers_mut().insert("traceparent", parent(flags).parse().unwrap());
    request
}

#[tokio::test]
async fn each_the_child_of_the_one_before() {
    let (collector, app) = (Collector::start(StatusCode::OK).await, App::start().await);
    let (mut near, mut far) = (Setup::new(), Setup::new());
    far.in_front_of(app.address);
    collector.of(&mut near);
    collector.of(&mut far);
    let pair = Pair::start(far, near).await;
    let mut client = Peer::app_http1(pair.near.outbound()).await;
    // Not kept by the caller: no span, and passed on as it came.
    client.send(traced(at("orders", "/unkept"), "00")).await.unwrap();
    assert_eq!(app.got("/unkept").await.headers["traceparent"], parent("00").as_str());
    client.send(traced(at("orders", "/kept?secret=1"), "03")).await.unwrap();

    let spans = collector.got(2).await;
    assert_eq!(spans.len(), 2, "{spans:?}");
    let [ours, theirs] = [CLIENT, SERVER].map(|kind| spans.iter().find(|span| span.kind == kind).unwrap());
    assert!(spans.iter().all(|span| span.trace_id == TRACE.to_be_bytes() && span.start > 0 && span.end >= span.start));
    assert_eq!((&ours.parent_span_id[..], &theirs.parent_span_id), (&CALLER.to_be_bytes()[..], &ours.span_id));
    let last = u64::from_be_bytes(theirs.span_id.clone().try_into().unwrap());
    let headers = app.got("/kept?secret=1").await.headers;
    assert_eq!(headers["traceparent"], format!("00-{TRACE:032x}-{last:016x}-03").as_str());

    assert_eq!((ours.name.as_str(), theirs.name.as_str()), ("GET", "GET /**"));
    for span in [ours, theirs] {
        assert_eq!(span.says("url.path").as_deref(), Some("/kept"), "no query: {span:?}");
        assert_eq!(span.says("http.response.status_code").as_deref(), Some("200"));
        assert!(!format!("{span:?}").contains("secret") && !span.is_error());
    }
    assert_eq!((theirs.says("countersign.decision").as_deref(), theirs.says("countersign.rule").as_deref()), (Some("allow"), Some("near")));
    for (sidecar, span) in [(&pair.near, ours), (&pair.far, theirs)] {
        let record = sidecar.record("the kept one", |record| record["http"]["path"] == "/kept").await;
        assert_eq!(span.says("countersign.id").as_deref(), record["id"].as_str());
        assert_eq!(record["trace_id"], format!("{TRACE:032x}"));
        assert_eq!(sidecar.metric("countersign_spans_total", &["sent"]).await, 1.0);
    }
}

#[tokio::test]
async fn also_of_what_is_denied_or_fails() {
    let collector = Collector::start(StatusCode::OK).await;
    let mut setup = Setup::new();
    collector.of(&mut setup);
    // Nobody listens there.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    setup.in_front_of(nobody);
    let mut sidecar = crate::support::Sidecar::start(&setup).await;
    for (id, path) in [(BOB, "/denied"), (ALICE, "/failed")] {
        Peer::http2(sidecar.inbound(), &setup.cert(id)).await.send(traced(get(path), "01")).await.unwrap();
    }
    // What still waits is sent at the end.
    sidecar.signal(Signal::TERM);
    assert!(sidecar.exit().await.success());
    let spans = collector.spans();
    let of = |path: &str| spans.iter().find(|span| span.says("url.path").as_deref() == Some(path)).unwrap();
    let (denied, failed) = (of("/denied"), of("/failed"));
    assert_eq!((denied.says("countersign.decision").as_deref(), denied.is_error()), (Some("deny"), false), "a denial is no fault");
    assert_eq!(denied.says("error.type").as_deref(), Some("implicit_deny"));
    assert_eq!((failed.says("error.type").as_deref(), failed.is_error()), (Some("app_unreachable"), true));
}

#[tokio::test]
async fn or_are_counted_and_nobody_waits() {
    let collector = Collector::start(StatusCode::BAD_REQUEST).await;
    let (app, mut setup) = (App::start().await, Setup::new());
    collector.of(&mut setup);
    let sidecar = setup.start(&app).await;
    let mut peer = Peer::http1(sidecar.inbound(), &setup.cert(ALICE)).await;
    for _ in 0..10 {
        assert_eq!(peer.send(traced(get("/orders"), "01")).await.unwrap().status, StatusCode::OK);
    }
    sidecar.metric_reaches("countersign_spans_total", &["failed"], 10.0).await;
    sidecar.log_line("the collector does not take spans").await;
}
