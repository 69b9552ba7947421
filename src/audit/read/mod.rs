//! Reading decision logs back: which files, in which order, and their lines as they lie in a buffer.
//!
//! [`inputs`] makes an ordered list of what a user gives; each [`Input`] opens as a [`Reader`], which hands out the lines a block at a time, so that whoever
//! looks for something looks through many lines at once. Memory is one buffer, however long a file or a line is.

mod inputs;
mod reader;
#[cfg(test)]
mod tests;

pub use inputs::{Input, Place, inputs};
pub use reader::{Lines, MAX_LINE, Piece, Reader};

use std::io;

/// A log that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file or a directory is not there, or not for this user.
    #[error("{name} cannot be opened ({error})")]
    Open {
        /// Its path.
        name: String,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// A directory has no file of a decision log.
    #[error("{name} has no decision log: no file there ends in .ndjson or .ndjson.zst")]
    Empty {
        /// Its path.
        name: String,
    },
    /// Reading ended early; the lines before are good. A compressed file that is cut or damaged ends so.
    #[error("{name} cannot be read beyond line {line} ({error})")]
    Read {
        /// The path, or that of standard input.
        name: String,
        /// Lines before.
        line: u64,
        /// What the system or the decompressor says.
        #[source]
        error: io::Error,
    },
}
