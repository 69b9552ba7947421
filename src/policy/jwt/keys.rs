//! The keys of one source, from the control runtime to the shards, and the wish for newer ones back.

use super::issuer::Source;
use super::key_set::{KeySet, KeySetError};
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

/// One source's keys. The tables that name the source share it, so that a reload has no moment without keys.
#[derive(Debug)]
pub(super) struct Keys {
    source: Source,
    current: ArcSwapOption<KeySet>,
    /// Counts sets. Moves after the set did.
    generation: AtomicU64,
    is_wanted: AtomicBool,
    wanted: Notify,
}

impl Keys {
    pub(super) fn new(source: Source) -> Self {
        let (current, generation) = (ArcSwapOption::empty(), AtomicU64::new(0));
        Self { source, current, generation, is_wanted: AtomicBool::new(false), wanted: Notify::new() }
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// The last good set; `None`: there never was one.
    pub(super) fn current(&self) -> Option<Arc<KeySet>> {
        self.current.load_full()
    }

    /// Moves with each new set; one atomic load. Read it before [`Keys::current`]: what is verified in between is then verified once more, never too seldom.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Reads a set and puts it in force, unless it is the one in force. Gives whether it is another one.
    pub(super) fn take(&self, text: &[u8]) -> Result<bool, KeySetError> {
        if self.current.load().as_ref().is_some_and(|current| current.is(text)) {
            return Ok(false);
        }
        let set = KeySet::parse(text)?;
        self.current.store(Some(Arc::new(set)));
        self.generation.fetch_add(1, Ordering::Release);
        Ok(true)
    }

    /// A token names a key that is not there. However often it is said, the keeper hears it once.
    pub(super) fn want(&self) {
        if !self.is_wanted.swap(true, Ordering::AcqRel) {
            self.wanted.notify_one();
        }
    }

    /// Waits until newer keys are wanted.
    ///
    /// # Cancel safety
    /// The wish may be lost when this is dropped; whoever drops it reads the keys anew.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// The keys are being read: from here on a wish is a new one.
    pub(super) fn hear(&self) {
        self.is_wanted.store(false, Ordering::Release);
    }
}
