//! `countersign policy import`: a table made of what another proxy was told.

use super::Format;
use crate::cli::{Outcome, terminal};
use crate::document::Problems;
use crate::identity::TrustDomain;
use crate::policy::import::{Chosen, Gap, Imported, MAX_BYTES, Origin, import};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::PathBuf;

const NOTES: &str = "Without --partial the table decides exactly as its origin, or is not written. With it, an allow that cannot be expressed is left out, and a \
    deny that cannot be is about more requests: the table allows less than its origin, never more.\n\n\
    Exit codes: 0 the table was written, 1 something cannot be expressed and nothing was written, 2 unusable input.";

/// What `import` is given.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = NOTES)]
#[command(group = clap::ArgGroup::new("origin").required(true).args(["istio", "envoy_rbac"]))]
pub struct Args {
    /// AuthorizationPolicies of Istio: a file, or - for standard input
    #[arg(long, value_name = "FILE")]
    istio: Option<String>,
    /// An RBAC filter of Envoy or its rules, JSON or YAML: a file, or - for standard input
    #[arg(long, value_name = "FILE")]
    envoy_rbac: Option<String>,
    /// Write what can be expressed
    #[arg(long)]
    partial: bool,
    /// Where the table goes. Default: standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The table's name. Default: imported
    #[arg(long, value_name = "NAME", default_value = "imported")]
    name: String,
    #[command(flatten)]
    service: Service,
    /// How the result is printed; json is one object, with the table in it unless --output is given
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Which service the table is for.
#[derive(Debug, Clone, clap::Args)]
struct Service {
    /// A trust domain that callers come from; once for each. Istio's cluster.local stands for all of them
    #[arg(long = "trust-domain", value_name = "DOMAIN", conflicts_with = "envoy_rbac", value_parser = domain)]
    trust_domains: Vec<String>,
    /// The service's namespace. Default: the one that all policies are in
    #[arg(long, value_name = "NAME", conflicts_with = "envoy_rbac")]
    namespace: Option<String>,
    /// The namespace whose policies are about every service
    #[arg(long, value_name = "NAME", default_value = "istio-system", conflicts_with = "envoy_rbac")]
    root_namespace: String,
    /// A label of the service; once for each
    #[arg(long = "workload", value_name = "LABEL=VALUE", conflicts_with = "envoy_rbac", value_parser = label)]
    labels: Vec<(String, String)>,
}

fn domain(text: &str) -> Result<String, String> {
    TrustDomain::parse(text).map(|domain| domain.to_string()).map_err(|error| error.to_string())
}

/// `LABEL=VALUE`.
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(label, _)| !label.is_empty());
    pair.map(|(label, value)| (label.to_owned(), value.to_owned())).ok_or_else(|| "write LABEL=VALUE".to_owned())
}

/// Reads what another proxy was told, and writes the table.
///
/// # Errors
/// The input cannot be read, or the output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let Service { trust_domains, namespace, root_namespace, labels } = args.service.clone();
    let (file, origin) = match (&args.istio, &args.envoy_rbac) {
        (Some(file), _) => (file, Origin::Istio(Chosen { trust_domains, namespace, root_namespace, labels })),
        (None, Some(file)) => (file, Origin::EnvoyRbac),
        (None, None) => anyhow::bail!("nothing to import is given"),
    };
    let text = read(file).with_context(|| format!("{file} cannot be read"))?;
    let imported = match import(file, &text, &origin, &args.name) {
        Ok(imported) => imported,
        Err(problems) => return Ok(unusable(&problems)),
    };
    let is_written = imported.gaps.is_empty() || args.partial;
    match args.format {
        Format::Text => said(&imported, is_written),
        Format::Json => print(&format!("{:#}\n", json(&imported, is_written, args.output.is_none())))?,
    }
    if !is_written {
        return Ok(Outcome::Findings);
    }
    match &args.output {
        Some(path) => std::fs::write(path, &imported.toml).with_context(|| format!("{} cannot be written", path.display()))?,
        None if args.format == Format::Text => print(&imported.toml)?,
        None => {}
    }
    Ok(Outcome::Fine)
}

/// One byte more than is read into a table is enough to know that it is too much.
fn read(file: &str) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    match file {
        "-" => io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes)?,
        path => File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?,
    };
    // What is cut off in the middle of a character is too large anyway.
    Ok(String::from_utf8(bytes).or_else(|error| {
        let is_cut = u64::try_from(error.as_bytes().len()).is_ok_and(|len| len > MAX_BYTES);
        if is_cut { Ok(String::from_utf8_lossy(error.as_bytes()).into_owned()) } else { Err(error.utf8_error()) }
    })?)
}

fn print(text: &str) -> io::Result<()> {
    io::stdout().lock().write_all(text.as_bytes())
}

/// The input is somebody else's, and names in it are printed.
fn unusable(problems: &Problems) -> Outcome {
    problems.iter().for_each(|problem| eprintln!("{}", terminal::printable(&problem.to_string())));
    Outcome::Unusable
}

/// What is said beside the table.
fn said(imported: &Imported, is_written: bool) {
    let Imported { rules, notes, gaps, .. } = imported;
    notes.iter().for_each(|note| eprintln!("note: {}", terminal::printable(note)));
    for Gap { rule, problem } in gaps {
        eprintln!("not expressed: {}", terminal::printable(&format!("{problem} ({rule})")));
    }
    match (gaps.len(), is_written) {
        (0, _) => eprintln!("{rules} rules"),
        (count, true) => eprintln!("{rules} rules; {} not expressed: the table allows less than its origin", fields(count)),
        (count, false) => {
            eprintln!("{} cannot be expressed, nothing was written; --partial writes a table that allows less", fields(count));
        }
    }
}

fn fields(count: usize) -> String {
    if count == 1 { "1 field".to_owned() } else { format!("{count} fields") }
}

fn json(imported: &Imported, is_written: bool, is_inside: bool) -> Value {
    let gap = |Gap { rule, problem }: &Gap| {
        json!({
            "rule": rule,
            "line": problem.place.line,
            "column": problem.place.column,
            "field": problem.place.key,
            "what": problem.what,
            "instead": problem.instead,
        })
    };
    json!({
        "written": is_written,
        "rules": imported.rules,
        "notes": imported.notes,
        "gaps": imported.gaps.iter().map(gap).collect::<Vec<_>>(),
        "table": (is_written && is_inside).then_some(&imported.toml),
    })
}
