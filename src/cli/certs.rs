//! `countersign certs`: certificates for development, and a look at any certificate.

use super::Outcome;
use crate::credentials::dev::{DEVELOPMENT_KEY_FILE, DevCa, Request};
use crate::identity::SpiffeId;
use crate::identity::x509::Leaf;
use crate::trust::{DEVELOPMENT_ROOT_FILE, certificates};
use anyhow::{Context as _, bail};
use base64::Engine as _;
use rustls::pki_types::CertificateDer;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use zeroize::{Zeroize as _, Zeroizing};

/// What `certs` is asked for.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Makes the development CA, unless it is there
    Init {
        /// The development CA's directory
        #[arg(long, default_value = "certs-dev")]
        dir: PathBuf,
    },
    /// Issues a certificate from the development CA, which is made on first use
    Issue(Issue),
    /// Says what certificates say of themselves
    Show {
        /// A PEM file, or a directory with some
        #[arg(default_value = "certs-dev")]
        path: PathBuf,
    },
}

/// What `certs issue` is asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct Issue {
    /// The certificate's only URI SAN, such as spiffe://dev.example/sa/web
    #[arg(long, value_parser = |text: &str| SpiffeId::parse(text))]
    pub id: SpiffeId,
    /// A DNS SAN; may be given several times
    #[arg(long = "dns", value_name = "NAME")]
    pub dns_names: Vec<String>,
    /// The development CA's directory
    #[arg(long, default_value = "certs-dev")]
    pub dir: PathBuf,
    /// Where the two files go
    #[arg(long, default_value = ".")]
    pub out: PathBuf,
    /// From now to the certificate's end, such as 90m, 24h or 30d
    #[arg(long, default_value = "24h", value_parser = crate::config::duration)]
    pub validity: Duration,
    /// Replaces files that are there
    #[arg(long)]
    pub force: bool,
}

/// Runs a command of `certs`.
///
/// # Errors
/// Whatever keeps it from being done.
pub fn run(command: Command) -> anyhow::Result<Outcome> {
    let said = match command {
        Command::Init { dir } => init(&dir),
        Command::Issue(asked) => issue(&asked),
        Command::Show { path } => show(&path),
    }?;
    std::io::stdout().lock().write_all(said.as_bytes())?;
    Ok(Outcome::Fine)
}

/// Makes the development CA in `dir` unless it is there, and says where it is.
///
/// # Errors
/// The directory or the CA in it cannot be used.
pub fn init(dir: &Path) -> anyhow::Result<String> {
    let there = dir.join(DEVELOPMENT_ROOT_FILE).exists();
    let ca = DevCa::open(dir)?;
    let leaf = Leaf::parse(ca.root())?;
    let done = if there { "The development CA is there already:" } else { "Made a development CA:" };
    Ok(format!(
        "{done}\n  root  {}\n  key   {}   (0600; whoever has it can be anyone to those who trust the root)\n  name  {}\n  until {}\n",
        dir.join(DEVELOPMENT_ROOT_FILE).display(),
        dir.join(DEVELOPMENT_KEY_FILE).display(),
        leaf.subject,
        moment(leaf.not_after),
    ))
}

/// Issues a certificate from the development CA into `<last segment of the id>.pem` and `<…>-key.pem`, and says how to use it.
///
/// # Errors
/// A file is there already and `force` is not given, or something cannot be written.
pub fn issue(issue: &Issue) -> anyhow::Result<String> {
    let name = issue.id.segments().last().unwrap_or("workload");
    // A segment has no slash and is not made of dots alone (SPIFFE ids have none such), so the file stays inside the directory.
    let (chain_path, key_path) = (issue.out.join(format!("{name}.pem")), issue.out.join(format!("{name}-key.pem")));
    if !issue.force {
        for path in [&chain_path, &key_path] {
            if path.symlink_metadata().is_ok() {
                bail!("{} is there already; --force replaces it, --out writes elsewhere", path.display());
            }
        }
    }
    let request = Request { id: issue.id.clone(), dns_names: issue.dns_names.clone(), validity: issue.validity };
    let (chain, mut key) = DevCa::open(&issue.dir)?.issue(&request, SystemTime::now())?;
    std::fs::create_dir_all(&issue.out).with_context(|| format!("cannot make {}", issue.out.display()))?;
    let key_pem = Zeroizing::new(pem("PRIVATE KEY", key.secret_der()));
    key.zeroize();
    write(&key_path, key_pem.as_bytes(), 0o600, issue.force)?;
    let chain_pem: String = chain.iter().map(|der| pem("CERTIFICATE", der)).collect();
    write(&chain_path, chain_pem.as_bytes(), 0o644, issue.force)?;
    Ok(format!(
        "Issued {} until {}:\n  chain {}\n  key   {}\n\nTry it (replace host and port; -k because curl knows names, not SPIFFE ids):\n  \
         curl -k --cert {} --key {} https://127.0.0.1:8443/\n",
        issue.id,
        chain.first().and_then(|leaf| Leaf::parse(leaf).ok()).map(|leaf| moment(leaf.not_after)).unwrap_or_default(),
        chain_path.display(),
        key_path.display(),
        chain_path.display(),
        key_path.display(),
    ))
}

/// Says what the certificates of a PEM file say of themselves; of a directory, its development CA's root and every other `.pem` with certificates.
///
/// # Errors
/// The file cannot be read, or holds something other than certificates.
pub fn show(path: &Path) -> anyhow::Result<String> {
    if !path.is_dir() {
        return show_file(path);
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_certificate_file(path)).collect();
    files.sort();
    if files.is_empty() {
        bail!("no certificates in {}; `countersign certs init` makes a development CA", path.display());
    }
    files.iter().map(|file| show_file(file)).collect()
}

fn is_certificate_file(path: &Path) -> bool {
    let pem = path.extension().is_some_and(|extension| extension == "pem");
    let key = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("-key") || stem.to_string_lossy().contains("-key-"));
    pem && !key
}

fn show_file(path: &Path) -> anyhow::Result<String> {
    let named = || path.display().to_string();
    let pem = Zeroizing::new(std::fs::read(path).with_context(named)?);
    let mut text = format!("{}\n", path.display());
    for der in certificates(&pem).with_context(named)? {
        describe(&mut text, &der).with_context(named)?;
    }
    Ok(text)
}

fn describe(text: &mut String, der: &CertificateDer<'_>) -> anyhow::Result<()> {
    let leaf = Leaf::parse(der)?;
    let id = match leaf.spiffe_id() {
        Ok(Some(id)) => id.to_string(),
        Ok(None) if leaf.is_ca => "none (a CA)".to_owned(),
        Ok(None) => "none".to_owned(),
        Err(error) => format!("none usable: {error}"),
    };
    writeln!(text, "  id        {id}")?;
    if !leaf.dns_names.is_empty() {
        writeln!(text, "  dns       {}", leaf.dns_names.join(" "))?;
    }
    writeln!(text, "  subject   {}", leaf.subject)?;
    writeln!(text, "  issuer    {}", leaf.issuer)?;
    writeln!(text, "  serial    {}", leaf.serial)?;
    writeln!(text, "  sha256    {}", leaf.fingerprint)?;
    writeln!(text, "  validity  {} to {}  ({})", moment(leaf.not_before), moment(leaf.not_after), standing(&leaf, SystemTime::now()))?;
    if leaf.is_development {
        writeln!(text, "  DEVELOPMENT: refused as a root where this is production")?;
    }
    Ok(())
}

fn standing(leaf: &Leaf, now: SystemTime) -> String {
    let ends = leaf.not_after + Duration::from_secs(1);
    match (leaf.not_before.duration_since(now), ends.duration_since(now)) {
        (Ok(wait), _) if !wait.is_zero() => format!("NOT YET VALID for {}", span(wait)),
        (_, Ok(left)) => format!("{} left", span(left)),
        (_, Err(past)) => format!("EXPIRED {} ago", span(past.duration())),
    }
}

fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

fn moment(moment: SystemTime) -> String {
    time::OffsetDateTime::from(moment).format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

fn write(path: &Path, content: &[u8], mode: u32, force: bool) -> anyhow::Result<()> {
    if force && path.symlink_metadata().is_ok() {
        // Replaced, not rewritten: the mode of the new file is ours, and a link is not followed.
        std::fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))?;
    }
    let open = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    open.and_then(|mut file| file.write_all(content)).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes DER as PEM, 64 characters a line.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let text = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(der));
    let mut pem = format!("-----BEGIN {label}-----\n");
    // Roomy enough at once, so that no half-written copy of a key is left behind by growing.
    pem.reserve(text.len() + text.len() / 64 + label.len() + 32);
    let mut rest = text.as_str();
    while let Some((line, more)) = rest.split_at_checked(64) {
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    if !rest.is_empty() {
        pem.push_str(rest);
        pem.push('\n');
    }
    pem.push_str("-----END ");
    pem.push_str(label);
    pem.push_str("-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn request(dir: &Path, force: bool) -> Issue {
        let id = SpiffeId::parse("spiffe://dev.local/sa/web").unwrap();
        let out = dir.join("out");
        Issue { id, dns_names: vec!["web.local".into()], dir: dir.to_owned(), out, validity: Duration::from_secs(86_400), force }
    }

    #[test]
    fn issued_files_are_read_back_and_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        assert!(init(dir.path()).unwrap().starts_with("Made"));
        assert!(init(dir.path()).unwrap().contains("there already"));
        let said = issue(&request(dir.path(), false)).unwrap();
        assert!(said.contains("web.pem") && said.contains("curl"), "{said}");
        let (chain, key) = (dir.path().join("out/web.pem"), dir.path().join("out/web-key.pem"));
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let keys = rcgen::KeyPair::from_pem(&std::fs::read_to_string(&key).unwrap());
        assert!(keys.is_ok());
        assert!(issue(&request(dir.path(), false)).unwrap_err().to_string().contains("--force"));
        let before = std::fs::read(&chain).unwrap();
        issue(&request(dir.path(), true)).unwrap();
        assert_ne!(std::fs::read(&chain).unwrap(), before);
        let shown = show(&chain).unwrap();
        assert!(shown.contains("spiffe://dev.local/sa/web") && shown.contains("web.local") && shown.contains("left"), "{shown}");
        let shown = show(dir.path()).unwrap();
        assert!(shown.contains("DEVELOPMENT") && shown.contains("a CA"), "{shown}");
        assert!(show(&key).unwrap_err().chain().any(|error| error.to_string().contains("private key")));
    }

    #[test]
    fn an_expired_certificate_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let ca = DevCa::open(dir.path()).unwrap();
        let past = SystemTime::now() - Duration::from_secs(7_200);
        let asked = Request { id: request(dir.path(), false).id, dns_names: Vec::new(), validity: Duration::from_secs(3_600) };
        let (chain, _) = ca.issue(&asked, past).unwrap();
        let path = dir.path().join("old.pem");
        std::fs::write(&path, pem("CERTIFICATE", &chain[0])).unwrap();
        assert!(show(&path).unwrap().contains("EXPIRED 59 min") || show(&path).unwrap().contains("EXPIRED 1 h"));
    }

    #[test]
    fn pem_lines_have_64_characters() {
        for (length, lines) in [(0, 2), (48, 3), (49, 4), (96, 4)] {
            assert_eq!(pem("X", &vec![1; length]).lines().count(), lines, "{length}");
        }
    }
}
