//! How a table stands to one identity: what of it hangs on who asks and on nothing else. Found once per identity and table.

use super::rule::Rule;
use super::{Mode, Table, Truth};
use crate::identity::Principal;

/// How a table stands to one identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// The rules that `enforce_percent` leaves in shadow for it, by index, in file order.
    tried: Box<[u32]>,
    /// Whether the table itself is in shadow for it.
    pub(super) is_in_shadow: bool,
    /// Whether the table's conditions on tags hold for it, by their numbers.
    tags: Box<[Truth]>,
}

/// The share of identities that a rule or a table is enforced for; the others have it in shadow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Percent(u8);

impl Percent {
    /// All of them.
    pub(super) const ALL: Self = Self(100);

    /// From 1 to 100.
    pub(super) fn new(percent: i64) -> Option<Self> {
        u8::try_from(percent).ok().filter(|percent| (1..=100).contains(percent)).map(Self)
    }

    pub(super) fn get(self) -> u8 {
        self.0
    }

    /// Whether `principal` is among them, for the rule or the table called `name`: the first 8 bytes of SHA-256 over the identity, a zero byte and the
    /// name, as a big-endian number, modulo 100, are below the percentage. The same in every process, and who is among them stays when it is raised.
    pub(super) fn has(self, principal: &Principal, name: &str) -> bool {
        if self == Self::ALL {
            return true;
        }
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        [principal.as_str(), "\0", name].into_iter().for_each(|part| context.update(part.as_bytes()));
        let digest = context.finish();
        let first = digest.as_ref().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        first % 100 < u64::from(self.0)
    }
}

impl Standing {
    /// How `table` stands to `principal`, who can meet these of its rules.
    pub(super) fn of(table: &Table, principal: &Principal, rules: &[u32]) -> Self {
        let tried = |index: &u32| {
            let rule = usize::try_from(*index).ok().and_then(|index| table.rules.get(index));
            rule.is_some_and(|rule| !rule.percent.has(principal, &rule.facts.id))
        };
        let is_in_shadow = matches!(table.mode(), Mode::Shadow { .. }) || !table.percent.has(principal, &table.facts.name);
        Self { tried: rules.iter().copied().filter(tried).collect(), is_in_shadow, tags: table.tags.truths(principal) }
    }

    /// Whether the rule with this index is in shadow.
    pub(super) fn tries(&self, index: u32, rule: &Rule) -> bool {
        rule.is_shadow() || self.tried.binary_search(&index).is_ok()
    }

    #[cfg(test)]
    pub(super) fn forget_tried(&mut self) {
        self.tried = Box::default();
    }

    #[cfg(test)]
    pub(super) fn forget_tags(&mut self) {
        self.tags = Box::default();
    }

    /// Whether the condition on tags with this number holds.
    pub(super) fn tags(&self, number: u32) -> Truth {
        usize::try_from(number).ok().and_then(|number| self.tags.get(number)).copied().unwrap_or(Truth::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::SpiffeId;

    fn principal(number: u32) -> Principal {
        Principal::Spiffe(SpiffeId::parse(&format!("spiffe://prod.example/sa/{number}")).unwrap())
    }

    #[test]
    fn a_percentage_is_about_so_many_identities_and_keeps_them() {
        let has = |percent, name: &str| -> Vec<u32> {
            (0..10_000).filter(|number| Percent::new(percent).unwrap().has(&principal(*number), name)).collect()
        };
        let (ten, thirty) = (has(10, "r"), has(30, "r"));
        assert!((900..1_100).contains(&ten.len()) && (2_800..3_200).contains(&thirty.len()), "{} {}", ten.len(), thirty.len());
        assert!(ten.iter().all(|number| thirty.contains(number)));
        assert_ne!(ten, has(10, "another"));
        assert_eq!(has(100, "r").len(), 10_000);
        assert!([0, 101, -1, 300].into_iter().all(|percent| Percent::new(percent).is_none()));
    }

    /// `printf 'spiffe://prod.example/sa/7\0r' | sha256sum | cut -c-16`, as a number, modulo 100.
    #[test]
    fn who_is_among_them_never_changes() {
        let bucket = |number| (1..=100).find(|percent| Percent::new(*percent).unwrap().has(&principal(number), "r")).unwrap() - 1;
        assert_eq!([7, 8, 9].map(bucket), [18, 12, 63]);
    }
}
