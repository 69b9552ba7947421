//! Requests that ask to switch protocols: HTTP/1.1 upgrades (RFC 9110, section 7.8), and WebSocket by extended CONNECT on HTTP/2 (RFC 8441), which
//! is decided as the GET that it stands for and sent on as an HTTP/1.1 upgrade.
//!
//! Until the app or peer has answered 101, the request is a request like any other, and nothing is a tunnel. Then the client is told, and the
//! exchange goes on as a [`Tunnel`].

use super::body::{Download, Upload};
use super::error::Failure;
use super::exchange::ExchangeGuard;
use super::forward::{deliver, unless_ended};
use super::headers::{self, Length};
use super::tunnel::Tunnel;
use crate::audit::Direction;
use crate::request::{CanonicalRequest, Malformed, Offered};
use crate::runtime::tasks::spawn_local;
use crate::upstream::Lease;
use aws_lc_rs::{digest, rand};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, TE, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::rc::Rc;

/// What makes the answer to a key (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A request's wish to switch protocols.
pub struct Asked {
    offered: Offered,
    form: Form,
}

/// How it was asked for, which is how it is answered.
enum Form {
    /// `Upgrade`: 101, and then the connection is the tunnel.
    Http1,
    /// Extended CONNECT: 200, and then the stream is the tunnel.
    Http2 { stream: OnUpgrade, key: HeaderValue, accept: HeaderValue },
}

/// Takes the wish to switch protocols out of a request. An extended CONNECT becomes the GET that is decided.
///
/// # Errors
/// The wish is none that can be understood or translated.
pub fn asked(parts: &mut Parts) -> Result<Option<Box<Asked>>, Malformed> {
    // hyper leaves it with every `Upgrade` field and every CONNECT, so all other requests are done here.
    let Some(stream) = parts.extensions.remove::<OnUpgrade>() else { return Ok(None) };
    if parts.method != Method::CONNECT {
        let offered = Offered::read(&parts.headers)?;
        return Ok(offered.map(|offered| Box::new(Asked { offered, form: Form::Http1 })));
    }
    let Some(protocol) = parts.extensions.remove::<Protocol>() else { return Ok(None) };
    if protocol.as_ref() != b"websocket" {
        return Err(Malformed::ConnectProtocol);
    }
    // Without randomness there is no key: nothing to translate with.
    let key = random_key().ok_or(Malformed::ConnectProtocol)?;
    let accept = accept(&key).ok_or(Malformed::ConnectProtocol)?;
    parts.method = Method::GET;
    Ok(Some(Box::new(Asked { offered: Offered::websocket(), form: Form::Http2 { stream, key, accept } })))
}

/// The value of `Sec-WebSocket-Key`: 16 random bytes (RFC 6455, section 4.1).
fn random_key() -> Option<HeaderValue> {
    let mut key = [0; 16];
    rand::fill(&mut key).ok()?;
    HeaderValue::try_from(BASE64_STANDARD.encode(key)).ok()
}

/// The value of `Sec-WebSocket-Accept` that proves that `key` was read (RFC 6455, section 4.2.2).
fn accept(key: &HeaderValue) -> Option<HeaderValue> {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(GUID);
    HeaderValue::try_from(BASE64_STANDARD.encode(hash.finish())).ok()
}

impl Asked {
    /// Sets what asks the next hop for the same.
    pub fn ask(&self, headers: &mut HeaderMap) {
        let options = if headers.contains_key(TE) { "te, upgrade" } else { "upgrade" };
        headers.insert(CONNECTION, HeaderValue::from_static(options));
        headers.insert(UPGRADE, self.offered.field().clone());
        if let Form::Http2 { key, .. } = &self.form {
            headers.insert(SEC_WEBSOCKET_KEY, key.clone());
        }
    }

    /// The answer for the client; after a 101 its connection or stream becomes a tunnel.
    ///
    /// # Errors
    /// The other side switched to something that nobody asked for, or did not prove that it read the key.
    pub async fn answered(
        self,
        response: Response<Incoming>,
        mut lease: Lease<Upload>,
        guard: ExchangeGuard,
        request: &CanonicalRequest,
    ) -> Result<Response<Download>, (Failure, ExchangeGuard)> {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            // To an extended CONNECT any 2xx would say that the tunnel is there.
            let ambiguous = matches!(self.form, Form::Http2 { .. }) && response.status().is_success();
            return if ambiguous { Err((Failure::NotSwitched, guard)) } else { deliver(response, lease, guard, &request.method) };
        }
        let (parts, _) = response.into_parts();
        let mut headers = parts.headers;
        // A request that is still being sent would go on inside the tunnel.
        let chosen = self.offered.chosen(&headers).filter(|_| guard.exchange.is_uploaded());
        let Some(chosen) = chosen else { return Err((Failure::UnaskedStatus, guard)) };
        if let Form::Http2 { accept, .. } = &self.form
            && headers.get(SEC_WEBSOCKET_ACCEPT) != Some(accept)
        {
            return Err((Failure::NotSwitched, guard));
        }
        let switched = match unless_ended(&guard, lease.switched()).await {
            Ok(Some(switched)) => switched,
            Ok(None) => return Err((Failure::NotSwitched, guard)),
            Err(ended) => return Err((ended, guard)),
        };
        headers::clean_response(&mut headers, Length::None, guard.direction() == Direction::Outbound);
        Ok(self.form.open(headers, chosen, guard, |guard| Tunnel::new(guard, switched, lease)))
    }
}

impl Form {
    /// Tells the client, and opens the tunnel behind the answer.
    fn open(
        self,
        mut headers: HeaderMap,
        chosen: HeaderValue,
        guard: ExchangeGuard,
        tunnel: impl FnOnce(ExchangeGuard) -> Tunnel,
    ) -> Response<Download> {
        let status = match self {
            Self::Http1 => {
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
                headers.insert(UPGRADE, chosen);
                guard.switched(StatusCode::SWITCHING_PROTOCOLS);
                let connection = Rc::clone(guard.connection());
                connection.switch(tunnel(guard));
                StatusCode::SWITCHING_PROTOCOLS
            }
            Self::Http2 { stream, .. } => {
                headers.remove(SEC_WEBSOCKET_ACCEPT);
                guard.switched(StatusCode::OK);
                let tunnel = tunnel(guard);
                drop(spawn_local("tunnel", over_stream(stream, tunnel)));
                StatusCode::OK
            }
        };
        let mut response = Response::new(Download::Own(None));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        *response.version_mut() = Version::HTTP_11;
        response
    }
}

/// What the client sends in DATA frames before the 200 cannot be taken for a request: no bytes are early here.
async fn over_stream(stream: OnUpgrade, tunnel: Tunnel) {
    // Not before the answer has left; and not at all if the client has gone.
    if let Ok(stream) = stream.await {
        tunnel.run(TokioIo::new(stream), Bytes::new()).await;
    }
}
