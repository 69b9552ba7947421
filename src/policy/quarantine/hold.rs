//! The entries, their guard rails and their end.

use super::{Held, Quarantined, Settings, Subject};
use crate::identity::{Principal, SpiffeId};
use crate::policy::Publisher;
use crate::telemetry::metrics::Quarantine as Metrics;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Notify;

/// Entries at once, of some 200 bytes each and their causes.
const MOST: usize = 10_000;

/// Bytes that are kept of a cause.
const CAUSE: usize = 512;

/// By whose word an entry is made or taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A detector, by name.
    Detector(&'static str),
    /// Somebody at the control socket, by user id.
    Operator(u32),
    /// The clock.
    Clock,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Detector(name) => write!(f, "detector:{name}"),
            Self::Operator(uid) => write!(f, "uid:{uid}"),
            Self::Clock => f.write_str("clock"),
        }
    }
}

/// A certificate that a detector wants to put in.
#[derive(Debug, Clone, Copy)]
pub struct Found<'f> {
    /// Whose it is.
    pub holder: &'f Principal,
    /// Its serial number, as [`crate::identity::PeerIdentity::serial`] has it.
    pub serial: &'f str,
    /// From now to the end of the entry.
    pub lasting: Duration,
    /// Why.
    pub cause: &'f str,
    /// Who found it.
    pub detector: &'static str,
}

/// What was done. Each one is a record of the decision log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What.
    pub act: Act,
    /// With which entry.
    pub held: Held,
    /// By whose word; `held.by` says who made the entry.
    pub by: By,
}

/// What was done with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It is made, or its end and cause are others now.
    Add,
    /// It is taken out.
    Remove,
    /// Its time is over.
    Expire,
    /// It is not made.
    Refuse(Refused),
}

impl Act {
    /// The record's `action`, which is also the label of the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "quarantine_add",
            Self::Remove => "quarantine_remove",
            Self::Expire => "quarantine_expire",
            Self::Refuse(_) => "quarantine_refuse",
        }
    }
}

/// The guard rail that an entry ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The identity is in `[quarantine] never`; trying again does not help.
    #[error("it is in [quarantine] never")]
    Never,
    /// Detectors have made `max` entries within `window`; a later one may be made, and one by hand always.
    #[error("detectors have made as many entries as [quarantine] max allows in its window")]
    Cap,
    /// There are as many entries as there can be; it helps to take some out.
    #[error("there are {MOST} entries already; take some out")]
    Full,
}

impl Refused {
    /// The record's `refused`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Cap => "cap",
            Self::Full => "full",
        }
    }
}

/// Who is in quarantine. Cheap to clone. Kept in memory: a reload of the tables leaves it alone, a restart empties it.
#[derive(Clone)]
pub struct Quarantine {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    publisher: Publisher,
    entries: Mutex<Entries>,
    changed: Notify,
    metrics: Metrics,
}

#[derive(Default)]
struct Entries {
    held: BTreeMap<Subject, Held>,
    /// When detectors made theirs, by a clock that nobody sets.
    automatic: VecDeque<Instant>,
}

impl Quarantine {
    /// An empty quarantine that is published through `publisher`.
    pub fn new(settings: Settings, publisher: Publisher) -> Self {
        let (entries, changed) = (Mutex::default(), Notify::new());
        Self { shared: Arc::new(Shared { settings, publisher, entries, changed, metrics: Metrics::new() }) }
    }

    /// Puts `subject` in by hand, until `until`; in the place of an entry of the same subject. An identity of the never-list is refused; a serial number
    /// that somebody names is not asked whose it is.
    pub fn add(&self, subject: Subject, until: SystemTime, cause: &str, by: By) -> Change {
        let never = match &subject {
            Subject::Identity(id) => {
                let principal = SpiffeId::parse(id).map_or_else(|_| Principal::Dns(id.as_ref().into()), Principal::Spiffe);
                self.is_never(&principal)
            }
            Subject::Serial(_) => false,
        };
        let held = Held { subject, holder: None, until, cause: shortened(cause), by };
        let mut entries = self.lock();
        let full = entries.held.len() >= MOST && !entries.held.contains_key(&held.subject);
        let act = match () {
            () if never => Act::Refuse(Refused::Never),
            () if full => Act::Refuse(Refused::Full),
            () => self.put(&mut entries, held.clone()),
        };
        self.done(act, held, by)
    }

    /// Puts a certificate in, as far as the guard rails let it; `now` is the wall clock's, `tick` that of a clock that nobody sets.
    /// `None`: it is in already.
    pub fn add_automatic(&self, found: &Found<'_>, now: SystemTime, tick: Instant) -> Option<Change> {
        let Found { holder, serial, lasting, cause, detector } = *found;
        let by = By::Detector(detector);
        let Settings { max, window, .. } = &self.shared.settings;
        let until = now.checked_add(lasting)?;
        let held = Held { subject: Subject::Serial(serial.into()), holder: Some(holder.clone()), until, cause: shortened(cause), by };
        let mut entries = self.lock();
        if entries.held.get(&held.subject).is_some_and(|standing| now < standing.until) {
            return None;
        }
        while entries.automatic.front().is_some_and(|made| tick.saturating_duration_since(*made) >= *window) {
            entries.automatic.pop_front();
        }
        let act = match () {
            () if self.is_never(holder) => Act::Refuse(Refused::Never),
            () if entries.automatic.len() >= *max as usize => Act::Refuse(Refused::Cap),
            () if entries.held.len() >= MOST => Act::Refuse(Refused::Full),
            () => {
                entries.automatic.push_back(tick);
                self.put(&mut entries, held.clone())
            }
        };
        Some(self.done(act, held, by))
    }

    /// Takes an entry out; `None`: there is none.
    pub fn remove(&self, subject: &Subject, by: By) -> Option<Change> {
        let mut entries = self.lock();
        let held = entries.held.remove(subject)?;
        self.publish(&entries);
        Some(self.done(Act::Remove, held, by))
    }

    /// Takes out what is over at `now`.
    pub fn expire(&self, now: SystemTime) -> Vec<Change> {
        let mut entries = self.lock();
        let over: Vec<Held> = entries.held.extract_if(.., |_, held| held.until <= now).map(|(_, held)| held).collect();
        if !over.is_empty() {
            self.publish(&entries);
        }
        over.into_iter().map(|held| self.done(Act::Expire, held, By::Clock)).collect()
    }

    /// Every entry, by subject.
    pub fn list(&self) -> Vec<Held> {
        self.lock().held.values().cloned().collect()
    }

    /// Whether the certificate with this serial number is in it, or was until it is looked for what is over.
    pub fn has_certificate(&self, serial: &str) -> bool {
        let entries = self.lock();
        !entries.held.is_empty() && entries.held.contains_key(&Subject::Serial(serial.into()))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.lock().held.len()
    }

    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until there is an entry that can end.
    ///
    /// # Cancel safety
    /// Nothing is lost when dropped.
    pub async fn occupied(&self) {
        while self.is_empty() {
            self.shared.changed.notified().await;
        }
    }

    fn is_never(&self, principal: &Principal) -> bool {
        self.shared.settings.never.iter().any(|pattern| pattern.matches(principal))
    }

    fn put(&self, entries: &mut Entries, held: Held) -> Act {
        entries.held.insert(held.subject.clone(), held);
        self.publish(entries);
        self.shared.changed.notify_one();
        Act::Add
    }

    /// Under the lock of the entries, so that an older set never follows a newer one.
    fn publish(&self, entries: &Entries) {
        self.shared.publisher.quarantine(Quarantined::of(entries.held.values()).map(Arc::new));
        self.shared.metrics.entries.set(entries.held.len() as f64);
    }

    fn done(&self, act: Act, held: Held, by: By) -> Change {
        self.shared.metrics.changed(act.as_str());
        tracing::warn!(
            subject = %held.subject,
            holder = held.holder.as_ref().map(tracing::field::display),
            %by,
            cause = &*held.cause,
            refused = match act { Act::Refuse(refused) => Some(refused.reason()), _ => None },
            "{}",
            act.as_str()
        );
        Change { act, held, by }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.shared.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shortened(cause: &str) -> Box<str> {
    cause.get(..cause.floor_char_boundary(CAUSE)).unwrap_or_default().into()
}
