//! A gRPC service and its callers, both by tonic: what a proxy must let through.

use super::client::tls;
use super::raw::Duplex;
use super::{ALICE, ORDERS, PATIENCE, Setup, Sidecar, policy};
use countersign::testing::pki::TestCert;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::codegen::{BoxFuture, BoxStream, Service, http};
use tonic::metadata::MetadataMap;
use tonic::server::{ClientStreamingService, Grpc, NamedService, ServerStreamingService, StreamingService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

/// What is sent both ways.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Note {
    /// Some text.
    #[prost(string, tag = "1")]
    pub text: String,
    /// Some bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub blob: Vec<u8>,
    /// Some number.
    #[prost(uint32, tag = "3")]
    pub number: u32,
}

impl Note {
    /// Only a number.
    pub fn number(number: u32) -> Self {
        Self { number, ..Self::default() }
    }
}

/// More than any message here.
const LARGEST: usize = 64 << 20;

/// What the service sees.
#[derive(Debug, Default)]
pub struct Facts {
    metadata: Mutex<Vec<MetadataMap>>,
    open: AtomicUsize,
}

impl Facts {
    /// The metadata of the calls so far.
    pub fn metadata(&self) -> Vec<MetadataMap> {
        self.metadata.lock().unwrap().clone()
    }

    /// Calls that have begun and neither ended nor been cancelled.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

/// One call; it ends when it is answered, and when it is cancelled.
struct Open(Arc<Facts>);

impl Open {
    fn begin(facts: &Arc<Facts>, metadata: &MetadataMap) -> Self {
        facts.metadata.lock().unwrap().push(metadata.clone());
        facts.open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(facts))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The service `test.Notes` over h2c; dropping it ends it.
///
/// `Echo` answers with the note and returns `x-ask` and `x-ask-bin` as `x-answer` and `x-answer-bin`; `Fail` fails with words, details and metadata;
/// `Hang` never answers; `Sum` adds the numbers of a stream up; `Count` answers with so many notes, and without end after the number 0; `Chat`
/// returns each note as it comes.
pub struct GrpcApp {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it sees.
    pub facts: Arc<Facts>,
    task: JoinHandle<()>,
}

impl GrpcApp {
    /// Serves on a port of the kernel's choice.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, facts) = (listener.local_addr().unwrap(), Arc::<Facts>::default());
        let server = Server::builder().add_service(Notes { facts: Arc::clone(&facts) });
        let task = tokio::spawn(async move { server.serve_with_incoming(TcpIncoming::from(listener)).await.unwrap() });
        Self { address, facts, task }
    }
}

impl Drop for GrpcApp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Notes {
    facts: Arc<Facts>,
}

impl NamedService for Notes {
    const NAME: &'static str = "test.Notes";
}

impl Service<http::Request<tonic::body::Body>> for Notes {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let gzip = tonic::codec::CompressionEncoding::Gzip;
            let codec = ProstCodec::<Note, Note>::default();
            let grpc = Grpc::new(codec).accept_compressed(gzip).send_compressed(gzip);
            let mut grpc = grpc.max_decoding_message_size(LARGEST).max_encoding_message_size(LARGEST);
            Ok(match request.uri().path() {
                "/test.Notes/Sum" => grpc.client_streaming(this, request).await,
                "/test.Notes/Count" => grpc.server_streaming(this, request).await,
                "/test.Notes/Chat" => grpc.streaming(this, request).await,
                path => {
                    let method = path.rsplit('/').next().unwrap().to_owned();
                    grpc.unary(Unary { facts: this.facts, method }, request).await
                }
            })
        })
    }
}

struct Unary {
    facts: Arc<Facts>,
    method: String,
}

impl UnaryService<Note> for Unary {
    type Response = Note;
    type Future = BoxFuture<Response<Note>, Status>;

    fn call(&mut self, request: Request<Note>) -> Self::Future {
        let open = Open::begin(&self.facts, request.metadata());
        let method = self.method.clone();
        Box::pin(async move {
            let _open = open;
            let (metadata, _, note) = request.into_parts();
            match method.as_str() {
                "Echo" => {
                    let mut response = Response::new(note);
                    if let Some(value) = metadata.get("x-ask") {
                        response.metadata_mut().insert("x-answer", value.clone());
                    }
                    if let Some(value) = metadata.get_bin("x-ask-bin") {
                        response.metadata_mut().insert_bin("x-answer-bin", value.clone());
                    }
                    Ok(response)
                }
                "Fail" => {
                    let mut metadata = MetadataMap::new();
                    metadata.insert("x-why", "because".parse().unwrap());
                    let details = tonic::codegen::Bytes::from_static(b"\x00details\xff");
                    Err(Status::with_details_and_metadata(Code::FailedPrecondition, "caf\u{e9}: 100 %", details, metadata))
                }
                "Hang" => std::future::pending().await,
                other => Err(Status::unimplemented(other)),
            }
        })
    }
}

impl ClientStreamingService<Note> for Notes {
    type Response = Note;
    type Future = BoxFuture<Response<Note>, Status>;

    fn call(&mut self, request: Request<Streaming<Note>>) -> Self::Future {
        let open = Open::begin(&self.facts, request.metadata());
        Box::pin(async move {
            let _open = open;
            let (mut notes, mut sum, mut bytes) = (request.into_inner(), 0, 0);
            while let Some(note) = notes.message().await? {
                sum += note.number;
                bytes += note.blob.len();
            }
            Ok(Response::new(Note { number: sum, text: bytes.to_string(), blob: Vec::new() }))
        })
    }
}

impl ServerStreamingService<Note> for Notes {
    type Response = Note;
    type ResponseStream = BoxStream<Note>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Note>) -> Self::Future {
        let open = Open::begin(&self.facts, request.metadata());
        let asked = request.into_inner();
        let (send, notes) = mpsc::channel(1);
        tokio::spawn(async move {
            let _open = open;
            for number in 0.. {
                let end = asked.number != 0 && number == asked.number;
                if end || send.send(Ok(Note { number, ..asked.clone() })).await.is_err() {
                    return;
                }
            }
        });
        Box::pin(async move { Ok(Response::new(Box::pin(ReceiverStream::new(notes)) as Self::ResponseStream)) })
    }
}

impl StreamingService<Note> for Notes {
    type Response = Note;
    type ResponseStream = BoxStream<Note>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<Note>>) -> Self::Future {
        let open = Open::begin(&self.facts, request.metadata());
        let notes = request.into_inner().map(move |note| {
            let _open = &open;
            note
        });
        Box::pin(async move { Ok(Response::new(Box::pin(notes) as Self::ResponseStream)) })
    }
}

/// Where a caller connects.
#[derive(Clone)]
struct Way {
    address: SocketAddr,
    cert: Option<Arc<TestCert>>,
}

impl Service<http::Uri> for Way {
    type Response = TokioIo<Box<dyn Duplex>>;
    type Error = std::io::Error;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let way = self.clone();
        Box::pin(async move {
            let stream: Box<dyn Duplex> = match way.cert {
                Some(cert) => Box::new(tls(way.address, Some(&cert), &["h2"]).await?),
                None => Box::new(TcpStream::connect(way.address).await?),
            };
            Ok(TokioIo::new(stream))
        })
    }
}

/// A caller of `test.Notes` at the host `orders`; its connection is made with the first call.
#[derive(Clone)]
pub struct GrpcClient {
    grpc: tonic::client::Grpc<Channel>,
}

impl GrpcClient {
    /// A peer in front of an inbound listener.
    pub fn peer(address: SocketAddr, cert: &TestCert) -> Self {
        Self::to("https://orders", Way { address, cert: Some(Arc::new(cert.clone())) })
    }

    /// The app behind an outbound listener.
    pub fn app(address: SocketAddr) -> Self {
        Self::to("http://orders", Way { address, cert: None })
    }

    fn to(origin: &'static str, way: Way) -> Self {
        let endpoint = Endpoint::from_static("http://orders").origin(http::Uri::from_static(origin));
        let grpc = tonic::client::Grpc::new(endpoint.connect_with_connector_lazy(way));
        Self { grpc: grpc.max_decoding_message_size(LARGEST).max_encoding_message_size(LARGEST) }
    }

    /// Compresses what it sends, and takes compressed answers.
    pub fn compressed(mut self) -> Self {
        let gzip = tonic::codec::CompressionEncoding::Gzip;
        self.grpc = self.grpc.send_compressed(gzip).accept_compressed(gzip);
        self
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.grpc.ready().await.map_err(|error| Status::from_error(error.into()))
    }

    /// One note, one answer.
    pub async fn unary(&mut self, method: &'static str, request: Request<Note>) -> Result<Response<Note>, Status> {
        self.ready().await?;
        let path = http::uri::PathAndQuery::from_static(method);
        let call = self.grpc.unary(request, path, ProstCodec::<Note, Note>::default());
        tokio::time::timeout(PATIENCE, call).await.unwrap_or_else(|_| panic!("no answer to {method} within {PATIENCE:?}"))
    }

    /// `Echo` with a note.
    pub async fn echo(&mut self, note: Note) -> Result<Note, Status> {
        Ok(self.unary("/test.Notes/Echo", Request::new(note)).await?.into_inner())
    }

    /// `Sum` of a stream.
    pub async fn sum(&mut self, notes: impl Stream<Item = Note> + Send + 'static) -> Result<Note, Status> {
        self.ready().await?;
        let path = http::uri::PathAndQuery::from_static("/test.Notes/Sum");
        let call = self.grpc.client_streaming(Request::new(notes), path, ProstCodec::<Note, Note>::default());
        Ok(call.await?.into_inner())
    }

    /// `Count` up to a number; 0: without end.
    pub async fn count(&mut self, note: Note) -> Result<Streaming<Note>, Status> {
        self.ready().await?;
        let path = http::uri::PathAndQuery::from_static("/test.Notes/Count");
        let call = self.grpc.server_streaming(Request::new(note), path, ProstCodec::<Note, Note>::default());
        Ok(call.await?.into_inner())
    }

    /// `Chat` about a stream.
    pub async fn chat(&mut self, notes: impl Stream<Item = Note> + Send + 'static) -> Result<Streaming<Note>, Status> {
        self.ready().await?;
        let path = http::uri::PathAndQuery::from_static("/test.Notes/Chat");
        let call = self.grpc.streaming(Request::new(notes), path, ProstCodec::<Note, Note>::default());
        Ok(call.await?.into_inner())
    }
}

/// Two sidecars, one behind the other: our app's, whose outbound listener leads `orders` to the other's inbound listener.
pub struct Pair {
    /// Our app's.
    pub near: Sidecar,
    /// The peer's, in front of its app.
    pub far: Sidecar,
    /// A certificate of [`ALICE`], for `far`.
    pub alice: TestCert,
    _setups: [Setup; 2],
}

impl Pair {
    /// Starts `far`, which lets `near` and [`ALICE`] do everything, and then `near`. Each trusts the other's authority.
    pub async fn start(far: Setup, mut near: Setup) -> Self {
        let roots = near.ca.root_pem() + &far.ca.root_pem();
        for setup in [&far, &near] {
            std::fs::write(setup.path("roots.pem"), &roots).unwrap();
        }
        far.write_policy(&policy(&[("near", ORDERS, "/**"), ("alice", ALICE, "/**")]));
        let peer = Sidecar::start(&far).await;
        near.unset("inbound").set("outbound.listen", "'127.0.0.1:0'");
        let upstream = format!("hosts = ['orders']\nid = '{ORDERS}'\nprotocol = 'h2'\naddress = '{}'", peer.inbound());
        near.table("upstream", &upstream);
        let sidecar = Sidecar::start(&near).await;
        Self { near: sidecar, far: peer, alice: far.cert(ALICE), _setups: [far, near] }
    }
}
