//! What this process asks of the kernel before it serves: descriptors, and no core dumps.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

/// Descriptors that the process itself holds: listeners, logs, runtimes, pools that idle.
const OWN: u64 = 256;

/// `limits.connections` asks for more descriptors than the process may open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortfall {
    /// Descriptors that so many connections need.
    pub needed: u64,
    /// Descriptors that the process may open.
    pub allowed: u64,
    /// Connections that would fit.
    pub fitting: u64,
}

/// Raises the descriptor limit, forbids core dumps, and warns in the log where the kernel refuses or `connections` does not fit.
pub fn prepare(connections: usize) {
    match raise_descriptors() {
        Ok(allowed) => {
            if let Some(Shortfall { needed, allowed, fitting }) = shortfall(connections, allowed) {
                tracing::warn!(
                    connections,
                    needed,
                    allowed,
                    fitting,
                    "limits.connections does not fit; raise the hard limit of open files, or lower it"
                );
            }
        }
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
    if let Err(error) = forbid_core_dumps() {
        tracing::warn!(%error, "core dumps could not be switched off; one would hold the private key");
    }
}

/// Raises the soft limit of open descriptors to the hard one and gives what is allowed now; `u64::MAX`: no limit.
///
/// # Errors
/// The kernel refuses.
pub fn raise_descriptors() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    }
    Ok(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// Sets the limit of core dumps to zero, for good.
///
/// # Errors
/// The kernel refuses.
///
/// # Security
/// A core dump holds the private key in the clear.
pub fn forbid_core_dumps() -> io::Result<()> {
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

/// What is missing where `allowed` descriptors are too few for `connections`, each with one descriptor towards the peer and one towards the app.
pub fn shortfall(connections: usize, allowed: u64) -> Option<Shortfall> {
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(OWN);
    (needed > allowed).then(|| Shortfall { needed, allowed, fitting: allowed.saturating_sub(OWN) / 2 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_raised_to_the_hard_limit() {
        let allowed = raise_descriptors().unwrap();
        assert_eq!(allowed, getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX));
    }

    #[test]
    fn too_few_descriptors_are_named() {
        let table = [
            (10_000, 1_024, Some(Shortfall { needed: 20_256, allowed: 1_024, fitting: 384 })),
            (10_000, 20_256, None),
            (10_000, u64::MAX, None),
            (1, 10, Some(Shortfall { needed: 258, allowed: 10, fitting: 0 })),
        ];
        for (connections, allowed, expected) in table {
            assert_eq!(shortfall(connections, allowed), expected);
        }
    }
}
