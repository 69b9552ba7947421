//! `[[case]]`: tests that travel with the table.

use super::fields::{self, each};
use super::{Context, claims, rule};
use crate::document::{Document, Place, Section};
use crate::identity::pattern::PrincipalPattern;
use crate::identity::{Channel, Group, PeerIdentity, Principal, SpiffeId};
use crate::policy::decide::decide_given;
use crate::policy::jwt::Claims;
use crate::policy::{Caller, Denial, Facts, Reason, RuleFacts, Snapshot, Table, Verdict, mentioned};
use crate::request::{CanonicalRequest, ContentType, Listener, Malformed, Mentioned, Strictness, canonicalize};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The channel of a case: what two peers that are up to date agree on.
const CHANNEL: Channel =
    Channel { version: "1.3", cipher: "TLS13_AES_256_GCM_SHA384", group: Some(Group::X25519MlKem768), alpn: "h2", sni: None };

/// One request and what the table must say to it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) from: Principal,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) host: Option<String>,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) ctype: ContentType,
    /// Absent: whatever token is among the headers.
    pub(crate) claims: Option<Claims>,
    /// Absent in the text: the port of the first inbound listener.
    pub(crate) port: Option<u16>,
    /// Absent: 127.0.0.1.
    pub(crate) source_ip: Option<IpAddr>,
    /// Absent: an hour.
    pub(crate) cert_age: Option<Duration>,
    /// Absent: the time of the load.
    pub(crate) at: Option<SystemTime>,
    pub(crate) expect: Verdict,
    pub(crate) rule: Option<String>,
    default_port: u16,
    expect_place: Place,
    rule_place: Place,
}

impl Case {
    /// Reads one case; what is wrong is noted.
    pub(super) fn read(section: Section<'_>, context: &Context<'_>) -> Option<Self> {
        let name = required(&section, "name", "what the case is about", |text| Ok(text.to_owned()));
        let from = required(&section, "from", "a SPIFFE id or a DNS name", principal);
        let method = required(&section, "method", "as in \"GET\"", rule::method);
        let path = required(&section, "path", "as in \"/orders/17\"", |text| Ok(text.to_owned()));
        let expect = required(&section, "expect", "\"allow\" or \"deny\"", verdict);
        let host = section.str("host").map(|host| host.value);
        let headers = headers(&section);
        let ctype = ctype(&section, &headers);
        let claims = claims::of_case(&section, context);
        let port = section.integer("port").and_then(|port| fields::port(&section, &port.place, port.value, &context.listeners.ports));
        let source_ip = section.str("source_ip").and_then(|item| each(&section, item, address));
        let cert_age = fields::duration(&section, "cert_age");
        let at = fields::time(&section, "at");
        let rule = section.str("rule").map(|rule| rule.value);
        let (expect_place, rule_place) = (section.place_of("expect"), section.place_of("rule"));
        section.close();
        Some(Self {
            name: name?,
            from: from?,
            method: method?,
            path: path?,
            host,
            headers,
            ctype,
            claims,
            port,
            source_ip,
            cert_age,
            at,
            expect: expect?,
            rule,
            default_port: context.listeners.ports.first().copied().unwrap_or_default(),
            expect_place,
            rule_place,
        })
    }

    /// Decides the case as the proxy would, and notes it when the table says something else.
    pub(super) fn check(&self, table: &Arc<Table>, now: SystemTime, document: &Document<'_>) {
        const INSTEAD: &str = "correct the rules or the case";
        let wanted = self.rule.as_deref();
        if let Some(wanted) = wanted.filter(|wanted| !table.rules().any(|rule| rule.id == *wanted)) {
            document.report(self.rule_place.clone(), format!("`{wanted}` is no rule"), "name a rule of this table by its id");
            return;
        }
        let (verdict, facts) = self.decide(&Some(Arc::new(Arc::clone(table).into())), self.at.unwrap_or(now));
        let asks_the_hour = facts.conditions().iter().any(|looked| table.asks_the_hour(&looked.condition, self.claims.as_ref()));
        if self.at.is_none() && asks_the_hour {
            let what = format!("case `{}` hangs on the hour at which the table is loaded", self.name);
            document.report(self.expect_place.clone(), what, "add at = \"2026-12-01T12:00:00Z\", a time for which it holds");
            return;
        }
        let (verdict, rule) = told(verdict, &facts);
        let by = rule.as_ref().map_or_else(|| facts.reason.text().into_owned(), |rule| format!("rule `{}`", rule.id));
        if verdict != self.expect {
            let what = format!("case `{}` expects {} and gets {} by {by}", self.name, self.expect.as_str(), verdict.as_str());
            document.report(self.expect_place.clone(), what, INSTEAD);
        } else if let Some(wanted) = wanted.filter(|wanted| rule.is_none_or(|rule| rule.id != *wanted)) {
            let what = format!("case `{}` expects rule `{wanted}` to decide and it is {by}", self.name);
            document.report(self.rule_place.clone(), what, INSTEAD);
        }
    }

    pub(in crate::policy) fn decide(&self, table: &Snapshot, at: SystemTime) -> (Verdict, Facts) {
        let caller = self.caller(at);
        let decision = match self.request(&mentioned(table)) {
            Ok(request) => decide_given(table, &caller, &request, at, self.claims.as_ref()),
            Err(malformed) => Err(Box::new(Denial::malformed(malformed, table))),
        };
        match decision {
            Ok(permit) => (Verdict::Allow, permit.facts().clone()),
            Err(denial) => (Verdict::Deny, denial.facts),
        }
    }

    /// Who asks, on a connection that is fine.
    pub(crate) fn caller(&self, at: SystemTime) -> Caller {
        let source = self.source_ip.unwrap_or(Ipv4Addr::LOCALHOST.into());
        caller(self.from.clone(), self.cert_age, source, self.port.unwrap_or(self.default_port), at)
    }

    /// The request through the same canonical function; without `host` it is an HTTP/1.0 request that has none.
    pub(crate) fn request(&self, mentioned: &Mentioned) -> Result<CanonicalRequest, Malformed> {
        let uri = Uri::try_from(self.path.as_str()).map_err(|_| Malformed::Target)?;
        let mut headers = HeaderMap::new();
        let version = match &self.host {
            None => Version::HTTP_10,
            Some(host) => {
                headers.insert(HOST, HeaderValue::from_str(host).map_err(|_| Malformed::Host)?);
                Version::HTTP_11
            }
        };
        for (name, value) in &self.headers {
            headers.insert(name.clone(), HeaderValue::from_str(value).map_err(|_| Malformed::Http1Parse)?);
        }
        if let Some(example) = self.ctype.example() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(example));
        }
        canonicalize(&self.method, &uri, version, &headers, &Strictness::default(), Listener::Inbound, mentioned)
    }
}

/// A caller as cases mean it, with a certificate that is valid at `at` and an hour old unless said otherwise.
pub(super) fn caller(from: Principal, age: Option<Duration>, source: IpAddr, port: u16, at: SystemTime) -> Caller {
    const HOUR: Duration = Duration::from_secs(3_600);
    let identity = PeerIdentity {
        principal: from,
        serial: String::new(),
        fingerprint: String::new(),
        issuer: String::new(),
        subject: String::new(),
        dns_names: Vec::new(),
        not_after: at + HOUR,
        not_before: at - age.unwrap_or(HOUR),
    };
    Caller::new(Some(Arc::new(identity)), SocketAddr::new(source, 0), port, Some(CHANNEL))
}

/// What the rules say, also where the table is in shadow and lets pass what they deny.
pub(super) fn told(verdict: Verdict, facts: &Facts) -> (Verdict, Option<Arc<RuleFacts>>) {
    let (verdict, rule) = match &facts.would {
        Some(would) if facts.reason == Reason::Shadow => (would.verdict, &would.rule),
        _ => (verdict, &facts.rule),
    };
    (verdict, rule.clone())
}

pub(super) fn required<T>(
    section: &Section<'_>,
    key: &'static str,
    instead: &str,
    read: impl Fn(&str) -> Result<T, (String, String)>,
) -> Option<T> {
    if !section.has(key) {
        section.problem(key, "is missing", format!("write {key} = …, {instead}"));
    }
    section.str(key).and_then(|item| fields::each(section, item, read))
}

pub(super) fn principal(text: &str) -> Result<Principal, (String, String)> {
    if !text.contains("://") {
        let plain = PrincipalPattern::dns(text).is_ok_and(|pattern| !pattern.is_wild());
        let name = Principal::Dns(text.to_ascii_lowercase().into());
        return if plain { Ok(name) } else { Err(("is no identity".into(), "write a SPIFFE id or a DNS name, without wildcards".into())) };
    }
    SpiffeId::parse(text).map(Principal::Spiffe).map_err(|error| (error.to_string(), "write \"spiffe://trust.domain/path\"".into()))
}

fn address(text: &str) -> Result<IpAddr, (String, String)> {
    text.parse().map_err(|_| ("is no address".into(), "write \"10.20.0.7\" or \"2600:1f18::7\"".into()))
}

/// What the request has beside `Host`, each name once.
fn headers(section: &Section<'_>) -> Vec<(HeaderName, String)> {
    let Some(headers) = section.section("headers") else { return Vec::new() };
    let read = headers.named_strings().into_iter().filter_map(|(name, value)| {
        let name = each(section, name, |text| match HeaderName::from_bytes(text.as_bytes()) {
            Ok(HOST) => Err(("is host".to_owned(), "write host = \"…\" in the case".to_owned())),
            Ok(name) => Ok(name),
            Err(_) => Err(("is no header name".to_owned(), "write letters, digits and dashes, as in x-tenant".to_owned())),
        })?;
        Some((name, value.value))
    });
    read.collect()
}

/// The class of the content type, as records name it.
fn ctype(section: &Section<'_>, headers: &[(HeaderName, String)]) -> ContentType {
    if section.has("ctype") && headers.iter().any(|(name, _)| *name == CONTENT_TYPE) {
        section.problem("ctype", "stands beside a content-type in headers", "write one of them");
    }
    let read = |text: &str| {
        let wrong = || ("is no class of content types".to_owned(), "write \"grpc\", \"json\", \"form\", \"other\" or \"none\"".to_owned());
        ContentType::named(text).ok_or_else(wrong)
    };
    section.str("ctype").and_then(|item| each(section, item, read)).unwrap_or_default()
}

pub(super) fn verdict(text: &str) -> Result<Verdict, (String, String)> {
    match text {
        "allow" => Ok(Verdict::Allow),
        "deny" => Ok(Verdict::Deny),
        _ => Err(("is no verdict".into(), "write \"allow\" or \"deny\"".into())),
    }
}
