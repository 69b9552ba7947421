//! Has the decision log's writer make spans, and sends them to the collector.

use crate::audit::Journal;
use crate::config::Config;
use crate::telemetry::otlp::{self, Exporting};
use std::io;

/// Starts what sends spans, where a collector is configured.
pub(super) fn start(config: &Config, journal: &Journal) -> io::Result<Option<Exporting>> {
    let Some(address) = config.trace.otlp else { return Ok(None) };
    let (queue, exporting) = otlp::start(address, &config.credentials.id.to_string(), &config.audit.labels)?;
    journal.make_spans(queue);
    Ok(Some(exporting))
}
