//! The root above a private CA as a source of trust.

use super::call::{Throttled, call};
use super::chain::root;
use super::client::Aws;
use super::error::AwsError;
use crate::identity::TrustDomain;
use crate::trust::{Authority, BoxFuture, Bundle, DevelopmentRoots, Settings, TrustError, TrustSource};
use rustls::pki_types::CertificateDer;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long an answer is good, give or take a tenth: a fleet does not ask at once.
const GOOD_FOR: Duration = Duration::from_secs(3_600);

/// From a question that failed, while there is an older answer, to the next one, plus as much at random.
const AGAIN: Duration = Duration::from_secs(60);

/// From the beginning of a question to the last call that it begins.
const ATTEMPT: Duration = Duration::from_secs(15);

/// Asks AWS for the root above an authority, once an hour. While AWS does not answer, the last root stays.
pub struct AuthorityRoots {
    aws: Aws,
    authority: Authority,
    domain: TrustDomain,
    dns_names: Vec<String>,
    development: DevelopmentRoots,
    known: Mutex<Option<Known>>,
    asking: tokio::sync::Mutex<Option<Question>>,
}

/// A question under way: whoever asks again meanwhile gets its answer.
type Question = BoxFuture<'static, Result<CertificateDer<'static>, AwsError>>;

#[derive(Clone)]
struct Known {
    root: CertificateDer<'static>,
    good_until: Instant,
}

impl AuthorityRoots {
    /// Speaks for the trust domain of `settings` with the root above `authority`.
    pub fn new(aws: Aws, authority: Authority, settings: &Settings, development: DevelopmentRoots) -> Self {
        let (domain, dns_names) = (settings.domain.clone(), settings.dns_names.clone());
        let (known, asking) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { aws, authority, domain, dns_names, development, known, asking }
    }

    async fn read(&self) -> Result<Bundle, TrustError> {
        let known = self.known().clone();
        let root = match known {
            Some(known) if Instant::now() < known.good_until => known.root,
            known => self.renew(known).await?,
        };
        let origin = self.authority.to_string();
        Bundle::from_roots(&self.domain, &origin, vec![root], self.development)?.with_dns_names(&self.dns_names)
    }

    async fn renew(&self, known: Option<Known>) -> Result<CertificateDer<'static>, TrustError> {
        let (root, good_for) = match (self.ask().await, known) {
            (Ok(root), _) => (root, GOOD_FOR.mul_f64(0.9 + fastrand::f64() / 5.0)),
            (Err(error), Some(known)) => {
                tracing::warn!(domain = %self.domain, %error, "the root was not asked for again; the last one stays");
                (known.root, AGAIN.mul_f64(1.0 + fastrand::f64()))
            }
            (Err(error), None) => return Err(TrustError::Authority { domain: self.domain.clone(), error: Box::new(error) }),
        };
        *self.known() = Some(Known { root: root.clone(), good_until: Instant::now() + good_for });
        Ok(root)
    }

    /// Goes on with the question that somebody began and did not wait for: a file beside may change at any moment.
    async fn ask(&self) -> Result<CertificateDer<'static>, AwsError> {
        let mut asking = self.asking.lock().await;
        let question = asking.get_or_insert_with(|| Box::pin(ask(self.aws.clone(), self.authority.clone())));
        let answer = question.as_mut().await;
        *asking = None;
        answer
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(aws: Aws, authority: Authority) -> Result<CertificateDer<'static>, AwsError> {
    const ACTION: &str = "acm-pca:GetCertificateAuthorityCertificate";
    let client = aws.acm_pca(&authority).await;
    let arn = authority.as_str();
    let got = call(ACTION, Throttled::SentAgain, Instant::now() + ATTEMPT, || {
        let sent = client.get_certificate_authority_certificate().certificate_authority_arn(arn).send();
        Box::pin(async move { sent.await.map_err(|error| AwsError::of(ACTION, arn, &error)) })
    });
    let got = got.await?;
    let found = root(got.certificate().unwrap_or_default(), got.certificate_chain().unwrap_or_default());
    found.map_err(|problem| AwsError::answer(ACTION, problem))
}

impl TrustSource for AuthorityRoots {
    fn load(&self) -> BoxFuture<'_, Result<Bundle, TrustError>> {
        Box::pin(self.read())
    }

    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// The root stays for as long as AWS does not say another.
    fn forget(&self) {
        if let Some(known) = self.known().as_mut() {
            known.good_until = Instant::now();
        }
    }
}
