//! What each caller was refused: bursts, and scanning.

use super::finding::Detector;
use super::paths::Paths;
use super::settings::{Burst, Settings};
use super::window::{Sliding, Tick};
use crate::audit::DecisionId;
use crate::identity::Principal;
use std::collections::HashMap;
use std::hash::RandomState;
use std::time::Duration;

/// Identities that are counted apart. One that is new takes the place of one that did little: a flood of identities can hide those that do as little as the
/// others, and never makes a count that nobody reached.
const IDENTITIES: usize = 1_024;

/// Certificates of an identity that are counted apart, those that do most.
const CERTIFICATES: usize = 4;

/// Identities that are looked at for one that makes room.
const LOOKED_AT: usize = 8;

/// Decisions that a finding names.
const EVIDENCE: usize = 3;

/// One refusal, or several in an aggregate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal<'r> {
    pub(super) kind: Kind,
    pub(super) caller: &'r Principal,
    /// The serial number of the certificate; an aggregate has none.
    pub(super) serial: Option<&'r str>,
    /// The canonical path; an aggregate has none, and what is malformed neither.
    pub(super) path: Option<&'r str>,
    pub(super) id: DecisionId,
    pub(super) count: u64,
}

/// Why it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// By the table.
    Denied,
    /// It could not be made canonical.
    Malformed,
}

/// A threshold that was passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) detector: Detector,
    pub(super) count: u64,
    /// The certificate that passed it alone.
    pub(super) serial: Option<Box<str>>,
    pub(super) evidence: Vec<DecisionId>,
    pub(super) burst: Burst,
}

/// Every caller that was refused something lately, in constant memory: some 1.5 KB each, so 1.5 MB in all, and 3.5 MB where ids are as long as they can be.
#[derive(Debug, Default)]
pub(super) struct Callers {
    places: HashMap<Principal, usize>,
    slots: Vec<Slot>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Slot {
    principal: Principal,
    denied: Count,
    malformed: Count,
    certificates: Vec<Certificate>,
    touched: Tick,
}

/// A count of an identity, with the last decisions in it.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    sliding: Sliding,
    told: Option<Told>,
    last: [Option<DecisionId>; EVIDENCE],
}

/// When a count was told last, and whether it was one certificate's.
#[derive(Debug, Clone, Copy)]
struct Told {
    at: Tick,
    alone: bool,
}

#[derive(Debug)]
struct Certificate {
    serial: Box<str>,
    denied: Sliding,
    malformed: Sliding,
    paths: Paths,
    scanned: Option<Tick>,
}

impl Callers {
    /// Counts a refusal at `now`; gives the thresholds that were passed with it.
    pub(super) fn refused(&mut self, refusal: Refusal<'_>, settings: &Settings, now: Tick) -> impl Iterator<Item = Passed> + use<> {
        let place = self.place(refusal.caller);
        let hasher = self.hasher.clone();
        let slot = self.slots.get_mut(place);
        let passed = slot.map(|slot| {
            slot.touched = now;
            let burst = match refusal.kind {
                Kind::Denied => &settings.denial_burst,
                Kind::Malformed => &settings.malformed_burst,
            };
            let window = millis(burst.window);
            let certificate = refusal.serial.map(|serial| slot.certificate(serial));
            let scanned = certificate.and_then(|certificate| {
                certificate.sliding(refusal.kind).add(refusal.count, now, window);
                certificate.scan(&refusal, &settings.scanning, &hasher, now)
            });
            [slot.burst(&refusal, burst, settings.times_baseline, now), scanned.map(|passed| slot.with_evidence(passed))]
        });
        passed.into_iter().flatten().flatten()
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.slots.len().max(self.places.len())
    }

    fn place(&mut self, principal: &Principal) -> usize {
        if let Some(place) = self.places.get(principal) {
            return *place;
        }
        let slot = Slot::new(principal.clone());
        let place = if self.slots.len() < IDENTITIES {
            self.slots.push(slot);
            self.slots.len() - 1
        } else {
            let place = self.least();
            if let Some(old) = self.slots.get_mut(place) {
                self.places.remove(&old.principal);
                *old = slot;
            }
            place
        };
        self.places.insert(principal.clone(), place);
        place
    }

    /// Of a few at random, the one that did least, and among such the one that did it longest ago.
    fn least(&self) -> usize {
        let few = (0..LOOKED_AT).map(|_| fastrand::usize(..self.slots.len().max(1)));
        few.min_by_key(|place| self.slots.get(*place).map(|slot| (slot.weight(), slot.touched))).unwrap_or_default()
    }
}

impl Slot {
    fn new(principal: Principal) -> Self {
        Self { principal, denied: Count::default(), malformed: Count::default(), certificates: Vec::new(), touched: 0 }
    }

    fn weight(&self) -> u64 {
        self.denied.sliding.total() + self.malformed.sliding.total() + self.denied.sliding.baseline() as u64
    }

    /// The counts of one certificate, in the place of the one that did least where there is no room.
    fn certificate(&mut self, serial: &str) -> &mut Certificate {
        let known = self.certificates.iter().position(|certificate| &*certificate.serial == serial);
        let place = known.unwrap_or_else(|| {
            let new = Certificate {
                serial: serial.into(),
                denied: Sliding::default(),
                malformed: Sliding::default(),
                paths: Paths::default(),
                scanned: None,
            };
            let least =
                self.certificates.iter().enumerate().min_by_key(|(_, certificate)| certificate.weight()).map_or(0, |(place, _)| place);
            if self.certificates.len() < CERTIFICATES {
                self.certificates.push(new);
                self.certificates.len() - 1
            } else {
                self.certificates[least] = new;
                least
            }
        });
        &mut self.certificates[place]
    }

    fn burst(&mut self, refusal: &Refusal<'_>, burst: &Burst, times: f64, now: Tick) -> Option<Passed> {
        let Burst { threshold, window, .. } = *burst;
        let (detector, count, times) = match refusal.kind {
            Kind::Denied => (Detector::DenialBurst, &mut self.denied, times),
            Kind::Malformed => (Detector::MalformedBurst, &mut self.malformed, 0.0),
        };
        count.last.rotate_left(1);
        count.last[EVIDENCE - 1] = Some(refusal.id);
        let window = millis(window);
        let total = count.sliding.add(refusal.count, now, window);
        let unusual = total as f64 > times * f64::from(count.sliding.baseline());
        if total <= u64::from(threshold) || !unusual {
            return None;
        }
        let alone =
            self.certificates.iter_mut().map(|certificate| (certificate.sliding(refusal.kind).count(now, window), &certificate.serial));
        let alone = alone.max_by_key(|(count, _)| *count).filter(|(count, _)| *count > u64::from(threshold));
        // What was nobody's alone is told again once it is somebody's.
        let told = count.told.is_some_and(|told| now.saturating_sub(told.at) < window && (told.alone || alone.is_none()));
        if told {
            return None;
        }
        count.told = Some(Told { at: now, alone: alone.is_some() });
        let evidence = count.last.iter().flatten().copied().collect();
        Some(Passed { detector, count: total, serial: alone.map(|(_, serial)| serial.clone()), evidence, burst: *burst })
    }

    fn with_evidence(&self, passed: Passed) -> Passed {
        Passed { evidence: self.denied.last.iter().flatten().copied().collect(), ..passed }
    }

    /// Begins to count anew, now that something was done: what a second certificate of the identity does is its own.
    fn forget(&mut self, serial: &str) {
        self.certificates.retain(|certificate| &*certificate.serial != serial);
        (self.denied.told, self.malformed.told) = (None, None);
        (self.denied.sliding, self.malformed.sliding) = (Sliding::default(), Sliding::default());
    }
}

impl Callers {
    /// The certificate of `principal` was put into quarantine.
    pub(super) fn acted(&mut self, principal: &Principal, serial: &str) {
        if let Some(slot) = self.places.get(principal).and_then(|place| self.slots.get_mut(*place)) {
            slot.forget(serial);
        }
    }
}

impl Certificate {
    fn weight(&self) -> u64 {
        self.denied.total() + self.malformed.total()
    }

    fn sliding(&mut self, kind: Kind) -> &mut Sliding {
        match kind {
            Kind::Denied => &mut self.denied,
            Kind::Malformed => &mut self.malformed,
        }
    }

    fn scan(&mut self, refusal: &Refusal<'_>, scanning: &Burst, hasher: &RandomState, now: Tick) -> Option<Passed> {
        let path = refusal.path.filter(|_| refusal.kind == Kind::Denied)?;
        let (threshold, window) = (scanning.threshold as usize, millis(scanning.window));
        let count = self.paths.add(path, hasher, now, window, threshold + 1);
        let told = self.scanned.is_some_and(|told| now.saturating_sub(told) < window);
        if count <= threshold as u64 || told {
            return None;
        }
        self.scanned = Some(now);
        let (detector, serial) = (Detector::Scanning, Some(self.serial.clone()));
        Some(Passed { detector, count, serial, evidence: Vec::new(), burst: *scanning })
    }
}

/// Whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
