//! `tls`: what the peer's channel must be.

use crate::identity::{Channel, Group};
use crate::policy::Truth;
use crate::policy::canonical_json::object;
use serde_json::{Value, json};

/// A test of the TLS channel that requests come over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) struct TlsTest {
    /// The oldest version that is new enough.
    pub(in crate::policy) min: Option<Version>,
    /// Whether the keys must have been agreed on in a post-quantum group.
    pub(in crate::policy) post_quantum: bool,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl Version {
    pub(in crate::policy) fn named(text: &str) -> Option<Self> {
        match text {
            "1.2" => Some(Self::Tls12),
            "1.3" => Some(Self::Tls13),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }

    fn is_met_by(self, version: &str) -> Truth {
        match Self::named(version) {
            None => Truth::Unknown,
            Some(Self::Tls13) => Truth::True,
            Some(Self::Tls12) => (self == Self::Tls12).into(),
        }
    }
}

impl TlsTest {
    /// Without a channel it cannot be told.
    pub(super) fn holds(&self, channel: Option<&Channel>) -> Truth {
        let Some(channel) = channel else { return Truth::Unknown };
        let version = self.min.map_or(Truth::True, |min| min.is_met_by(channel.version));
        version.and(match channel.group {
            _ if !self.post_quantum => Truth::True,
            Some(Group::X25519MlKem768) => Truth::True,
            Some(Group::X25519 | Group::P256) => Truth::False,
            None => Truth::Unknown,
        })
    }

    pub(super) fn json(&self) -> Value {
        object([("min", json!(self.min.map(Version::as_str))), ("post_quantum", json!(self.post_quantum))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_of_a_channel_is_neither_granted_nor_excused() {
        let channel = |version, group| Some(Channel { version, cipher: "", group, alpn: "", sni: None });
        let (new, quantum) = (TlsTest { min: Some(Version::Tls13), post_quantum: false }, TlsTest { min: None, post_quantum: true });
        let table = [
            (channel("1.3", Some(Group::X25519MlKem768)), Truth::True, Truth::True),
            (channel("1.3", Some(Group::X25519)), Truth::True, Truth::False),
            (channel("1.2", Some(Group::P256)), Truth::False, Truth::False),
            (channel("1.2", None), Truth::False, Truth::Unknown),
            (channel("1.4", None), Truth::Unknown, Truth::Unknown),
            (None, Truth::Unknown, Truth::Unknown),
        ];
        for (channel, newer, safe) in table {
            assert_eq!((new.holds(channel.as_ref()), quantum.holds(channel.as_ref())), (newer, safe), "{channel:?}");
        }
        let both = TlsTest { min: Some(Version::Tls12), post_quantum: true };
        assert_eq!(both.holds(channel("1.2", Some(Group::X25519)).as_ref()), Truth::False);
    }
}
