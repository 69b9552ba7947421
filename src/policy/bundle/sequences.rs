//! Which bundles were accepted before, over restarts: nobody puts an old one back, and none of another name in its place.

use super::super::{Part, json};
use super::{BundleError, Bundles, Manifest};
use crate::runtime::files;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most bytes of the file.
const MAX_BYTES: u64 = 1 << 20;

const SCHEMA: &str = "countersign.sequences/1";

/// The highest sequence of each name that was accepted, and the names by what they are for. In memory alone without a file.
#[derive(Debug, Default)]
pub struct Sequences {
    path: Option<PathBuf>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    /// By name.
    highest: BTreeMap<String, u64>,
    /// The name that was accepted last, by the part that it plays.
    names: BTreeMap<String, String>,
    /// Why the file could not be read; then nothing is accepted.
    damage: Option<String>,
}

impl Sequences {
    /// Reads what was accepted before; a file that is not there yet is made with the first bundle. Blocks.
    pub fn open(path: PathBuf) -> Self {
        let seen = Mutex::new(Seen::of(&path));
        Self { path: Some(path), seen }
    }

    /// The name that was accepted last for this part.
    pub(in crate::policy) fn name(&self, part: Part) -> Option<String> {
        self.seen().names.get(part.as_str()).cloned()
    }

    /// The highest sequence of this name; 0 where there was none. Looks at a file that was damaged again.
    ///
    /// # Errors
    /// [`BundleError::Forgotten`].
    pub(in crate::policy) fn highest(&self, name: &str) -> Result<u64, BundleError> {
        let mut seen = self.seen();
        if let (Some(_), Some(path)) = (&seen.damage, &self.path) {
            *seen = Seen::of(path);
        }
        match &seen.damage {
            Some(damage) => Err(BundleError::Forgotten(damage.clone())),
            None => Ok(seen.highest.get(name).copied().unwrap_or_default()),
        }
    }

    /// Remembers the bundles that are about to be in force; that of a candidate is not, as what is only tried must not keep the table in force from coming
    /// back. In memory from here on, whatever becomes of the file. Blocks on the disk.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn accept(&self, bundles: &Bundles) -> io::Result<()> {
        let mut seen = self.seen();
        let mut next = seen.clone();
        for (part, Manifest { name, sequence, .. }) in bundles.all().filter(|(part, _)| *part != Part::Candidate) {
            let highest = next.highest.entry(name.clone()).or_default();
            *highest = (*highest).max(*sequence);
            next.names.insert(part.as_str().to_owned(), name.clone());
        }
        if *seen == next {
            return Ok(());
        }
        *seen = next;
        self.path.as_deref().map_or(Ok(()), |path| write(path, &seen))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn of(path: &Path) -> Self {
        let damaged = |problem| Self { damage: Some(format!("{}: {problem}", path.display())), ..Self::default() };
        read(path).unwrap_or_else(damaged)
    }
}

fn write(path: &Path, seen: &Seen) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o750).create(directory)?;
    }
    let text = format!("{:#}\n", json!({ "v": SCHEMA, "highest": seen.highest, "names": seen.names }));
    files::replace(path, text.as_bytes(), 0o640)
}

fn read(path: &Path) -> Result<Seen, String> {
    let mut bytes = Vec::new();
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Seen::default()),
        file => file,
    };
    file.and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(|error| error.to_string())?;
    json::read(&bytes).map_err(|error| error.to_string()).and_then(|members| parse(&members).ok_or_else(|| format!("is no {SCHEMA}")))
}

fn parse(members: &Map<String, Value>) -> Option<Seen> {
    let object = |name: &str| members.get(name).and_then(Value::as_object);
    let highest = object("highest")?.iter().map(|(name, sequence)| Some((name.clone(), sequence.as_u64()?))).collect::<Option<_>>()?;
    let names = object("names")?.iter().map(|(part, name)| Some((part.clone(), name.as_str()?.to_owned()))).collect::<Option<_>>()?;
    (members.get("v")?.as_str()? == SCHEMA).then_some(Seen { highest, names, damage: None })
}
