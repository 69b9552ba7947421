//! The canonical path; requests and patterns pass through the same function.

use super::Strictness;
use std::borrow::Cow;

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// placeholder
    Placeholder,
}

/// Makes a path (no query) canonical; borrowed when nothing changed.
///
/// # Errors
/// What is refused, policy.md section 3.
pub fn canonical_path<'p>(_path: &'p str, _strictness: &Strictness) -> Result<Cow<'p, str>, PathError> {
    todo!()
}
