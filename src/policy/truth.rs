//! Three-valued logic: what cannot be known must neither grant nor excuse.

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Truth {
    /// It does not.
    False,
    /// It cannot be told: what it asks about is missing or unreadable. An allow does not match, a deny does.
    Unknown,
    /// It does.
    True,
}

impl Truth {
    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            _ => Self::Unknown,
        }
    }

    /// Both hold; `other` is not looked at where this one does not.
    #[must_use]
    pub fn and_then(self, other: impl FnOnce() -> Self) -> Self {
        if self == Self::False { Self::False } else { self.and(other()) }
    }

    /// At least one holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::True, _) | (_, Self::True) => Self::True,
            (Self::False, Self::False) => Self::False,
            _ => Self::Unknown,
        }
    }

    /// The letter in the decision log.
    pub fn letter(self) -> &'static str {
        match self {
            Self::False => "f",
            Self::Unknown => "u",
            Self::True => "t",
        }
    }

    /// What a letter in the decision log says.
    pub fn of_letter(letter: &str) -> Option<Self> {
        [Self::False, Self::Unknown, Self::True].into_iter().find(|truth| truth.letter() == letter)
    }

    /// Enough for an allow.
    pub fn is_certain(self) -> bool {
        self == Self::True
    }

    /// Enough for a deny.
    pub fn is_possible(self) -> bool {
        self != Self::False
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

#[cfg(test)]
mod tests {
    use super::Truth::{self, False, True, Unknown};

    #[test]
    fn unknown_is_neither_granted_nor_excused() {
        assert!(!Unknown.is_certain());
        assert!(Unknown.is_possible());
        for (a, b, and, or) in [
            (True, True, True, True),
            (True, Unknown, Unknown, True),
            (True, False, False, True),
            (Unknown, Unknown, Unknown, Unknown),
            (Unknown, False, False, Unknown),
            (False, False, False, False),
        ] {
            assert_eq!((a.and(b), b.and(a), a.or(b), b.or(a)), (and, and, or, or), "{a:?} {b:?}");
        }
        assert_eq!((Truth::from(true), Truth::from(false)), (True, False));
    }
}
