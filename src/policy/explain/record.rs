//! A line of the decision log as a question to a table.

use super::Ask;
use crate::identity::{PeerIdentity, Principal, SpiffeId};
use crate::policy::{Caller, Truth, moment};
use crate::request::{Authority, CanonicalRequest, ContentType, Noted, Trace};
use http::uri::PathAndQuery;
use http::{Method, Version};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What a record says.
#[derive(Debug)]
pub struct Record {
    /// The decision's id.
    pub id: String,
    /// When, as it stands there.
    pub time: String,
    /// `allow` or `deny`.
    pub decision: String,
    /// Why.
    pub reason: String,
    /// The rule that decided.
    pub rule: Option<String>,
    /// The table that decided: its name, its version and its hash.
    pub table: Option<(String, String, String)>,
    /// Who asked, as far as it is known.
    pub caller: Option<String>,
    /// What became of it.
    pub story: Story,
}

/// What kind of decision a record is about.
#[derive(Debug)]
pub enum Story {
    /// Rules decided, on this request.
    Rules(Box<Ask>),
    /// No rule was looked at; why, as a sentence.
    Before(&'static str),
    /// A request that rules decided, of which the record lacks something; what.
    Incomplete(&'static str),
}

/// A line that is no record of a decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is no JSON. Another line may be.
    #[error("is no JSON ({0})")]
    Syntax(String),
    /// It is JSON and no record of the decision log, or one of another kind.
    #[error("is no record of a decision: its kind is {0:?}; give a line with \"kind\":\"decision\" or \"handshake\"")]
    Kind(String),
    /// A value is none that a sidecar writes.
    #[error("has a {0} that no sidecar writes")]
    Value(&'static str),
}

impl Record {
    /// Reads one line.
    ///
    /// # Errors
    /// It is no record of a decision.
    pub fn read(line: &str) -> Result<Self, RecordError> {
        let record: Value = serde_json::from_str(line).map_err(|error| RecordError::Syntax(error.to_string()))?;
        let kind = text(&record["kind"]).unwrap_or_default();
        let story = match kind.as_str() {
            "decision" => story(&record)?,
            "handshake" => Story::Before(
                "the handshake was refused, so there never was a request; the reason says what was wrong with the certificate",
            ),
            "aggregate" => Story::Incomplete("it stands for many denials that came too fast for a record each, and has no path"),
            _ => return Err(RecordError::Kind(kind)),
        };
        let table = text(&record["policy_sha256"])
            .map(|hash| (text(&record["policy"]).unwrap_or_default(), text(&record["policy_version"]).unwrap_or_default(), hash));
        Ok(Self {
            id: text(&record["id"]).ok_or(RecordError::Value("id"))?,
            time: text(&record["time"]).ok_or(RecordError::Value("time"))?,
            decision: text(&record["decision"]).ok_or(RecordError::Value("decision"))?,
            reason: text(&record["reason"]).ok_or(RecordError::Value("reason"))?,
            rule: text(&record["rule"]),
            table,
            caller: text(&record["src"]["id"]).or_else(|| text(&record["src"]["ip"])),
            story,
        })
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn story(record: &Value) -> Result<Story, RecordError> {
    let reason = record["reason"].as_str().unwrap_or_default();
    if record["dir"] == "outbound" {
        return Ok(Story::Before(
            "it went out: the route of the host decided, which is an [[upstream]] of the configuration and no rule of the table",
        ));
    }
    let by_rules = ["rule", "shadow", "explicit_deny", "implicit_deny"].contains(&reason);
    // What the data path refused after a rule had let it pass keeps the rule.
    if !by_rules && record["rule"].is_null() {
        return Ok(Story::Before(match reason {
            "no_policy" => "there was no usable table, so everything was denied; the process log says what was wrong with it",
            _ if reason.starts_with("malformed:") => "the request could not be read in one way only, so no rule was looked at",
            _ if reason.starts_with("unauthenticated:") => "the caller had no usable identity, so no rule was looked at",
            _ => "it was refused for a reason that no rule has a part in",
        }));
    }
    if record["cut"] == true {
        return Ok(Story::Incomplete("something in it was too long for the record and is cut"));
    }
    if record["src"]["id"].is_null() {
        return Ok(Story::Incomplete("it has no identity of a caller"));
    }
    Ok(Story::Rules(Box::new(ask(record)?)))
}

/// The request of a record: canonical already, and without what is never logged.
fn ask(record: &Value) -> Result<Ask, RecordError> {
    let at = record["time"].as_str().and_then(moment::parse).ok_or(RecordError::Value("time"))?;
    let (http, dst) = (&record["http"], &record["dst"]);
    let method = http["method"].as_str().and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    let target = http["path"].as_str().and_then(|path| PathAndQuery::try_from(path).ok());
    let authority = dst["host"].as_str().map(Authority::parse_str).transpose().map_err(|_| RecordError::Value("dst.host"))?;
    let port = dst["port"].as_u64().and_then(|port| u16::try_from(port).ok());
    let request = CanonicalRequest {
        method: method.ok_or(RecordError::Value("http.method"))?,
        target: target.ok_or(RecordError::Value("http.path"))?,
        authority,
        version: Version::HTTP_11,
        content_type: http["ctype"].as_str().and_then(ContentType::named).unwrap_or_default(),
        framing: None,
        noted: Noted::default(),
        trace: Trace::None,
    };
    let caller = caller(record, at, port.ok_or(RecordError::Value("dst.port"))?)?;
    Ok(Ask { caller, request: Ok(request), at, claims: None, conditions: Some(conditions(&record["conds"])?) })
}

fn caller(record: &Value, at: SystemTime, port: u16) -> Result<Caller, RecordError> {
    let id = record["src"]["id"].as_str().unwrap_or_default();
    let principal = if id.contains("://") {
        Principal::Spiffe(SpiffeId::parse(id).map_err(|_| RecordError::Value("src.id"))?)
    } else {
        Principal::Dns(id.into())
    };
    let hour = Duration::from_secs(3_600);
    let identity = PeerIdentity {
        principal,
        serial: String::new(),
        fingerprint: String::new(),
        issuer: String::new(),
        subject: String::new(),
        dns_names: Vec::new(),
        not_after: at + hour,
        not_before: at - hour,
    };
    let ip = record["src"]["ip"].as_str().and_then(|ip| ip.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let source = SocketAddr::new(ip, record["src"]["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or_default());
    Ok(Caller::new(Some(Arc::new(identity)), source, port, None))
}

fn conditions(conds: &Value) -> Result<BTreeMap<String, Truth>, RecordError> {
    let wrong = RecordError::Value("conds");
    let entry = |entry: &Value| {
        let truth = match entry["result"].as_str()? {
            "t" => Truth::True,
            "f" => Truth::False,
            "u" => Truth::Unknown,
            _ => return None,
        };
        Some((entry["cond"].as_str()?.to_owned(), truth))
    };
    match conds {
        Value::Null => Ok(BTreeMap::new()),
        Value::Array(entries) => entries.iter().map(entry).collect::<Option<_>>().ok_or(wrong),
        _ => Err(wrong),
    }
}
