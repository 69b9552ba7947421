//! What the system says of names: its resolver configuration and its hosts file, read again when they change.

use super::Unresolved;
use hickory_resolver::config::{ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver, system_conf};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Where the system's files are.
#[derive(Debug, Clone)]
pub struct System {
    /// The resolver configuration, resolv.conf(5).
    pub configuration: PathBuf,
    /// The port of the name servers, where it is not 53.
    pub port: Option<u16>,
}

impl Default for System {
    fn default() -> Self {
        Self { configuration: PathBuf::from("/etc/resolv.conf"), port: None }
    }
}

/// The hosts file, hosts(5).
const HOSTS: &str = "/etc/hosts";

/// Bytes of the resolver configuration; more is no such file.
const LONGEST: u64 = 64 << 10;

/// What was read from the files, ready for questions.
pub(super) struct Reading {
    version: [Option<(SystemTime, u64)>; 2],
    pub(super) client: TokioResolver,
    hosts: Hosts,
    search: Vec<Name>,
    ndots: usize,
}

/// Reads the files when they have changed.
pub(super) struct Reader {
    system: System,
    last: Mutex<Option<Arc<Reading>>>,
}

impl Reader {
    pub(super) fn new(system: System) -> Self {
        Self { system, last: Mutex::default() }
    }

    /// What the files say now. Looks at their times and sizes, and reads them only when those moved: two system calls for a question.
    pub(super) fn read(&self) -> Result<Arc<Reading>, Unresolved> {
        let version = [&self.system.configuration, &PathBuf::from(HOSTS)].map(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        });
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reading) = last.as_ref().filter(|reading| reading.version == version) {
            return Ok(Arc::clone(reading));
        }
        let reading = Arc::new(Reading::new(&self.system, version)?);
        *last = Some(Arc::clone(&reading));
        Ok(reading)
    }
}

impl Reading {
    fn new(system: &System, version: [Option<(SystemTime, u64)>; 2]) -> Result<Self, Unresolved> {
        let unusable = |problem: String| Unresolved::Configuration(format!("{}: {problem}", system.configuration.display()));
        if version[0].is_some_and(|(_, length)| length > LONGEST) {
            return Err(unusable(format!("it is longer than {LONGEST} bytes")));
        }
        let text = std::fs::read(&system.configuration).map_err(|error| unusable(error.to_string()))?;
        let (mut config, mut options) = system_conf::parse_resolv_conf(text).map_err(|error| unusable(error.to_string()))?;
        let search = config.search().to_vec();
        if let Some(port) = system.port {
            config.name_servers.iter_mut().flat_map(|server| &mut server.connections).for_each(|connection| connection.port = port);
        }
        // Names are made complete and answers are kept by us.
        config = ResolverConfig::from_parts(None, Vec::new(), config.name_servers);
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let ndots = options.ndots;
        let client = client(config, options).map_err(unusable)?;
        Ok(Self { version, client, hosts: Hosts::from_system().unwrap_or_default(), search, ndots })
    }

    /// The addresses that the hosts file gives a name; none: it does not name it.
    pub(super) fn hosts(&self, name: &Name) -> Vec<IpAddr> {
        let families = [RecordType::A, RecordType::AAAA];
        let found = families.map(|family| self.hosts.lookup_static_host(&Query::query(name.clone(), family)));
        let records = found.iter().flatten().flat_map(|lookup| lookup.answers());
        records.filter_map(|record| record.data.ip_addr()).collect()
    }

    /// The complete names that a name may stand for, in the order in which they are asked for.
    pub(super) fn candidates(&self, name: &Name) -> Vec<Name> {
        candidates(name, &self.search, self.ndots)
    }
}

fn client(config: ResolverConfig, options: ResolverOpts) -> Result<TokioResolver, String> {
    let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options);
    builder.build().map_err(|error| error.to_string())
}

/// As resolv.conf(5) says of `search` and `ndots`.
fn candidates(name: &Name, search: &[Name], ndots: usize) -> Vec<Name> {
    let mut complete = name.clone();
    complete.set_fqdn(true);
    if name.is_fqdn() || name.is_localhost() {
        return vec![complete];
    }
    let dots = usize::from(name.num_labels()).saturating_sub(1);
    let mut found: Vec<Name> = search.iter().filter_map(|domain| name.clone().append_domain(domain).ok()).collect();
    let at = if dots >= ndots { 0 } else { found.len() };
    found.insert(at, complete);
    found.iter_mut().for_each(|name| name.set_fqdn(true));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str, ndots: usize) -> Vec<String> {
        let search = ["shop.internal", "internal."].map(|text| text.parse().unwrap());
        candidates(&name.parse().unwrap(), &search, ndots).iter().map(Name::to_string).collect()
    }

    #[test]
    fn search_and_ndots_say_which_names_are_asked_for() {
        assert_eq!(names("pay", 1), ["pay.shop.internal.", "pay.internal.", "pay."]);
        assert_eq!(names("pay.shop", 1), ["pay.shop.", "pay.shop.shop.internal.", "pay.shop.internal."]);
        assert_eq!(names("pay.shop", 5), ["pay.shop.shop.internal.", "pay.shop.internal.", "pay.shop."]);
        assert_eq!(names("pay.shop.", 5), ["pay.shop."]);
        assert_eq!(names("localhost", 1), ["localhost."]);
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_broken_one_is_no_exit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("resolv.conf");
        let reader = Reader::new(System { configuration: path.clone(), port: None });
        assert!(matches!(reader.read(), Err(Unresolved::Configuration(_))));
        std::fs::write(&path, "nameserver 127.0.0.1\n").unwrap();
        let first = reader.read().unwrap();
        assert!(Arc::ptr_eq(&first, &reader.read().unwrap()));
        std::fs::write(&path, "nameserver 127.0.0.1\nsearch a.example b.example\noptions ndots:3\n").unwrap();
        let second = reader.read().unwrap();
        assert_eq!((second.search.len(), second.ndots), (2, 3));
        std::fs::write(&path, "search a.example\n").unwrap();
        assert!(matches!(reader.read(), Err(Unresolved::Configuration(_))), "no name server");
    }
}
