//! What a detector found.

use super::object::{Named, Object};
use super::parts;
use super::record::{Record, unquoted};

pub(super) fn write(event: &mut Object<'_>, record: &mut Record<'_>, at: i64) {
    let detector = record.text("", "detector");
    event.required("finding_info", |info| {
        let uid = record.text("", "id").filter(|id| unquoted(id).is_some());
        match uid {
            Some(uid) => info.json("uid", uid),
            None => info.label("uid", &parts::uid(record).unwrap_or_default()),
        }
        info.plain("created_time", at);
        info.optional("title", detector);
        info.optional("desc", record.text("", "message"));
        info.object("analytic", |analytic| {
            if let Some(detector) = detector {
                analytic.json("name", detector);
                analytic.named("type_id", "type", Named(1, "Rule"));
            }
        });
        let evidence = record.list("", "evidence");
        info.array("related_events", |events| {
            for id in evidence {
                events.object(|event| event.json("uid", id));
            }
        });
    });
    observables(event, record);
    event.array("evidences", |evidences| {
        let ends = [("src", "src_endpoint", "ip"), ("dst", "dst_endpoint", "host")];
        let known = ends.map(|(group, name, host)| parts::is_somebody(record, group, host).then_some((group, name, host)));
        if known.iter().any(Option::is_some) {
            evidences.object(|evidence| {
                for (group, name, host) in known.into_iter().flatten() {
                    evidence.object(name, |endpoint| parts::address(endpoint, record, group, host));
                }
                parts::tls(evidence, record);
            });
        }
    });
    event.named("status_id", "status", Named(1, "New"));
}

/// What one looks for elsewhere: whose certificate, and from where.
fn observables(event: &mut Object<'_>, record: &Record<'_>) {
    let ip = ("evidences.src_endpoint.ip", Named(2, "IP Address"), record.seen("src", "ip"));
    let serial = ("unmapped.cert.serial", Named(37, "Serial Number"), record.seen("cert", "serial"));
    event.array("observables", |observables| {
        for (name, kind, value) in [ip, serial] {
            if let Some(value) = value.filter(|value| unquoted(value).is_some()) {
                observables.object(|observable| {
                    observable.label("name", name);
                    observable.named("type_id", "type", kind);
                    observable.json("value", value);
                });
            }
        }
    });
}
