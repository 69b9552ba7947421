//! The groups of an event that most classes share.

use super::class::{Class, is_known_method};
use super::object::{Named, Object};
use super::record::{Record, millis, unquoted};
use std::net::IpAddr;

/// The version of OCSF.
pub(super) const VERSION: &str = "1.8.0";
const PRODUCT: &str = "Countersign";
/// What OCSF calls the transport below HTTP, with its number at IANA.
const TCP: (&str, u8) = ("tcp", 6);

/// When it was, which is returned too, how long it took, and for what was counted how many and from when to when; milliseconds.
pub(super) fn times(event: &mut Object<'_>, record: &mut Record<'_>) -> i64 {
    let at = record.seen("", "time").and_then(millis).unwrap_or_default();
    event.plain("time", at);
    let first = record.time("", "first");
    event.number("start_time", first);
    event.number("end_time", record.time("", "last"));
    // A file's footer also has a count, which is none of happenings.
    if first.is_some() || record.is("", "kind", "finding") {
        event.number("count", record.number("", "count"));
    }
    event.number("duration", micros(record, "total_us").map(|micros| micros / 1_000));
    at
}

/// Microseconds, which stay in `unmapped` because OCSF has milliseconds.
fn micros(record: &Record<'_>, name: &str) -> Option<i64> {
    record.seen("", name)?.parse().ok().filter(|micros| *micros >= 0)
}

pub(super) fn metadata(event: &mut Object<'_>, record: &mut Record<'_>, class: Class) {
    event.object("metadata", |metadata| {
        metadata.label("version", VERSION);
        metadata.object("product", |product| {
            product.label("name", PRODUCT);
            product.label("vendor_name", PRODUCT);
            if record.is("", "kind", "boot") {
                product.optional("version", record.text("", "version"));
            }
        });
        let traced = class == Class::Http && record.has("", "trace_id");
        metadata.json("profiles", if traced { r#"["host","security_control","trace"]"# } else { r#"["host","security_control"]"# });
        metadata.optional("event_code", record.seen("", "kind"));
        if let Some(uid) = uid(record) {
            metadata.label("uid", &uid);
        }
        metadata.number("sequence", record.seen("", "seq").and_then(|seq| seq.parse().ok()));
        // A finding's id is its own, and not that of a request.
        if class != Class::Finding {
            metadata.optional("correlation_uid", record.text("", "id"));
        }
        metadata.optional("original_time", record.text("", "time"));
        if record.truth("", "cut") {
            metadata.plain("is_truncated", true);
        }
        metadata.array("tags", |tags| {
            for (name, value) in record.texts("labels") {
                tags.object(|tag| {
                    tag.json("name", &format!("\"{name}\""));
                    tag.json("value", value);
                });
            }
        });
    });
}

/// What tells the event from every other one: a request that goes on for long has two records of one id.
pub(super) fn uid(record: &Record<'_>) -> Option<String> {
    let boot = record.seen("", "boot").and_then(unquoted)?;
    let seq: u64 = record.seen("", "seq")?.parse().ok()?;
    Some(format!("{boot}-{seq}"))
}

/// Who asks, as far as it was proven, and on whose behalf.
pub(super) fn actor(event: &mut Object<'_>, record: &mut Record<'_>) {
    event.object("actor", |actor| {
        actor.optional("app_uid", record.seen("src", "id").filter(|id| unquoted(id).is_some()));
        let subject = record.text("user", "sub");
        actor.object("user", |user| {
            if let Some(subject) = subject {
                user.json("uid", subject);
                user.named("type_id", "type", Named(1, "User"));
            }
        });
        let issuer = record.text("user", "iss");
        actor.object("idp", |idp| {
            idp.optional("uid", issuer);
            idp.optional("issuer", issuer);
        });
    });
}

/// The record's span is the caller's, of which OCSF wants to know begin and end; it stays in `unmapped`.
pub(super) fn trace(event: &mut Object<'_>, record: &mut Record<'_>) {
    let uid = record.text("", "trace_id");
    event.object("trace", |trace| trace.optional("uid", uid));
}

pub(super) fn http(event: &mut Object<'_>, record: &mut Record<'_>) {
    event.required("http_request", |request| {
        if record.seen("http", "method").is_some_and(is_known_method) {
            request.optional("http_method", record.text("http", "method"));
        }
        let path = record.text("http", "path");
        request.object("url", |url| url.optional("path", path));
        request.optional("version", record.text("http", "version"));
    });
    let latency = micros(record, "upstream_us").map(|micros| micros / 1_000);
    let status = record.number("http", "status");
    event.object("http_response", |response| {
        if status.is_some() {
            response.number("code", status);
            response.number("latency", latency);
        }
    });
    // OCSF looks from the one who asks: what comes in for us went out for them.
    let (sent, received) = (record.number("", "bytes_in"), record.number("", "bytes_out"));
    event.object("traffic", |traffic| {
        traffic.number("bytes_in", received);
        traffic.number("bytes_out", sent);
    });
}

/// Both ends and the channel between them.
pub(super) fn network(event: &mut Object<'_>, record: &mut Record<'_>) {
    let (source, target) = (is_somebody(record, "src", "ip"), is_somebody(record, "dst", "host"));
    event.object("src_endpoint", |endpoint| match source {
        true => address(endpoint, record, "src", "ip"),
        false if !target => endpoint.label("name", "unknown"),
        false => {}
    });
    event.object("dst_endpoint", |endpoint| {
        if target {
            address(endpoint, record, "dst", "host");
        }
    });
    let direction = match record.text("", "dir").and_then(unquoted) {
        Some("inbound") => Named(1, "Inbound"),
        Some("outbound" | "egress") => Named(2, "Outbound"),
        _ => Named(0, "Unknown"),
    };
    event.object("connection_info", |connection| {
        connection.named("direction_id", "direction", direction);
        connection.label("protocol_name", TCP.0);
        connection.plain("protocol_num", TCP.1);
    });
    tls(event, record);
}

/// Whether an end has what OCSF names an endpoint by.
pub(super) fn is_somebody(record: &Record<'_>, group: &str, host: &str) -> bool {
    [record.seen(group, "id"), record.seen(group, host)].into_iter().flatten().any(|value| unquoted(value).is_some())
}

pub(super) fn address(endpoint: &mut Object<'_>, record: &mut Record<'_>, group: &str, host: &str) {
    endpoint.optional("uid", record.text(group, "id"));
    if let Some(host) = record.text(group, host) {
        let literal = unquoted(host).map(|host| host.trim_start_matches('[').trim_end_matches(']'));
        match literal.filter(|literal| literal.parse::<IpAddr>().is_ok()) {
            Some(literal) => endpoint.label("ip", literal),
            None => endpoint.json("hostname", host),
        }
    }
    if record.seen(group, "port").is_some_and(|port| port.parse::<u16>().is_ok()) {
        endpoint.number("port", record.number(group, "port"));
    }
}

/// A refused handshake has no version; OCSF requires one.
pub(super) fn tls(event: &mut Object<'_>, record: &mut Record<'_>) {
    let certified = record.has("cert", "serial") && record.has("cert", "issuer");
    if !certified && !record.has("tls", "version") && !record.has("tls", "sni") {
        return;
    }
    event.object("tls", |tls| {
        match record.text("tls", "version") {
            Some(version) => tls.json("version", version),
            None => tls.label("version", "unknown"),
        }
        tls.optional("cipher", record.text("tls", "cipher"));
        tls.optional("sni", record.text("tls", "sni"));
        let alpn = record.text("tls", "alpn");
        tls.array("tls_extension_list", |extensions| {
            if let Some(alpn) = alpn {
                extensions.object(|extension| {
                    extension.named("type_id", "type", Named(16, "application_layer_protocol_negotiation"));
                    extension.json("data", alpn);
                });
            }
        });
        if certified {
            tls.object("certificate", |certificate| self::certificate(certificate, record));
        }
    });
}

fn certificate(certificate: &mut Object<'_>, record: &mut Record<'_>) {
    certificate.optional("serial_number", record.text("cert", "serial"));
    certificate.optional("issuer", record.text("cert", "issuer"));
    certificate.number("expiration_time", record.time("cert", "not_after"));
    let fingerprint = record.text("cert", "sha256");
    certificate.array("fingerprints", |fingerprints| {
        if let Some(value) = fingerprint {
            fingerprints.object(|fingerprint| {
                fingerprint.named("algorithm_id", "algorithm", Named(3, "SHA-256"));
                fingerprint.json("value", value);
            });
        }
    });
}

/// The table that decided, and the rule of it.
pub(super) fn policy(event: &mut Object<'_>, record: &mut Record<'_>) {
    event.object("policy", |policy| {
        policy.optional("name", record.text("", "policy"));
        policy.optional("version", record.text("", "policy_version"));
        policy.optional("uid", record.text("", "policy_sha256"));
    });
    let Some(rule) = record.text("", "rule") else { return };
    let condition = record.text("http", "template");
    event.object("firewall_rule", |object| {
        object.json("uid", rule);
        object.optional("condition", condition);
    });
}

/// What OCSF has no place for, in the order of the line. It is the last member of the event and is not closed, nor is the event: the chain follows.
pub(super) fn unmapped(mut event: Object<'_>, record: &Record<'_>) {
    event.unclosed("unmapped", |unmapped| {
        let mut rest = record.rest().peekable();
        while let Some((group, name, value)) = rest.next() {
            if group.is_empty() {
                unmapped.json(if name == "chain" { "source_chain" } else { name }, value);
                continue;
            }
            unmapped.object(group, |object| {
                object.json(name, value);
                while let Some((_, name, value)) = rest.next_if(|(next, ..)| *next == group) {
                    object.json(name, value);
                }
            });
        }
    });
}
