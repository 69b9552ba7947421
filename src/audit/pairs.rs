//! Who has spoken to whom. The first allow between two identities is recorded whatever is sampled, also over restarts where the log has a directory.

use super::{Decision, Target};
use crate::policy::{Caller, Verdict};
use aws_lc_rs::digest::{Context, SHA256};
use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pairs that are remembered at least, oldest forgotten first; twice as many at most, 48 bytes each in memory. A forgotten pair is recorded once more.
const PAIRS: usize = 32_768;
/// Pairs that are recognised without hashing their names in full, on each shard and on the writer; at the limit all are forgotten.
const LATELY: usize = 4_096;
/// Connections whose pairs are recognised by their address alone, without hashing any name; a power of two.
const WARM: usize = 256;
/// The least time between two writes of the file.
const SAVE: Duration = Duration::from_secs(10);
/// Bytes of a line of the file: a fingerprint in hexadecimal digits, and the newline.
const LINE: usize = 2 * size_of::<Fingerprint>() + 1;

/// The first half of SHA-256 over the names of a pair.
type Fingerprint = [u8; 16];

/// The pairs that had a record when the process began, shared by the shards.
pub(super) type Known = Arc<HashSet<Fingerprint>>;

/// One shard's view: the pairs that are known from before, and those of its own.
pub(super) struct Seen {
    known: Known,
    lately: RefCell<Lately>,
}

impl Seen {
    pub(super) fn new(known: Known) -> Self {
        Self { known, lately: RefCell::default() }
    }

    /// Whether nobody has recorded this pair, as far as the shard knows.
    pub(super) fn is_first(&self, decision: &Decision) -> bool {
        self.lately.borrow_mut().insert(decision) && !self.known.contains(&fingerprint(decision))
    }
}

/// Pairs by a hash that holds for this process only.
#[derive(Default)]
struct Lately {
    hasher: RandomState,
    pairs: HashSet<u64>,
}

impl Lately {
    fn insert(&mut self, decision: &Decision) -> bool {
        if self.pairs.len() >= LATELY {
            self.pairs.clear();
        }
        let caller = decision.caller.identity.as_ref().map(|identity| &identity.principal);
        let target = decision.target.as_ref().map(|target| (&target.id, &target.host));
        self.pairs.insert(self.hasher.hash_one((decision.direction, caller, target)))
    }
}

/// Connections and targets that were noted last. They are held, so that nobody else gets their address meanwhile.
struct Warm(Vec<Option<Noted>>);

struct Noted {
    caller: Arc<Caller>,
    target: Option<Arc<Target>>,
}

impl Warm {
    /// Whether this connection asked for this target just now; it has from here on.
    fn has(&mut self, decision: &Decision) -> bool {
        // Nothing that is shared is smaller than 64 bytes here.
        let Some(slot) = self.0.get_mut(Arc::as_ptr(&decision.caller).addr() / 64 % WARM) else { return false };
        let target = decision.target.as_ref();
        let known = slot.as_ref().is_some_and(|noted| {
            Arc::ptr_eq(&noted.caller, &decision.caller) && noted.target.as_ref().map(Arc::as_ptr) == target.map(Arc::as_ptr)
        });
        if !known {
            *slot = Some(Noted { caller: Arc::clone(&decision.caller), target: target.cloned() });
        }
        known
    }
}

/// The writer's memory of all pairs that have a record.
pub(super) struct Pairs {
    file: Option<PathBuf>,
    warm: Warm,
    lately: Lately,
    /// The last ones; as many as [`PAIRS`] make it the older ones.
    young: HashSet<Fingerprint>,
    old: HashSet<Fingerprint>,
    changed: bool,
    saved: Instant,
    fails: bool,
}

impl Pairs {
    /// What the file in the log's directory knows; without a directory, and where the file cannot be read, nothing.
    pub(super) fn open(directory: Option<&Path>) -> Self {
        let file = directory.map(|directory| directory.join("state").join("pairs"));
        let old = file.as_deref().map(read_or_forget).unwrap_or_default();
        Self {
            file,
            warm: Warm((0..WARM).map(|_| None).collect()),
            lately: Lately::default(),
            young: HashSet::new(),
            old,
            changed: false,
            saved: Instant::now(),
            fails: false,
        }
    }

    /// What the shards know from the start.
    pub(super) fn known(&self) -> Known {
        Arc::new(self.old.clone())
    }

    /// Notes that there is a record of an allow; says whether it is the first of its pair.
    pub(super) fn note(&mut self, decision: &Decision) -> bool {
        if decision.verdict != Verdict::Allow || self.warm.has(decision) || !self.lately.insert(decision) {
            return false;
        }
        let pair = fingerprint(decision);
        if self.old.contains(&pair) || !self.young.insert(pair) {
            return false;
        }
        if self.young.len() >= PAIRS {
            self.old = std::mem::take(&mut self.young);
        }
        self.changed = true;
        true
    }

    /// Writes the file if there is something new in it and it was not written just now.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.changed && now.saturating_duration_since(self.saved) >= SAVE {
            self.save(now);
        }
    }

    /// Writes the file if there is something new in it. Without it the next start records the new pairs once more, so a fault is only said.
    pub(super) fn save(&mut self, now: Instant) {
        self.saved = now;
        let Some(file) = self.file.as_deref().filter(|_| self.changed) else { return };
        match write(file, self.old.iter().chain(&self.young)) {
            Ok(()) => (self.changed, self.fails) = (false, false),
            Err(error) if !self.fails => {
                self.fails = true;
                tracing::warn!(file = %file.display(), %error, "who has called whom cannot be kept: a restart records each pair once more");
            }
            Err(_) => {}
        }
    }
}

/// The pair of a decision. Each part is preceded by its length, so that no two pairs give the same bytes.
fn fingerprint(decision: &Decision) -> Fingerprint {
    let target = decision.target.as_deref();
    let parts = [
        Some(super::render::direction(decision.direction)),
        decision.caller.identity.as_ref().map(|identity| identity.principal.as_str()),
        target.and_then(|target| target.id.as_deref()),
        target.map(|target| target.host.as_str()),
    ];
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
        context.update(part.unwrap_or_default().as_bytes());
    }
    context.finish().as_ref().first_chunk().copied().unwrap_or_default()
}

fn read_or_forget(file: &Path) -> HashSet<Fingerprint> {
    match read(file) {
        Ok(pairs) => pairs,
        Err(error) if error.kind() == io::ErrorKind::NotFound => HashSet::new(),
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "who has called whom is not known from before: each pair is recorded once more");
            HashSet::new()
        }
    }
}

fn read(file: &Path) -> io::Result<HashSet<Fingerprint>> {
    let most = 2 * PAIRS * LINE;
    let mut text = String::new();
    File::open(file)?.take(most as u64 + 1).read_to_string(&mut text)?;
    let torn = || io::Error::new(io::ErrorKind::InvalidData, "it holds something else than fingerprints of 32 hexadecimal digits");
    if text.len() > most {
        return Err(torn());
    }
    let pairs: Option<HashSet<_>> = text.lines().map(parse).collect();
    pairs.ok_or_else(torn)
}

fn parse(line: &str) -> Option<Fingerprint> {
    let plain = line.len() + 1 == LINE && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    u128::from_str_radix(line, 16).ok().filter(|_| plain).map(u128::to_be_bytes)
}

fn write<'a>(file: &Path, pairs: impl Iterator<Item = &'a Fingerprint>) -> io::Result<()> {
    if let Some(directory) = file.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o750).create(directory)?;
    }
    let mut text = Vec::new();
    for pair in pairs {
        writeln!(text, "{:032x}", u128::from_be_bytes(*pair))?;
    }
    let new = file.with_extension("new");
    let mut out = File::options().write(true).create(true).truncate(true).mode(0o640).open(&new)?;
    out.write_all(&text)?;
    out.sync_all()?;
    fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{caller, decision};
    use super::*;
    use crate::audit::DecisionId;

    fn between(id: &str) -> Decision {
        let mut allowed = decision(DecisionId(1), Verdict::Allow, "/");
        allowed.caller = caller(id);
        allowed
    }

    #[test]
    fn a_pair_is_first_once_and_stays_known_over_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let mut pairs = Pairs::open(Some(directory.path()));
        assert!(pairs.note(&between("spiffe://a/b")));
        assert!(!pairs.note(&between("spiffe://a/b")));
        let mut denied = between("spiffe://a/c");
        denied.verdict = Verdict::Deny;
        assert!(!pairs.note(&denied));
        assert!(pairs.note(&between("spiffe://a/c")));
        pairs.save(Instant::now());
        let mut again = Pairs::open(Some(directory.path()));
        let shard = Seen::new(again.known());
        assert!(!again.note(&between("spiffe://a/b")));
        assert!(!shard.is_first(&between("spiffe://a/c")));
        assert!(shard.is_first(&between("spiffe://a/d")));
        assert!(!shard.is_first(&between("spiffe://a/d")));
    }

    #[test]
    fn memory_is_bounded_and_the_newest_stay() {
        let directory = tempfile::tempdir().unwrap();
        let mut pairs = Pairs::open(Some(directory.path()));
        let all = PAIRS * 2 + PAIRS / 2;
        let mut one = between("spiffe://a/b");
        for number in 0..all {
            one.caller = caller(&format!("spiffe://a/{number}"));
            assert!(pairs.note(&one));
        }
        assert!(pairs.young.len() + pairs.old.len() <= 2 * PAIRS);
        pairs.save(Instant::now());
        let known = Pairs::open(Some(directory.path())).known();
        assert!(known.len() > PAIRS);
        assert!(known.contains(&fingerprint(&between(&format!("spiffe://a/{}", all - PAIRS)))));
        assert!(!known.contains(&fingerprint(&between("spiffe://a/0"))));
    }

    #[test]
    fn a_file_of_something_else_is_no_knowledge() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("state/pairs");
        fs::create_dir(directory.path().join("state")).unwrap();
        let good = format!("{:032x}\n", 7);
        for (text, pairs) in
            [(good.clone(), 1), (format!("{good}+{}\n", &good[1..32]), 0), (good[..20].to_owned(), 0), ("\u{fffd}".to_owned(), 0)]
        {
            fs::write(&file, &text).unwrap();
            assert_eq!(Pairs::open(Some(directory.path())).old.len(), pairs, "{text}");
        }
    }

    #[test]
    fn no_two_pairs_share_a_fingerprint_by_where_their_names_end() {
        let with = |id: Option<&str>, host: &str| {
            let mut decision = between("spiffe://a/b");
            decision.target = Some(Arc::new(crate::audit::Target { id: id.map(str::to_owned), host: host.to_owned(), port: 1 }));
            fingerprint(&decision)
        };
        assert_ne!(with(Some("ab"), "c"), with(Some("a"), "bc"));
        assert_ne!(with(None, "c"), with(Some(""), "c"));
    }
}
