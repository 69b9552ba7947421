//! A name server in the test's process, over UDP and TCP.

use super::Setup;
use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

/// What is said of one name.
#[derive(Debug, Clone)]
pub enum Zone {
    /// These addresses with this time to live, seconds; in an order that changes from answer to answer.
    Addresses(Vec<IpAddr>, u32),
    /// Another name, with a time to live of its own.
    Alias(&'static str, u32),
    /// The first answer over UDP says that it is not whole; over TCP there are these addresses.
    Truncated(Vec<IpAddr>, u32),
    /// NXDOMAIN.
    NoSuchName,
    /// SERVFAIL.
    ServerFailure,
    /// Nothing comes.
    Silence,
}

/// One question that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Without the last dot.
    pub name: String,
    /// A or AAAA.
    pub family: RecordType,
    /// Over TCP.
    pub tcp: bool,
}

#[derive(Default)]
struct Shared {
    zones: Mutex<HashMap<String, Zone>>,
    asked: Mutex<Vec<Question>>,
}

/// The name server; dropping it ends it.
pub struct Dns {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

impl Dns {
    /// A name server that knows no name.
    pub async fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let (address, udp, tcp) = super::eventually("a port that is free for UDP and TCP", async || {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = udp.local_addr().unwrap();
            Some((address, Arc::new(udp), TcpListener::bind(address).await.ok()?))
        })
        .await;
        let tasks = [tokio::spawn(over_udp(udp, Arc::clone(&shared))), tokio::spawn(over_tcp(tcp, Arc::clone(&shared)))];
        Self { address, shared, tasks }
    }

    /// Makes a sidecar ask here; `lines` are more of its resolv.conf.
    pub fn serve(&self, setup: &mut Setup, lines: &str) {
        let path = setup.path("resolv.conf");
        std::fs::write(&path, format!("nameserver {}\noptions timeout:1 attempts:1\n{lines}", self.address.ip())).unwrap();
        setup.env("COUNTERSIGN_TEST_RESOLV_CONF", path.to_str().unwrap());
        setup.env("COUNTERSIGN_TEST_DNS_PORT", &self.address.port().to_string());
    }

    /// What is said of a name from now on.
    pub fn say(&self, name: &str, zone: Zone) {
        self.shared.zones.lock().unwrap().insert(name.to_owned(), zone);
    }

    /// Addresses with a time to live of `ttl` seconds from now on.
    pub fn at(&self, name: &str, addresses: &[&str], ttl: u32) {
        self.say(name, Zone::Addresses(parsed(addresses), ttl));
    }

    /// The questions so far.
    pub fn asked(&self) -> Vec<Question> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// How often a name was asked for, as A.
    pub fn times(&self, name: &str) -> usize {
        self.asked().iter().filter(|asked| asked.name == name && asked.family == RecordType::A).count()
    }

    /// Waits until a name was asked for `more` times from now on: whatever is said of it now is known to the sidecar when the last but one came.
    pub async fn asked_again(&self, name: &str, more: usize) {
        let before = self.times(name);
        super::eventually(&format!("{more} more questions for {name}"), async || (self.times(name) >= before + more).then_some(())).await;
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Addresses from their texts.
pub fn parsed(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|text| text.parse().unwrap()).collect()
}

async fn over_udp(socket: Arc<UdpSocket>, shared: Arc<Shared>) {
    let mut buffer = [0; 4_096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        if let Some(answer) = shared.answer(&buffer[..length], false) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

async fn over_tcp(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(one_tcp(stream, Arc::clone(&shared)));
    }
}

async fn one_tcp(mut stream: TcpStream, shared: Arc<Shared>) -> std::io::Result<()> {
    loop {
        let mut question = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut question).await?;
        if let Some(answer) = shared.answer(&question, true) {
            stream.write_u16(u16::try_from(answer.len()).unwrap()).await?;
            stream.write_all(&answer).await?;
        }
    }
}

impl Shared {
    fn answer(&self, question: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let asked = Message::from_vec(question).unwrap();
        let query = asked.queries.first().unwrap().clone();
        let name = query.name().to_ascii().to_ascii_lowercase();
        let name = name.trim_end_matches('.').to_owned();
        self.asked.lock().unwrap().push(Question { name: name.clone(), family: query.query_type(), tcp });
        let mut answer = Message::response(asked.metadata.id, OpCode::Query);
        answer.metadata.recursion_desired = true;
        answer.metadata.recursion_available = true;
        let family = query.query_type();
        answer.add_query(query.clone());
        let zones = self.zones.lock().unwrap();
        self.fill(&mut answer, &zones, query.name(), &name, family, tcp)?;
        Some(answer.to_vec().unwrap())
    }

    fn fill(
        &self,
        answer: &mut Message,
        zones: &HashMap<String, Zone>,
        owner: &Name,
        name: &str,
        family: RecordType,
        tcp: bool,
    ) -> Option<()> {
        match zones.get(name) {
            None | Some(Zone::NoSuchName) => answer.metadata.response_code = ResponseCode::NXDomain,
            Some(Zone::ServerFailure) => answer.metadata.response_code = ResponseCode::ServFail,
            Some(Zone::Silence) => return None,
            Some(Zone::Truncated(..)) if !tcp => answer.metadata.truncation = true,
            Some(Zone::Addresses(addresses, ttl) | Zone::Truncated(addresses, ttl)) => {
                let mut addresses = addresses.clone();
                fastrand::shuffle(&mut addresses);
                for address in addresses {
                    let data = match address {
                        IpAddr::V4(address) if family == RecordType::A => RData::A(A(address)),
                        IpAddr::V6(address) if family == RecordType::AAAA => RData::AAAA(AAAA(address)),
                        _ => continue,
                    };
                    answer.add_answer(Record::from_rdata(owner.clone(), *ttl, data));
                }
            }
            Some(Zone::Alias(target, ttl)) => {
                let target_name: Name = format!("{target}.").parse().unwrap();
                answer.add_answer(Record::from_rdata(owner.clone(), *ttl, RData::CNAME(CNAME(target_name.clone()))));
                self.fill(answer, zones, &target_name, target, family, tcp)?;
            }
        }
        Some(())
    }
}
