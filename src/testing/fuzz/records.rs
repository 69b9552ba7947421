//! Decision logs that somebody else wrote.

use crate::audit::verify::{Options, Scope, Stamp, Verifier};
use serde_json::Value;

/// Whatever is verified ends with a report, and a line that is a record says of its place what a JSON parser reads there.
pub(super) fn audit_log(data: &[u8]) {
    let mut verifier = Verifier::new(Options { scope: Scope::Whole, key: None, boot: None, kept: Vec::new() });
    for (number, line) in (1..).zip(data.split(|byte| *byte == b'\n')) {
        verifier.line(number, line);
        let Ok(stamp) = Stamp::read(line) else { continue };
        assert!(line.starts_with(stamp.hashed) && stamp.hashed.len() < line.len());
        // What is skipped may be beyond what a value holds, such as a number of thousand digits.
        let Ok(value) = serde_json::from_slice::<Value>(line) else { continue };
        let member = |name: &str| value.get(name).or_else(|| value.get("unmapped")?.get(name)).cloned();
        assert_eq!(member("seq"), Some(stamp.seq.into()));
        assert_eq!(member("boot"), Some(Value::from(&*stamp.boot)));
        assert_eq!(member("kind"), Some(Value::from(&*stamp.kind)));
    }
    let report = verifier.finish();
    assert!(report.faults >= report.findings.len() as u64);
}
