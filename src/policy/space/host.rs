//! Hosts as sequences of labels.

use crate::policy::pattern::{HostPattern, Shape, Step};

/// The labels of a pattern; an address in brackets is one, whatever dots it has.
pub(in crate::policy) fn shape(pattern: &HostPattern) -> Shape<'_> {
    let step = |label| if label == "*" { Step::Any } else { Step::Literal(label) };
    let text = pattern.as_str();
    let steps = if text.starts_with('[') { vec![Step::Literal(text)] } else { text.split('.').map(step).collect() };
    Shape { steps, rest: false }
}

/// Every host.
pub(in crate::policy) fn every() -> Shape<'static> {
    Shape { steps: Vec::new(), rest: true }
}
