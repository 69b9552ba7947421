//! `countersign check`: is the configuration usable, and what does it say?

use super::{ConfigSource, Outcome};
use crate::config::{self, Config, Loaded};
use crate::document::{Place, Problem, Problems};
use crate::{credentials, policy, proxy, trust};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::Write;
use std::path::Path;

/// What `check` is asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: ConfigSource,
    /// Prints every key with its value, its default and where it came from
    #[arg(long)]
    effective: bool,
}

/// What is wrong with the files that a configuration points to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Referenced {
    /// Files that are not there or cannot be read: a process would start, deny everything and wait for them.
    pub missing: Vec<Problem>,
    /// Files that are there and malformed: a process would not start.
    pub malformed: Vec<Problem>,
}

/// Checks the configuration and prints what it found. Problems and warnings go to standard error.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let loaded = match config::load(&args.source.config) {
        Ok(loaded) => loaded,
        Err(problems) => return Ok(unusable(&problems)),
    };
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    let referenced = referenced_files(&loaded.config);
    for problem in referenced.malformed.iter().chain(&referenced.missing) {
        eprintln!("{problem}");
    }
    let mut out = std::io::stdout().lock();
    if args.effective {
        write!(out, "{}", loaded.effective)?;
    }
    if !referenced.malformed.is_empty() {
        return Ok(Outcome::Unusable);
    }
    if !referenced.missing.is_empty() {
        return Ok(Outcome::Findings);
    }
    writeln!(out, "ok: {}", summary(&args.source.config, &loaded))?;
    Ok(Outcome::Fine)
}

/// Prints problems and says that the input is unusable.
pub fn unusable(problems: &Problems) -> Outcome {
    eprintln!("{problems}");
    Outcome::Unusable
}

/// Looks at every file that `config` points to. What the development CA makes on first use may be absent.
pub fn referenced_files(config: &Config) -> Referenced {
    let mut referenced = Referenced::default();
    if let credentials::Source::File { chain, key } = &config.credentials.source {
        referenced.pem::<CertificateDer<'_>>("credentials.file.chain", chain, "a certificate");
        referenced.pem::<PrivateKeyDer<'_>>("credentials.file.key", key, "a private key");
    }
    for (index, trust) in config.trust.iter().enumerate() {
        if let trust::Source::File(roots) = &trust.source {
            referenced.pem::<CertificateDer<'_>>(&format!("trust[{index}].file"), roots, "a certificate");
        }
    }
    match &config.policy.source {
        policy::Source::File(path) => drop(referenced.bytes("policy.file", path)),
        policy::Source::Env(name) if std::env::var_os(name).is_none() => {
            referenced.missing.push(problem(
                "policy.file",
                &format!("env:{name}"),
                "is not set",
                &format!("set the environment variable {name}"),
            ));
        }
        policy::Source::Env(_) => {}
    }
    referenced
}

impl Referenced {
    fn bytes(&mut self, key: &str, path: &Path) -> Option<Vec<u8>> {
        match std::fs::read(path) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                let what = format!("cannot be read ({error})");
                self.missing.push(problem(key, &path.display().to_string(), &what, "give the path of a readable file"));
                None
            }
        }
    }

    fn pem<T: PemObject>(&mut self, key: &str, path: &Path, wanted: &str) {
        let Some(bytes) = self.bytes(key, path) else { return };
        let found = T::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
        let what = match found {
            Ok(items) if items.is_empty() => format!("holds no PEM block with {wanted}"),
            Ok(_) => return,
            Err(PemError::NoItemsFound) => format!("holds no PEM block with {wanted}"),
            Err(error) => format!("is not PEM ({error})"),
        };
        self.malformed.push(problem(key, &path.display().to_string(), &what, &format!("give a PEM file with {wanted}")));
    }
}

fn problem(key: &str, file: &str, what: &str, instead: &str) -> Problem {
    let place = Place { key: key.to_owned(), ..Place::default() };
    Problem { file: file.to_owned(), place, what: what.to_owned(), instead: instead.to_owned() }
}

/// One line: who we are and what goes where.
fn summary(source: &str, loaded: &Loaded) -> String {
    let config = &loaded.config;
    let mut parts = vec![format!("{source}: {}", config.credentials.id)];
    parts.extend(config.inbound.as_ref().map(|inbound| match &inbound.app {
        proxy::App::Tcp(app) => format!("{} to http://{app}", inbound.listen),
        proxy::App::Unix(path) => format!("{} to unix:{}", inbound.listen, path.display()),
    }));
    parts
        .extend(config.outbound.as_ref().map(|outbound| format!("{} to {}", outbound.listen, counted(config.upstreams.len(), "upstream"))));
    parts.push(counted(config.trust.len(), "trust domain"));
    if !loaded.warnings.is_empty() {
        parts.push(counted(loaded.warnings.len(), "warning"));
    }
    parts.join(", ")
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    /// A directory with a configuration of files in it, and what `check` says about them once `change` is done.
    fn look(change: impl Fn(&Path)) -> (Vec<String>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        let pair = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
        std::fs::write(home.join("chain.pem"), pair.cert.pem()).unwrap();
        std::fs::write(home.join("roots.pem"), pair.cert.pem()).unwrap();
        std::fs::write(home.join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
        std::fs::write(home.join("policy.toml"), "").unwrap();
        change(home);
        let text = "[workload]\nid = 'spiffe://d/a'\n[credentials]\nsource = 'file'\n\
            [credentials.file]\nchain = '${H}/chain.pem'\nkey = '${H}/key.pem'\n\
            [[trust]]\ndomain = 'd'\nsource = 'file'\nfile = '${H}/roots.pem'\n[inbound]\n[policy]\nfile = '${H}/policy.toml'\n";
        let environment = Environment::fixed(&[("H", &home.display().to_string())]);
        let found = referenced_files(&config::parse("c", text, &environment).unwrap().config);
        let keys = |problems: &[Problem]| problems.iter().map(|problem| format!("{}: {}", problem.place.key, problem.what)).collect();
        (keys(&found.missing), keys(&found.malformed))
    }

    #[test]
    fn good_files_pass() {
        assert_eq!(look(|_| ()), (vec![], vec![]));
    }

    #[test]
    fn missing_and_malformed_files_are_told_apart() {
        let (missing, malformed) = look(|home| {
            std::fs::remove_file(home.join("policy.toml")).unwrap();
            std::fs::rename(home.join("roots.pem"), home.join("key.pem")).unwrap();
            std::fs::write(home.join("chain.pem"), "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n").unwrap();
        });
        let not_there = "cannot be read (No such file or directory (os error 2))";
        assert_eq!(missing, [format!("trust[0].file: {not_there}"), format!("policy.file: {not_there}")]);
        assert_eq!(malformed.len(), 2, "{malformed:?}");
        assert!(malformed.concat().contains("credentials.file.chain: is not PEM"), "{malformed:?}");
        assert!(malformed.concat().contains("credentials.file.key: holds no PEM block with a private key"), "{malformed:?}");
    }
}
