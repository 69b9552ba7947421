//! The committed ratios, by the way of counting and the kind of work.

use crate::measure::Method;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use toml::de::DeTable;

/// How far a ratio may be from the committed one, either way.
const TOLERANCE: f64 = 0.03;

/// What begins the file.
const HEAD: &str = "\
# Instructions per request of Countersign, divided by those of the bare proxy in benches/bare. `make guard` fails when one is exceeded by more
# than 3 %; `GUARD_RENEW=1 make guard` writes the ratios measured. [callgrind] counts user space only, [perf] the kernel too.
#
# Since records are chained, 36,000 of the 88,000 of S1 under callgrind are SHA-256 over one record of some 1,060 bytes: valgrind's processor lacks the SHA
# extensions, with which that takes far fewer. A change of 3 % is thus what 5 % were before.
";

/// The content of baseline.toml.
pub struct Baseline {
    path: PathBuf,
    /// By the kind of counting, then by the kind of work.
    ratios: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Baseline {
    /// Reads the file of this checkout.
    ///
    /// # Errors
    /// It is not there, or no TOML.
    pub fn read() -> anyhow::Result<Self> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/guard/baseline.toml");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let ratios = parse(&text).with_context(|| path.display().to_string())?;
        Ok(Self { path, ratios })
    }

    /// Whether it has ratios of this kind.
    pub fn has(&self, method: Method) -> bool {
        self.ratios.contains_key(table(method))
    }

    /// Compares; says what to do where the two differ too much. False: it costs too much.
    ///
    /// # Errors
    /// The file has no such ratio.
    pub fn judge(&self, method: Method, work: &str, ratio: f64) -> anyhow::Result<bool> {
        let committed = self.ratios.get(table(method)).and_then(|table| table.get(work)).copied();
        let committed = committed.with_context(|| format!("{}: no {work} in [{}]", self.path.display(), table(method)))?;
        let more = ratio / committed - 1.0;
        let change = format!("{work}: ratio {ratio:.3}, committed {committed:.3}: {:+.1} %", more * 100.0);
        let renew = "GUARD_RENEW=1 make guard, and commit benches/guard/baseline.toml with the reason";
        match more {
            more if more > TOLERANCE => println!("guard: FAIL: {change}. A request costs more than it did. If it must: {renew}"),
            more if more < -TOLERANCE => println!("guard: {change}. A request costs less than it did. Keep it: {renew}"),
            _ => println!("guard: pass: {change}"),
        }
        Ok(more <= TOLERANCE)
    }

    /// Takes a new ratio.
    pub fn set(&mut self, method: Method, work: &str, ratio: f64) {
        self.ratios.entry(table(method).to_owned()).or_default().insert(work.to_owned(), ratio);
    }

    /// Writes the file anew.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self) -> anyhow::Result<()> {
        let mut text = String::from(HEAD);
        for (kind, ratios) in &self.ratios {
            // A String takes whatever is written.
            let _ = write!(text, "\n[{kind}]\n");
            for (work, ratio) in ratios {
                let _ = writeln!(text, "{work} = {ratio:.3}");
            }
        }
        fs::write(&self.path, text).with_context(|| self.path.display().to_string())?;
        println!("guard: {} is new", self.path.display());
        Ok(())
    }
}

/// Tables of numbers.
fn parse(text: &str) -> anyhow::Result<BTreeMap<String, BTreeMap<String, f64>>> {
    let parsed = DeTable::parse(text)?;
    let mut ratios: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    for (kind, table) in parsed.get_ref() {
        let kind = kind.get_ref();
        for (work, ratio) in table.get_ref().as_table().with_context(|| format!("{kind} is no table"))? {
            let number = ratio.get_ref().as_float().and_then(|number| number.as_str().parse().ok());
            let number = number.with_context(|| format!("{kind}.{} is no number such as 1.5", work.get_ref()))?;
            ratios.entry(kind.to_string()).or_default().insert(work.get_ref().to_string(), number);
        }
    }
    Ok(ratios)
}

fn table(method: Method) -> &'static str {
    if method == Method::Perf { "perf" } else { "callgrind" }
}
