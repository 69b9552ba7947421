//! How often rules decided, kept beside the decision log.

use crate::config::Config;
use crate::policy::Publisher;
use crate::policy::usage::{self, Book, Gathered};
use crate::runtime::clock::Clock;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// From one writing of the file to the next: what a process that is killed forgets at most.
const INTERVAL: Duration = Duration::from_secs(60);

/// From one look at the clock to the next.
const LOOK: Duration = Duration::from_secs(1);

/// Counts for this process.
pub struct Counting {
    gathered: Arc<Gathered>,
    book: Mutex<Book>,
    /// Where the counts are kept; without a directory of the log they end with the process.
    file: Option<PathBuf>,
    tables: Publisher,
    clock: Arc<dyn Clock>,
    /// Held while the file is written, so that no older counts come after newer ones.
    writing: Mutex<()>,
    fails: AtomicBool,
}

impl Counting {
    /// Goes on where the last process ended, as far as its file says, with the tables in force. Blocks on the disk.
    pub fn open(config: &Config, tables: Publisher, clock: Arc<dyn Clock>) -> Self {
        let file = config.audit.sink.directory().map(usage::file);
        let workload = config.credentials.id.to_string();
        let now = clock.now();
        let book = file.as_deref().map_or_else(|| Book::new(&workload, now), |file| usage::resume(file, &workload, now));
        let counting = Self {
            gathered: Arc::default(),
            book: Mutex::new(book),
            file,
            tables,
            clock,
            writing: Mutex::default(),
            fails: AtomicBool::new(false),
        };
        // The rules of a large table are hashed before anybody waits for an answer.
        drop(counting.settled());
        counting
    }

    /// What the shards count into.
    pub fn gathered(&self) -> Arc<Gathered> {
        Arc::clone(&self.gathered)
    }

    /// The counts as of now, but for the last tick of each shard. Blocks.
    pub fn document(&self) -> Vec<u8> {
        usage::document(self.settled().state())
    }

    /// Follows the tables, and writes the file from time to time.
    pub async fn keep(self: Arc<Self>) {
        let mut changes = self.tables.changes();
        let mut written: Option<SystemTime> = None;
        loop {
            let now = self.clock.now();
            // A clock that was set back is no reason to wait.
            let due = written.is_none_or(|at| now.duration_since(at).map_or(true, |since| since >= INTERVAL));
            let turn = Arc::clone(&self);
            // Neither hashing the rules of a large table nor the disk is waited for on the runtime that answers health checks.
            let settled = tokio::task::spawn_blocking(move || if due { turn.write() } else { drop(turn.settled()) });
            // What goes wrong there is in the process log, and is tried again no sooner.
            let _ = settled.await;
            written = if due { Some(now) } else { written };
            tokio::select! {
                _ = changes.changed() => {}
                () = self.gathered.crowded() => {}
                () = self.due(written) => {}
            }
        }
    }

    /// Waits until the file is to be written again.
    async fn due(&self, written: Option<SystemTime>) {
        let waits = || written.is_some_and(|at| self.clock.now().duration_since(at).is_ok_and(|since| since < INTERVAL));
        while waits() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Writes the file for the last time. Call when nothing is decided any more. Blocks.
    pub fn finish(&self) {
        self.write();
    }

    fn write(&self) {
        let Some(file) = &self.file else { return drop(self.settled()) };
        // A disk that hangs holds up whoever writes next, and nobody who asks for the counts.
        let _turn = lock(&self.writing);
        let document = self.document();
        match usage::save(file, &document) {
            Ok(()) => self.fails.store(false, Ordering::Relaxed),
            Err(error) if !self.fails.swap(true, Ordering::Relaxed) => {
                tracing::warn!(file = %file.display(), %error, "how often rules decided cannot be kept: a restart begins where the file ends");
            }
            Err(_) => {}
        }
    }

    fn settled(&self) -> MutexGuard<'_, Book> {
        let mut book = lock(&self.book);
        book.settle(&self.gathered, &self.tables, self.clock.now());
        book
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
