//! Memory and open descriptors of a sidecar.

use crate::process;
use std::cell::RefCell;
use std::fs;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// From one look to the next.
const EVERY: Duration = Duration::from_millis(250);

/// Looks at one process.
pub struct Vitals {
    id: u32,
    /// KiB that it allocated, at each look.
    memory: RefCell<Vec<(Instant, u64)>>,
}

impl Vitals {
    /// Of the process `id`.
    pub fn of(id: u32) -> Self {
        Self { id, memory: RefCell::default() }
    }

    /// Looks at its memory until `end`.
    ///
    /// # Errors
    /// The process is gone.
    pub async fn follow(&self, end: Instant) -> anyhow::Result<()> {
        while Instant::now() < end {
            self.memory.borrow_mut().push((Instant::now(), process::memory(self.id)?.anonymous));
            sleep(EVERY).await;
        }
        Ok(())
    }

    /// The least that it had allocated between two moments, KiB; zero where nobody looked. Connections come and go with certificates: what never goes
    /// away again is what counts.
    pub fn least(&self, from: Instant, to: Instant) -> u64 {
        let memory = self.memory.borrow();
        memory.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, memory)| *memory).min().unwrap_or_default()
    }

    /// Its open descriptors.
    ///
    /// # Errors
    /// The process is gone.
    pub fn descriptors(&self) -> anyhow::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.id))?.count())
    }

    /// Waits until it has no more descriptors than `before`, or for `patience`; gives how many it has then.
    ///
    /// # Errors
    /// The process is gone.
    pub async fn gives_back(&self, before: usize, patience: Duration) -> anyhow::Result<usize> {
        let patience = Instant::now() + patience;
        loop {
            let now = self.descriptors()?;
            if now <= before || Instant::now() >= patience {
                return Ok(now);
            }
            sleep(EVERY).await;
        }
    }
}
