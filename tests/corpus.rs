//! Every input that the fuzzer found worth keeping, and those that once broke something, hold.
#![allow(clippy::unwrap_used, clippy::panic)]

use countersign::testing::fuzz::TARGETS;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[test]
fn every_kept_input_holds() {
    for target in TARGETS {
        let inputs = inputs(target.name);
        assert!(inputs.len() >= 4, "tests/corpus/{} has {} inputs", target.name, inputs.len());
        for input in inputs {
            let data = std::fs::read(&input).unwrap();
            // A broken property must say which input it was.
            if std::panic::catch_unwind(|| (target.check)(&data)).is_err() {
                panic!("{} does not hold for {}", target.name, input.display());
            }
        }
    }
}

#[test]
fn every_folder_belongs_to_a_target() {
    let known: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let folders = std::fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(folders.collect::<BTreeSet<_>>(), known);
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn inputs(target: &str) -> Vec<PathBuf> {
    let mut inputs: Vec<PathBuf> = std::fs::read_dir(corpus().join(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    inputs
}
