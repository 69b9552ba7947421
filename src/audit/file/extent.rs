//! What a file has got, read back from it.

use crate::audit::chain::Link;
use crate::audit::read::{Input, Piece, Place, ReadError};
use crate::audit::stamp::Stamp;
use std::path::Path;

/// The records of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audit) struct Extent {
    /// Who wrote them.
    pub(in crate::audit) boot: String,
    /// The first one's number.
    pub(in crate::audit) first: u64,
    /// The last one's.
    pub(in crate::audit) last: u64,
    /// The last one's link.
    pub(in crate::audit) chain: Link,
}

/// Where the log of the boot before ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audit) struct Previous {
    /// Its id.
    pub(in crate::audit) boot: String,
    /// Its last whole record's number.
    pub(in crate::audit) seq: u64,
    /// That record's link.
    pub(in crate::audit) chain: Link,
    /// It ended in half a line, or without a footer.
    pub(in crate::audit) torn: bool,
}

/// Looks at the files from the newest one back for the last whole record; `None` where there is none.
pub(super) fn previous<'p>(newest_first: impl Iterator<Item = &'p Path>) -> Option<Previous> {
    let mut torn = false;
    for path in newest_first {
        match look(path) {
            Ok((Some(extent), ended)) => {
                return Some(Previous { boot: extent.boot, seq: extent.last, chain: extent.chain, torn: torn || !ended });
            }
            // A file that was begun just before the end.
            Ok((None, _)) => torn = true,
            Err(error) => {
                tracing::warn!(%error, "a file of the decision log cannot be read: what it holds is not named in the new one");
                torn = true;
            }
        }
    }
    None
}

/// What the file holds of the boot that wrote its last record, and whether it ends in a footer.
///
/// # Errors
/// It cannot be read.
pub(super) fn look(path: &Path) -> Result<(Option<Extent>, bool), ReadError> {
    let mut reader = Input { place: Place::File(path.to_owned()), size: None }.open()?;
    let mut extent: Option<Extent> = None;
    let mut ended = false;
    loop {
        match reader.next() {
            Ok(Some(Piece::Lines(lines))) => {
                let all = lines.bytes.strip_suffix(b"\n").unwrap_or(lines.bytes);
                if extent.is_none() {
                    extent = all.split(|byte| *byte == b'\n').find_map(read).map(|stamp| extent_of(&stamp));
                }
                let last = all.rsplit(|byte| *byte == b'\n').next().and_then(read);
                ended = last.as_ref().is_some_and(|stamp| stamp.kind == "footer");
                let last = last.or_else(|| all.rsplit(|byte| *byte == b'\n').find_map(read));
                if let (Some(extent), Some(stamp)) = (&mut extent, last) {
                    extend(extent, &stamp);
                }
            }
            Ok(Some(Piece::TooLong { .. } | Piece::Torn { .. })) => ended = false,
            Ok(None) => return Ok((extent, ended)),
            // A compressed file that is cut: what was read of it counts.
            Err(error) => return if extent.is_some() { Ok((extent, false)) } else { Err(error) },
        }
    }
}

fn read(line: &[u8]) -> Option<Stamp<'_>> {
    Stamp::read(line).ok()
}

fn extent_of(stamp: &Stamp<'_>) -> Extent {
    Extent { boot: stamp.boot.to_string(), first: stamp.seq, last: stamp.seq, chain: stamp.chain }
}

fn extend(extent: &mut Extent, stamp: &Stamp<'_>) {
    if extent.boot == stamp.boot {
        (extent.last, extent.chain) = (stamp.seq, stamp.chain);
    } else {
        *extent = extent_of(stamp);
    }
}
