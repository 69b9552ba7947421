//! Where to: routes, endpoints, pools, dialling.

mod settings;

pub use settings::{Address, Settings};
