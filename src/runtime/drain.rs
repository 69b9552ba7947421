//! The end of the process: not ready, drain, stop.
