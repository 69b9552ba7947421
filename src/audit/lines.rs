//! From entries to numbered and chained lines.

use super::chain::Chain;
use super::entry::Entry;
use super::render::Renderer;
use super::{BootFacts, Format, Tap, ocsf};
use crate::telemetry::metrics::AuditWriter;
use metrics::Counter;
use std::time::SystemTime;

/// What a record of our own form ends with.
const RECORD_END: &[u8] = b"}";

/// Rendered lines that are not in the sink yet.
pub(super) struct Lines {
    renderer: Renderer,
    format: Format,
    /// The record that is being made an event of.
    record: Vec<u8>,
    chain: Chain,
    seq: u64,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that the sink has.
    written: usize,
    kinds: Vec<(&'static str, u64, Counter)>,
    tap: Option<Tap>,
    /// Nobody reads: records are taken and dropped.
    mute: bool,
}

impl Lines {
    pub(super) fn new(renderer: Renderer, format: Format, tap: Option<Tap>, sinkless: bool) -> Self {
        let mute = sinkless && tap.is_none();
        let (record, buffer, chain) = (Vec::new(), Vec::new(), Chain::begin());
        Self { renderer, format, record, chain, seq: 0, buffer, written: 0, kinds: Vec::new(), tap, mute }
    }

    pub(super) fn boot(&mut self, boot: &BootFacts) {
        self.line(|renderer, out, seq| {
            renderer.boot(out, seq, SystemTime::now(), boot);
            "boot"
        });
    }

    pub(super) fn entry(&mut self, shard: u16, entry: &Entry) {
        self.line(|renderer, out, seq| renderer.entry(out, seq, shard, entry));
    }

    /// Renders one record; everything that a line passes through comes here.
    pub(super) fn line(&mut self, render: impl FnOnce(&mut Renderer, &mut Vec<u8>, u64) -> &'static str) {
        if self.mute {
            return;
        }
        let start = self.buffer.len();
        let (kind, braces) = match self.format {
            Format::Countersign => (render(&mut self.renderer, &mut self.buffer, self.seq), RECORD_END),
            Format::Ocsf => self.event(render),
        };
        self.chain.seal(&mut self.buffer, start, braces);
        self.seq += 1;
        match self.kinds.iter_mut().find(|(known, ..)| *known == kind) {
            Some((_, count, _)) => *count += 1,
            None => self.kinds.push((kind, 1, AuditWriter::records(kind))),
        }
        if let Some(tap) = &self.tap {
            let line = self.buffer.get(start..self.buffer.len().saturating_sub(1)).unwrap_or_default();
            let _ = tap.try_send(String::from_utf8_lossy(line).into());
        }
    }

    fn event(&mut self, render: impl FnOnce(&mut Renderer, &mut Vec<u8>, u64) -> &'static str) -> (&'static str, &'static [u8]) {
        self.record.clear();
        let kind = render(&mut self.renderer, &mut self.record, self.seq);
        match std::str::from_utf8(&self.record).map(|record| ocsf::unsealed(record, &mut self.buffer)) {
            Ok(Ok(())) => (kind, ocsf::END),
            // Our own renderer wrote it, so this is not reached; should it be, the record is worth more than its form.
            Ok(Err(_)) | Err(_) => {
                self.buffer.extend_from_slice(&self.record);
                (kind, RECORD_END)
            }
        }
    }

    /// The line that was rendered last, without its newline, unless the sink has it already or nobody reads.
    pub(super) fn last(&self) -> Option<&[u8]> {
        let lines = self.buffer.strip_suffix(b"\n")?;
        lines.get(memchr::memrchr(b'\n', lines).map_or(0, |end| end + 1)..)
    }

    pub(super) fn unwritten(&self) -> &[u8] {
        self.buffer.get(self.written..).unwrap_or_default()
    }

    /// The sink has the next `bytes`, whole lines.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.written += bytes;
    }

    /// The sink has everything.
    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        self.written = 0;
        for (_, count, counter) in &mut self.kinds {
            counter.increment(std::mem::take(count));
        }
    }
}
