//! From entries to numbered and chained lines.

use super::boot_key::BootKey;
use super::chain::Chain;
use super::entry::Entry;
use super::file::{Extent, Oldest, Previous};
use super::render::{Point, Renderer};
use super::watch::Watchers;
use super::{BootFacts, Format, Tap, ocsf};
use crate::telemetry::metrics::AuditWriter;
use metrics::Counter;
use std::sync::Arc;
use std::time::SystemTime;

/// What stands before the signature of a checkpoint.
pub(super) const SIGNATURE: &[u8] = b",\"signature\":\"";
/// What a record of our own form ends with.
const RECORD_END: &[u8] = b"}";

/// Rendered lines that are not in the sink yet.
pub(super) struct Lines {
    boot: String,
    renderer: Renderer,
    format: Format,
    /// The record that is being made an event of.
    record: Vec<u8>,
    chain: Chain,
    seq: u64,
    /// The number of the first record of the file that is written.
    first: u64,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that the sink has.
    written: usize,
    /// Bytes of `buffer` that are enough for one write.
    share: usize,
    kinds: Vec<(&'static str, u64, Counter)>,
    tap: Option<Tap>,
    watchers: Arc<Watchers>,
    /// Nobody reads: records are taken and dropped.
    mute: bool,
}

impl Lines {
    pub(super) fn new(
        boot: String,
        renderer: Renderer,
        format: Format,
        tap: Option<Tap>,
        watchers: Arc<Watchers>,
        sinkless: bool,
        share: usize,
    ) -> Self {
        let mute = sinkless && tap.is_none();
        Self {
            boot,
            renderer,
            format,
            record: Vec::new(),
            chain: Chain::begin(),
            seq: 0,
            first: 0,
            buffer: Vec::new(),
            written: 0,
            share,
            kinds: Vec::new(),
            tap,
            watchers,
            mute,
        }
    }

    pub(super) fn boot(&mut self, boot: &BootFacts, previous: Option<&Previous>) {
        self.line(|renderer, out, seq| {
            renderer.boot(out, seq, SystemTime::now(), boot, previous);
            "boot"
        });
    }

    pub(super) fn entry(&mut self, shard: u16, entry: &Entry) {
        self.line(|renderer, out, seq| renderer.entry(out, seq, shard, entry));
    }

    /// Signs for all that was rendered. Signed are the bytes of the record before its signature, which stands before the chain.
    pub(super) fn checkpoint(&mut self, key: &mut BootKey) {
        let (last, chain) = (self.seq.saturating_sub(1), self.chain.last());
        let (holder, certificate) = (Arc::clone(key.holder()), Arc::clone(key.certificate()));
        let certificate = certificate.get();
        let previous = key.previous().map(str::to_owned);
        let point = Point { last, chain, previous: previous.as_deref(), holder: &holder, certificate };
        let render = |renderer: &mut Renderer, out: &mut Vec<u8>, seq| {
            renderer.checkpoint(out, seq, SystemTime::now(), &point);
            "checkpoint"
        };
        self.completed(render, |out, start| {
            let signature = key.sign(out.get(start..).unwrap_or_default(), certificate.is_some());
            out.extend_from_slice(SIGNATURE);
            out.extend_from_slice(signature.as_bytes());
            out.push(b'"');
        });
    }

    /// Whether the file has records.
    pub(super) fn has_begun(&self) -> bool {
        self.first < self.seq
    }

    /// Ends the file; gives what it then holds. The next record begins another.
    pub(super) fn footer(&mut self) -> Extent {
        let before = self.holds();
        self.line(|renderer, out, seq| {
            renderer.footer(out, seq, SystemTime::now(), &before);
            "footer"
        });
        self.holds()
    }

    pub(super) fn pruned(&mut self, oldest: &Oldest) {
        self.line(|renderer, out, seq| {
            renderer.pruned(out, seq, SystemTime::now(), oldest);
            "pruned"
        });
    }

    /// Renders one record.
    pub(super) fn line(&mut self, render: impl FnOnce(&mut Renderer, &mut Vec<u8>, u64) -> &'static str) {
        self.completed(render, |_, _| ());
    }

    /// Renders one record, to which `complete` may append what is made of its bytes in either format; everything that a line passes through comes here.
    fn completed(
        &mut self,
        render: impl FnOnce(&mut Renderer, &mut Vec<u8>, u64) -> &'static str,
        complete: impl FnOnce(&mut Vec<u8>, usize),
    ) {
        if self.mute {
            return;
        }
        let start = self.buffer.len();
        let (kind, braces) = match self.format {
            Format::Countersign => (render(&mut self.renderer, &mut self.buffer, self.seq), RECORD_END),
            Format::Ocsf => self.event(render),
        };
        complete(&mut self.buffer, start);
        self.chain.seal(&mut self.buffer, start, braces);
        self.seq += 1;
        match self.kinds.iter_mut().find(|(known, ..)| *known == kind) {
            Some((_, count, _)) => *count += 1,
            None => self.kinds.push((kind, 1, AuditWriter::records(kind))),
        }
        self.watchers.line(self.buffer.get(start..).unwrap_or_default());
        if let Some(tap) = &self.tap {
            let line = self.buffer.get(start..self.buffer.len().saturating_sub(1)).unwrap_or_default();
            let _ = tap.try_send(String::from_utf8_lossy(line).into());
        }
    }

    /// Whether one write has enough, of `parts` in which it is shared out.
    pub(super) fn has_share(&self, parts: usize) -> bool {
        self.buffer.len() >= self.share / parts
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

    /// A line that is no record and goes where the records go: without a number, and to no tap.
    pub(super) fn aside(&mut self, line: &str) {
        if !self.mute {
            self.buffer.extend_from_slice(line.as_bytes());
            self.buffer.push(b'\n');
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

    /// Records in [`Lines::unwritten`].
    pub(super) fn waiting(&self) -> u64 {
        memchr::memchr_iter(b'\n', self.unwritten()).count() as u64
    }

    /// The sink has the next `bytes`, whole lines.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.written += bytes;
    }

    /// What is not written begins a new file.
    pub(super) fn begin_file(&mut self) {
        self.first = self.seq - self.waiting();
    }

    /// The sink has everything.
    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        self.written = 0;
        for (_, count, counter) in &mut self.kinds {
            counter.increment(std::mem::take(count));
        }
    }

    /// What the file holds once everything is written.
    fn holds(&self) -> Extent {
        Extent { boot: self.boot.clone(), first: self.first, last: self.seq.saturating_sub(1), chain: self.chain.last() }
    }
}
