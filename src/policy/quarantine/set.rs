//! Who is held, as a decision sees it.

use crate::identity::x509::serial_number;
use crate::identity::{PeerIdentity, Principal, SpiffeId};
use std::collections::HashMap;
use std::fmt;
use std::time::SystemTime;

/// Who is held: everybody with an identity, or one certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// By identity, exactly.
    Identity(Box<str>),
    /// By the certificate's serial number, as [`PeerIdentity::serial`] has it.
    Serial(Box<str>),
}

/// A text that is neither an identity nor a serial number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it {0}; write a whole SPIFFE id, a DNS name, or a serial number in hex")]
pub struct SubjectError(String);

impl Subject {
    /// Reads a SPIFFE id (exact, no pattern), a DNS name with at least one dot, or a serial number in hex.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        if text.contains("//") {
            let id = SpiffeId::parse(text).map_err(|error| SubjectError(error.to_string()))?;
            return Ok(Self::Identity(id.as_str().into()));
        }
        if let Some(serial) = serial_number(text) {
            return Ok(Self::Serial(serial));
        }
        let label = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if text.len() <= 253 && text.contains('.') && text.split('.').all(label) {
            return Ok(Self::Identity(text.to_ascii_lowercase().into()));
        }
        Err(SubjectError("is neither an identity nor a serial number".into()))
    }

    /// The identity, where it is one.
    pub fn identity(&self) -> Option<&str> {
        match self {
            Self::Identity(id) => Some(id),
            Self::Serial(_) => None,
        }
    }

    /// The serial number, where it is one.
    pub fn serial(&self) -> Option<&str> {
        match self {
            Self::Identity(_) => None,
            Self::Serial(serial) => Some(serial),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(text) | Self::Serial(text) => f.write_str(text),
        }
    }
}

/// One entry, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Who.
    pub subject: Subject,
    /// Whose certificate it is, where a detector named it.
    pub holder: Option<Principal>,
    /// When it ends.
    pub until: SystemTime,
    /// Why.
    pub cause: Box<str>,
    /// By whose word.
    pub by: super::By,
}

/// Everybody who is held at one moment. Immutable; never empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Quarantined {
    identities: HashMap<Box<str>, SystemTime>,
    serials: HashMap<Box<str>, SystemTime>,
}

impl Quarantined {
    /// The set of these entries; `None`: there is none.
    pub(super) fn of<'h>(held: impl Iterator<Item = &'h Held>) -> Option<Self> {
        let mut set = Self::default();
        for Held { subject, until, .. } in held {
            match subject {
                Subject::Identity(id) => set.identities.insert(id.clone(), *until),
                Subject::Serial(serial) => set.serials.insert(serial.clone(), *until),
            };
        }
        (!set.identities.is_empty() || !set.serials.is_empty()).then_some(set)
    }

    /// How many entries it has.
    pub(in crate::policy) fn len(&self) -> usize {
        self.identities.len() + self.serials.len()
    }

    /// Whether `peer` is held at `now`: an entry ends at its moment, whenever it is taken out.
    pub fn holds(&self, peer: &PeerIdentity, now: SystemTime) -> bool {
        let holds = |map: &HashMap<Box<str>, SystemTime>, key: &str| !map.is_empty() && map.get(key).is_some_and(|until| now < *until);
        holds(&self.serials, &peer.serial) || holds(&self.identities, peer.principal.as_str())
    }
}
