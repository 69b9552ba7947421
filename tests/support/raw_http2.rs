//! HTTP/2 by the frame (RFC 9113): frames are sent as they are given, and read one by one.

use super::raw::{Duplex, End, RawAnswer, Wire};
use loona_hpack::Decoder;
use std::collections::{BTreeMap, VecDeque};

/// Frame types (RFC 9113, section 6).
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Frame flags (RFC 9113, section 6).
pub mod flag {
    pub const NONE: u8 = 0;
    pub const ACK: u8 = 0x1;
    pub const END_STREAM: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// Error codes (RFC 9113, section 7).
pub mod code {
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL_ERROR: u32 = 1;
    pub const INTERNAL_ERROR: u32 = 2;
    pub const FLOW_CONTROL_ERROR: u32 = 3;
    pub const STREAM_CLOSED: u32 = 5;
    pub const FRAME_SIZE_ERROR: u32 = 6;
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const COMPRESSION_ERROR: u32 = 9;
    pub const ENHANCE_YOUR_CALM: u32 = 11;
}

/// Identifiers of settings (RFC 9113, section 6.5.2; RFC 8441, section 3).
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

/// What a client begins with (RFC 9113, section 3.4), before its SETTINGS.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame that came. A header block in several frames is one HEADERS with the whole block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFrame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; zero: the connection.
    pub stream: u32,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Of HEADERS: the fields, pseudo-headers as well.
    pub fields: Vec<(String, Vec<u8>)>,
}

impl RawFrame {
    /// Whether all bits of `flag` are set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag == flag
    }

    /// The error code of a RST_STREAM or GOAWAY.
    pub fn code(&self) -> u32 {
        self.number(if self.kind == kind::GOAWAY { 4 } else { 0 })
    }

    fn number(&self, from: usize) -> u32 {
        u32::from_be_bytes(self.payload[from..from + 4].try_into().unwrap())
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A whole response.
    Answer(RawAnswer),
    /// A RST_STREAM with this code.
    Reset(u32),
    /// A GOAWAY with this error code, which is not `NO_ERROR`.
    GoAway(u32),
    /// The end of the connection without either.
    Ended(End),
}

/// An HTTP/2 connection; dropping it closes it.
///
/// It acknowledges SETTINGS and returns the window of DATA that it reads, unless it is told not to.
pub struct RawHttp2 {
    wire: Wire,
    decoder: Decoder<'static>,
    /// `:scheme` of [`RawHttp2::head`].
    pub scheme: &'static str,
    /// Whether SETTINGS are acknowledged.
    pub acknowledges: bool,
    /// Whether the window of DATA that was read is returned.
    pub returns_window: bool,
    /// The settings that the server announced.
    pub settings: BTreeMap<u16, u32>,
    /// Frames that were read while another was awaited.
    aside: VecDeque<RawFrame>,
}

/// Sending.
impl RawHttp2 {
    /// Speaks over any stream.
    pub fn over(stream: impl Duplex + 'static, scheme: &'static str) -> Self {
        let (settings, aside) = Default::default();
        let (wire, decoder) = (Wire::over(stream), Decoder::new());
        Self { wire, decoder, scheme, acknowledges: true, returns_window: true, settings, aside }
    }

    /// Sends the preface and empty SETTINGS.
    pub async fn preface(&mut self) {
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(kind::SETTINGS, flag::NONE, 0, b""));
        self.send(bytes).await;
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire.send(bytes.as_ref()).await;
    }

    /// Ends our side; the other may go on.
    pub async fn shutdown(&mut self) {
        self.wire.shutdown().await;
    }

    /// Sends a frame.
    pub async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) {
        self.send(frame(kind, flags, stream, payload.as_ref())).await;
    }

    /// The pseudo-headers of a request for a path of `orders`.
    pub fn head<'h>(&self, method: &'h str, path: &'h str) -> Vec<(&'h str, &'h str)> {
        vec![(":method", method), (":scheme", self.scheme), (":path", path), (":authority", "orders")]
    }

    /// Sends a `GET` for a path of `orders`.
    pub async fn get(&mut self, stream: u32, path: &str) {
        let head = self.head("GET", path);
        self.headers(stream, &head, true).await;
    }

    /// Sends HEADERS with these fields and nothing else: the whole block, literally, without indexing.
    pub async fn headers<N: AsRef<[u8]>, V: AsRef<[u8]>>(&mut self, stream: u32, fields: &[(N, V)], end_stream: bool) {
        let flags = flag::END_HEADERS | if end_stream { flag::END_STREAM } else { flag::NONE };
        self.frame(kind::HEADERS, flags, stream, block(fields)).await;
    }

    /// Sends a piece of a header block that HEADERS without END_HEADERS began.
    pub async fn continuation(&mut self, stream: u32, piece: impl AsRef<[u8]>, end_headers: bool) {
        self.frame(kind::CONTINUATION, if end_headers { flag::END_HEADERS } else { flag::NONE }, stream, piece).await;
    }

    /// Sends DATA.
    pub async fn data(&mut self, stream: u32, bytes: impl AsRef<[u8]>, end_stream: bool) {
        self.frame(kind::DATA, if end_stream { flag::END_STREAM } else { flag::NONE }, stream, bytes).await;
    }

    /// Sends SETTINGS.
    pub async fn settings(&mut self, settings: &[(u16, u32)]) {
        let payload: Vec<u8> = settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        self.frame(kind::SETTINGS, flag::NONE, 0, payload).await;
    }

    /// Sends a WINDOW_UPDATE.
    pub async fn window_update(&mut self, stream: u32, increment: u32) {
        self.frame(kind::WINDOW_UPDATE, flag::NONE, stream, increment.to_be_bytes()).await;
    }

    /// Sends a PING.
    pub async fn ping(&mut self, payload: [u8; 8]) {
        self.frame(kind::PING, flag::NONE, 0, payload).await;
    }

    /// Sends a RST_STREAM.
    pub async fn rst(&mut self, stream: u32, code: u32) {
        self.frame(kind::RST_STREAM, flag::NONE, stream, code.to_be_bytes()).await;
    }
}

/// Reading.
impl RawHttp2 {
    /// The next frame of the connection; `None` at its end.
    pub async fn next(&mut self) -> Option<RawFrame> {
        match self.aside.pop_front() {
            Some(frame) => Some(frame),
            None => self.read().await,
        }
    }

    /// The next frame that `wanted` takes, of those set aside and those to come; `None` where the connection ends before. Others are set aside.
    pub async fn until(&mut self, wanted: impl Fn(&RawFrame) -> bool) -> Option<RawFrame> {
        if let Some(frame) = self.aside(&wanted) {
            return Some(frame);
        }
        loop {
            match self.read().await? {
                frame if wanted(&frame) => return Some(frame),
                frame => self.aside.push_back(frame),
            }
        }
    }

    /// The next frame that `wanted` takes, of those set aside.
    pub fn aside(&mut self, wanted: impl Fn(&RawFrame) -> bool) -> Option<RawFrame> {
        let at = self.aside.iter().position(wanted)?;
        self.aside.remove(at)
    }

    /// What becomes of the request on a stream. A 1xx before the response is left out.
    pub async fn outcome(&mut self, stream: u32) -> Outcome {
        let mut answer: Option<RawAnswer> = None;
        loop {
            let about = |frame: &RawFrame| {
                let ours = frame.stream == stream && matches!(frame.kind, kind::HEADERS | kind::DATA | kind::RST_STREAM);
                ours || frame.kind == kind::GOAWAY && frame.code() != code::NO_ERROR
            };
            let Some(frame) = self.until(about).await else { return Outcome::Ended(self.wire.end.unwrap()) };
            match (frame.kind, &mut answer) {
                (kind::RST_STREAM, _) => return Outcome::Reset(frame.code()),
                (kind::GOAWAY, _) => return Outcome::GoAway(frame.code()),
                (kind::HEADERS, Some(answer)) => answer.trailers.clone_from(&frame.fields),
                (kind::HEADERS, None) => answer = head(&frame),
                (_, Some(answer)) => answer.body.extend(data(&frame)),
                (_, None) => panic!("DATA before HEADERS"),
            }
            if frame.has(flag::END_STREAM) {
                return Outcome::Answer(answer.unwrap());
            }
        }
    }

    /// The response on a stream; panics where there is none.
    pub async fn response(&mut self, stream: u32) -> RawAnswer {
        match self.outcome(stream).await {
            Outcome::Answer(answer) => answer,
            other => panic!("stream {stream}: {other:?} instead of a response"),
        }
    }

    /// Waits for RST_STREAM on a stream and gives its code; `None` where the connection ends before.
    pub async fn reset(&mut self, stream: u32) -> Option<u32> {
        Some(self.until(|frame| frame.kind == kind::RST_STREAM && frame.stream == stream).await?.code())
    }

    /// Waits for a GOAWAY and gives its last stream and its code; `None` where the connection ends before.
    pub async fn goaway(&mut self) -> Option<(u32, u32)> {
        let frame = self.until(|frame| frame.kind == kind::GOAWAY).await?;
        Some((frame.number(0) & 0x7fff_ffff, frame.code()))
    }

    /// Waits for the end of the connection; what was read before it stays readable.
    pub async fn ended(&mut self) -> End {
        while let Some(frame) = self.read().await {
            self.aside.push_back(frame);
        }
        self.wire.end.unwrap()
    }

    /// Sends a PING and waits for its answer: everything sent before has been looked at. `false` where the connection ends before.
    pub async fn round_trip(&mut self) -> bool {
        const PAYLOAD: [u8; 8] = *b"round-tr";
        self.ping(PAYLOAD).await;
        self.until(|frame| frame.kind == kind::PING && frame.has(flag::ACK) && frame.payload == PAYLOAD).await.is_some()
    }

    /// One frame off the wire, a header block as a whole.
    async fn read(&mut self) -> Option<RawFrame> {
        let mut frame = self.read_one().await?;
        match frame.kind {
            kind::HEADERS => {
                while !frame.has(flag::END_HEADERS) {
                    let next = self.read_one().await?;
                    assert_eq!((next.kind, next.stream), (kind::CONTINUATION, frame.stream), "a header block is not interrupted");
                    frame.payload.extend(next.payload);
                    frame.flags |= next.flags;
                }
                assert!(!frame.has(flag::PADDED) && !frame.has(flag::PRIORITY), "servers send plain HEADERS");
                let fields = self.decoder.decode(&frame.payload).unwrap_or_else(|error| panic!("HPACK: {error:?}"));
                frame.fields = fields.into_iter().map(|(name, value)| (String::from_utf8(name).unwrap(), value)).collect();
            }
            kind::SETTINGS if !frame.has(flag::ACK) => {
                for setting in frame.payload.chunks_exact(6) {
                    let value = u32::from_be_bytes(setting[2..].try_into().unwrap());
                    self.settings.insert(u16::from_be_bytes([setting[0], setting[1]]), value);
                }
                if self.acknowledges {
                    self.frame(kind::SETTINGS, flag::ACK, 0, b"").await;
                }
            }
            kind::DATA if self.returns_window && !frame.payload.is_empty() => {
                let length = u32::try_from(frame.payload.len()).unwrap();
                self.window_update(0, length).await;
                if !frame.has(flag::END_STREAM) {
                    self.window_update(frame.stream, length).await;
                }
            }
            _ => {}
        }
        Some(frame)
    }

    async fn read_one(&mut self) -> Option<RawFrame> {
        loop {
            if let Some(head) = self.wire.read.first_chunk::<9>().copied() {
                let length = 9 + u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                if self.wire.read.len() >= length {
                    let payload = self.wire.read.split_to(length)[9..].to_vec();
                    let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
                    return Some(RawFrame { kind: head[3], flags: head[4], stream, payload, fields: Vec::new() });
                }
            }
            if !self.wire.more("an HTTP/2 frame").await {
                return None;
            }
        }
    }
}

/// A frame's bytes. Its length is the payload's, its stream is not masked.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block: each field literally, without indexing and without Huffman's code (RFC 7541, section 6.2.2).
pub fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        block.extend(string(name.as_ref()));
        block.extend(string(value.as_ref()));
    }
    block
}

/// A string without Huffman's code (RFC 7541, section 5.2).
pub fn string(text: &[u8]) -> Vec<u8> {
    [&integer(0, 7, text.len())[..], text].concat()
}

/// An integer behind the bits that `first` has above its lowest `prefix` (RFC 7541, section 5.1).
pub fn integer(first: u8, prefix: u32, value: usize) -> Vec<u8> {
    let most = (1 << prefix) - 1;
    if value < most {
        return vec![first | u8::try_from(value).unwrap()];
    }
    let (mut bytes, mut left) = (vec![first | u8::try_from(most).unwrap()], value - most);
    while left >= 0x80 {
        bytes.push(0x80 | (left & 0x7f) as u8);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes
}

/// A response's head; `None` of a 1xx.
fn head(frame: &RawFrame) -> Option<RawAnswer> {
    let (pseudo, fields): (Vec<_>, Vec<_>) = frame.fields.iter().cloned().partition(|(name, _)| name.starts_with(':'));
    assert_eq!(pseudo.len(), 1, "a response has one pseudo-header: {:?}", frame.fields);
    let status = std::str::from_utf8(&pseudo[0].1).unwrap().parse().unwrap();
    (status >= 200).then_some(RawAnswer { status, fields, body: Vec::new(), trailers: Vec::new() })
}

/// The bytes of DATA without padding.
fn data(frame: &RawFrame) -> &[u8] {
    assert!(!frame.has(flag::PADDED), "servers send plain DATA");
    &frame.payload
}
