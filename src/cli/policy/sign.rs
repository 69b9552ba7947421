//! `countersign policy sign`: a table becomes a bundle that sidecars accept by the key that signed it.

use super::given::Text;
use crate::cli::{Outcome, check};
use crate::policy::bundle::{self, Bundle, Manifest, NotAfter};
use crate::policy::{self, Table};
#[cfg(feature = "aws")]
use crate::runtime::key_arn::KeyArn;
use crate::runtime::signer::{DigestSigner, FileSigner};
use crate::runtime::{clock::Clock as _, clock::SystemClock, files};
use anyhow::{Context as _, bail};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

const CODES: &str = "Exit codes: 0 signed, 2 a table, a key or a date that cannot be used.";

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What `sign` is given.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = CODES)]
pub struct Args {
    /// The table: a path, or env:NAME. It is read, and its cases are run, before anything is signed
    #[arg(value_name = "TABLE")]
    table: String,
    #[command(flatten)]
    key: Key,
    /// Counts up with each bundle of this name, from 1; sidecars accept none that is lower than the last one
    #[arg(long, value_name = "N")]
    sequence: u64,
    #[command(flatten)]
    end: End,
    /// The version in the manifest. Default: that of the table
    #[arg(long, value_name = "V")]
    version: Option<String>,
    /// The bundle that is written
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Whose signature it is.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
struct Key {
    /// A private key of P-256 in a file that only this user may read: PKCS#8 in PEM
    #[arg(long = "key", value_name = "FILE")]
    file: Option<PathBuf>,
    /// A key of AWS KMS (ECC_NIST_P256, SIGN_VERIFY), by the whole ARN of the key or of an alias
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "ARN", value_parser = kms_key)]
    kms: Option<KeyArn>,
}

/// Until when it is good.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
struct End {
    /// Until when it is good, such as 2026-12-05T00:00:00Z or 2026-12-05: at most 30 days from now
    #[arg(long, value_name = "DATE", value_parser = date)]
    not_after: Option<NotAfter>,
    /// For how many days it is good, 1 to 30
    #[arg(long, value_name = "D", value_parser = clap::value_parser!(u64).range(1..=30))]
    days: Option<u64>,
}

#[cfg(feature = "aws")]
fn kms_key(text: &str) -> Result<KeyArn, String> {
    KeyArn::parse(text).map_err(str::to_owned)
}

fn date(text: &str) -> Result<NotAfter, String> {
    let midnight = || NotAfter::parse(&format!("{text}T00:00:00Z"));
    NotAfter::parse(text)
        .or_else(midnight)
        .ok_or_else(|| "write a time such as 2026-12-05T00:00:00Z, or a day such as 2026-12-05".to_owned())
}

/// Signs and writes; says what was signed.
///
/// # Errors
/// The table, the key or the date cannot be used, or nobody signs; then nothing is written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let now = SystemClock.now();
    let not_after = args.end.moment(now)?;
    let read = Text::read(&args.table).and_then(|given| {
        let table = policy::parse(&given.file, &given.text, &given.listeners).map_err(|problems| problems.into_vec())?;
        Ok((given.text, table))
    });
    let (text, table) = match read {
        Ok(read) => read,
        Err(problems) => return Ok(check::unusable(&problems)),
    };
    let version = version(&table, args.version.as_deref())?;
    let manifest = Manifest::of(&text, &table.facts.name, &version, args.sequence, not_after)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bundle = runtime.block_on(signed(&*args.key.signer()?, &manifest, &text, now))?;
    files::replace(&args.output, bundle.as_bytes(), 0o644).with_context(|| format!("{} cannot be written", args.output.display()))?;
    let Manifest { name, sequence, not_after, .. } = &manifest;
    let version = if version.is_empty() { String::new() } else { format!(" {version}") };
    writeln!(std::io::stdout(), "{}: {name}{version}, sequence {sequence}, good until {not_after}", args.output.display())?;
    Ok(Outcome::Fine)
}

/// The text of the bundle, read again as a sidecar reads it.
async fn signed(signer: &dyn DigestSigner, manifest: &Manifest, table: &str, now: SystemTime) -> anyhow::Result<String> {
    let key = signer.public_key().await?;
    let signature = signer.sign(&manifest.digest()).await?;
    let text = bundle::write(manifest, table, &signature);
    let verified = Bundle::parse(text.as_bytes()).and_then(|bundle| bundle.verified(&key, now));
    verified.context("a sidecar would refuse what was signed")?;
    Ok(text)
}

/// What the manifest says is what records will say.
fn version(table: &Table, given: Option<&str>) -> anyhow::Result<String> {
    let own = &table.facts.version;
    match given {
        Some(given) if !own.is_empty() && own != given => {
            bail!("--version is {given:?}, and the table says version = {own:?}, which is what records have: write the same in both")
        }
        given => Ok(given.unwrap_or(own).to_owned()),
    }
}

impl Key {
    fn signer(&self) -> anyhow::Result<Box<dyn DigestSigner>> {
        #[cfg(feature = "aws")]
        if let Some(arn) = &self.kms {
            return Ok(Box::new(crate::aws::KmsSigner::new(crate::app::way_to_aws(), arn.clone())));
        }
        let path = self.file.as_deref().context("--key is missing")?;
        Ok(Box::new(FileSigner::read(path).with_context(|| path.display().to_string())?))
    }
}

impl End {
    fn moment(&self, now: SystemTime) -> anyhow::Result<NotAfter> {
        let after = |days: u64| NotAfter::at(now + DAY.saturating_mul(u32::try_from(days).unwrap_or(u32::MAX)));
        let moment = self.not_after.or_else(|| self.days.and_then(after)).context("--days is missing")?;
        moment.check(now, Duration::ZERO).map_err(|error| anyhow::anyhow!("--not-after: {error}"))?;
        Ok(moment)
    }
}
