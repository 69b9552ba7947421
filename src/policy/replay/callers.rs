//! Who asked, each found once.

use crate::policy::Caller;
use crate::policy::record::{Line, RecordError};
use std::collections::HashMap;
use std::time::SystemTime;

/// Callers whose rules are kept. A log has few of them; with more, all are found anew.
const MOST: usize = 4_096;

/// Callers by identity and local port, and with each the rules that it can meet.
#[derive(Default)]
pub(super) struct Callers {
    known: HashMap<Box<str>, Vec<Caller>>,
    count: usize,
}

impl Callers {
    /// Who asked for what a line holds, which was decided at `at`.
    pub(super) fn find(&mut self, line: &Line<'_>, at: SystemTime) -> Result<&Caller, RecordError> {
        let (id, port) = (line.caller.as_deref().unwrap_or_default(), line.local_port()?);
        let place = |callers: &Vec<Caller>| callers.iter().position(|caller| caller.local_port == port);
        if self.known.get(id).and_then(place).is_none() {
            let caller = line.asker(at)?;
            if self.count >= MOST {
                *self = Self::default();
            }
            self.count += 1;
            self.known.entry(id.into()).or_default().push(caller);
        }
        let callers = self.known.get(id);
        callers.and_then(|callers| callers.get(place(callers)?)).ok_or(RecordError::Value("src.id"))
    }
}
