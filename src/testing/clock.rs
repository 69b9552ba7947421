//! A wall clock that a test moves.

use crate::runtime::clock::{Clock, SystemClock};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Ahead of the system's clock by as many milliseconds as a file says; by nothing while there is no file.
#[derive(Debug)]
struct Ahead(PathBuf);

impl Clock for Ahead {
    fn now(&self) -> SystemTime {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        SystemTime::now() + Duration::from_millis(text.parse().unwrap_or(0))
    }
}

/// The clock of the process: `COUNTERSIGN_TEST_CLOCK` names the file that moves it.
pub fn clock() -> Arc<dyn Clock> {
    match std::env::var_os("COUNTERSIGN_TEST_CLOCK") {
        Some(path) => Arc::new(Ahead(path.into())),
        None => Arc::new(SystemClock),
    }
}
