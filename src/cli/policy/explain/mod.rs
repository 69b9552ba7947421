//! `countersign policy explain`: why a request was, or would be, decided as it is.

pub(in crate::cli) mod print;
mod table;

use super::given::{Given, TableSource};
use super::{Format, lookup};
use crate::cli::Outcome;
use crate::document::Problems;
use crate::policy::explain::{Ask, Decided, Explanation, Field, Record, Story, WhoError, explain, matrix, who_can};
use crate::policy::{Listeners, Part, Table, Verdict};
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

const CODES: &str = "Exit codes: 0 allowed, 1 denied, 2 unusable input. With --who-can and --matrix: 0 answered, 2 unusable input.";

/// Callers and paths that `--matrix` shows unless `--all` is given.
const CELLS: usize = 40;

/// Rules that are shown unless `--all` is given.
pub(in crate::cli) const SHOWN: usize = 10;

/// What `explain` is asked.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = CODES)]
pub struct Args {
    /// The id of a decision, as x-countersign-decision has it; its record is looked up in the decision log
    id: Option<String>,
    /// The decision log: a file, a directory, or - for standard input; without ID its first line. Default: that of the configuration
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    #[command(flatten)]
    asked: Asked,
    /// Who may do this, as in "GET /orders/17": all of them, and nobody else
    #[arg(long, value_name = "REQUEST", conflicts_with_all = ["id", "log", "from", "matrix"])]
    who_can: Option<String>,
    /// Callers by paths, with the methods that each may use
    #[arg(long, conflicts_with_all = ["id", "log", "from"])]
    matrix: bool,
    #[command(flatten)]
    table: TableSource,
    /// Every rule, caller and path, and not only the first ones
    #[arg(long)]
    all: bool,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// A request, by the fields of a `[[case]]`.
#[derive(Debug, Clone, clap::Args)]
struct Asked {
    /// Who asks: a SPIFFE id or a DNS name
    #[arg(long, value_name = "ID", conflicts_with_all = ["id", "log"])]
    from: Option<String>,
    /// As in GET
    #[arg(long, value_name = "METHOD", requires = "from")]
    method: Option<String>,
    /// As in /orders/17
    #[arg(long, value_name = "PATH", requires = "from")]
    path: Option<String>,
    /// Without it the request has no Host
    #[arg(long, value_name = "HOST", requires = "from")]
    host: Option<String>,
    /// A header field, as in x-tenant=eu-1; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", requires = "from", value_parser = pair)]
    headers: Vec<(String, String)>,
    /// The class of the content type: grpc, json, form, other or none
    #[arg(long, value_name = "CLASS", requires = "from")]
    ctype: Option<String>,
    /// The local port of the listener
    #[arg(long, value_name = "PORT", requires = "from")]
    port: Option<u16>,
    /// The address that the TCP connection comes from; 127.0.0.1 where it is left out
    #[arg(long, value_name = "ADDRESS", requires = "from")]
    source_ip: Option<String>,
    /// The age of the caller's certificate, as in 2h; an hour where it is left out
    #[arg(long, value_name = "AGE", requires = "from")]
    cert_age: Option<String>,
    /// What the end user's verified token says, as in scope=orders.write or 'groups=["buyers"]'; may be given several times
    #[arg(long = "claim", value_name = "NAME=VALUE", requires = "from", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// When, as in 2026-12-05T00:00:00Z; now where it is left out
    #[arg(long, value_name = "TIME", requires = "from")]
    at: Option<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A value is JSON where it can be read as such, and a text otherwise.
fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = pair(text)?;
    Ok((name, serde_json::from_str(&value).unwrap_or(Value::String(value))))
}

impl Asked {
    fn fields(&self) -> Vec<(String, Field)> {
        let texts = [
            ("from", &self.from),
            ("method", &self.method),
            ("path", &self.path),
            ("host", &self.host),
            ("ctype", &self.ctype),
            ("source_ip", &self.source_ip),
            ("cert_age", &self.cert_age),
            ("at", &self.at),
        ];
        let texts = texts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Field::Text(value.clone()?))));
        let port = self.port.map(|port| ("port".to_owned(), Field::Number(port.into())));
        let headers = (!self.headers.is_empty()).then(|| ("headers".to_owned(), Field::Named(self.headers.clone())));
        let claims = (!self.claims.is_empty()).then(|| ("claims".to_owned(), Field::Claims(self.claims.clone())));
        texts.chain(port).chain(headers).chain(claims).collect()
    }

    /// Without a configuration every port may be one of a listener.
    fn listeners(&self, given: &Given) -> Listeners {
        let mut listeners = given.listeners.clone();
        if !given.is_configured {
            listeners.ports.extend(self.port);
        }
        listeners
    }
}

/// Explains.
///
/// # Errors
/// What it was given cannot be used, or standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let Some(given) = args.table.read() else { return Ok(Outcome::Unusable) };
    let most = if args.all { usize::MAX } else { CELLS };
    if let Some(request) = &args.who_can {
        let who = |(part, table): (Part, &Arc<Table>)| Ok((part, who_can(table, request, SystemTime::now())?));
        let all: Result<Vec<_>, WhoError> = given.tables.all().map(who).collect();
        return table::who(&given, request, &all.with_context(|| format!("--who-can {request:?}"))?, args.format);
    }
    if args.matrix {
        let Some(matrix) = matrix(&given.tables, most, SystemTime::now()) else {
            bail!("--matrix: the callers or the paths of this table overlap in too many ways; ask about one request with --from");
        };
        return table::matrix(&matrix, args.format);
    }
    if args.asked.from.is_some() {
        return asked(args, &given);
    }
    recorded(args, &given)
}

/// A request by flags.
fn asked(args: &Args, given: &Given) -> anyhow::Result<Outcome> {
    let listeners = args.asked.listeners(given);
    match Ask::of_fields(&args.asked.fields(), &given.tables, &listeners, SystemTime::now()) {
        Ok(ask) => answer(args, given, None, Some(&explain(&given.tables, &ask))),
        Err(problems) => Ok(crate::cli::check::unusable(&Problems::into_vec(problems))),
    }
}

/// A request by its record.
fn recorded(args: &Args, given: &Given) -> anyhow::Result<Outcome> {
    let log = match (&args.log, &given.log, &args.id) {
        (Some(log), _, _) => log.clone(),
        (None, Some(log), Some(_)) => log.clone(),
        (None, None, Some(_)) => bail!("the configuration has no [audit] dir; give the log with --log, where - is standard input"),
        (None, _, None) => bail!("give a decision id, --log - for a record on standard input, --from for a request, --who-can or --matrix"),
    };
    let line = lookup::find(&log, args.id.as_deref())?;
    let record = Record::read(&line).with_context(|| format!("the record in {}", log.display()))?;
    let explanation = match &record.story {
        Story::Rules(ask) => Some(explain(&given.tables, ask)),
        Story::Before(_) | Story::Incomplete(_) => None,
    };
    answer(args, given, Some(&record), explanation.as_ref())
}

fn answer(args: &Args, given: &Given, record: Option<&Record>, explanation: Option<&Explanation>) -> anyhow::Result<Outcome> {
    let most = if args.all { usize::MAX } else { SHOWN };
    let text = match args.format {
        Format::Text => print::text(Some(given), record, explanation, most),
        Format::Json => format!("{:#}\n", print::json(Some(given), record, explanation, most)),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    let allowed = match (record, explanation) {
        // What happened, not what this table would say.
        (Some(record), _) => record.decision == Verdict::Allow.as_str(),
        (None, Some(explanation)) => explanation.outcome.decided == Decided::As(Verdict::Allow),
        (None, None) => false,
    };
    Ok(if allowed { Outcome::Fine } else { Outcome::Findings })
}
