//! The table that is asked, and what it is read against.

use crate::audit::Sink;
use crate::cli::{ConfigSource, check};
use crate::config::{self, Survey};
use crate::document::{Problem, Problems};
use crate::policy::bundle::{BundleError, Fetched, Manifest, Sequences};
use crate::policy::explain::RulePlace;
use crate::policy::lint::Around;
use crate::policy::{self, Judging, Listeners, LoadError, Outline, Part, Source, Table, Tables};
use crate::proxy::Inbound;
use crate::upstream::Protocol;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// Which table.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct TableSource {
    #[command(flatten)]
    config: ConfigSource,
    /// The table itself, read without a configuration: a path, or env:NAME
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    policy: Option<String>,
}

/// The table, the one that caps it where there is one, and what is known around them.
pub(in crate::cli) struct Given {
    pub(in crate::cli) tables: Arc<Tables>,
    outlines: Vec<(Part, Outline)>,
    pub(super) listeners: Listeners,
    /// Whether the listeners are those of a configuration; otherwise their ports are those that the table names.
    pub(super) is_configured: bool,
    /// The directory of the decision log, where the configuration has one.
    pub(super) log: Option<PathBuf>,
}

impl TableSource {
    /// Reads the tables; prints what is wrong with them.
    pub(super) fn read(&self) -> Option<Given> {
        let result = match &self.policy {
            Some(name) => alone(name),
            None => self.configured(),
        };
        result.map_err(|problems| check::unusable(&problems)).ok()
    }

    /// The control socket of the sidecar, where there is a configuration that can be used.
    pub(super) fn socket(&self) -> Option<PathBuf> {
        let config = self.policy.is_none().then_some(&self.config.config)?;
        config::load(config).ok().map(|loaded| loaded.config.admin.socket)
    }

    fn configured(&self) -> Result<Given, Vec<Problem>> {
        let Survey { loaded, references, .. } = config::survey_source(&self.config.config);
        let log = match loaded.as_ref().map(|loaded| &loaded.config.audit.sink) {
            Ok(Sink::File(directory)) => Some(directory.clone()),
            _ => None,
        };
        match (references.policy, loaded) {
            (Some((settings, listeners)), _) => {
                let listeners = whatever(listeners);
                let text = part(Part::Own, &settings.source, &settings, None)?;
                let boundary = settings.boundary.as_ref();
                let boundary = boundary.map(|source| part(Part::Boundary, source, &settings, text.manifest.as_ref())).transpose()?;
                let (boundary, capping) = boundary.map(|text| outlined(&text, Some(&listeners))).transpose()?.unzip();
                let (own, outline) = outlined(&text, Some(&listeners))?;
                let outlines = [(Part::Own, Some(outline)), (Part::Boundary, capping)];
                let outlines = outlines.into_iter().filter_map(|(part, outline)| Some((part, outline?))).collect();
                Ok(Given { tables: Arc::new(Tables::new(own, boundary, None)), outlines, listeners, is_configured: true, log })
            }
            (None, Err(problems)) => Err(problems.into_vec()),
            (None, Ok(_)) => Err(vec![problem(&self.config.config, "has no policy", "write [policy] file = \"policy.toml\"")]),
        }
    }
}

/// Tables as they were in force once, by what they are called and their texts; the second one caps the first.
///
/// # Errors
/// What is wrong with them.
pub(in crate::cli) fn once_in_force(own: (&str, &str), boundary: Option<(&str, &str)>) -> Result<Given, Vec<Problem>> {
    let one = |(name, text): (&str, &str)| {
        let outline = Outline::read(name, text);
        let table = policy::parse(name, text, &listeners_of(&outline)).map_err(Problems::into_vec)?;
        Ok::<_, Vec<Problem>>((table, outline))
    };
    let (own, outline) = one(own)?;
    let (boundary, capping) = boundary.map(one).transpose()?.unzip();
    let listeners = listeners_of(&outline);
    let outlines = std::iter::once((Part::Own, outline)).chain(capping.map(|outline| (Part::Boundary, outline))).collect();
    Ok(Given { tables: Arc::new(Tables::new(own, boundary, None)), outlines, listeners, is_configured: false, log: None })
}

/// The listeners, for tables that no sidecar has to carry.
pub(super) fn whatever(listeners: Listeners) -> Listeners {
    Listeners { http_only: false, ..listeners }
}

/// A table without a configuration.
pub(in crate::cli) fn alone(name: &str) -> Result<Given, Vec<Problem>> {
    let (own, outline) = read(&source(name), None)?;
    let listeners = listeners_of(&outline);
    let outlines = vec![(Part::Own, outline)];
    Ok(Given { tables: Arc::new(own.into()), outlines, listeners, is_configured: false, log: None })
}

/// A table without a configuration, and the one that caps it where there is one.
pub(super) fn pair(own: &str, boundary: Option<&str>) -> Result<Given, Vec<Problem>> {
    let given = alone(own)?;
    let Some(boundary) = boundary else { return Ok(given) };
    let (capping, outline) = read(&source(boundary), None)?;
    let tables = Arc::new(Tables::new(Arc::clone(given.tables.own()), Some(capping), None));
    let outlines = given.outlines.into_iter().chain([(Part::Boundary, outline)]).collect();
    Ok(Given { tables, outlines, ..given })
}

pub(super) fn source(name: &str) -> Source {
    match name.strip_prefix("env:") {
        Some(variable) => Source::Env(variable.to_owned()),
        None => Source::File(name.into()),
    }
}

fn listeners_of(outline: &Outline) -> Listeners {
    Listeners { ports: outline.ports().to_vec(), ..Listeners::default() }
}

fn read(source: &Source, listeners: Option<&Listeners>) -> Result<(Arc<Table>, Outline), Vec<Problem>> {
    outlined(&plain(source)?, listeners)
}

/// A table without a configuration that says who must have signed it.
pub(super) fn plain(source: &Source) -> Result<policy::Given, Vec<Problem>> {
    read_as(Part::Own, source, None, None)
}

/// A table that plays a part in a configuration, as a sidecar of it would read it at its first start.
pub(super) fn part(
    part: Part,
    source: &Source,
    settings: &policy::Settings,
    own: Option<&Manifest>,
) -> Result<policy::Given, Vec<Problem>> {
    read_as(part, source, settings.signed.as_ref(), own)
}

fn read_as(part: Part, source: &Source, signed: Option<&policy::Signed>, own: Option<&Manifest>) -> Result<policy::Given, Vec<Problem>> {
    let judging = Judging { sequences: &Sequences::default(), fetched: &Fetched::default(), now: SystemTime::now() };
    policy::read(part, source, signed, own, judging).map_err(unusable)
}

pub(super) fn outlined(text: &policy::Given, listeners: Option<&Listeners>) -> Result<(Arc<Table>, Outline), Vec<Problem>> {
    let outline = Outline::read(&text.name, &text.toml);
    let table = match listeners {
        Some(listeners) => text.table(listeners),
        None => text.table(&listeners_of(&outline)),
    };
    Ok((table.map_err(unusable)?, outline))
}

fn unusable(error: LoadError) -> Vec<Problem> {
    match error {
        LoadError::Malformed(problems) | LoadError::Refused { error: BundleError::Table(problems), .. } => problems.into_vec(),
        LoadError::Refused { source_name, error } => vec![problem(&source_name, &error.to_string(), "")],
        LoadError::Unavailable { source_name, reason } => {
            vec![problem(&source_name, &format!("cannot be read ({reason})"), "give the path of a table, or env:NAME")]
        }
    }
}

impl Given {
    /// The places of a table.
    pub(super) fn outline(&self, part: Part) -> Option<&Outline> {
        self.outlines.iter().find(|(own, _)| *own == part).map(|(_, outline)| outline)
    }

    /// The service's own table.
    pub(in crate::cli) fn own(&self) -> &Table {
        self.tables.own()
    }

    /// The id of a rule.
    pub(super) fn id(&self, rule: RulePlace) -> String {
        let table = self.tables.all().find(|(part, _)| *part == rule.part);
        table.and_then(|(_, table)| table.rules().nth(rule.index).map(|rule| rule.id.clone())).unwrap_or_default()
    }

    /// The file and the line of a rule.
    pub(super) fn place(&self, rule: RulePlace) -> String {
        self.outline(rule.part).map(|outline| outline.rule(rule.index)).unwrap_or_default()
    }

    /// What the own table is called.
    pub(super) fn file(&self) -> &str {
        self.outline(Part::Own).map(Outline::file).unwrap_or_default()
    }
}

pub(super) fn problem(file: &str, what: &str, instead: &str) -> Problem {
    Problem { file: file.to_owned(), place: crate::document::Position::default(), what: what.to_owned(), instead: instead.to_owned() }
}

/// A table that is checked.
pub(super) struct Checked {
    /// What problems call it.
    pub(super) file: String,
    /// What it is read beside.
    pub(super) around: Around,
    /// The table that caps it.
    pub(super) boundary: Option<Arc<Table>>,
    /// The table, or why it cannot be used.
    pub(super) read: Result<(Arc<Table>, Outline), Vec<Problem>>,
}

/// Tables without a configuration.
pub(super) fn alone_sources(names: &[String]) -> Vec<Checked> {
    names
        .iter()
        .map(|name| Checked { file: source(name).to_string(), around: around(None), boundary: None, read: read(&source(name), None) })
        .collect()
}

/// Tables for the listeners of a configuration: these, or without any its own.
///
/// # Errors
/// What is wrong with the configuration.
pub(super) fn checked(config: &str, names: &[String]) -> Result<Vec<Checked>, Vec<Problem>> {
    let Survey { loaded, references, .. } = config::survey_source(config);
    let loaded = loaded.map_err(Problems::into_vec)?;
    let Some((settings, listeners)) = references.policy else {
        return Err(vec![problem(config, "has no policy", "write [policy] file = \"policy.toml\"")]);
    };
    let listeners = whatever(listeners);
    let around = Around { ports: Some(listeners.ports.clone()), ..around(loaded.config.inbound.as_ref()) };
    let own = part(Part::Own, &settings.source, &settings, None);
    let manifest = own.as_ref().ok().and_then(|own| own.manifest.clone());
    let tabled = |text: Result<policy::Given, _>| text.and_then(|text| outlined(&text, Some(&listeners)));
    let beside = |which: Part, source: &Source| tabled(part(which, source, &settings, manifest.as_ref()));
    let capping = settings.boundary.as_ref().map(|source| (source.to_string(), beside(Part::Boundary, source)));
    // One that cannot be used is told of as a table of its own.
    let boundary = capping.as_ref().and_then(|(_, read)| Some(Arc::clone(&read.as_ref().ok()?.0)));
    let with = |file: String, boundary, read| Checked { file, around: around.clone(), boundary, read };
    if !names.is_empty() {
        let capped = |source: &Source| boundary.clone().filter(|_| settings.boundary.as_ref() != Some(source));
        let sources = names.iter().map(|name| source(name));
        return Ok(sources.map(|source| with(source.to_string(), capped(&source), read(&source, Some(&listeners)))).collect());
    }
    let mut checked = vec![with(settings.source.to_string(), boundary.clone(), tabled(own))];
    checked.extend(capping.map(|(file, read)| with(file, None, read)));
    let candidate = settings.candidate.as_ref();
    checked.extend(candidate.map(|source| with(source.to_string(), boundary.clone(), beside(Part::Candidate, source))));
    Ok(checked)
}

/// The text of a table, and what it is read for.
pub(super) struct Text {
    /// What problems call it.
    pub(super) file: String,
    pub(super) text: String,
    pub(super) listeners: Listeners,
    /// The table that caps it, where a configuration names one.
    pub(super) boundary: Option<Arc<Table>>,
}

impl Text {
    /// Reads a text that is read for no listener of a configuration.
    pub(super) fn read(name: &str) -> Result<Self, Vec<Problem>> {
        let policy::Given { name: file, toml: text, .. } = plain(&source(name))?;
        let listeners = listeners_of(&Outline::read(&file, &text));
        Ok(Self { file, text, listeners, boundary: None })
    }
}

/// The text of a table: of this one, or that of the configuration, whose listeners it is read for where it is given.
///
/// # Errors
/// What is wrong with the configuration, or keeps the text from being read.
pub(super) fn for_listeners(config: Option<&str>, file: Option<&str>) -> Result<Text, Vec<Problem>> {
    let config = match (config, file) {
        (None, Some(file)) => return Text::read(file),
        (config, _) => config.unwrap_or("countersign.toml"),
    };
    let Survey { loaded, references, .. } = config::survey_source(config);
    let Some((settings, listeners)) = references.policy else {
        let missing = || vec![problem(config, "has no policy", "write [policy] file = \"policy.toml\"")];
        return Err(loaded.err().map_or_else(missing, Problems::into_vec));
    };
    let listeners = whatever(listeners);
    let given = match file {
        Some(name) => plain(&source(name))?,
        None => part(Part::Own, &settings.source, &settings, None)?,
    };
    let boundary = settings.boundary.as_ref().map(|source| part(Part::Boundary, source, &settings, given.manifest.as_ref()));
    let boundary = boundary.transpose()?.map(|text| text.table(&listeners).map_err(unusable)).transpose()?;
    Ok(Text { file: given.name, text: given.toml, listeners, boundary })
}

fn around(inbound: Option<&Inbound>) -> Around {
    Around {
        strictness: inbound.map(|inbound| inbound.strictness).unwrap_or_default(),
        ports: None,
        is_http1: inbound.is_some_and(|inbound| inbound.app_protocol == Protocol::Http1),
        now: SystemTime::now(),
    }
}
