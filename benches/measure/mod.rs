//! What is measured about a running proxy, whoever made it: instructions, CPU time, memory, system calls.
#![allow(dead_code, unused_imports, reason = "each bench uses its part")]

pub mod certificates;
pub mod count;
pub mod counters;
pub mod process;
pub mod program;
pub mod setting;
pub mod syscalls;
pub mod work;

pub use counters::{Callgrind, Instructions, Method, Perf};
pub use process::Cpu;
pub use program::{Callers, Program, Running};
pub use setting::{Setting, Sink};
pub use syscalls::Calls;
pub use work::Work;

use std::process::Command;

/// The commit that is checked out; where there is no git, nobody knows.
pub fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty", "--exclude", "*"]).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

/// The median; zero of nothing.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
