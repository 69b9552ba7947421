use super::*;
use crate::credentials::Issued;
use crate::identity::SpiffeId;
use crate::identity::pattern::PrincipalPattern;
use crate::runtime::clock::{Clock, SystemClock};
use crate::runtime::readiness::Readiness;
use crate::testing::pki::{LeafOptions, TestCa, TestCert};
use crate::trust::{Bundle, Bundles, DevelopmentRoots};
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const SERVER: &str = "spiffe://a.example/sa/server";
const CLIENT: &str = "spiffe://a.example/sa/client";

fn bundles(cas: &[&TestCa]) -> Arc<Bundles> {
    let one = |ca: &&TestCa| {
        let domain = crate::identity::TrustDomain::parse(ca.domain()).unwrap();
        Bundle::from_pem(&domain, "test", ca.root_pem().as_bytes(), DevelopmentRoots::Accepted).unwrap()
    };
    Arc::new(Bundles::new(1, cas.iter().map(one)).unwrap())
}

fn issued(id: &str, cert: &TestCert) -> Issued {
    Issued::new(&SpiffeId::parse(id).unwrap(), cert.chain.clone(), cert.key(), SystemTime::now()).unwrap()
}

fn state_with(settings: &Settings, ca: &TestCa, id: &str, clock: Arc<dyn Clock>) -> TlsState {
    TlsState::build(1, settings, &issued(id, &ca.issue(id)), bundles(&[ca]), clock).unwrap()
}

fn state(ca: &TestCa, id: &str) -> TlsState {
    state_with(&Settings::default(), ca, id, Arc::new(SystemClock))
}

fn expecting(pattern: &str) -> ExpectedPeer {
    ExpectedPeer(PrincipalPattern::spiffe(pattern).unwrap())
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

/// Both sides of one handshake between our own two functions.
/// As the proxy accepts, without what is left of a refused connection.
async fn accept(server: &TlsState, stream: TcpStream) -> Result<Accepted, HandshakeError> {
    super::accept(server, stream).await.map_err(|refused| refused.error)
}

async fn shake(server: &TlsState, client: &TlsState, offer: Offer) -> (Result<Accepted, HandshakeError>, Result<Connected, ConnectError>) {
    let (near, far) = pair().await;
    let expected = expecting(SERVER);
    tokio::join!(accept(server, far), connect(client, &expected, offer, "server.example", near))
}

/// A client that sends whatever certificate it is given and trusts anyone.
struct Careless {
    config: rustls::ClientConfig,
}

impl Careless {
    fn new(cert: Option<&TestCert>, versions: &[&'static rustls::SupportedProtocolVersion]) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone));
        let config = match cert {
            Some(cert) => builder.with_client_auth_cert(cert.chain.clone(), cert.key()).unwrap(),
            None => builder.with_no_client_auth(),
        };
        Self { config }
    }

    async fn call(self, server: &TlsState) -> Result<Accepted, HandshakeError> {
        let (near, far) = pair().await;
        let client = async {
            let connector = tokio_rustls::TlsConnector::from(Arc::new(self.config));
            connector.connect(ServerName::try_from("server.example").unwrap(), near).await
        };
        tokio::join!(accept(server, far), client).0
    }
}

#[derive(Debug)]
struct Anyone;

impl rustls::client::danger::ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

const TLS13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
const TLS12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];

/// The reason with which a server of `a.example` refuses a caller.
async fn refused(cert: Option<&TestCert>, ca: &TestCa) -> String {
    let result = Careless::new(cert, TLS13).call(&state(ca, SERVER)).await;
    result.map(|_| ()).unwrap_err().reason().into_owned()
}

#[tokio::test]
async fn each_side_knows_the_other_and_the_channel() {
    let ca = TestCa::new("a.example");
    let (server, client) = (state(&ca, SERVER), state(&ca, CLIENT));
    for (offer, alpn) in [(Offer::Auto, "h2"), (Offer::Http1, "http/1.1"), (Offer::Http2, "h2")] {
        let (accepted, connected) = shake(&server, &client, offer).await;
        let (accepted, connected) = (accepted.unwrap(), connected.unwrap());
        assert_eq!(accepted.peer.principal.as_str(), CLIENT);
        assert_eq!(accepted.peer.fingerprint, client.fingerprint);
        assert_eq!(connected.peer.principal.as_str(), SERVER);
        assert_eq!(connected.peer.serial, server.serial);
        assert_eq!(accepted.channel, connected.channel);
        assert_eq!((accepted.channel.alpn, accepted.channel.version), (alpn, "1.3"));
        assert_eq!(accepted.channel.cipher, "TLS13_AES_128_GCM_SHA256");
        assert_eq!(accepted.channel.group, Some(crate::identity::Group::X25519MlKem768));
        assert_eq!(accepted.channel.sni.as_deref(), Some("server.example"));
    }
}

#[tokio::test]
async fn chain_through_an_intermediate_is_accepted() {
    let root = TestCa::new("a.example");
    let cert = root.intermediate("issuing").issue(CLIENT);
    assert_eq!(cert.chain.len(), 2);
    let accepted = Careless::new(Some(&cert), TLS13).call(&state(&root, SERVER)).await.unwrap();
    assert_eq!(accepted.peer.principal.as_str(), CLIENT);
}

#[tokio::test]
async fn bad_client_certificates_are_refused_by_name() {
    let ca = TestCa::new("a.example");
    let now = SystemTime::now();
    let id = || LeafOptions::id(CLIENT);
    let table = [
        ("unauthenticated:two_uri_sans", LeafOptions { uris: vec![CLIENT.into(), "spiffe://a.example/sa/admin".into()], ..id() }),
        ("unauthenticated:expired", LeafOptions { not_after: now - Duration::from_secs(2), ..id() }),
        ("unauthenticated:not_yet_valid", LeafOptions { not_before: now + Duration::from_secs(30), ..id() }),
        ("unauthenticated:is_ca", LeafOptions { ca: true, ..id() }),
        ("unauthenticated:wrong_usage", LeafOptions { client: false, ..id() }),
        ("unauthenticated:bad_spiffe_id", LeafOptions { uris: vec!["spiffe://a.example/a%2fb".into()], ..id() }),
        ("unauthenticated:unknown_trust_domain", LeafOptions { uris: vec!["spiffe://b.example/sa/client".into()], ..id() }),
        ("unauthenticated:no_identity", LeafOptions::dns("client.example")),
        ("unauthenticated:no_identity", LeafOptions::nobody()),
        ("unauthenticated:bad_certificate", LeafOptions { raw_names: vec![(6, b"spiffe://a.example/sa/client\0".to_vec())], ..id() }),
    ];
    for (reason, options) in table {
        assert_eq!(refused(Some(&ca.issue_with(&options)), &ca).await, reason, "{options:?}");
    }
    assert_eq!(refused(None, &ca).await, "unauthenticated:no_certificate");
}

#[tokio::test]
async fn a_ca_speaks_for_its_own_trust_domain_only() {
    let (prod, dev) = (TestCa::new("prod.example"), TestCa::new("dev.example"));
    let forged = dev.issue("spiffe://prod.example/sa/admin");
    let own = issued("spiffe://prod.example/sa/server", &prod.issue("spiffe://prod.example/sa/server"));
    let server = TlsState::build(1, &Settings::default(), &own, bundles(&[&prod, &dev]), Arc::new(SystemClock)).unwrap();
    let error = Careless::new(Some(&forged), TLS13).call(&server).await.map(|_| ()).unwrap_err();
    assert_eq!(error.reason(), "unauthenticated:untrusted_chain");
    assert_eq!(error.label(), "refused");
    let HandshakeError::Refused(refused) = error else { panic!("{error}") };
    assert_eq!(refused.claimed_id(), "spiffe://prod.example/sa/admin");
    assert!(refused.serial.is_some() && refused.fingerprint.is_some() && refused.not_after.is_some());
    assert!(refused.detail.contains("prod.example"), "{}", refused.detail);
}

#[tokio::test]
async fn wrong_server_identity_gets_no_application_byte() {
    let ca = TestCa::new("a.example");
    let (server, client) = (state(&ca, "spiffe://a.example/sa/other"), state(&ca, CLIENT));
    let (near, far) = pair().await;
    let (near_seen, expected) = (accept(&server, far), expecting(SERVER));
    let calling = async {
        let connected = connect(&client, &expected, Offer::Auto, "server.example", near).await;
        connected.map(|_| ()).unwrap_err()
    };
    let (accepted, error) = tokio::join!(near_seen, calling);
    assert_eq!(error.reason(), "peer_identity_mismatch");
    let ConnectError::IdentityMismatch { expected, refused } = error else { panic!("{error}") };
    assert_eq!((expected.as_str(), refused.claimed_id()), (SERVER, "spiffe://a.example/sa/other"));
    assert!(accepted.is_err(), "the server's handshake cannot finish without the client's certificate");
}

#[tokio::test]
async fn untrusted_server_is_refused() {
    let (ca, other) = (TestCa::new("a.example"), TestCa::new("a.example"));
    let (_, connected) = shake(&state(&other, SERVER), &state(&ca, CLIENT), Offer::Auto).await;
    assert_eq!(connected.map(|_| ()).unwrap_err().reason(), "peer_certificate_refused");
}

#[tokio::test]
async fn refusal_by_the_server_reaches_the_client_as_an_alert() {
    let (ca, other) = (TestCa::new("a.example"), TestCa::new("a.example"));
    // A client that trusts the server's CA and has a certificate of another one.
    let own = issued(CLIENT, &other.issue(CLIENT));
    let client = TlsState::build(1, &Settings::default(), &own, bundles(&[&ca]), Arc::new(SystemClock)).unwrap();
    let (accepted, connected) = shake(&state(&ca, SERVER), &client, Offer::Http1).await;
    assert!(matches!(accepted, Err(HandshakeError::Refused(_))));
    let error = connected.unwrap().stream.read(&mut [0; 16]).await.unwrap_err();
    assert_eq!(peer_alert(&error), Some("certificate_unknown"));
    assert_eq!(peer_alert(&std::io::Error::other(error)), Some("certificate_unknown"));
    assert_eq!(peer_alert(&std::io::Error::from(std::io::ErrorKind::ConnectionReset)), None);
}

#[tokio::test]
async fn tls12_is_accepted_only_where_it_is_allowed() {
    let ca = TestCa::new("a.example");
    let cert = ca.issue(CLIENT);
    let error = Careless::new(Some(&cert), TLS12).call(&state(&ca, SERVER)).await.map(|_| ()).unwrap_err();
    assert_eq!(error.reason(), "handshake:nothing_in_common");
    let allowed = Settings { min: MinVersion::Tls12, ..Settings::default() };
    let server = state_with(&allowed, &ca, SERVER, Arc::new(SystemClock));
    let accepted = Careless::new(Some(&cert), TLS12).call(&server).await.unwrap();
    assert_eq!((accepted.channel.version, accepted.peer.principal.as_str()), ("1.2", CLIENT));
    assert_eq!(accepted.channel.cipher, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
    let strict = Settings { require_post_quantum: true, ..allowed };
    let server = state_with(&strict, &ca, SERVER, Arc::new(SystemClock));
    assert!(Careless::new(Some(&cert), TLS12).call(&server).await.is_err());
}

#[tokio::test]
async fn classical_groups_are_refused_where_post_quantum_is_required() {
    let ca = TestCa::new("a.example");
    let strict = Settings { require_post_quantum: true, ..Settings::default() };
    let server = state_with(&strict, &ca, SERVER, Arc::new(SystemClock));
    let (accepted, _) = shake(&server, &state(&ca, CLIENT), Offer::Auto).await;
    assert_eq!(accepted.unwrap().channel.group, Some(crate::identity::Group::X25519MlKem768));
    let classical = Settings { groups: vec![Group::X25519, Group::P256], ..Settings::default() };
    let client = state_with(&classical, &ca, CLIENT, Arc::new(SystemClock));
    let (accepted, _) = shake(&server, &client, Offer::Auto).await;
    assert_eq!(accepted.map(|_| ()).unwrap_err().reason(), "handshake:nothing_in_common");
    let impossible = Settings { groups: vec![Group::X25519], ..strict };
    let own = issued(CLIENT, &ca.issue(CLIENT));
    let built = TlsState::build(1, &impossible, &own, bundles(&[&ca]), Arc::new(SystemClock));
    assert_eq!(built.map(|_| ()).unwrap_err(), BuildError::NoGroup { require_post_quantum: true });
}

#[tokio::test]
async fn no_session_is_resumed_and_no_ticket_is_sent() {
    let ca = TestCa::new("a.example");
    let allowed = Settings { min: MinVersion::Tls12, ..Settings::default() };
    let server = state_with(&allowed, &ca, SERVER, Arc::new(SystemClock));
    for versions in [TLS13, TLS12] {
        let careless = Careless::new(Some(&ca.issue(CLIENT)), versions);
        // The same configuration, so the same session store, four times.
        let connector = tokio_rustls::TlsConnector::from(Arc::new(careless.config));
        for _ in 0..4 {
            let (near, far) = pair().await;
            let serve = async {
                let mut accepted = accept(&server, far).await.unwrap();
                assert_eq!(accepted.stream.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Full));
                accepted.stream.write_all(b"hello").await.unwrap();
                accepted.stream.flush().await.unwrap();
            };
            let call = async {
                let mut stream = connector.connect(ServerName::try_from("server.example").unwrap(), near).await.unwrap();
                stream.read_exact(&mut [0; 5]).await.unwrap();
                assert_eq!(stream.get_ref().1.tls13_tickets_received(), 0);
            };
            tokio::join!(serve, call);
        }
    }
}

#[tokio::test]
async fn validity_is_judged_by_our_clock() {
    #[derive(Debug)]
    struct Later;
    impl Clock for Later {
        fn now(&self) -> SystemTime {
            SystemTime::now() + Duration::from_secs(7_200)
        }
    }
    let ca = TestCa::new("a.example");
    let server = state_with(&Settings::default(), &ca, SERVER, Arc::new(Later));
    let error = Careless::new(Some(&ca.issue(CLIENT)), TLS13).call(&server).await.map(|_| ()).unwrap_err();
    assert_eq!(error.reason(), "unauthenticated:expired");
}

#[tokio::test]
async fn addresses_are_not_sent_as_server_name() {
    let ca = TestCa::new("a.example");
    let (server, client) = (state(&ca, SERVER), state(&ca, CLIENT));
    for host in ["10.0.0.1", "::1", "", "no name"] {
        let (near, far) = pair().await;
        let expected = expecting("spiffe://a.example/**");
        let (accepted, connected) = tokio::join!(accept(&server, far), connect(&client, &expected, Offer::Auto, host, near));
        assert_eq!(accepted.unwrap().channel.sni, None, "{host:?}");
        assert_eq!(connected.unwrap().channel.sni, None, "{host:?}");
    }
}

#[tokio::test]
async fn silence_and_noise_are_told_apart() {
    let ca = TestCa::new("a.example");
    let server = state(&ca, SERVER);
    let (near, far) = pair().await;
    drop(near);
    assert_eq!(accept(&server, far).await.map(|_| ()).unwrap_err().reason(), "handshake:closed");
    let (mut near, far) = pair().await;
    near.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(accept(&server, far).await.map(|_| ()).unwrap_err().reason(), "handshake:protocol");
}

#[tokio::test]
async fn a_new_state_is_published_for_each_certificate_and_each_bundle() {
    let ca = TestCa::new("a.example");
    let own = Arc::new(issued(SERVER, &ca.issue(SERVER)));
    let (certificates, trust) = (tokio::sync::watch::Sender::new(None), tokio::sync::watch::Sender::new(None));
    let publisher = TlsPublisher::default();
    let readiness = Readiness::default();
    let clock = Arc::new(SystemClock);
    let mut publishing =
        Publishing::new(Settings::default(), certificates.subscribe(), trust.subscribe(), clock, publisher.clone(), readiness.clone());
    certificates.send_replace(Some(Arc::clone(&own)));
    publishing.publish().unwrap();
    assert!(publisher.current().is_none() && publisher.generation() == 0);
    assert_eq!(readiness.missing()[0].0, "tls");
    trust.send_replace(Some(bundles(&[&ca])));
    publishing.publish().unwrap();
    assert!(readiness.missing().is_empty());
    assert_eq!((publisher.generation(), publisher.current().unwrap().serial.clone()), (1, own.leaf.serial.clone()));
    certificates.send_replace(Some(Arc::new(issued(SERVER, &ca.issue(SERVER)))));
    publishing.publish().unwrap();
    assert_eq!(publisher.current().unwrap().generation, 2);
    let other = TestCa::new("b.example");
    for (trusted, generation) in [(bundles(&[&ca, &other]), 2), (bundles(&[&ca]), 3), (bundles(&[&ca]), 3)] {
        trust.send_replace(Some(trusted));
        publishing.publish().unwrap();
        let state = publisher.current().unwrap();
        assert_eq!((state.generation, publisher.generation()), (generation, generation));
        assert!(Arc::ptr_eq(state.bundles(), trust.borrow().as_ref().unwrap()), "added trust is in force as well");
    }
}

/// A listener of our own that hand-shakes with whatever `shown` has in force, as many times as it is asked, and tells of what it refused.
async fn own_listener(shown: TlsPublisher, own: OwnProbe) -> (std::net::SocketAddr, tokio::sync::mpsc::UnboundedReceiver<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, refused) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, source)) = listener.accept().await {
            match super::accept(&shown.current().unwrap(), stream).await {
                Ok(mut accepted) => {
                    let mut asked = Vec::new();
                    accepted.stream.read_to_end(&mut asked).await.unwrap();
                    assert!(asked.is_empty(), "a probe asks for nothing");
                    let _ = accepted.stream.shutdown().await;
                }
                Err(parting) => {
                    let _ = tell.send(own.is(source));
                    parting.part().await;
                }
            }
        }
    });
    (address, refused)
}

fn publisher(state: TlsState) -> TlsPublisher {
    let publisher = TlsPublisher::default();
    publisher.publish(state);
    publisher
}

async fn noted(readiness: &Readiness, wanted: Option<&str>) {
    let there = || readiness.notes().first().map(|(_, why)| why.clone());
    let told = async {
        while there().as_deref().map(|why| wanted.is_some_and(|wanted| why.contains(wanted))) != wanted.map(|_| true) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), told).await.unwrap_or_else(|_| panic!("{wanted:?}, not {:?}", there()));
}

#[tokio::test]
async fn a_listener_that_shows_an_old_certificate_is_told_of_until_it_shows_the_new_one() {
    let ca = TestCa::new("a.example");
    let [old, new] = [ca.issue(SERVER), ca.issue(SERVER)].map(|cert| issued(SERVER, &cert));
    let build = |issued: &Issued| TlsState::build(1, &Settings::default(), issued, bundles(&[&ca]), Arc::new(SystemClock)).unwrap();
    let (shown, ours) = (publisher(build(&old)), publisher(build(&new)));
    let (own, readiness) = (OwnProbe::default(), Readiness::default());
    let (address, _refused) = own_listener(shown.clone(), own.clone()).await;
    let serial = old.leaf.serial.clone();
    let obtained = tokio::sync::watch::Sender::new(Some(Arc::new(new.clone())));
    let stop = tokio::sync::watch::Sender::new(false);
    let task = tokio::spawn(SelfProbe::new(address, obtained.subscribe(), ours, own, readiness.clone()).run(stop.subscribe()));
    noted(&readiness, Some(&format!("shows the certificate with serial {serial}"))).await;
    shown.publish(build(&new));
    noted(&readiness, None).await;
    stop.send_replace(true);
    task.await.unwrap();
}

#[tokio::test]
async fn a_listener_that_refuses_our_own_certificate_is_told_of_and_knows_whose_it_is() {
    let (ca, other) = (TestCa::new("a.example"), TestCa::new("a.example"));
    let own_certificate = issued(SERVER, &ca.issue(SERVER));
    // What it shows is fine; whom it believes has changed.
    let build =
        |trusted: &TestCa| TlsState::build(1, &Settings::default(), &own_certificate, bundles(&[trusted]), Arc::new(SystemClock)).unwrap();
    let (own, readiness) = (OwnProbe::default(), Readiness::default());
    let (address, mut refused) = own_listener(publisher(build(&other)), own.clone()).await;
    let obtained = tokio::sync::watch::Sender::new(Some(Arc::new(own_certificate.clone())));
    let stop = tokio::sync::watch::Sender::new(false);
    let probe = SelfProbe::new(address, obtained.subscribe(), publisher(build(&ca)), own.clone(), readiness.clone());
    let task = tokio::spawn(probe.run(stop.subscribe()));
    noted(&readiness, Some("refuses our own certificate")).await;
    assert!(refused.recv().await.unwrap(), "the listener knows that it was no peer");
    let stranger = TcpStream::connect(address).await.unwrap();
    drop(stranger);
    let mut whose = true;
    while whose {
        whose = tokio::time::timeout(Duration::from_secs(10), refused.recv()).await.unwrap().unwrap();
    }
    stop.send_replace(true);
    task.await.unwrap();
}
