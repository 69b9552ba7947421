//! What the writer does between two rounds: it ends files, makes room for the next, and brings all to the disk.

use super::Press;
use std::time::Instant;

impl Press {
    /// What is due now, everything being written; `critical` if that must not wait for the disk. A record that the sink refuses is written in the next round.
    pub(super) fn keep_house(&mut self, now: Instant, critical: bool) {
        if self.output.files().is_some_and(|files| files.is_due(now)) {
            self.rotate();
        } else if self.key.is_due(now) {
            self.lines.checkpoint(&mut self.key);
            self.write_out();
        }
        self.prune();
        let synced = if critical { self.output.sync() } else { Ok(()) };
        if let Err(error) = synced.and_then(|()| self.output.tick(now)) {
            self.faulted(&error);
        }
        self.pairs.tick(now);
    }

    /// Ends the file with a checkpoint and its footer. Should the sink refuse that, then the fault has ended the file, and the next begins with what waits.
    fn rotate(&mut self) {
        self.lines.checkpoint(&mut self.key);
        let holds = self.lines.footer();
        if !self.write_out() {
            return;
        }
        let closed = self.output.files().map_or(Ok(()), |files| files.close(holds));
        self.lines.begin_file();
        if let Err(error) = closed {
            self.refused(&error);
        }
    }

    /// Removes the oldest file where there is no room for one more, once the record that stays of it is on the disk: were it the other way round, a kill in
    /// between would look like a removal by somebody else.
    fn prune(&mut self) {
        let Some(files) = self.output.files() else { return };
        if self.pruning {
            self.pruning = false;
            match files.sync() {
                Ok(()) => files.remove_oldest(),
                Err(error) => self.faulted(&error),
            }
        } else if let Some(oldest) = files.excess() {
            self.lines.pruned(&oldest);
            self.pruning = true;
            self.write_out();
        }
    }
}
