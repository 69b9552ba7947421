//! The policy tables in force: read at start, followed while running, promoted when somebody says so.

use super::StartError;
use super::bundles::Bundled;
use crate::audit::{Journal, KeptTable, KeptTables, PolicyEvent, Trouble};
use crate::document::Problems;
use crate::policy::bundle::Bundles;
use crate::policy::jwt::Keepers;
use crate::policy::{self, Listeners, LoadError, LoadedTables, Publisher, Settings, Tables};
use crate::runtime::look::Look;
use crate::runtime::readiness::Readiness;
use crate::runtime::watch::FileWatch;
use crate::telemetry::metrics::Process;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use std::{fs, io};
use tokio::sync::Notify;

/// How often a shadow mode that is past its end is said again.
const OVERDUE: Duration = Duration::from_secs(3_600);

/// Keeps the tables of a running process.
pub struct Keeper {
    /// What a table is read against.
    listeners: Listeners,
    tables: Publisher,
    journal: Journal,
    readiness: Readiness,
    bundled: Arc<Bundled>,
    key_sets: Keepers,
    settings: Mutex<Settings>,
    /// Where tables are kept beside the log.
    kept: Option<KeptTables>,
    /// What was said last about the sources, so that it is said once.
    complaint: Mutex<Option<String>>,
    /// A promotion that the files do not tell of.
    unwritten: Mutex<Option<Promotion>>,
    /// Held from reading files to publishing what they say: what was read later is never undone by what was read before.
    turn: Mutex<()>,
    /// How the files looked when they were read last, without a mistake, where another look can tell whether they have changed.
    read: Mutex<Option<Look>>,
    changed: Notify,
}

/// What a promotion in memory replaced and by what, as hashes of the tables: while the files still say that, it holds.
#[derive(Debug, PartialEq, Eq)]
struct Promotion {
    own: String,
    candidate: String,
}

impl Promotion {
    fn of(tables: &Tables) -> Option<Self> {
        Some(Self { own: tables.own().facts.sha256.clone(), candidate: tables.candidate()?.facts.sha256.clone() })
    }
}

/// The tables to start with. What is there and malformed ends the start; what is not there yet means: deny everything, not ready.
pub fn first(
    settings: &Settings,
    listeners: &Listeners,
    readiness: &Readiness,
    kept: Option<&KeptTables>,
    bundled: &Bundled,
) -> Result<Option<Tables>, StartError> {
    match load(settings, listeners, kept, bundled) {
        Ok((tables, bundles)) => {
            key_files(&tables)?;
            bundled.put(bundles);
            Ok(Some(tables))
        }
        Err(LoadError::Malformed(problems)) => Err(StartError::Unusable(problems)),
        Err(error @ (LoadError::Unavailable { .. } | LoadError::Refused { .. })) => {
            tracing::error!(%error, "there is no policy: every request is denied until it is there");
            readiness.pending("policy", error.to_string());
            Ok(None)
        }
    }
}

/// Reads the tables, and keeps what was read beside the log: whoever asks later why something was decided asks the table of then.
fn load(settings: &Settings, listeners: &Listeners, kept: Option<&KeptTables>, bundled: &Bundled) -> Result<(Tables, Bundles), LoadError> {
    let LoadedTables { tables, texts, bundles } = bundled.load(settings, listeners)?;
    bundled.accept(&bundles);
    if let Some(kept) = kept {
        let texts: Vec<KeptTable> =
            texts.into_iter().map(|text| KeptTable { sha256: text.sha256, source: text.name, toml: text.toml }).collect();
        if let Err(error) = kept.keep(&texts) {
            tracing::warn!(%error, "a policy table cannot be kept beside the decision log: `audit why` will need the file itself");
        }
    }
    Ok((tables, bundles))
}

/// A key set that is there and is none ends the start, as every other file does.
fn key_files(tables: &Tables) -> Result<(), StartError> {
    for issuer in tables.all().flat_map(|(_, table)| table.issuers().iter()) {
        if let Err(error) = issuer.look()
            && error.is_malformed()
        {
            let instead = "give the public keys of the issuer as it publishes them";
            return Err(StartError::Unusable(Problems::of_file(&issuer.source().to_string(), error.to_string(), instead)));
        }
    }
    Ok(())
}

/// Publishes tables and says so in log, record and metrics; the log line comes after the swap.
pub fn put_in_force(publisher: &Publisher, tables: Tables, key_sets: &Keepers, journal: &Journal) {
    let published = key_sets.publish(tables, |tables| publisher.publish(tables));
    let metrics = Process::handles();
    metrics.policy_ok.increment(1);
    metrics.policy_generation.set(published.tables.own().generation as f64);
    for (part, table) in published.tables.all() {
        let (facts, generation) = (&table.facts, table.generation);
        tracing::info!(
            part = part.as_str(),
            name = facts.name,
            version = facts.version,
            sha256 = facts.sha256,
            generation,
            "policy table in force"
        );
        journal.policy(PolicyEvent { part, table: Arc::clone(facts), generation });
    }
}

impl Keeper {
    /// Keeps what `publisher` has in force, which was read from `settings`.
    pub fn new(
        settings: Settings,
        listeners: Listeners,
        publisher: Publisher,
        journal: Journal,
        readiness: Readiness,
        bundled: Arc<Bundled>,
        key_sets: Keepers,
    ) -> Self {
        Self {
            listeners,
            tables: publisher,
            journal,
            readiness,
            bundled,
            key_sets,
            settings: Mutex::new(settings),
            kept: None,
            complaint: Mutex::default(),
            unwritten: Mutex::default(),
            turn: Mutex::default(),
            read: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// The keys of token issuers.
    pub fn key_sets(&self) -> &Keepers {
        &self.key_sets
    }

    /// What is known of the tables' bundles.
    pub fn bundled(&self) -> &Bundled {
        &self.bundled
    }

    /// With how the files looked at `at`, before what is in force was read.
    pub fn read_at(self, look: Look, at: SystemTime) -> Self {
        *lock(&self.read) = look.is_settled(at).then_some(look);
        self
    }

    /// With a place beside the log for what is read from now on.
    pub fn keeping(self, kept: Option<KeptTables>) -> Self {
        Self { kept, ..self }
    }

    /// Reads what `settings` name, and takes over nothing yet.
    ///
    /// # Errors
    /// [`LoadError`].
    fn read(&self, settings: &Settings) -> Result<(Tables, Bundles), LoadError> {
        let (read, bundles) = load(settings, &self.listeners, self.kept.as_ref(), &self.bundled)?;
        let mut unwritten = lock(&self.unwritten);
        if unwritten.is_some()
            && *unwritten == Promotion::of(&read)
            && let Some(promoted) = read.promoted()
        {
            return Ok((promoted, bundles.promoted()));
        }
        if unwritten.take().is_some() {
            tracing::warn!("the policy files have changed and are followed again; a promotion in memory ends with that");
        }
        Ok((read, bundles))
    }

    /// Begins to ask the sources elsewhere that `settings` would bring, and waits for the first answers for a while. Blocks.
    pub fn prepare(&self, settings: &Settings) {
        let current = lock(&self.settings).clone();
        self.bundled.prepare(&current, settings);
    }

    /// Asks no sources but those in force.
    pub fn keep(&self) {
        let current = lock(&self.settings).clone();
        self.bundled.follow(&current);
    }

    /// Reads what `settings` name and follows them from now on.
    ///
    /// # Errors
    /// [`LoadError`]; then nothing has changed.
    pub fn take(&self, settings: Settings) -> Result<(), LoadError> {
        let _turn = lock(&self.turn);
        let (tables, bundles) = self.read(&settings)?;
        self.bundled.follow(&settings);
        *lock(&self.settings) = settings;
        self.put(tables, bundles);
        self.changed.notify_one();
        Ok(())
    }

    fn put(&self, tables: Tables, bundles: Bundles) {
        *lock(&self.complaint) = None;
        self.bundled.put(bundles);
        if self.tables.snapshot().is_some_and(|current| current.same_as(&tables)) {
            Process::handles().policy_unchanged.increment(1);
        } else {
            put_in_force(&self.tables, tables, &self.key_sets, &self.journal);
        }
        self.readiness.ready("policy");
        self.bundled.look(&self.journal, &self.readiness);
    }

    /// Reads the tables again.
    ///
    /// # Errors
    /// What is wrong with them; the old ones stay in force.
    pub fn reload(&self) -> Result<(), String> {
        let _turn = lock(&self.turn);
        let settings = lock(&self.settings).clone();
        self.read(&settings).map(|(tables, bundles)| self.put(tables, bundles)).map_err(|error| {
            self.bundled.look(&self.journal, &self.readiness);
            let text = error.to_string();
            let mut complaint = lock(&self.complaint);
            if complaint.as_ref() != Some(&text) {
                self.complain(&error);
                *complaint = Some(text.clone());
            }
            text
        })
    }

    fn complain(&self, error: &LoadError) {
        Process::handles().policy_failed.increment(1);
        self.journal.trouble(Trouble::ReloadFailed(format!("the policy: {error}")));
        match (error, self.tables.snapshot().is_none()) {
            (LoadError::Malformed(problems), _) => {
                tracing::error!(%problems, "the policy table was not replaced; the old one stays in force");
            }
            (LoadError::Refused { source_name, error }, false) => {
                let reason = error.reason();
                tracing::error!(source_name, reason, %error, "the policy bundle was refused; the old one stays in force");
            }
            (error, false) => tracing::error!(%error, "the policy table cannot be read; the old one stays in force"),
            (error, true) => {
                tracing::error!(%error, "there is still no policy: every request is denied");
                self.readiness.pending("policy", error.to_string());
            }
        }
    }

    /// Puts the candidate in the place of the own table: by renaming its file where that can be done, otherwise in memory. Says which.
    ///
    /// # Errors
    /// There is no candidate, or its file holds something else than what was tried; then nothing has changed.
    pub fn promote(&self) -> Result<String, String> {
        let _turn = lock(&self.turn);
        let settings = lock(&self.settings).clone();
        let current = self.tables.snapshot().ok_or("there is no policy in force\n")?;
        let next = current.promoted().ok_or("there is no candidate: name one in [policy] candidate, and put the table there\n")?;
        let facts = Arc::clone(&next.own().facts);
        let read = self.bundled.load(&settings, &self.listeners);
        let LoadedTables { tables: read, bundles, .. } = read.map_err(|error| format!("the files are not what was tried: {error}\n"))?;
        if !read.same_as(&current) {
            return Err("the files are not what was tried; have them read again, and look at the differences first\n".into());
        }
        let what = format!("{} {} ({})", facts.name, facts.version, facts.sha256);
        let written = match (settings.source.path(), settings.candidate.as_ref().and_then(policy::Source::path)) {
            (Some(own), Some(candidate)) => replace(own, candidate).map_err(|error| error.to_string()),
            _ => Err("not both are files".to_owned()),
        };
        if written.is_err() {
            *lock(&self.unwritten) = Promotion::of(&current);
        }
        self.put(next, bundles.promoted());
        Ok(match written {
            Ok(kept) => format!("in force: {what}\nthe table before is kept as {kept}\n"),
            Err(why) => format!(
                "in force: {what}\nonly in this process ({why}): a restart reverts it, so put the table where the own one comes from\n"
            ),
        })
    }

    /// Follows the files, and reminds of shadow modes that are past their end.
    pub async fn watch(self: Arc<Self>) {
        let mut said: Option<SystemTime> = None;
        let mut news = self.bundled.fetched().news();
        if !lock(&self.settings).remotes().is_empty() {
            // What came from elsewhere since the tables were read.
            news.mark_changed();
        }
        loop {
            let files = lock(&self.settings).files();
            let mut watch = FileWatch::new(files.clone());
            loop {
                said = self.remind(said);
                let is_news = tokio::select! {
                    () = watch.changed() => false,
                    () = self.changed.notified() => false,
                    // Its other end is held by what this task holds.
                    _ = news.changed() => true,
                };
                if lock(&self.settings).files() != files {
                    break;
                }
                let (look, at) = (Look::at(&files), SystemTime::now());
                if !is_news && lock(&self.read).as_ref() == Some(&look) {
                    continue;
                }
                let reading = Arc::clone(&self);
                // Parsing a large table takes a while: not on the runtime that answers health checks.
                let good = tokio::task::spawn_blocking(move || reading.reload()).await.is_ok_and(|read| read.is_ok());
                *lock(&self.read) = (good && look.is_settled(at)).then_some(look);
            }
        }
    }

    fn remind(&self, said: Option<SystemTime>) -> Option<SystemTime> {
        self.bundled.look(&self.journal, &self.readiness);
        let now = self.bundled.clock().now();
        let overdue = self.tables.snapshot().map(|tables| tables.overdue_shadows(now)).unwrap_or_default();
        Process::handles().shadow_overdue.set(overdue.len() as f64);
        let recently = said.is_some_and(|at| now.duration_since(at).is_ok_and(|since| since < OVERDUE));
        if overdue.is_empty() || recently {
            return if overdue.is_empty() { None } else { said };
        }
        tracing::warn!(overdue = overdue.len(), "shadow modes of the policy table are past their shadow_until; they still enforce nothing");
        Some(now)
    }
}

/// Renames `candidate` to `own` and keeps what was there; says under which name.
fn replace(own: &Path, candidate: &Path) -> io::Result<String> {
    if [own, candidate].iter().any(|path| path.is_symlink()) {
        return Err(io::Error::other("a symbolic link is somebody else's to change"));
    }
    let kept = own.with_added_extension("previous");
    match fs::remove_file(&kept) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::hard_link(own, &kept)?,
    }
    fs::rename(candidate, own)?;
    // In force already; where this fails a crash may undo it, and the file system says so in its own log.
    let _ = fs::File::open(own.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
        .and_then(|dir| dir.sync_all());
    Ok(kept.display().to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
