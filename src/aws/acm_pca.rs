//! Our certificate from AWS Private CA. The key pair is made here and never leaves the process.

use super::call::{Throttled, call};
use super::chain::assemble;
use super::client::Aws;
use super::error::AwsError;
use super::pending::Pending;
use crate::credentials::{AcmPca, Cache, CertificateSource, Issued, Issuing, Setback, Settings, SigningAlgorithm, SourceError};
use crate::identity::SpiffeId;
use crate::runtime::clock::Clock;
use crate::trust::{BoxFuture, Bundles};
use aws_sdk_acmpca::Client;
use aws_sdk_acmpca::primitives::Blob;
use aws_sdk_acmpca::types::{KeyAlgorithm, SigningAlgorithm as Signing, Validity, ValidityPeriodType};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// From the beginning of an attempt to the last call that it begins; what is not there then is waited for in the next one.
const ATTEMPT: Duration = Duration::from_secs(45);

/// From one question for a certificate to the next, at first and at most.
const POLL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));

/// Issues through AWS Private CA: `IssueCertificate` once for each certificate, then `GetCertificate` until it is there.
pub struct AcmPcaSource {
    aws: Aws,
    client: Option<Client>,
    id: SpiffeId,
    dns_names: Vec<String>,
    wanted: AcmPca,
    clock: Arc<dyn Clock>,
    bundles: watch::Receiver<Option<Arc<Bundles>>>,
    signing: Option<Signing>,
    issuing: Issuing,
    cache: Option<Cache>,
    /// The cache was asked.
    recalled: bool,
    pending: Option<Pending>,
    /// The last attempt failed for want of trust: new bundles are a reason to try again.
    distrusted: bool,
}

impl AcmPcaSource {
    /// Issues for the workload of `settings` within the budget of `issuing`, and keeps it in `cache`; `bundles` judge what is issued.
    pub fn new(
        aws: Aws,
        settings: &Settings,
        wanted: AcmPca,
        issuing: Issuing,
        cache: Option<Cache>,
        clock: Arc<dyn Clock>,
        bundles: watch::Receiver<Option<Arc<Bundles>>>,
    ) -> Self {
        let (id, dns_names) = (settings.id.clone(), settings.dns_names.clone());
        Self {
            aws,
            client: None,
            id,
            dns_names,
            wanted,
            clock,
            bundles,
            signing: None,
            issuing,
            cache,
            recalled: false,
            pending: None,
            distrusted: false,
        }
    }

    /// Goes on where the last attempt stopped.
    async fn issue(&mut self) -> Result<Issued, SourceError> {
        // Nothing is paid for that cannot be judged.
        let bundles = self.bundles.borrow_and_update().clone();
        self.distrusted = bundles.is_none();
        let bundles = bundles.ok_or(SourceError::NoTrust)?;
        if let (Some(cache), false) = (&self.cache, self.recalled) {
            let kept = cache.recall(&bundles, self.clock.now()).await;
            self.recalled = true;
            if let Some(issued) = kept {
                return Ok(issued);
            }
        }
        let (client, until) = (self.client().await, Instant::now() + ATTEMPT);
        let now = self.clock.now();
        self.pending.take_if(|pending| !pending.is_of_use(now));
        let pending = match &mut self.pending {
            Some(pending) => pending,
            None => self.pending.insert(Pending::new(&self.id, &self.dns_names, self.wanted.validity, now)?),
        };
        let arn = match &pending.arn {
            Some(arn) => arn.clone(),
            None => {
                let signing = match &self.signing {
                    Some(signing) => signing.clone(),
                    None => self.signing.insert(signing(&client, &self.wanted, until).await.map_err(elsewhere)?).clone(),
                };
                self.issuing.take().await?;
                let arn = issue_certificate(&client, &self.wanted, pending, signing, until).await.map_err(elsewhere)?;
                tracing::info!(%arn, "a certificate was asked for");
                // From here on AWS is only asked for what it named; kept first, as this attempt may be dropped at every wait.
                pending.arn = Some(arn.clone());
                self.issuing.issued().await;
                arn
            }
        };
        let obtained = match poll(&client, &self.wanted, &arn, until).await {
            Ok((certificate, chain)) => judge(&self.id, pending, &bundles, &certificate, &chain, self.clock.now()),
            Err(error) => Err(elsewhere(error)),
        };
        if let (Ok(issued), Some(cache)) = (&obtained, &self.cache) {
            cache.remember(issued, pending.request.key()).await;
        }
        self.distrusted = matches!(obtained, Err(SourceError::Refused(_)));
        if !is_kept(pending, &obtained, self.clock.now()) {
            self.pending = None;
        }
        obtained
    }

    async fn client(&mut self) -> Client {
        match &self.client {
            Some(client) => client.clone(),
            None => self.client.insert(self.aws.acm_pca(&self.wanted.authority).await).clone(),
        }
    }
}

impl CertificateSource for AcmPcaSource {
    fn obtain(&mut self) -> BoxFuture<'_, Result<Issued, SourceError>> {
        Box::pin(self.issue())
    }

    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            loop {
                if self.bundles.changed().await.is_err() {
                    // A closed channel never says anything again.
                    std::future::pending::<()>().await;
                }
                if self.distrusted {
                    return;
                }
            }
        })
    }
}

/// Makes what came a certificate of ours, if it is one and peers would accept it.
fn judge(
    id: &SpiffeId,
    pending: &Pending,
    bundles: &Bundles,
    certificate: &str,
    chain: &str,
    now: SystemTime,
) -> Result<Issued, SourceError> {
    let chain = assemble(certificate, chain).map_err(|problem| elsewhere(AwsError::answer("acm-pca:GetCertificate", problem)))?;
    let issued = Issued::new(id, chain, pending.request.key(), pending.since.min(now))?;
    issued.judge(bundles, now).map_err(SourceError::Refused)?;
    Ok(issued)
}

/// Whether the request is still worth something after this outcome.
fn is_kept(pending: &Pending, outcome: &Result<Issued, SourceError>, now: SystemTime) -> bool {
    match outcome {
        Ok(_) => false,
        Err(SourceError::Authority { error, .. }) => match error.downcast_ref() {
            Some(AwsError::Failed { .. }) => false,
            Some(AwsError::NotFound { .. }) => pending.may_appear(now),
            Some(AwsError::Answer { .. }) => pending.may_be_accepted(now),
            _ => true,
        },
        Err(_) => pending.may_be_accepted(now),
    }
}

/// What the authority signs with: as configured, or what fits its key.
async fn signing(client: &Client, wanted: &AcmPca, until: Instant) -> Result<Signing, AwsError> {
    const ACTION: &str = "acm-pca:DescribeCertificateAuthority";
    let arn = wanted.authority.as_str();
    Ok(match wanted.signing_algorithm {
        SigningAlgorithm::Sha256WithEcdsa => Signing::Sha256Withecdsa,
        SigningAlgorithm::Sha384WithEcdsa => Signing::Sha384Withecdsa,
        SigningAlgorithm::Sha512WithEcdsa => Signing::Sha512Withecdsa,
        SigningAlgorithm::Sha256WithRsa => Signing::Sha256Withrsa,
        SigningAlgorithm::Sha384WithRsa => Signing::Sha384Withrsa,
        SigningAlgorithm::Sha512WithRsa => Signing::Sha512Withrsa,
        SigningAlgorithm::Auto => {
            let described = call(ACTION, Throttled::SentAgain, until, || {
                let sent = client.describe_certificate_authority().certificate_authority_arn(arn).send();
                Box::pin(async move { sent.await.map_err(|error| AwsError::of(ACTION, arn, &error)) })
            });
            let described = described.await?;
            let authority = described.certificate_authority();
            let configuration = authority.and_then(|authority| authority.certificate_authority_configuration());
            let key = configuration
                .map(|configuration| configuration.key_algorithm())
                .ok_or_else(|| AwsError::answer(ACTION, "no key algorithm"))?;
            for_key(key).ok_or_else(|| AwsError::KeyAlgorithm { authority: arn.to_owned(), algorithm: key.as_str().to_owned() })?
        }
    })
}

/// The hash that is as strong as the key; SHA-256 for RSA.
fn for_key(key: &KeyAlgorithm) -> Option<Signing> {
    match key {
        KeyAlgorithm::EcPrime256v1 => Some(Signing::Sha256Withecdsa),
        KeyAlgorithm::EcSecp384r1 => Some(Signing::Sha384Withecdsa),
        KeyAlgorithm::EcSecp521r1 => Some(Signing::Sha512Withecdsa),
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => Some(Signing::Sha256Withrsa),
        _ => None,
    }
}

/// Asks for the certificate; as often as it takes, and with one token AWS issues once.
async fn issue_certificate(
    client: &Client,
    wanted: &AcmPca,
    pending: &Pending,
    signing: Signing,
    until: Instant,
) -> Result<String, AwsError> {
    const ACTION: &str = "acm-pca:IssueCertificate";
    let authority = wanted.authority.as_str();
    let template = format!("arn:{}:acm-pca:::template/{}", wanted.authority.partition(), wanted.template.as_str());
    let ends = pending.ends.duration_since(SystemTime::UNIX_EPOCH).map(|ends| ends.as_secs()).unwrap_or_default();
    // Hours need an absolute end: the least that DAYS can say is one.
    let validity = Validity::builder().r#type(ValidityPeriodType::Absolute).value(i64::try_from(ends).unwrap_or(i64::MAX)).build();
    let validity = validity.map_err(|error| AwsError::answer(ACTION, error.to_string()))?;
    let issued = call(ACTION, Throttled::Told, until, || {
        let request = client
            .issue_certificate()
            .certificate_authority_arn(authority)
            .csr(Blob::new(pending.request.pem()))
            .template_arn(&template)
            .signing_algorithm(signing.clone())
            .validity(validity.clone())
            .idempotency_token(&pending.token);
        let sent = request.send();
        Box::pin(async move { sent.await.map_err(|error| AwsError::of(ACTION, authority, &error)) })
    });
    issued.await?.certificate_arn.ok_or_else(|| AwsError::answer(ACTION, "no ARN of a certificate"))
}

/// Asks until the certificate is there, or until `until`; gives the certificate and its chain in PEM.
async fn poll(client: &Client, wanted: &AcmPca, arn: &str, until: Instant) -> Result<(String, String), AwsError> {
    const ACTION: &str = "acm-pca:GetCertificate";
    let authority = wanted.authority.as_str();
    let (mut wait, longest) = POLL;
    loop {
        let got = call(ACTION, Throttled::SentAgain, until, || {
            let sent = client.get_certificate().certificate_authority_arn(authority).certificate_arn(arn).send();
            Box::pin(async move { sent.await.map_err(|error| AwsError::of(ACTION, arn, &error)) })
        });
        match got.await {
            Ok(got) => {
                let certificate = got.certificate.ok_or_else(|| AwsError::answer(ACTION, "no certificate"))?;
                return Ok((certificate, got.certificate_chain.unwrap_or_default()));
            }
            Err(AwsError::InProgress { .. }) if Instant::now() + wait < until => {}
            Err(error) => return Err(error),
        }
        // Between half of it and all of it: a fleet that began at once does not ask at once.
        sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        wait = wait.mul_f64(1.5).min(longest);
    }
}

fn elsewhere(error: AwsError) -> SourceError {
    let setback = match error {
        AwsError::InProgress { .. } => Setback::Here,
        AwsError::Throttled { .. } => Setback::Throttled,
        _ => Setback::Elsewhere,
    };
    SourceError::Authority { reason: error.reason(), error: Box::new(error), setback }
}
