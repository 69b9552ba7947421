//! Records as events of the Open Cybersecurity Schema Framework, version 1.8.0.
//!
//! There is one mapping, from the line of a record to the line of an event: the writer uses it for `format = "ocsf"`, and `countersign audit export`
//! for logs that were written before. Nothing is lost on the way: a member of the record that has no place in the event is in the event's `unmapped`,
//! which is its last member. Texts are taken over as they stand in the line, escapes included.
//!
//! | record | class |
//! |---|---|
//! | `decision`, and an `aggregate` of them | HTTP Activity, 4002 |
//! | `handshake`, and an `aggregate` of them | Network Activity, 4001, activity Refuse |
//! | `finding` | Detection Finding, 2004 |
//! | everything else | Base Event, 0 |

mod class;
mod finding;
mod object;
mod outcome;
mod parts;
mod record;
#[cfg(test)]
mod tests;

pub use record::NotARecord;

use class::Class;
use object::Object;
use record::Record;

/// What an event ends with: the end of `unmapped`, and its own.
pub(super) const END: &[u8] = b"}}";

/// Appends the event of a record that our own renderer wrote, without its [`END`]; the record needs none either.
///
/// # Errors
/// See [`NotARecord`]; nothing is appended then.
pub(super) fn unsealed(line: &str, out: &mut Vec<u8>) -> Result<(), NotARecord> {
    Record::trusted(line).map(|record| event(record, out))
}

/// Appends the event of a record that is read from somewhere, with a newline. The record's `chain` is `source_chain` there: it does not hold over the
/// bytes of the event.
///
/// # Errors
/// See [`NotARecord`]; nothing is appended then.
pub fn exported(line: &str, out: &mut Vec<u8>) -> Result<(), NotARecord> {
    event(Record::read(line)?, out);
    out.extend_from_slice(END);
    out.push(b'\n');
    Ok(())
}

/// Whether a line is an event of ours already.
pub fn is_event(line: &str) -> bool {
    line.starts_with("{\"class_uid\":")
}

fn event(mut record: Record<'_>, out: &mut Vec<u8>) {
    let class = Class::of(&record);
    let mut event = Object::begin(out);
    class.write(&mut event, &record);
    let at = parts::times(&mut event, &mut record);
    outcome::write(&mut event, &mut record, class);
    parts::metadata(&mut event, &mut record, class);
    match class {
        Class::Http => {
            parts::actor(&mut event, &mut record);
            parts::trace(&mut event, &mut record);
            parts::http(&mut event, &mut record);
            parts::network(&mut event, &mut record);
        }
        Class::Network => parts::network(&mut event, &mut record),
        Class::Finding => finding::write(&mut event, &mut record, at),
        Class::Base => {}
    }
    parts::policy(&mut event, &mut record);
    parts::unmapped(event, &record);
}
