//! The deny list: peers that are refused whatever their certificate says, by SPIFFE id or by serial number.

use crate::identity::{Principal, SpiffeId, TrustDomain, x509::serial_number};
use std::collections::HashSet;

/// The code of a peer whose id is listed.
pub const DENIED_ID: &str = "denied_id";

/// The code of a peer whose certificate's serial number is listed.
pub const DENIED_SERIAL: &str = "denied_serial";

/// Who is denied in one trust domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DenyList {
    ids: HashSet<Box<str>>,
    /// As [`crate::identity::PeerIdentity::serial`] writes them.
    serials: HashSet<Box<str>>,
}

/// A line that is neither an id nor a serial number; it refuses the whole list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}; {instead}")]
pub struct BadLine {
    /// Which one, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
    /// What to write.
    pub instead: &'static str,
}

impl DenyList {
    /// Reads a list: an id or a serial number in hex on each line; what follows a `#` is a remark.
    ///
    /// # Errors
    /// The first line that cannot be read, or that could never match a peer of `domain`.
    pub fn parse(domain: &TrustDomain, text: &[u8]) -> Result<Self, BadLine> {
        let mut list = Self::default();
        for (line, text) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let bad = |what: String, instead| BadLine { line, what, instead };
            let text = std::str::from_utf8(text).map_err(|_| bad("is no UTF-8".into(), "write ids, serial numbers and remarks only"))?;
            let entry = text.split('#').next().unwrap_or_default().trim();
            if !entry.is_empty() {
                list.add(domain, entry).map_err(|(what, instead)| bad(what, instead))?;
            }
        }
        Ok(list)
    }

    /// Why a peer is denied; `None`: it is not.
    pub fn denies(&self, principal: &Principal, serial: &str) -> Option<&'static str> {
        match () {
            () if matches!(principal, Principal::Spiffe(id) if self.ids.contains(id.as_str())) => Some(DENIED_ID),
            () if self.serials.contains(serial) => Some(DENIED_SERIAL),
            () => None,
        }
    }

    /// Whether it denies nobody whom `other` does not deny.
    pub fn is_within(&self, other: &Self) -> bool {
        self.ids.is_subset(&other.ids) && self.serials.is_subset(&other.serials)
    }

    /// How many ids and serial numbers it has.
    pub fn len(&self) -> usize {
        self.ids.len() + self.serials.len()
    }

    /// Whether it denies nobody.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn add(&mut self, domain: &TrustDomain, entry: &str) -> Result<(), (String, &'static str)> {
        if !entry.contains("//") {
            let serial = serial_number(entry).ok_or_else(|| {
                let what = format!("{:?} is neither a SPIFFE id nor a serial number", shortened(entry));
                (what, "write spiffe://domain/path, or a serial number of at most 20 bytes in hex, and # before remarks")
            })?;
            self.serials.insert(serial);
            return Ok(());
        }
        let id = SpiffeId::parse(entry).map_err(|error| {
            (format!("{:?} {error}", shortened(entry)), "write the whole id as its certificate has it: spiffe://domain/path")
        })?;
        if id.trust_domain() != domain.as_str() {
            let what = format!("{:?} is not in the trust domain {domain}, so it would deny nobody", shortened(entry));
            return Err((what, "write it into the deny_list of its own [[trust]]"));
        }
        self.ids.insert(id.as_str().into());
        Ok(())
    }
}

/// As much of a line as a message has room for.
fn shortened(entry: &str) -> String {
    const MOST: usize = 80;
    entry.chars().take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DenyList, BadLine> {
        DenyList::parse(&TrustDomain::parse("d").unwrap(), text.as_bytes())
    }

    fn id(text: &str) -> Principal {
        Principal::Spiffe(SpiffeId::parse(text).unwrap())
    }

    #[test]
    fn ids_and_serials_are_denied_in_every_spelling() {
        let list = parse("# who left\nspiffe://d/a  # on Monday\r\n\n0A:1b\n 00ff \nABC\n").unwrap();
        assert_eq!(list.len(), 4);
        let table = [
            (id("spiffe://d/a"), "07", Some(DENIED_ID)),
            (id("spiffe://d/a/b"), "07", None),
            (id("spiffe://d/b"), "0a1b", Some(DENIED_SERIAL)),
            (id("spiffe://d/b"), "ff", Some(DENIED_SERIAL)),
            (id("spiffe://d/b"), "0abc", Some(DENIED_SERIAL)),
            (Principal::Dns("p.d".into()), "ff", Some(DENIED_SERIAL)),
            (Principal::Dns("p.d".into()), "0a", None),
        ];
        for (principal, serial, expected) in table {
            assert_eq!(list.denies(&principal, serial), expected, "{principal} {serial}");
        }
        assert!(parse("").unwrap().is_empty() && parse("").unwrap().is_within(&list) && !list.is_within(&parse("ff").unwrap()));
    }

    #[test]
    fn one_bad_line_refuses_the_list_and_is_named() {
        let long = "a".repeat(43);
        let table = [
            ("ff\nspiffe://d\n", 2, "has no path"),
            ("spiffe://e/a", 1, "not in the trust domain d"),
            ("\n\nhello", 3, "neither a SPIFFE id nor a serial"),
            ("https://d/a", 1, "does not begin with spiffe://"),
            ("ff ee", 1, "neither"),
            (":ff", 1, "neither"),
            ("f::f", 1, "neither"),
            ("0xff", 1, "neither"),
            (&long, 1, "neither"),
        ];
        for (text, line, problem) in table {
            let bad = parse(text).unwrap_err();
            assert_eq!(bad.line, line, "{text}");
            assert!(bad.to_string().contains(problem), "{bad}");
        }
        assert_eq!(DenyList::parse(&TrustDomain::parse("d").unwrap(), b"ff\n\xff").unwrap_err().line, 2);
    }
}
