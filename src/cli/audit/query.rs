//! `countersign audit query`: the records that a filter lets pass.

use super::Format;
use super::source::{LogSource, When, fields};
use super::walk::{Bar, complain, walk};
use super::write::Rows;
use crate::audit::query::Scan;
use crate::cli::Outcome;
use std::ops::ControlFlow;

/// The columns of a table, and of comma-separated values.
const COLUMNS: &str = "time,kind,decision,dir,src.id,http.method,http.path,http.status,rule,reason,id";

const EXAMPLES: &str = "Filters: decision=deny and src.id~\"spiffe://*/ns/web/**\"
  =  !=  in (a, b)  not in  has FIELD  and  or  not  ( )
  ~ takes a pattern: * is one segment of an identity and ** its rest; in other texts * is anything without a slash and ** anything
  <  <=  >  >= compare numbers and times; a time is as in 2026-07-01T12:00:00Z, or an age: time>15m is the last quarter of an hour
Exit codes: 0 fine, 2 something could not be read.";

/// What `audit query` is asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Which records; an empty one stands for all
    filter: String,
    #[command(flatten)]
    log: LogSource,
    #[command(flatten)]
    when: When,
    /// How records are printed; on a terminal as a table, elsewhere as JSON
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The columns of a table and of comma-separated values
    #[arg(long, value_name = "FIELDS", default_value = COLUMNS)]
    columns: String,
    /// Ends after so many records
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

/// Looks through the log.
///
/// # Errors
/// The filter cannot be read, there is no log, or standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let filter = args.when.filter(&args.filter)?;
    let columns = fields(&args.columns)?;
    let inputs = args.log.inputs()?;
    let mut rows = Rows::new(args.format, columns.iter().map(|field| field.name().to_owned()).collect());
    let mut scan = Scan::new(filter, &columns);
    let mut left = args.limit.unwrap_or(u64::MAX);
    if left == 0 {
        return rows.end(Outcome::Fine);
    }
    let outcome = walk(&inputs, Bar::new(&inputs, true), |lines| {
        scan.lines(lines, |hit| {
            rows.row(|| hit.values.iter().map(ToString::to_string).collect(), || hit.line.to_vec())?;
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    });
    let outcome = rows.end(outcome)?;
    complain(scan.unreadable());
    Ok(outcome)
}
