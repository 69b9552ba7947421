//! Every limit and time-out of the data path: its unit, from which event to which event it runs, its default and why.

use std::time::Duration;

/// Streams that a client resets before they reach us, of one HTTP/2 connection at one moment: more end it (GOAWAY, ENHANCE_YOUR_CALM). A client whose
/// requests time out all together resets what it has open, and we may look late.
pub const H2_PENDING_RESETS: usize = 100;

/// Streams that a client makes us reset by errors of its own, in the life of one HTTP/2 connection: more end it. A good client makes none.
pub const H2_STREAM_ERRORS: usize = 100;

/// What the frames of an HTTP/2 client may cost before they bring something on: a frame that carries neither a request nor a body costs 1, and each
/// response head or piece of body that we send gives 4 back. A client that has spent it all is cut as `h2_flood`. 10,000: a good client spends a handful.
pub const H2_CREDIT: u64 = 10_000;

/// How much of [`H2_CREDIT`] comes back each second. 1,000: as many PINGs take one percent of a core.
pub const H2_CREDIT_PER_SECOND: u64 = 1_000;

/// What a stream costs that the client resets, or makes us reset: 2,000 at once and 200 a second, beside those that our answers pay for. Each may have
/// cost a decision and a connection to the app; a client with 256 streams and a hanging app resets as many each time that they time out.
pub const H2_RESET_COST: u64 = 5;

/// What a SETTINGS frame costs: it may touch every open stream.
pub const H2_SETTINGS_COST: u64 = 10;

/// `[limits]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Open inbound connections of the process; more wait in the kernel's backlog. Default 10,000: about 300 MB at worst.
    pub connections: usize,
    /// Handshakes under way at once. Default 256: a flood of them costs CPU, not the connections that are already there.
    pub handshakes: usize,
    /// Requests between decision and end, over all connections of a direction; more get 503 `shed`. Default 4,096.
    pub in_flight: usize,
    /// The share of `in_flight` that one identity may hold, 0.0 to 1.0; more get 503 `shed_identity`. Default 0.5.
    pub in_flight_per_identity: f64,
    /// Bytes of a request head (HTTP/2: of a header list). Default 64 KiB; more get 431.
    pub head_bytes: usize,
    /// Header fields of a request. Default 100; more get 431.
    pub head_fields: usize,
    /// Bytes of a request body; more get 413 or a cut. Default 0: unlimited.
    pub max_body: u64,
    /// Concurrent HTTP/2 streams of one connection. Default 256.
    pub h2_streams: u32,
    /// Bytes that all connections hold for peers and apps that do not take them, estimated ten times a second. Above three quarters of it, connections
    /// that hold more than 128 KiB get 503 `buffers_full` for new requests, and new HTTP/2 connections small windows; above it, those that hold most are
    /// cut. Default 256 MiB.
    pub buffered_bytes: u64,
    /// Age at which a connection's graceful end begins, ± 10 %. Default 1 h: balances load again, cuts nothing. Zero: never.
    pub max_connection_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            handshakes: 256,
            in_flight: 4_096,
            in_flight_per_identity: 0.5,
            head_bytes: 64 << 10,
            head_fields: 100,
            max_body: 0,
            h2_streams: 256,
            buffered_bytes: 256 << 20,
            max_connection_age: Duration::from_secs(3_600),
        }
    }
}

/// `[timeouts]`. Zero switches off only where it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// From accept to the end of the handshake, and from connect to the peer's; with HTTP/2 upstream, to its SETTINGS as well. Default 5 s.
    pub handshake: Duration,
    /// From the first byte of a request (or from the handshake to the HTTP/2 preface) to the end of its head. Default 10 s.
    pub head: Duration,
    /// From the end of a response to the next request, inbound. Default 60 s.
    pub idle: Duration,
    /// From the end of a response to the reuse of the connection, towards peers. Default 30 s: shorter than the peer's `idle`.
    pub pool_idle: Duration,
    /// The same towards the app. Default 1 s: common app servers close after 2 to 5 s.
    pub app_pool_idle: Duration,
    /// From data that waits to be written to the reader (client, app or peer) taking some of it, or from one piece of a request body of declared
    /// length to the next. Default 30 s. Buffers take what they can first: a reader below some 4 KiB/s may look like one that has stopped.
    pub body_idle: Duration,
    /// No byte either way on an open request. Default 1 h; zero: never.
    pub stream_idle: Duration,
    /// No byte either way in a tunnel: a WebSocket, or whatever else a connection was upgraded to. Default 10 min.
    pub tunnel_idle: Duration,
    /// From the last request byte to the response head. Default 60 s; zero: never.
    pub response_head: Duration,
    /// From the connect call to a connected socket. Default 2 s; the handshake that follows has `handshake`.
    pub connect: Duration,
    /// From the stop signal to the end of accepting: load balancers notice meanwhile. Default 3 s.
    pub pre_drain: Duration,
    /// From the stop signal's pre-drain to the cut, both directions. Default 20 s.
    pub drain: Duration,
    /// How long before a certificate's end the graceful end of its connections begins, at most a tenth of what was left at the handshake. Default 30 s.
    pub drain_grace: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            handshake: s(5),
            head: s(10),
            idle: s(60),
            pool_idle: s(30),
            app_pool_idle: s(1),
            body_idle: s(30),
            stream_idle: s(3_600),
            tunnel_idle: s(600),
            response_head: s(60),
            connect: s(2),
            pre_drain: s(3),
            drain: s(20),
            drain_grace: s(30),
        }
    }
}
