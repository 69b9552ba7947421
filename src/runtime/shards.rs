//! Data-plane threads.
