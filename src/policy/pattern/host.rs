//! Patterns over canonical hosts.

use crate::request::canonical_host;

/// A pattern: a host as it is, or labels of which `*` is exactly one of any name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPattern {
    text: Box<str>,
    wild: bool,
}

impl HostPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, (String, String)> {
        let wild = text.split('.').any(|label| label == "*");
        // A stand-in of plain letters makes the rest pass through the function that requests pass through.
        let plain: Vec<&str> = text.split('.').map(|label| if label == "*" { "x" } else { label }).collect();
        let plain = plain.join(".");
        if plain.contains('*') {
            return Err(("has a * that is not a whole label".into(), "write * for exactly one label, as in *.orders.internal".into()));
        }
        let host =
            canonical_host(&plain).map_err(|error| (error.to_string(), "write a host without port, as in orders.internal".to_owned()))?;
        let labels = host.split('.').zip(text.split('.')).map(|(label, written)| if written == "*" { "*" } else { label });
        let text = if wild { labels.collect::<Vec<_>>().join(".").into() } else { host.as_ref().into() };
        Ok(Self { text, wild })
    }

    /// Whether a canonical host matches.
    pub(crate) fn matches(&self, host: &str) -> bool {
        if !self.wild {
            return *self.text == *host;
        }
        if host.starts_with('[') {
            return false;
        }
        let mut actual = host.split('.');
        let fits = self.text.split('.').all(|wanted| actual.next().is_some_and(|label| wanted == "*" || wanted == label));
        fits && actual.next().is_none()
    }

    /// Whether it has a `*`.
    pub(crate) fn is_wild(&self) -> bool {
        self.wild
    }

    /// The canonical text.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}
