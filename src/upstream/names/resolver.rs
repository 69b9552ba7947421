//! One question for a name, to its end: hosts file, search list, both address families.

use super::system::{Reader, Reading, System};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RecordType};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::pin;
use std::time::Duration;
use tokio::time::timeout;

/// From a question to its end, all name servers, attempts and search domains together.
const QUESTION: Duration = Duration::from_secs(10);

/// From the answer of one address family to the end of waiting for the other: some servers never answer for AAAA.
const OTHER_FAMILY: Duration = Duration::from_millis(500);

/// The time to live of what the hosts file says: the file is looked at again with each question.
const HOSTS_TTL: Duration = Duration::from_secs(5);

/// Addresses of one name; more are left out, the highest first.
const ADDRESSES: usize = 1_024;

/// A good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// At least one, sorted, each once.
    pub addresses: Vec<IpAddr>,
    /// The least time to live of the records on the way to them.
    pub ttl: Duration,
}

/// Why a question had no answer; it is asked again in all cases.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// The answer is that there is no such name.
    #[error("there is no such name")]
    NoSuchName,
    /// The answer is that the name has no usable address.
    #[error("the name has no address")]
    NoAddress,
    /// The name server could not say.
    #[error("the name server answers {0}")]
    Refused(String),
    /// Nobody answered in time.
    #[error("no name server answers in time")]
    Silence,
    /// The system's resolver configuration cannot be used.
    #[error("{0}")]
    Configuration(String),
    /// The question could not be asked.
    #[error("{0}")]
    Other(String),
}

impl Unresolved {
    /// The stable label of metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoSuchName => "no_such_name",
            Self::NoAddress => "no_address",
            Self::Refused(_) => "server_failure",
            Self::Silence => "timeout",
            Self::Configuration(_) => "no_resolver",
            Self::Other(_) => "failed",
        }
    }

    /// Whether somebody answered, and the answer is that there is nothing.
    pub(super) fn is_an_answer(&self) -> bool {
        matches!(self, Self::NoSuchName | Self::NoAddress)
    }
}

/// Asks the system's name servers. The C library is not involved.
pub struct Resolver {
    reader: Reader,
}

impl Resolver {
    /// A resolver of the system that `system` describes.
    pub fn new(system: System) -> Self {
        Self { reader: Reader::new(system) }
    }

    /// The addresses of a name now; nothing is remembered from one question to the next.
    ///
    /// # Errors
    /// There are none, or nobody says; within 10 s.
    pub async fn ask(&self, name: &str) -> Result<Answer, Unresolved> {
        let name: Name = name.parse().map_err(|error| Unresolved::Other(format!("{name}: {error}")))?;
        if name.is_localhost() {
            // RFC 6761, section 6.3: no name server is asked.
            return Ok(Answer { addresses: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()], ttl: HOSTS_TTL });
        }
        let reading = self.reader.read()?;
        let written = usable(reading.hosts(&name));
        if !written.is_empty() {
            return Ok(Answer { addresses: written, ttl: HOSTS_TTL });
        }
        timeout(QUESTION, search(&reading, &name)).await.unwrap_or(Err(Unresolved::Silence))
    }
}

/// Asks for each complete name until one has addresses. Where nobody says, it does not go on: the next one may be another machine's.
async fn search(reading: &Reading, name: &Name) -> Result<Answer, Unresolved> {
    let mut last = Unresolved::NoSuchName;
    for candidate in reading.candidates(name) {
        match both_families(reading, &candidate).await {
            Err(problem) if problem.is_an_answer() => last = if last == Unresolved::NoAddress { last } else { problem },
            outcome => return outcome,
        }
    }
    Err(last)
}

async fn both_families(reading: &Reading, name: &Name) -> Result<Answer, Unresolved> {
    let ask = |family| family_of(reading, name.clone(), family);
    let (mut v4, mut v6) = (pin!(ask(RecordType::A)), pin!(ask(RecordType::AAAA)));
    let (first, other) = tokio::select! {
        first = &mut v4 => {
            let limit = if first.is_ok() { OTHER_FAMILY } else { QUESTION };
            (first, timeout(limit, v6).await)
        }
        first = &mut v6 => {
            let limit = if first.is_ok() { OTHER_FAMILY } else { QUESTION };
            (first, timeout(limit, v4).await)
        }
    };
    match (first, other.unwrap_or(Err(Unresolved::Silence))) {
        (Ok(one), Ok(another)) => {
            let addresses = usable([one.addresses, another.addresses].concat());
            Ok(Answer { addresses, ttl: one.ttl.min(another.ttl) })
        }
        (Ok(answer), Err(_)) | (Err(_), Ok(answer)) => Ok(answer),
        (Err(one), Err(another)) => Err(if one.is_an_answer() { another } else { one }),
    }
}

async fn family_of(reading: &Reading, name: Name, family: RecordType) -> Result<Answer, Unresolved> {
    let lookup = reading.client.lookup(name, family).await.map_err(problem)?;
    let addresses = usable(lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect());
    let ttl = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
    if addresses.is_empty() { Err(Unresolved::NoAddress) } else { Ok(Answer { addresses, ttl: Duration::from_secs(ttl.into()) }) }
}

/// Sorted, each once, without those that nobody can connect to.
fn usable(mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    addresses.retain(|address| !address.is_unspecified() && !address.is_multicast());
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(ADDRESSES);
    addresses
}

fn problem(error: NetError) -> Unresolved {
    match error {
        error if error.is_nx_domain() => Unresolved::NoSuchName,
        NetError::Dns(DnsError::NoRecordsFound(none)) if none.response_code == ResponseCode::NoError => Unresolved::NoAddress,
        NetError::Dns(DnsError::NoRecordsFound(none)) => Unresolved::Refused(none.response_code.to_string()),
        NetError::Dns(DnsError::ResponseCode(code)) => Unresolved::Refused(code.to_string()),
        NetError::Timeout => Unresolved::Silence,
        other => Unresolved::Other(other.to_string()),
    }
}
