//! What a detector found.

use super::object::{Named, Object};
use super::parts;
use super::record::{Record, unquoted};

pub(super) fn write(event: &mut Object<'_>, record: &mut Record<'_>, at: i64) {
    let detector = record.text("", "detector");
    event.required("finding_info", |info| {
        let uid = record.seen("", "id").filter(|id| unquoted(id).is_some());
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
    event.array("evidences", |evidences| {
        if parts::is_somebody(record, "src", "ip") {
            evidences.object(|evidence| {
                evidence.object("src_endpoint", |endpoint| parts::address(endpoint, record, "src", "ip"));
                parts::tls(evidence, record);
            });
        }
    });
    event.named("status_id", "status", Named(1, "New"));
}
