//! Sends the metrics to CloudWatch through standard output, once a minute and at the end.

use crate::audit::{Journal, Sink};
use crate::config::Config;
use crate::runtime::tasks::contained_poll;
use crate::telemetry::emf::Emf;
use metrics_exporter_prometheus::PrometheusHandle;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

/// From one set of lines to the next; what CloudWatch keeps for 15 days is by the minute.
const INTERVAL: Duration = Duration::from_secs(60);
/// How long the end waits for the last lines, a blocked standard output included.
const FINISH: Duration = Duration::from_secs(2);
const THREAD: &str = "emf";

/// The thread that sends them: it may block on standard output, and nobody waits for it.
pub struct Emitting {
    stop: SyncSender<()>,
    ended: Receiver<()>,
}

/// Where the lines go.
enum Out {
    /// Between the records, by the writer that owns standard output.
    Log(Journal),
    /// Standard output, which nobody else uses.
    Stdout,
}

impl Emitting {
    /// Starts the thread.
    pub fn start(config: &Config, recorder: PrometheusHandle, journal: Journal) -> io::Result<Self> {
        let out = match config.audit.sink {
            Sink::Stdout => Out::Log(journal),
            Sink::File(_) | Sink::None => Out::Stdout,
        };
        let emf = Emf::new(&config.credentials.id.to_string(), &config.audit.labels);
        let (stop, stopped) = sync_channel(1);
        let (end, ended) = sync_channel(1);
        thread::Builder::new().name(THREAD.to_owned()).spawn(move || {
            contained_poll(THREAD, || emit(emf, &recorder, &out, &stopped));
            let _ = end.send(());
        })?;
        Ok(Self { stop, ended })
    }

    /// Sends what has happened since the last lines, and ends. Call when nothing is counted any more, and before the decision log's writer ends. Blocks, at
    /// most 2 s.
    pub fn finish(self) {
        let _ = self.stop.try_send(());
        if self.ended.recv_timeout(FINISH) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("standard output blocks: the metrics of the last minute are not sent");
        }
    }
}

fn emit(mut emf: Emf, recorder: &PrometheusHandle, out: &Out, stopped: &Receiver<()>) {
    loop {
        let ends = stopped.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout);
        let mut interval = emf.interval(&recorder.render(), SystemTime::now());
        match out.send(std::mem::take(&mut interval.lines)) {
            Ok(()) => emf.sent(interval),
            // What is not sent now is in the next lines.
            Err(error) => tracing::warn!(%error, "metrics cannot be sent to standard output; they are with the next ones"),
        }
        if ends {
            return;
        }
    }
}

impl Out {
    fn send(&self, lines: Vec<String>) -> io::Result<()> {
        match self {
            Self::Log(journal) => journal.aside(lines).map_err(|_| io::Error::other("those of the last minute still wait for it")),
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                lines.iter().try_for_each(|line| writeln!(stdout, "{line}"))?;
                stdout.flush()
            }
        }
    }
}
