//! `countersign policy verify`: would a sidecar accept this bundle?

use super::Format;
use crate::cli::Outcome;
use crate::cli::audit::verify::public_key;
use crate::policy::bundle::{Bundle, BundleError, MAX_BYTES, Manifest, Verified};
use crate::policy::{self, Listeners, Outline, Table};
use crate::runtime::signer::PublicKey;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

const CODES: &str = "Exit codes: 0 accepted, 1 refused, 2 what is no bundle, or cannot be read.";

/// What `verify` is given.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = CODES)]
pub struct Args {
    /// The bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The key that must have signed it: its public half, PEM or DER
    #[arg(long, value_name = "FILE")]
    public_key: PathBuf,
    /// The least sequence, as [policy] min_sequence has it
    #[arg(long, value_name = "N", default_value_t = 0)]
    min_sequence: u64,
    /// The name that it must have, as [policy] name has it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Verifies a bundle and prints what it is.
///
/// # Errors
/// What is given cannot be read, or is no bundle.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let key = public_key(&args.public_key)?;
    let file = args.bundle.display().to_string();
    let bundle = Bundle::parse(&bytes(&args.bundle)?).with_context(|| file.clone())?;
    let claimed = bundle.claimed().clone();
    let verified = bundle.verified(&key, SystemTime::now());
    let verified = verified.and_then(|verified| verified.expected(args.name.as_deref(), "name", args.min_sequence));
    let judged = verified.and_then(|verified| table(&file, verified));
    let said = match args.format {
        Format::Text => text(&file, &claimed, &key, &judged),
        Format::Json => format!("{:#}\n", document(&claimed, &key, &judged)),
    };
    std::io::stdout().lock().write_all(said.as_bytes())?;
    Ok(if judged.is_ok() { Outcome::Fine } else { Outcome::Findings })
}

fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    read.with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(bytes)
}

/// The table inside, whose cases hold.
fn table(file: &str, verified: Verified) -> Result<Arc<Table>, BundleError> {
    let (manifest, text) = verified.into_parts();
    let listeners = Listeners { ports: Outline::read(file, &text).ports().to_vec(), ..Listeners::default() };
    policy::parse(file, &text, &listeners).map_err(BundleError::Table).and_then(|table| manifest.is_of(table))
}

fn text(file: &str, claimed: &Manifest, key: &PublicKey, judged: &Result<Arc<Table>, BundleError>) -> String {
    let Manifest { name, version, sha256, sequence, not_after } = claimed;
    let verdict = match judged {
        Ok(table) => format!("accepted: signed by sha256:{}, {} rules, its cases hold", key.fingerprint(), table.rules().len()),
        Err(error) => format!("REFUSED: {error}"),
    };
    format!(
        "{file}\n  name       {name}\n  version    {version}\n  sequence   {sequence}\n  not_after  {not_after}\n  sha256     {sha256}\n{verdict}\n"
    )
}

fn document(claimed: &Manifest, key: &PublicKey, judged: &Result<Arc<Table>, BundleError>) -> Value {
    let Manifest { name, version, sha256, sequence, not_after } = claimed;
    let error = judged.as_ref().err();
    json!({
        "accepted": error.is_none(), "reason": error.map(BundleError::reason), "what": error.map(ToString::to_string),
        "key": key.fingerprint(),
        "manifest": { "name": name, "version": version, "sha256": sha256, "sequence": sequence, "not_after": not_after.to_string() },
    })
}
