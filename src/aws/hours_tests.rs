//! Hours of faults in virtual time. Renewal, source, budget and calls are the real ones, and so is the SDK with its time-outs; only the network below it
//! and the clock are the test's own.

use super::acm_pca::AcmPcaSource;
use super::client::Aws;
use crate::credentials::{AcmPca, Ceilings, Issued, Issuing, Renew, Renewal, Settings, SigningAlgorithm, Source, Template};
use crate::identity::{SpiffeId, TrustDomain};
use crate::runtime::clock::Clock;
use crate::runtime::readiness::Readiness;
use crate::testing::pki::TestCa;
use crate::trust::{Authority, Bundle, Bundles, DevelopmentRoots};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

const ARN: &str = "arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/a";
const ID: &str = "spiffe://a.example/sa/web";
const MINUTE: Duration = Duration::from_secs(60);

/// A wall clock that goes on with the runtime's time.
#[derive(Debug)]
struct Running(SystemTime, Instant);

impl Clock for Running {
    fn now(&self) -> SystemTime {
        self.0 + self.1.elapsed()
    }
}

/// AWS Private CA, as far as it is asked.
#[derive(Debug)]
struct Service {
    ca: TestCa,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Operation: throttled until then.
    throttled: HashMap<&'static str, Instant>,
    /// From the request for a certificate to the certificate.
    takes: Duration,
    /// The certificates, and when each is there.
    issued: Vec<(String, Instant)>,
    calls: HashMap<String, usize>,
}

impl Service {
    fn answer(&self, operation: &str, asked: &Value) -> Result<Value, &'static str> {
        let (mut state, now) = (self.state.lock().unwrap(), Instant::now());
        *state.calls.entry(operation.to_owned()).or_default() += 1;
        if state.throttled.get(operation).is_some_and(|until| now < *until) {
            return Err("ThrottlingException");
        }
        match operation {
            "IssueCertificate" => {
                let request = String::from_utf8(BASE64_STANDARD.decode(asked["Csr"].as_str().unwrap()).unwrap()).unwrap();
                let ends = SystemTime::UNIX_EPOCH + Duration::from_secs(asked["Validity"]["Value"].as_u64().unwrap());
                let certificate = self.ca.sign(&request, self.clock.now() - 60 * MINUTE, ends);
                let there = now + state.takes;
                state.issued.push((certificate, there));
                Ok(json!({ "CertificateArn": format!("{ARN}/certificate/{}", state.issued.len() - 1) }))
            }
            "GetCertificate" => {
                let number: usize = asked["CertificateArn"].as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap();
                let (certificate, there) = &state.issued[number];
                if now < *there {
                    return Err("RequestInProgressException");
                }
                Ok(json!({ "Certificate": certificate, "CertificateChain": self.ca.root_pem() }))
            }
            other => panic!("nobody should ask for {other}"),
        }
    }

    fn calls(&self, operation: &str) -> usize {
        self.state.lock().unwrap().calls.get(operation).copied().unwrap_or(0)
    }

    fn issued(&self) -> usize {
        self.state.lock().unwrap().issued.len()
    }

    fn throttle(&self, operation: &'static str, until: Instant) {
        self.state.lock().unwrap().throttled.insert(operation, until);
    }

    fn takes(&self, time: Duration) {
        self.state.lock().unwrap().takes = time;
    }
}

#[derive(Debug, Clone)]
struct Network(Arc<Service>);

impl HttpConnector for Network {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = request.headers().get("x-amz-target").unwrap().rsplit('.').next().unwrap();
        let asked = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let (status, body) = match self.0.answer(operation, &asked) {
            Ok(answer) => (200, answer),
            Err(code) => (400, json!({ "__type": code, "message": "as ordered" })),
        };
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), body.to_string().into())))
    }
}

/// A sidecar's renewal, running.
struct Host {
    service: Arc<Service>,
    readiness: Readiness,
    issued: watch::Receiver<Option<Arc<Issued>>>,
    began: Instant,
    task: JoinHandle<()>,
}

impl Host {
    /// Certificates of an hour, renewed after half of it; `prepare` comes before the first attempt.
    async fn start(prepare: impl FnOnce(&Service)) -> Self {
        let began = Instant::now();
        let clock: Arc<dyn Clock> = Arc::new(Running(SystemTime::now(), began));
        let service = Arc::new(Service { ca: TestCa::new("a.example"), clock: Arc::clone(&clock), state: Mutex::default() });
        prepare(&service);
        let network = SharedHttpConnector::new(Network(Arc::clone(&service)));
        let aws = Aws::over(http_client_fn(move |_, _| network.clone())).await;
        let readiness = Readiness::default();
        let source = source(aws, &service.ca, &clock, &readiness);
        let renew = Renew { jitter: 0.0, ..Renew::default() };
        let renewal = Renewal::from_source(Box::new(source), renew, clock, readiness.clone());
        Self { service, readiness, issued: renewal.issued(), began, task: tokio::spawn(renewal.run()) }
    }

    fn serial(&self) -> Option<String> {
        self.issued.borrow().as_ref().map(|issued| issued.leaf.serial.clone())
    }

    fn at(&self, minutes: u32) -> Instant {
        self.began + MINUTE * minutes
    }

    /// Waits for another certificate than the present one until `end`, and checks all the while that the present one is enough to be ready.
    async fn replaced(&mut self, end: Instant) {
        let present = self.serial();
        while self.serial() == present {
            assert!(Instant::now() < end, "no other certificate at {:?}: {:?}", self.began.elapsed(), self.readiness.notes());
            assert_eq!(self.readiness.missing(), [], "at {:?}", self.began.elapsed());
            let _ = timeout(Duration::from_secs(1), self.issued.changed()).await;
        }
        assert_eq!(self.readiness.notes(), []);
    }

    /// What is said of the certificate, ready or not.
    fn said(&self) -> String {
        self.readiness.missing().into_iter().chain(self.readiness.notes()).map(|(_, said)| said).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn source(aws: Aws, ca: &TestCa, clock: &Arc<dyn Clock>, readiness: &Readiness) -> AcmPcaSource {
    let id = SpiffeId::parse(ID).unwrap();
    let ceilings = Ceilings { per_hour: 20, per_day: 200 };
    let wanted = AcmPca {
        authority: Authority::parse(ARN).unwrap(),
        template: Template::default(),
        validity: 60 * MINUTE,
        signing_algorithm: SigningAlgorithm::Sha256WithEcdsa,
        ceilings,
        price: 0.058,
        start_spread: Duration::ZERO,
        cache: None,
        sealing_key: None,
    };
    let settings = Settings { id: id.clone(), dns_names: Vec::new(), source: Source::AcmPca(wanted.clone()), renew: Renew::default() };
    let issuing = Issuing::new(ceilings, id, None, Arc::clone(clock), readiness.clone());
    let domain = TrustDomain::parse("a.example").unwrap();
    let bundle = Bundle::from_pem(&domain, "test", ca.root_pem().as_bytes(), DevelopmentRoots::Accepted).unwrap();
    let bundles = watch::Sender::new(Some(Arc::new(Bundles::new(1, [bundle]).unwrap()))).subscribe();
    AcmPcaSource::new(aws, &settings, wanted, issuing, None, Arc::clone(clock), bundles)
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_of_throttles_at_a_renewal() {
    let mut host = Host::start(|_| ()).await;
    timeout(MINUTE, host.issued.wait_for(Option::is_some)).await.unwrap().unwrap();
    host.service.throttle("IssueCertificate", host.at(40));
    sleep_until(host.at(39)).await;
    assert!(host.said().contains("AWS throttles acm-pca:IssueCertificate"), "{}", host.said());
    let calls = host.service.calls("IssueCertificate") - 1;
    assert!((2..=16).contains(&calls), "{calls} calls in nine minutes");
    // A quarter of what life was left is the longest pause.
    host.replaced(host.at(46)).await;
    assert_eq!(host.service.issued(), 2);
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_of_throttles_at_the_start() {
    let mut host = Host::start(|service| service.throttle("IssueCertificate", Instant::now() + 10 * MINUTE)).await;
    sleep(9 * MINUTE).await;
    assert_eq!(host.readiness.missing().len(), 1);
    assert!(host.said().contains("AWS throttles acm-pca:IssueCertificate"), "{}", host.said());
    let calls = host.service.calls("IssueCertificate");
    assert!((2..=16).contains(&calls), "{calls} calls in nine minutes");
    timeout(19 * MINUTE, host.issued.wait_for(Option::is_some)).await.unwrap().unwrap();
    assert_eq!((host.service.issued(), host.said().as_str()), (1, ""));
}

/// It was asked for, and is not handed out: it is not asked for again.
#[tokio::test(start_paused = true)]
async fn ten_minutes_of_throttles_once_it_is_issued() {
    let mut host = Host::start(|_| ()).await;
    timeout(MINUTE, host.issued.wait_for(Option::is_some)).await.unwrap().unwrap();
    host.service.throttle("GetCertificate", host.at(40));
    sleep_until(host.at(39)).await;
    assert!(host.said().contains("AWS throttles acm-pca:GetCertificate"), "{}", host.said());
    host.replaced(host.at(46)).await;
    assert_eq!((host.service.issued(), host.service.calls("IssueCertificate")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn two_minutes_in_progress() {
    let mut host = Host::start(|service| service.takes(2 * MINUTE)).await;
    sleep(MINUTE + MINUTE / 2).await;
    assert!(host.said().contains("the certificate was asked for and is not issued yet"), "{}", host.said());
    let there = timeout(MINUTE, host.issued.wait_for(Option::is_some)).await.unwrap().unwrap().clone().unwrap();
    let (took, polls) = (host.began.elapsed(), host.service.calls("GetCertificate"));
    assert!((2 * MINUTE..2 * MINUTE + MINUTE / 6).contains(&took), "{took:?}");
    assert!((30..=90).contains(&polls), "{polls} questions in two minutes");
    // Its life is counted from the request on.
    assert!(there.not_after().duration_since(there.issued_at).unwrap() <= 60 * MINUTE);
    host.replaced(host.at(34)).await;
    assert_eq!((host.service.issued(), host.service.calls("IssueCertificate")), (2, 2));
}
