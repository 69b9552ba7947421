//! The development CA: made on first use, for laptops and tests, marked so that production refuses it.

mod ca;
mod source;

pub use ca::{DEVELOPMENT_KEY_FILE, DevCa, DevError, Request};
pub use source::DevSource;
