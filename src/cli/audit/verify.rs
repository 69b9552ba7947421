//! `countersign audit verify`: the first line that is wrong, and what there is beside it.

use crate::audit::read::inputs;
use crate::audit::verify::{BootReport, Certification, Ending, Finding, Kept, Options, Report, Scope, Verifier};
use crate::cli::Outcome;
use crate::runtime::signer::PublicKey;
use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Findings, boots and endings that are printed for people; further ones are counted.
const SHOWN: usize = 20;

/// What is verified.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, plain or compressed, or directories of them, which must be whole; - is standard input
    #[arg(value_name = "PATH", default_value = "-")]
    paths: Vec<PathBuf>,
    /// The key that must vouch for the key of each boot: its public half, PEM or DER
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// Checkpoints that were kept elsewhere, one a line, and must be in the log
    #[arg(long, value_name = "FILE")]
    checkpoints: Option<PathBuf>,
    /// Only the boots whose id begins so
    #[arg(long, value_name = "ID")]
    boot: Option<String>,
    /// For people or for programs
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Verifies and prints; something wrong is a finding.
///
/// # Errors
/// What is given cannot be read.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let options = Options {
        scope: if args.paths.iter().any(|path| path.is_dir() || path == Path::new("-")) { Scope::Whole } else { Scope::Part },
        key: args.public_key.as_deref().map(public_key).transpose()?,
        boot: args.boot.clone(),
        kept: args.checkpoints.as_deref().map(kept).transpose()?.unwrap_or_default(),
    };
    let mut verifier = Verifier::new(options);
    for input in inputs(&args.paths)? {
        verifier.read(&input)?;
    }
    let report = verifier.finish();
    if report.boots.is_empty() && report.is_fine() {
        bail!("there is no record of a decision log in what is given");
    }
    let text = match args.format {
        Format::Text => text(&report, args.public_key.is_some()),
        Format::Json => format!("{:#}\n", document(&report)),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(if report.is_fine() { Outcome::Fine } else { Outcome::Findings })
}

pub(in crate::cli) fn public_key(path: &Path) -> anyhow::Result<PublicKey> {
    let name = path.display();
    let bytes = fs::read(path).with_context(|| format!("{name} cannot be read"))?;
    PublicKey::from_file(&bytes).with_context(|| format!("{name} has no public key of P-256, PEM or DER"))
}

fn kept(path: &Path) -> anyhow::Result<Vec<Kept>> {
    let name = path.display();
    let bytes = fs::read(path).with_context(|| format!("{name} cannot be read"))?;
    let lines = (1..).zip(bytes.split(|byte| *byte == b'\n')).filter(|(_, line)| !line.is_empty());
    lines
        .map(|(number, line)| Kept::read(line).with_context(|| format!("{name} line {number} is no checkpoint of a decision log")))
        .collect()
}

/// What a log says does not steer the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn text(report: &Report, has_key: bool) -> String {
    let mut out = String::new();
    for Finding { place, record, fault } in report.findings.iter().take(SHOWN) {
        let record = record.as_ref().map(|(boot, seq)| format!("record {seq} of boot {}: ", short(boot))).unwrap_or_default();
        line(&mut out, &format!("{}:{}: {record}{fault}", place.file, place.line));
    }
    more(&mut out, report.faults, "finding");
    if report.faults > 0 {
        out.push('\n');
    }
    for boot in report.boots.iter().take(SHOWN) {
        describe(&mut out, boot, has_key);
    }
    more(&mut out, report.boots.len() as u64, "boot");
    for Ending { boot, file, seq, torn, went_on } in report.endings.iter().take(SHOWN) {
        let half = if *torn { " and half a line" } else { "" };
        let why = if *went_on {
            "the disk refused more, and the log goes on in the next file"
        } else {
            "its process was killed, is still running, or the end was cut off; at most what its last sync interval (200 ms) held is missing if it was killed"
        };
        line(&mut out, &format!("boundary  {file} ends without a footer, after record {seq} of boot {}{half}: {why}", short(boot)));
    }
    more(&mut out, report.unended, "boundary");
    summary(&mut out, report, has_key);
    out
}

fn summary(out: &mut String, report: &Report, has_key: bool) {
    let records: u64 = report.boots.iter().map(|boot| boot.records).sum();
    line(out, &format!("files {}, lines {}, records {records}, boots {}", report.files, report.lines, report.boots.len()));
    let counts = [
        (report.gaps.records, format!("{} gap records: {} allows left no record of their own", report.gaps.records, report.gaps.counted)),
        (
            report.aggregates.records,
            format!("{} aggregates: {} denials are inside their counts", report.aggregates.records, report.aggregates.counted),
        ),
        (report.pruned, format!("{} pruned records: files removed to make room", report.pruned)),
        (report.written_again, format!("{} half lines, each followed by the line in full", report.written_again)),
        (report.torn_alone, format!("{} files with half a line and nothing else", report.torn_alone)),
    ];
    counts.iter().filter(|(count, _)| *count > 0).for_each(|(_, text)| line(out, text));
    let verdict = if report.is_fine() && has_key {
        "fine: the key vouches for every start, and nothing was changed, removed or put in".to_owned()
    } else if report.is_fine() {
        "fine, as far as the log itself tells; --public-key tells whether all of it was written anew".to_owned()
    } else {
        format!("NOT FINE: {} findings", report.faults)
    };
    line(out, &verdict);
}

fn describe(out: &mut String, boot: &BootReport, has_key: bool) {
    let (first, last) = boot.seqs;
    let before = if boot.pruned_before { ", those before pruned" } else { "" };
    let end = if boot.ended { "ends with its footer" } else { "has no footer at its end" };
    line(out, &format!("boot {}  records {first} to {last}{before}; {end}", boot.id));
    if boot.lost > 0 {
        line(out, &format!("  at least {} records were on their way when it ended", boot.lost));
    }
    let Some(key) = &boot.key else {
        return line(out, "  no checkpoint: nothing of it is signed");
    };
    line(out, &format!("  {} checkpoints; {} records after the last one, not signed for", boot.checkpoints, boot.uncovered));
    let by = match &boot.certification {
        Certification::Verified { signer } => format!("certified by {signer}"),
        Certification::Claimed { signer } => format!("certified, as it says, by {signer}: give --public-key to verify that"),
        Certification::None if has_key => "not certified".to_owned(),
        Certification::None => "not certified: compare this fingerprint with one that was kept elsewhere".to_owned(),
    };
    line(out, &format!("  signed by the key {key}, {by}"));
}

fn short(boot: &str) -> &str {
    boot.get(..8).unwrap_or(boot)
}

fn line(out: &mut String, text: &str) {
    // Writing into a String cannot fail.
    let _ = writeln!(out, "{}", plain(text));
}

fn more(out: &mut String, all: u64, what: &str) {
    if all > SHOWN as u64 {
        line(out, &format!("… and {} more of {what}", all - SHOWN as u64));
    }
}

fn document(report: &Report) -> Value {
    let findings = report.findings.iter().map(|Finding { place, record, fault }| {
        let (boot, seq) = record.as_ref().map(|(boot, seq)| (&**boot, *seq)).unzip();
        json!({ "file": &*place.file, "line": place.line, "boot": boot, "seq": seq, "fault": fault.reason(), "what": fault.to_string() })
    });
    let boots = report.boots.iter().map(|boot| {
        let (certified, signer) = match &boot.certification {
            Certification::None => ("no", None),
            Certification::Claimed { signer } => ("not_verified", Some(&**signer)),
            Certification::Verified { signer } => ("yes", Some(&**signer)),
        };
        json!({
            "boot": &*boot.id, "first_seq": boot.seqs.0, "last_seq": boot.seqs.1, "records": boot.records, "ended": boot.ended,
            "lost_on_the_way": boot.lost, "pruned_before": boot.pruned_before, "checkpoints": boot.checkpoints, "uncovered": boot.uncovered,
            "key": boot.key, "certified": certified, "signer": signer,
        })
    });
    let endings = report.endings.iter().map(|Ending { boot, file, seq, torn, went_on }| {
        json!({ "boot": &**boot, "file": &**file, "last_seq": seq, "torn": torn, "went_on": went_on })
    });
    json!({
        "ok": report.is_fine(), "faults": report.faults, "findings": findings.collect::<Vec<_>>(),
        "boots": boots.collect::<Vec<_>>(), "boundaries": endings.collect::<Vec<_>>(), "unended_files": report.unended,
        "files": report.files, "lines": report.lines, "pruned": report.pruned,
        "gaps": { "records": report.gaps.records, "count": report.gaps.counted },
        "aggregates": { "records": report.aggregates.records, "count": report.aggregates.counted },
        "written_again": report.written_again, "torn_alone": report.torn_alone,
    })
}
