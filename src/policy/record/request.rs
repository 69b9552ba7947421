//! The request of a record: canonical already, and without what is never logged.

use super::{Line, RecordError};
use crate::identity::{PeerIdentity, Principal, SpiffeId};
use crate::policy::{Caller, Verdict, moment};
use crate::request::{Authority, CanonicalRequest, ContentType, Noted, Trace};
use http::uri::PathAndQuery;
use http::{Method, Version};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

impl Line<'_> {
    /// When it was decided.
    pub(in crate::policy) fn at(&self) -> Result<SystemTime, RecordError> {
        self.time.as_deref().and_then(moment::parse).ok_or(RecordError::Value("time"))
    }

    /// How it ended.
    pub(in crate::policy) fn verdict(&self) -> Result<Verdict, RecordError> {
        let verdict = [Verdict::Allow, Verdict::Deny].into_iter().find(|verdict| self.decision.as_deref() == Some(verdict.as_str()));
        verdict.ok_or(RecordError::Value("decision"))
    }

    /// What was asked.
    pub(in crate::policy) fn request(&self) -> Result<CanonicalRequest, RecordError> {
        let method = self.method.as_deref().and_then(|method| Method::from_bytes(method.as_bytes()).ok());
        let target = self.path.as_deref().and_then(|path| PathAndQuery::try_from(path).ok());
        let authority = self.host.as_deref().map(Authority::parse_str).transpose().map_err(|_| RecordError::Value("dst.host"))?;
        Ok(CanonicalRequest {
            method: method.ok_or(RecordError::Value("http.method"))?,
            target: target.ok_or(RecordError::Value("http.path"))?,
            authority,
            version: Version::HTTP_11,
            content_type: self.content_type.as_deref().and_then(ContentType::named).unwrap_or_default(),
            framing: None,
            noted: Noted::default(),
            trace: Trace::None,
        })
    }

    /// The local port of the listener.
    pub(in crate::policy) fn local_port(&self) -> Result<u16, RecordError> {
        self.port.and_then(|port| u16::try_from(port).ok()).ok_or(RecordError::Value("dst.port"))
    }

    /// Who asked, with a certificate that was good at `at`.
    pub(in crate::policy) fn asker(&self, at: SystemTime) -> Result<Caller, RecordError> {
        const HOUR: Duration = Duration::from_secs(3_600);
        let identity = PeerIdentity {
            principal: self.principal()?,
            serial: String::new(),
            fingerprint: String::new(),
            issuer: String::new(),
            subject: String::new(),
            dns_names: Vec::new(),
            not_after: at + HOUR,
            not_before: at.checked_sub(HOUR).unwrap_or(at),
        };
        let ip = self.address.as_deref().and_then(|ip| ip.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let port = self.source_port.and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
        Ok(Caller::new(Some(Arc::new(identity)), SocketAddr::new(ip, port), self.local_port()?, None))
    }

    /// The identity of who asked.
    pub(in crate::policy) fn principal(&self) -> Result<Principal, RecordError> {
        let id = self.caller.as_deref().unwrap_or_default();
        if id.contains("://") {
            SpiffeId::parse(id).map(Principal::Spiffe).map_err(|_| RecordError::Value("src.id"))
        } else {
            Ok(Principal::Dns(id.into()))
        }
    }
}
