//! The files that a configuration points to, looked at before anything is started.

use crate::audit::webhook::{Secret, SecretError};
use crate::audit::{Signing, Users};
use crate::config::References;
use crate::credentials::dev::DevCa;
use crate::credentials::{self, Issued};
use crate::document::{Position, Problem};
use crate::identity::SpiffeId;
use crate::policy::bundle::{BundleError, Fetched, Manifest, Sequences};
use crate::policy::jwt::Issuer;
use crate::policy::{self, Judging, LoadError, Part};
use crate::runtime::sealer::read_key;
use crate::runtime::signer::FileSigner;
use crate::trust::{
    self, BadLine, Bundle, Bundles, Crl, Crls, DEVELOPMENT_ROOT_FILE, DenyList, DevelopmentRoots, MAX_CRL_BYTES, Revocation, TrustError,
    Way, certificates,
};
use crate::upstream::Protocol;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use zeroize::Zeroizing;

/// The most bytes that are read of a certificate, root or key file, as a running process reads them.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What is wrong with the files that a configuration points to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Referenced {
    /// What is not there or not good yet: a process would start, deny everything and wait for it.
    pub pending: Vec<Problem>,
    /// What is there and unusable: a process would not start.
    pub malformed: Vec<Problem>,
    /// What is usable and probably not meant.
    pub warnings: Vec<Problem>,
}

impl Referenced {
    /// Looks at every file. What the development CA makes on first use may be absent; nothing is made here.
    pub fn look(references: &References, development: DevelopmentRoots) -> Self {
        let mut found = Self::default();
        let bundles = found.trust(&references.trust, development);
        if let Some(settings) = &references.credentials {
            match &settings.source {
                credentials::Source::Dev { dir, .. } => found.development_ca(dir, development),
                credentials::Source::File { chain, key } => found.pair(&settings.id, chain, key, bundles.as_ref()),
                // What AWS would say is not asked here.
                #[cfg(feature = "aws")]
                credentials::Source::AcmPca(_) => {}
            }
        }
        if let Some(webhook) = &references.webhook {
            found.secret(&webhook.secret_file);
        }
        match &references.signing {
            Some(Signing::File(path)) => found.signing_key(path),
            // What AWS would say is not asked here.
            #[cfg(feature = "aws")]
            Some(Signing::Kms(_)) => {}
            None => {}
        }
        if let Users::HashedUnder(path) = &references.users {
            found.users_key(path);
        }
        if let Some((settings, listeners)) = &references.policy {
            found.policy(settings, listeners, references.app);
        }
        found
    }

    fn secret(&mut self, path: &Path) {
        let instead = "give the path of a file that only this user may read, with the secret, such as of `openssl rand -hex 32`";
        let noted = |error: &SecretError| problem("webhook.secret_file", &path.display().to_string(), &error.to_string(), instead);
        match Secret::read(path) {
            Ok(_) => {}
            Err(error @ SecretError::Unreadable(_)) => self.pending.push(noted(&error)),
            Err(error @ (SecretError::Length(_) | SecretError::Exposed(_))) => self.malformed.push(noted(&error)),
        }
    }

    /// The bundles; `None` where one of them is not usable, so that nothing else can be judged by them.
    fn trust(&mut self, settings: &[(usize, trust::Settings)], development: DevelopmentRoots) -> Option<Bundles> {
        let bundles: Vec<Option<Bundle>> = settings.iter().map(|(index, trust)| self.bundle(*index, trust, development)).collect();
        Bundles::new(0, bundles.into_iter().collect::<Option<Vec<_>>>()?).ok()
    }

    fn bundle(&mut self, index: usize, settings: &trust::Settings, development: DevelopmentRoots) -> Option<Bundle> {
        let revocation = self.revocation(index, settings);
        let (key, path) = match &settings.source {
            trust::Source::Dev(dir) => (format!("trust[{index}].source"), dir.join(DEVELOPMENT_ROOT_FILE)),
            trust::Source::File(path) => (format!("trust[{index}].file"), path.clone()),
            #[cfg(feature = "aws")]
            trust::Source::AcmPca(_) => return None,
        };
        let file = path.display().to_string();
        if matches!(settings.source, trust::Source::Dev(_)) && !path.exists() {
            if let DevelopmentRoots::Refused(variable) = development {
                self.malformed.push(in_production(&key, &file, variable));
            }
            return None;
        }
        let pem = self.bytes(&key, &path)?;
        let bundle = Bundle::from_pem(&settings.domain, &file, &pem, development).and_then(|b| b.with_dns_names(&settings.dns_names));
        let bundle = bundle.map_err(|error| self.malformed.push(bad_root(&key, &file, &error))).ok()?;
        Some(bundle.with_revocation(revocation?))
    }

    fn revocation(&mut self, index: usize, settings: &trust::Settings) -> Option<Arc<Revocation>> {
        let deny = match &settings.deny_list {
            Some(path) => self.deny_list(&format!("trust[{index}].revocation.deny_list"), settings, path)?,
            None => DenyList::default(),
        };
        let mut lists = Vec::new();
        for source in &settings.crls {
            match source {
                trust::CrlSource::File(path) => lists.extend(self.crls(&format!("trust[{index}].revocation.crl"), path)?),
                // What a server would say is not asked here, and so nobody can be judged.
                trust::CrlSource::Url(_) if settings.crl_mode == trust::CrlMode::Require => return None,
                trust::CrlSource::Url(_) => {}
            }
        }
        Some(Arc::new(Revocation::new(deny, Crls::new(settings.crl_mode, lists))))
    }

    fn crls(&mut self, key: &str, path: &Path) -> Option<Vec<Arc<Crl>>> {
        let bytes = self.bytes_up_to(MAX_CRL_BYTES, key, path)?;
        let file = path.display().to_string();
        let instead = "give a file with CRLs in DER or PEM and nothing else";
        Crl::read(&file, Way::File, &bytes).map_err(|error| self.malformed.push(problem(key, &file, &error.to_string(), instead))).ok()
    }

    fn deny_list(&mut self, key: &str, settings: &trust::Settings, path: &Path) -> Option<DenyList> {
        let text = self.bytes(key, path)?;
        let bad = |bad: BadLine| problem(key, &path.display().to_string(), &format!("line {}: {}", bad.line, bad.what), bad.instead);
        DenyList::parse(&settings.domain, &text).map_err(|line| self.malformed.push(bad(line))).ok()
    }

    fn development_ca(&mut self, dir: &Path, development: DevelopmentRoots) {
        let root = dir.join(DEVELOPMENT_ROOT_FILE);
        if let DevelopmentRoots::Refused(variable) = development {
            self.malformed.push(in_production("credentials.source", &root.display().to_string(), variable));
        } else if root.exists()
            && let Err(error) = DevCa::open(dir)
        {
            self.malformed.push(problem("credentials.dev.dir", &dir.display().to_string(), &error.to_string(), ""));
        }
    }

    fn pair(&mut self, id: &SpiffeId, chain: &Path, key: &Path, bundles: Option<&Bundles>) {
        let certificates = self.chain("credentials.file.chain", chain);
        let private = self.private_key("credentials.file.key", key);
        let (Some(certificates), Some(private)) = (certificates, private) else { return };
        let now = SystemTime::now();
        let file = chain.display().to_string();
        match Issued::new(id, certificates, private, now) {
            Err(error) => {
                let instead = format!("give the chain and the key of one certificate for {id}");
                self.malformed.push(problem("credentials.file.chain", &file, &error.to_string(), &instead));
            }
            Ok(issued) => {
                if let Some(Err(refused)) = bundles.map(|bundles| issued.judge(bundles, now)) {
                    let what = format!("is refused by our own trust bundle ({refused})");
                    let instead = "give a certificate that the roots of its trust domain accept";
                    self.pending.push(problem("credentials.file.chain", &file, &what, instead));
                }
            }
        }
    }

    fn chain(&mut self, key: &str, path: &Path) -> Option<Vec<CertificateDer<'static>>> {
        let pem = self.bytes(key, path)?;
        let read = certificates(&pem);
        let file = path.display().to_string();
        let instead = "give a PEM file with the leaf first, then its issuers";
        read.map_err(|error| self.malformed.push(problem(key, &file, &error.to_string(), instead))).ok()
    }

    fn private_key(&mut self, key: &str, path: &Path) -> Option<PrivateKeyDer<'static>> {
        let pem = self.bytes(key, path)?;
        let read = PrivateKeyDer::from_pem_slice(&pem);
        let file = path.display().to_string();
        let (what, instead) = ("holds no private key in PEM", "give a PEM file with a PKCS#8, SEC1 or PKCS#1 key that is not encrypted");
        // The parser's error could repeat what the file holds.
        read.map_err(|_| self.malformed.push(problem(key, &file, what, instead))).ok()
    }

    fn signing_key(&mut self, path: &Path) {
        if let Err(error) = FileSigner::read(path) {
            let instead = "give a file that only this user may read, with a key of P-256 in PEM, or take the key out";
            self.malformed.push(problem("audit.signing.key_file", &path.display().to_string(), &error.to_string(), instead));
        }
    }

    fn users_key(&mut self, path: &Path) {
        if let Err(error) = read_key(path) {
            let instead = "give a file that only this user may read, with 64 hexadecimal digits, such as of `openssl rand -hex 32`";
            self.malformed.push(problem("audit.hash_user_key_file", &path.display().to_string(), &error.to_string(), instead));
        }
    }

    fn policy(&mut self, settings: &policy::Settings, listeners: &policy::Listeners, app: Option<Protocol>) {
        let own = self.table(Part::Own, &settings.source, settings, None, listeners, app);
        let beside = [(Part::Boundary, &settings.boundary), (Part::Candidate, &settings.candidate)];
        for (part, source) in beside.into_iter().filter_map(|(part, source)| Some((part, source.as_ref()?))) {
            self.table(part, source, settings, own.as_ref(), listeners, app);
        }
    }

    /// Gives the manifest of the table's bundle.
    fn table(
        &mut self,
        part: Part,
        source: &policy::Source,
        settings: &policy::Settings,
        own: Option<&Manifest>,
        listeners: &policy::Listeners,
        app: Option<Protocol>,
    ) -> Option<Manifest> {
        // What a server would say is not asked here.
        if matches!(source, policy::Source::Remote(_)) {
            return None;
        }
        // What was accepted before is the process's to know.
        let judging = Judging { sequences: &Sequences::default(), fetched: &Fetched::default(), now: SystemTime::now() };
        let read = policy::read(part, source, settings.signed.as_ref(), own, judging);
        match read.and_then(|given| Ok((given.table(listeners)?, given.manifest))) {
            Ok((table, manifest)) => {
                self.grpc(source, &table, app);
                table.issuers().iter().for_each(|issuer| self.key_set(issuer));
                return manifest;
            }
            Err(error) => self.no_table(part, source, error),
        }
        None
    }

    fn no_table(&mut self, part: Part, source: &policy::Source, error: LoadError) {
        let key = match part {
            Part::Own => "policy.file",
            Part::Boundary => "policy.boundary",
            Part::Candidate => "policy.candidate",
        };
        match error {
            LoadError::Malformed(problems) => self.malformed.extend(problems.into_vec()),
            LoadError::Refused { error: BundleError::Table(problems), .. } => self.pending.extend(problems.into_vec()),
            LoadError::Refused { source_name, error } => self.pending.push(problem(key, &source_name, &error.to_string(), "")),
            // A process starts without it, and so it does after a promotion.
            LoadError::Unavailable { source_name, reason } if part == Part::Candidate => {
                let what = format!("cannot be read ({reason}), so nothing is tried beside the policy table");
                self.warnings.push(problem(key, &source_name, &what, "put the next table there, or remove the key"));
            }
            LoadError::Unavailable { source_name, reason } => {
                let instead = match source {
                    policy::Source::File(_) => "give the path of a readable file".to_owned(),
                    policy::Source::Env(name) => format!("set the environment variable {name}"),
                    policy::Source::Remote(_) => String::new(),
                };
                self.pending.push(problem(key, &source_name, &format!("cannot be read ({reason})"), &instead));
            }
        }
    }

    /// The keys of a token issuer, where they are in a file; a server is not asked by whoever only checks.
    fn key_set(&mut self, issuer: &Issuer) {
        let Err(error) = issuer.look() else { return };
        let (file, what) = (issuer.source().to_string(), format!("{error}: no token of `{}` is believed", issuer.iss));
        let found = problem("policy.file", &file, &what, "give the public keys of the issuer as it publishes them");
        if error.is_malformed() { self.malformed.push(found) } else { self.pending.push(found) }
    }

    /// gRPC needs HTTP/2 as far as the app.
    fn grpc(&mut self, source: &policy::Source, table: &policy::Table, app: Option<Protocol>) {
        let (Some(Protocol::Http1), Some(rule)) = (app, table.grpc_rules().next()) else { return };
        let file = source.to_string();
        let what = format!("is \"http1\", and rule `{}` is about gRPC, which needs HTTP/2", rule.id);
        self.warnings.push(problem("inbound.app_protocol", &file, &what, "let the app speak HTTP/2 and write app_protocol = \"h2c\""));
    }

    fn bytes(&mut self, key: &str, path: &Path) -> Option<Zeroizing<Vec<u8>>> {
        self.bytes_up_to(MAX_FILE_BYTES, key, path)
    }

    fn bytes_up_to(&mut self, limit: u64, key: &str, path: &Path) -> Option<Zeroizing<Vec<u8>>> {
        let (file, instead) = (path.display().to_string(), "give the path of a readable file");
        match read(path, limit) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                self.malformed.push(problem(key, &file, &format!("is longer than {} MiB", limit >> 20), instead));
                None
            }
            Err(error) => {
                self.pending.push(problem(key, &file, &format!("cannot be read ({error})"), instead));
                None
            }
        }
    }
}

/// The file's bytes, wiped when they are dropped: one of the files is a key.
fn read(path: &Path, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) { Ok(bytes) } else { Err(io::ErrorKind::FileTooLarge.into()) }
}

fn bad_root(key: &str, file: &str, error: &TrustError) -> Problem {
    let instead = "give a PEM file with roots and nothing else";
    match error {
        TrustError::Pem { error, .. } => problem(key, file, &error.to_string(), instead),
        TrustError::Certificate { index, error, .. } => problem(key, file, &format!("certificate {index}: {error}"), instead),
        TrustError::NotCa { index, subject, .. } => {
            problem(key, file, &format!("certificate {index} ({subject}) is not a CA's"), "give roots only")
        }
        TrustError::Development { subject, variable, .. } => {
            let what = format!("holds a development root ({subject}), and {variable} says that this is production");
            problem(key, file, &what, "use roots of a real CA, or --allow-development-roots")
        }
        other => problem(key, file, &other.to_string(), ""),
    }
}

fn in_production(key: &str, file: &str, variable: &str) -> Problem {
    let what = format!("is the development CA, and {variable} says that this is production");
    problem(key, file, &what, "use a real CA, or --allow-development-roots")
}

fn problem(key: &str, file: &str, what: &str, instead: &str) -> Problem {
    let place = Position { key: key.to_owned(), ..Position::default() };
    Problem { file: file.to_owned(), place, what: what.to_owned(), instead: instead.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};
    use crate::credentials::dev::{DEVELOPMENT_KEY_FILE, Request};
    use std::time::Duration;

    const POLICY: &str = "schema = 1\nname = \"t\"\n";

    /// A directory with a usable configuration of files in it, and what is found once `change` is done. `lines` replace the inbound section.
    fn look_at(lines: &str, development: DevelopmentRoots, change: impl Fn(&Path)) -> (Vec<String>, Vec<String>) {
        let found = found(lines, development, change);
        (said(&found.pending), said(&found.malformed))
    }

    fn said(problems: &[Problem]) -> Vec<String> {
        problems.iter().map(|problem| format!("{}: {}", problem.place.key, problem.what)).collect()
    }

    fn found(lines: &str, development: DevelopmentRoots, change: impl Fn(&Path)) -> Referenced {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        issue(home, "spiffe://d/a", SystemTime::now());
        std::fs::write(home.join("policy.toml"), POLICY).unwrap();
        change(home);
        let text = format!(
            "[workload]\nid = 'spiffe://d/a'\n[credentials]\nsource = 'file'\n\
            [credentials.file]\nchain = '${{H}}/chain.pem'\nkey = '${{H}}/key.pem'\n\
            [[trust]]\ndomain = 'd'\nsource = 'file'\nfile = '${{H}}/dev-ca.pem'\n[inbound]\n{lines}\n[policy]\nfile = '${{H}}/policy.toml'\n"
        );
        let environment = Environment::fixed(&[("H", &home.display().to_string())]);
        Referenced::look(&config::survey("c", &text, &environment).references, development)
    }

    #[test]
    fn a_grpc_rule_in_front_of_an_http1_app_is_odd() {
        let rule = "[[rule]]\nid = 'orders'\neffect = 'allow'\nfrom = { spiffe = ['spiffe://d/b'] }\ngrpc = ['shop.Orders/Get']\n";
        let write = |home: &Path| std::fs::write(home.join("policy.toml"), format!("{POLICY}{rule}")).unwrap();
        let found = found("", DevelopmentRoots::Accepted, write);
        let expected = "inbound.app_protocol: is \"http1\", and rule `orders` is about gRPC, which needs HTTP/2";
        assert_eq!((said(&found.warnings), found.malformed), (vec![expected.to_owned()], vec![]));
    }

    fn look(change: impl Fn(&Path)) -> (Vec<String>, Vec<String>) {
        look_at("", DevelopmentRoots::Accepted, change)
    }

    fn issue(home: &Path, id: &str, at: SystemTime) {
        let request = Request { id: SpiffeId::parse(id).unwrap(), dns_names: Vec::new(), validity: Duration::from_secs(3_600) };
        let (chain, key) = DevCa::open(home).unwrap().issue(&request, at).unwrap();
        std::fs::write(home.join("chain.pem"), crate::cli::certs::pem("CERTIFICATE", &chain[0])).unwrap();
        std::fs::write(home.join("key.pem"), crate::cli::certs::pem("PRIVATE KEY", key.secret_der())).unwrap();
    }

    #[test]
    fn good_files_pass() {
        assert_eq!(look(|_| ()), (vec![], vec![]));
    }

    #[test]
    fn missing_and_malformed_files_are_told_apart_and_all_reported() {
        let (pending, malformed) = look(|home| {
            std::fs::remove_file(home.join("policy.toml")).unwrap();
            std::fs::rename(home.join("dev-ca.pem"), home.join("key.pem")).unwrap();
            std::fs::write(home.join("chain.pem"), "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n").unwrap();
        });
        let not_there = "cannot be read (No such file or directory (os error 2))";
        assert_eq!(pending, [format!("trust[0].file: {not_there}"), format!("policy.file: {not_there}")]);
        assert_eq!(malformed.len(), 2, "{malformed:?}");
        assert!(malformed[0].starts_with("credentials.file.chain: is no PEM"), "{malformed:?}");
        assert_eq!(malformed[1], "credentials.file.key: holds no private key in PEM");
    }

    #[test]
    fn a_pair_that_is_not_ours_is_malformed() {
        let others_id = look(|home| issue(home, "spiffe://d/b", SystemTime::now()));
        let others_key = look(|home| {
            std::fs::copy(home.join("chain.pem"), home.join("first.pem")).unwrap();
            issue(home, "spiffe://d/a", SystemTime::now());
            std::fs::rename(home.join("first.pem"), home.join("chain.pem")).unwrap();
        });
        let no_leaf = look(|home| {
            std::fs::copy(home.join("dev-ca.pem"), home.join("chain.pem")).unwrap();
        });
        let table = [("is for spiffe://d/b", others_id), ("does not belong to the leaf", others_key), ("the leaf is for nobody", no_leaf)];
        for (expected, (pending, malformed)) in table {
            assert!(pending.is_empty() && malformed.concat().contains(expected), "{expected}: {pending:?} {malformed:?}");
        }
    }

    #[test]
    fn an_expired_or_foreign_certificate_is_waited_for() {
        let long_ago = SystemTime::now() - Duration::from_secs(7_200);
        let (pending, malformed) = look(|home| issue(home, "spiffe://d/a", long_ago));
        assert!(malformed.is_empty() && pending.concat().contains("expired"), "{pending:?} {malformed:?}");
        let (pending, malformed) = look(|home| {
            for file in [DEVELOPMENT_ROOT_FILE, DEVELOPMENT_KEY_FILE] {
                std::fs::remove_file(home.join(file)).unwrap();
            }
            DevCa::open(home).unwrap();
        });
        assert!(malformed.is_empty() && pending.concat().contains("untrusted_chain"), "{pending:?} {malformed:?}");
    }

    #[test]
    fn roots_are_validated_whole() {
        let (_, malformed) = look(|home| {
            let leaf = std::fs::read_to_string(home.join("chain.pem")).unwrap();
            let root = std::fs::read_to_string(home.join("dev-ca.pem")).unwrap();
            std::fs::write(home.join("dev-ca.pem"), root + &leaf).unwrap();
        });
        assert!(malformed.concat().contains("trust[0].file: certificate 2 (CN=a) is not a CA's"), "{malformed:?}");
        let (_, malformed) = look_at("", DevelopmentRoots::Refused("SOME_VARIABLE"), |_| ());
        assert!(malformed.concat().contains("and SOME_VARIABLE says that this is production"), "{malformed:?}");
    }

    #[test]
    fn the_table_is_parsed_with_the_configured_port() {
        let rule = "[[rule]]\nid = 'r'\neffect = 'allow'\nfrom = { spiffe = ['spiffe://d/b'] }\nmethods = ['GET']\npaths = ['/a']\n";
        let write = |home: &Path| std::fs::write(home.join("policy.toml"), format!("{POLICY}{rule}ports = [9443]\n")).unwrap();
        assert_eq!(look_at("listen = '[::]:9443'", DevelopmentRoots::Accepted, write), (vec![], vec![]));
        let (_, malformed) = look(write);
        assert!(malformed.concat().contains("ports"), "{malformed:?}");
        // Nobody can say whether the port is right while the listener is wrong.
        assert_eq!(look_at("listen = 'x'", DevelopmentRoots::Accepted, write), (vec![], vec![]));
    }

    #[test]
    fn files_are_looked_at_although_the_configuration_is_wrong() {
        let (_, malformed) = look_at("nonsense = 1", DevelopmentRoots::Accepted, |home| {
            std::fs::write(home.join("policy.toml"), "schema = 2\n").unwrap();
        });
        assert!(malformed.concat().contains("schema"), "{malformed:?}");
    }

    #[test]
    fn the_development_ca_may_be_absent_but_not_in_production() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("none");
        let text = "[workload]\nid = 'spiffe://d/a'\n[credentials]\nsource = 'dev'\n[credentials.dev]\ndir = '${H}'\n\
            [[trust]]\ndomain = 'd'\n[inbound]\n[policy]\nfile = '${H}/p'\n";
        let environment = Environment::fixed(&[("H", &home.display().to_string())]);
        let references = config::survey("c", text, &environment).references;
        assert_eq!(Referenced::look(&references, DevelopmentRoots::Accepted).malformed, []);
        let refused = Referenced::look(&references, DevelopmentRoots::Refused("SOME_VARIABLE")).malformed;
        let keys: Vec<&str> = refused.iter().map(|problem| problem.place.key.as_str()).collect();
        assert_eq!(keys, ["trust[0].source", "credentials.source"]);
        assert!(!home.exists());
    }
}
