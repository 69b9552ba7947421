//! `countersign policy export`: a table in the words of others.

use super::Format;
use super::given::{Given, alone};
use crate::cli::{Outcome, check};
use crate::policy::Part;
use crate::policy::explain::RulePlace;
use crate::policy::export::{Gap, Named, cedar, istio};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::io::{self, Write as _};
use std::path::PathBuf;

const NOTES: &str = "What is written decides exactly as the table, or is not written.\n\n\
    Exit codes: 0 it was written, 1 something cannot be expressed and nothing was written, 2 unusable input.";

/// What `export` is given.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = NOTES)]
#[command(group = clap::ArgGroup::new("target").required(true).args(["istio", "cedar"]))]
pub struct Args {
    /// The table: a path, or env:NAME
    #[arg(value_name = "TABLE")]
    table: String,
    /// As AuthorizationPolicies of Istio, one for each rule
    #[arg(long)]
    istio: bool,
    /// As policies of Cedar, whose conditions are over context
    #[arg(long)]
    cedar: bool,
    /// What the names of the policies begin with
    #[arg(long, value_name = "NAME", default_value = "countersign", conflicts_with = "cedar", value_parser = label)]
    name: String,
    /// The namespace of the policies
    #[arg(long, value_name = "NAME", conflicts_with = "cedar", value_parser = label)]
    namespace: Option<String>,
    /// A label of the service that they are about; once for each
    #[arg(long = "workload", value_name = "LABEL=VALUE", conflicts_with = "cedar", value_parser = super::import::label)]
    labels: Vec<(String, String)>,
    /// Where the policies go. Default: standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How the result is printed; json is one object, with the policies in it unless --output is given
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// A name that Kubernetes takes, also with the id of a rule after it.
fn label(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let fits = plain && (1..=63).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-');
    if fits { Ok(text.to_owned()) } else { Err("write 1 to 63 of a-z, 0-9 and dashes inside".to_owned()) }
}

/// Reads a table and writes it as others have it.
///
/// # Errors
/// The output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let given = match alone(&args.table) {
        Ok(given) => given,
        Err(problems) => return Ok(check::unusable(&problems)),
    };
    let Args { name, namespace, labels, .. } = args;
    let exported = if args.cedar {
        cedar(given.own())
    } else {
        istio(given.own(), &Named { name: name.clone(), namespace: namespace.clone(), labels: labels.clone() })
    };
    if args.format == Format::Json {
        let text = format!("{:#}\n", json(&exported, args.output.is_none(), &given));
        io::stdout().lock().write_all(text.as_bytes())?;
    }
    match (exported, &args.output) {
        (Ok(text), Some(path)) => std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))?,
        (Ok(text), None) if args.format == Format::Text => io::stdout().lock().write_all(text.as_bytes())?,
        (Ok(_), None) => {}
        (Err(gaps), _) => {
            if args.format == Format::Text {
                gaps.iter().for_each(|gap| eprintln!("not expressed: {}: {}: {}", called(gap, &given), gap.field, gap.what));
                eprintln!("nothing was written");
            }
            return Ok(Outcome::Findings);
        }
    }
    Ok(Outcome::Fine)
}

/// The place and the id of the rule; of the table as a whole its file.
fn called(gap: &Gap, given: &Given) -> String {
    match given.own().rules().position(|rule| rule.id == gap.rule) {
        Some(index) => format!("{}: rule `{}`", given.place(RulePlace { part: Part::Own, index }), gap.rule),
        None => given.file().to_owned(),
    }
}

fn json(exported: &Result<String, Vec<Gap>>, is_inside: bool, given: &Given) -> Value {
    let gap = |gap: &Gap| json!({ "rule": gap.rule, "place": called(gap, given), "field": gap.field, "what": gap.what });
    json!({
        "written": exported.is_ok(),
        "gaps": exported.as_ref().err().map(|gaps| gaps.iter().map(gap).collect::<Vec<_>>()).unwrap_or_default(),
        "policies": exported.as_ref().ok().filter(|_| is_inside),
    })
}
