//! The quarantine as the control socket changes it, and its end by the clock.

use super::status::rfc3339;
use crate::admin;
use crate::audit::Journal;
use crate::policy::quarantine::{Act, By, Held, Quarantine, Settings, Subject};
use crate::runtime::clock::Clock;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// From one look for entries that are over to the next. They end by themselves; this takes them out and writes their records.
const LOOK: Duration = Duration::from_secs(1);

/// The longest entry, 30 days: whoever is to stay out for longer belongs on a deny list, which outlives a restart.
const LONGEST: u64 = 30 * 86_400;

/// `POST /quarantine`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    subject: String,
    for_s: u64,
    cause: String,
}

/// `DELETE /quarantine`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Remove {
    subject: String,
}

/// What the control socket does with the quarantine.
pub fn handle(quarantine: &Quarantine, settings: &Settings, journal: &Journal, clock: &Arc<dyn Clock>) -> admin::Quarantine {
    let rails = json!({
        "never": settings.never.iter().map(|pattern| pattern.as_str()).collect::<Vec<_>>(),
        "max": settings.max,
        "window_s": settings.window.as_secs(),
    });
    let list = {
        let quarantine = quarantine.clone();
        move || {
            let entries: Vec<Value> = quarantine.list().iter().map(entry).collect();
            json!({ "entries": entries, "rails": rails })
        }
    };
    let add = {
        let (quarantine, journal, clock) = (quarantine.clone(), journal.clone(), Arc::clone(clock));
        move |body: &[u8], uid| {
            let Add { subject, for_s, cause } = read(body)?;
            if for_s == 0 || for_s > LONGEST {
                return Err("for_s is not between 1 and 2592000 (30 days); put who has to stay out for longer on a deny_list\n".into());
            }
            let subject = Subject::parse(&subject).map_err(|error| format!("{subject:?}: {error}\n"))?;
            let until = clock.now() + Duration::from_secs(for_s);
            let change = quarantine.add(subject, until, &cause, by(uid)?);
            let said = match change.act {
                Act::Refuse(refused) => Err(format!("{} is not put into quarantine: {refused}\n", change.held.subject)),
                _ => Ok(format!("{} is in quarantine until {}\n", change.held.subject, rfc3339(until))),
            };
            journal.action(change);
            said
        }
    };
    let remove = {
        let (quarantine, journal) = (quarantine.clone(), journal.clone());
        move |body: &[u8], uid| {
            let Remove { subject } = read(body)?;
            let subject = Subject::parse(&subject).map_err(|error| format!("{subject:?}: {error}\n"))?;
            let change = quarantine.remove(&subject, by(uid)?).ok_or_else(|| format!("{subject} is not in quarantine\n"))?;
            journal.action(change);
            Ok(format!("{subject} is out of quarantine\n"))
        }
    };
    admin::Quarantine { list: Arc::new(list), add: Arc::new(add), remove: Arc::new(remove) }
}

/// Takes out what is over.
pub async fn expire(quarantine: Quarantine, journal: Journal, clock: Arc<dyn Clock>) {
    loop {
        quarantine.occupied().await;
        tokio::time::sleep(LOOK).await;
        quarantine.expire(clock.now()).into_iter().for_each(|change| journal.action(change));
    }
}

fn entry(held: &Held) -> Value {
    json!({
        "subject": held.subject.to_string(),
        "kind": if held.subject.serial().is_some() { "serial" } else { "identity" },
        "holder": held.holder.as_ref().map(ToString::to_string),
        "until": rfc3339(held.until),
        "cause": held.cause,
        "by": held.by.to_string(),
    })
}

fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("the body is not what is expected: {error}\n"))
}

/// Who asks; only the control socket hands commands on, and it knows its peer.
fn by(uid: Option<u32>) -> Result<By, String> {
    uid.map(By::Operator).ok_or_else(|| "it is not known who asks\n".to_owned())
}
