//! One program for all targets: `COUNTERSIGN_FUZZ` names the one that libFuzzer drives.
#![no_main]

use countersign::testing::fuzz::{Target, target};
use std::sync::LazyLock;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("COUNTERSIGN_FUZZ").expect("COUNTERSIGN_FUZZ names a target");
    target(&name).unwrap_or_else(|| panic!("there is no target {name}"))
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| (TARGET.check)(data));
