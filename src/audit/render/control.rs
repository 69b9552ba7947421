//! Records of the log itself and of the control plane: where a boot begins, what a file holds, who signs, and what was found and done.

use super::{Point, Position, Renderer, direction, id, render_certificate, second, source, table};
use crate::audit::detect::{About, Finding};
use crate::audit::entry::Event;
use crate::audit::file::{Extent, Oldest, Previous};
use crate::audit::json::{Line, key};
use crate::audit::{BootFacts, Direction, PolicyEvent, TrustEvent};
use crate::identity::Principal;
use crate::policy::Part;
use crate::policy::quarantine::{Act, Change};
use std::time::SystemTime;

impl Renderer {
    /// Appends the record that opens a boot's log.
    pub(in crate::audit) fn boot(&mut self, out: &mut Vec<u8>, seq: u64, at: SystemTime, boot: &BootFacts, previous: Option<&Previous>) {
        let mut line = self.begin(out, Position { seq, shard: None }, "boot", at);
        line.text(key!("version"), boot.version);
        line.text(key!("workload"), &boot.workload);
        line.optional(key!("policy_sha256"), boot.policy_sha256.as_deref());
        if let Some(previous) = previous {
            line.open(key!("previous"));
            line.text(key!("boot"), &previous.boot);
            line.number(key!("seq"), previous.seq);
            line.plain(key!("chain"), previous.chain.hex().as_str());
            line.name(key!("torn"));
            line.out.extend_from_slice(if previous.torn { b"true" } else { b"false" });
            line.close();
        }
        self.end(line);
    }

    /// Appends the record of something that the control plane did; says its kind.
    pub(in crate::audit) fn event(&mut self, out: &mut Vec<u8>, seq: u64, at: SystemTime, event: &Event) -> &'static str {
        let kind = match event {
            Event::Policy(_) => "policy",
            Event::Trust(_) => "trust",
            Event::Action(_) => "action",
            Event::Finding(_) => "finding",
        };
        let mut line = self.begin(out, Position { seq, shard: None }, kind, at);
        match event {
            Event::Policy(PolicyEvent { part, table: facts, generation }) => {
                table(&mut line, facts);
                if *part != Part::Own {
                    line.label(key!("part"), part.as_str());
                }
                line.number(key!("generation"), *generation);
            }
            Event::Trust(event) => render_trust(&mut line, event),
            Event::Action(change) => render_action(&mut line, change),
            Event::Finding(finding) => render_finding(&mut line, finding),
        }
        self.end(line);
        kind
    }

    /// Appends a checkpoint, all but its signature.
    pub(in crate::audit) fn checkpoint(&mut self, out: &mut Vec<u8>, seq: u64, at: SystemTime, point: &Point<'_>) {
        let mut line = self.begin(out, Position { seq, shard: None }, "checkpoint", at);
        line.number(key!("last_seq"), point.last);
        line.plain(key!("last_chain"), point.chain.hex().as_str());
        line.optional(key!("previous"), point.previous);
        line.text(key!("key"), &point.holder.key);
        if let Some(certificate) = point.certificate {
            line.open(key!("certificate"));
            line.text(key!("time"), &certificate.time);
            line.text(key!("workload"), &point.holder.workload);
            line.optional(key!("task"), point.holder.task.as_deref());
            line.text(key!("signer"), &certificate.signer);
            line.text(key!("signature"), &certificate.signature);
            line.close();
        }
        self.end(line);
    }

    /// Appends the record that ends a file, or a stream.
    pub(in crate::audit) fn footer(&mut self, out: &mut Vec<u8>, seq: u64, at: SystemTime, holds: &Extent) {
        let mut line = self.begin(out, Position { seq, shard: None }, "footer", at);
        line.number(key!("first_seq"), holds.first);
        line.number(key!("last_seq"), holds.last);
        line.number(key!("count"), (holds.last + 1).saturating_sub(holds.first));
        line.plain(key!("last_chain"), holds.chain.hex().as_str());
        self.end(line);
    }

    /// Appends the record that stays of a file that is removed to make room.
    pub(in crate::audit) fn pruned(&mut self, out: &mut Vec<u8>, seq: u64, at: SystemTime, oldest: &Oldest) {
        let mut line = self.begin(out, Position { seq, shard: None }, "pruned", at);
        line.open(key!("pruned"));
        line.text(key!("file"), &oldest.file);
        if let Some(holds) = &oldest.holds {
            line.text(key!("boot"), &holds.boot);
            line.number(key!("first_seq"), holds.first);
            line.number(key!("last_seq"), holds.last);
            line.plain(key!("last_chain"), holds.chain.hex().as_str());
        }
        line.close();
        self.end(line);
    }
}

fn render_trust(line: &mut Line<'_>, event: &TrustEvent) {
    line.label(key!("dir"), direction(event.direction));
    line.label(key!("decision"), "deny");
    line.label(key!("reason"), event.reason);
    match event.direction {
        Direction::Inbound => source(line, Some(event.peer.principal.as_str()), None),
        Direction::Outbound => {
            line.open(key!("dst"));
            line.text(key!("id"), event.peer.principal.as_str());
            line.close();
        }
    }
    render_certificate(line, &event.peer);
    line.number(key!("connections"), event.connections);
}

fn render_finding(line: &mut Line<'_>, finding: &Finding) {
    let About { direction: way, caller, serial, address, callee, detail } = &finding.about;
    line.name(key!("id"));
    id(line, finding.id);
    line.label(key!("detector"), finding.detector.as_str());
    line.label(key!("severity"), finding.detector.severity().as_str());
    line.label(key!("response"), finding.response.as_str());
    if let Some(way) = way {
        line.label(key!("dir"), direction(*way));
    }
    line.open(key!("src"));
    line.optional(key!("id"), caller.as_deref());
    if let Some(address) = address {
        line.plain(key!("ip"), address.to_canonical());
    }
    line.close();
    line.open(key!("cert"));
    line.optional(key!("serial"), serial.as_deref());
    line.close();
    line.open(key!("dst"));
    line.optional(key!("id"), callee.as_deref());
    line.close();
    line.text(key!("message"), detail);
    line.number(key!("count"), finding.count);
    if !finding.window.is_zero() {
        line.number(key!("window_s"), finding.window.as_secs());
    }
    line.name(key!("evidence"));
    for (index, decision) in finding.evidence.iter().enumerate() {
        line.out.push(if index == 0 { b'[' } else { b',' });
        id(line, *decision);
    }
    line.out.extend_from_slice(if finding.evidence.is_empty() { b"[]" } else { b"]" });
    if finding.suppressed > 0 {
        line.number(key!("suppressed"), finding.suppressed);
    }
}

fn render_action(line: &mut Line<'_>, change: &Change) {
    let Change { act, held, by } = change;
    line.label(key!("action"), act.as_str());
    if let Act::Refuse(refused) = act {
        line.label(key!("refused"), refused.reason());
    }
    line.plain(key!("by"), by);
    source(line, held.subject.identity().or(held.holder.as_ref().map(Principal::as_str)), None);
    line.open(key!("cert"));
    line.optional(key!("serial"), held.subject.serial());
    line.close();
    second(line, key!("until"), held.until);
    line.text(key!("cause"), &held.cause);
    if held.by != *by {
        line.plain(key!("made_by"), held.by);
    }
}
