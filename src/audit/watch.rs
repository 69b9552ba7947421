//! Who looks at the log while it is written: each gets a copy of every line, as long as it keeps up, and otherwise the number of those that it missed.

use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// The most that look at once.
const WATCHERS: usize = 4;
/// Lines that wait for one of them. A line has some hundred bytes, and with every string at its bound some ten thousand.
const WAITING: usize = 512;

/// Hands lines to whoever looks. The writer never waits for them.
#[derive(Default)]
pub(super) struct Watchers {
    /// How many there are: the writer looks at nothing else while there are none.
    count: AtomicUsize,
    all: Mutex<Vec<Watcher>>,
}

struct Watcher {
    lines: Sender<Bytes>,
    missed: u64,
}

impl Watchers {
    /// From now on each line with its newline; `None` where there are as many as there may be. Dropping the receiver ends it.
    ///
    /// A line `{"left_out":N}` stands for N lines that found no room.
    pub(super) fn watch(&self) -> Option<Receiver<Bytes>> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|watcher| !watcher.lines.is_closed());
        if all.len() == WATCHERS {
            return None;
        }
        let (lines, receiver) = channel(WAITING);
        all.push(Watcher { lines, missed: 0 });
        self.count.store(all.len(), Ordering::Release);
        Some(receiver)
    }

    /// Hands out one line with its newline.
    pub(super) fn line(&self, line: &[u8]) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let line = Bytes::copy_from_slice(line);
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain_mut(|watcher| watcher.take(&line));
        self.count.store(all.len(), Ordering::Release);
    }
}

impl Watcher {
    /// Whether it still looks.
    fn take(&mut self, line: &Bytes) -> bool {
        if self.missed > 0 {
            let said = self.lines.try_send(format!("{{\"left_out\":{}}}\n", self.missed).into());
            if said.is_ok() {
                self.missed = 0;
            }
        }
        match self.lines.try_send(line.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.missed += 1;
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_keep_up_is_told_how_much_it_missed() {
        let watchers = Watchers::default();
        watchers.line(b"nobody\n");
        let (mut slow, mut quick) = (watchers.watch().unwrap(), watchers.watch().unwrap());
        let (mut seen, mut told) = (0, 0);
        for number in 0..WAITING + 10 {
            watchers.line(format!("{number}\n").as_bytes());
            assert_eq!(quick.try_recv().unwrap(), format!("{number}\n"));
        }
        while let Ok(line) = slow.try_recv() {
            assert_eq!(line, format!("{seen}\n"));
            seen += 1;
        }
        assert_eq!(seen, WAITING);
        watchers.line(b"last\n");
        while let Ok(line) = slow.try_recv() {
            told += usize::from(line == "{\"left_out\":10}\n" || line == "last\n");
        }
        assert_eq!(told, 2);
    }

    #[test]
    fn there_is_room_for_a_few_and_for_others_when_they_end() {
        let watchers = Watchers::default();
        let all: Vec<_> = (0..WATCHERS).map(|_| watchers.watch().unwrap()).collect();
        assert!(watchers.watch().is_none());
        drop(all);
        assert!(watchers.watch().is_some());
    }
}
