//! Objects in S3, one `GetObject` at a time.
//!
//! Signed here and sent by [`crate::fetch`], which asks only for what has changed and bounds size and time: the SDK's client of S3 is some hundred operations,
//! with checksums, encryption and retries of its own, for the one that is needed.

use super::call::operation;
use super::client::Aws;
use super::error::{AwsError, causes};
use crate::fetch::{Blob, BlobSource, BoxFuture, FetchError, Fetcher, Known, Url};
use crate::runtime::s3_object::S3Object;
use crate::telemetry::metrics;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

/// What is asked for.
const ACTION: &str = "s3:GetObject";

/// From the question for credentials to their end.
const CREDENTIALS: Duration = Duration::from_secs(20);

/// One object, and the way to it.
pub struct S3Source {
    aws: Aws,
    fetcher: Fetcher,
    object: S3Object,
    limit: u64,
}

impl S3Source {
    /// `object`, of at most `limit` bytes.
    pub fn new(aws: Aws, fetcher: Fetcher, object: S3Object, limit: u64) -> Self {
        Self { aws, fetcher, object, limit }
    }

    async fn ask(&self, known: &Known) -> Result<Blob, FetchError> {
        let region = region().ok_or_else(|| FetchError::Service {
            reason: "no_region",
            said: "nothing says which region the bucket is in; set AWS_REGION".to_owned(),
        })?;
        let url = url(&self.object, &region)?;
        let credentials = timeout(CREDENTIALS, self.credentials(&region)).await;
        let credentials = credentials.unwrap_or(Err(AwsError::TimedOut { action: ACTION })).map_err(service)?;
        let headers = signed(url.as_str(), &region, credentials, SystemTime::now()).map_err(service)?;
        let answer = self.fetcher.at(url, self.limit).carrying(headers).get(known).await;
        answer.map_err(|error| self.told(error, &region))
    }

    async fn credentials(&self, region: &str) -> Result<Credentials, AwsError> {
        let none = |said: String| AwsError::NoCredentials { action: ACTION, said };
        let config = self.aws.in_region(region).await;
        let provider = config.credentials_provider().ok_or_else(|| none("no provider".to_owned()))?;
        provider.provide_credentials().await.map_err(|error| none(causes(&error)))
    }

    /// In words that tell what to do.
    fn told(&self, error: FetchError, region: &str) -> FetchError {
        let resource = format!("arn:{}:s3:::{}/{}", partition(region).0, self.object.bucket(), self.object.key());
        match error {
            FetchError::Status(403) => {
                let said = "S3 says the same of an object that is not there, and of a signature by a wrong clock".to_owned();
                service(AwsError::Denied { action: ACTION, resource, said })
            }
            FetchError::Status(404) => service(AwsError::NotFound { resource, said: "404".to_owned() }),
            FetchError::Status(400) => service(AwsError::BadCredentials {
                action: ACTION,
                code: "400".to_owned(),
                said: "credentials that have ended, or of nobody".to_owned(),
            }),
            FetchError::Redirect { .. } => FetchError::Service {
                reason: "other_region",
                said: format!("the bucket {} is not in {region}; set AWS_REGION to its region", self.object.bucket()),
            },
            error => error,
        }
    }
}

impl BlobSource for S3Source {
    fn get<'a>(&'a self, known: &'a Known) -> BoxFuture<'a, Result<Blob, FetchError>> {
        Box::pin(async move {
            let answer = self.ask(known).await;
            metrics::aws_called(operation(ACTION), answer.as_ref().map_or_else(FetchError::reason, |_| "ok"));
            answer
        })
    }
}

/// Where the SDK looks for it, as far as the environment says: the platform sets it for tasks and for pods with a role.
fn region() -> Option<String> {
    let named =
        ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    named.filter(|region| region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'))
}

/// The object's own host, or below the endpoint that the environment names.
fn url(object: &S3Object, region: &str) -> Result<Url, FetchError> {
    let (bucket, key) = (object.bucket(), object.key());
    let text = match std::env::var("AWS_ENDPOINT_URL_S3") {
        Ok(endpoint) if !endpoint.is_empty() => format!("{}/{bucket}/{key}", endpoint.trim_end_matches('/')),
        _ => format!("https://{bucket}.s3.{region}.{}/{key}", partition(region).1),
    };
    let url = Url::parse(&text).ok().filter(Url::is_private);
    url.ok_or_else(|| FetchError::Service {
        reason: "no_endpoint",
        said: "AWS_ENDPOINT_URL_S3 is no https URL; correct it, or take it away".to_owned(),
    })
}

/// The partition of a region in ARNs, and its domain.
fn partition(region: &str) -> (&'static str, &'static str) {
    match region.split('-').next() {
        Some("cn") => ("aws-cn", "amazonaws.com.cn"),
        Some("us") if region.starts_with("us-gov-") => ("aws-us-gov", "amazonaws.com"),
        _ => ("aws", "amazonaws.com"),
    }
}

/// What proves who asks (Signature Version 4).
fn signed(url: &str, region: &str, credentials: Credentials, now: SystemTime) -> Result<HeaderMap, AwsError> {
    let mut settings = SigningSettings::default();
    // As S3 alone has it: the path is signed as it is sent, and the body's hash is a header.
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let failed = |error: &dyn std::error::Error| AwsError::answer(ACTION, causes(error));
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder().identity(&identity).region(region).name("s3").time(now).settings(settings);
    let parameters = parameters.build().map_err(|error| failed(&error))?.into();
    let request = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::Bytes(&[])).map_err(|error| failed(&error))?;
    let (instructions, _) = sign(request, &parameters).map_err(|error| failed(&error))?.into_parts();
    let mut headers = HeaderMap::new();
    for (name, value) in instructions.headers() {
        let pair = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
        let (name, mut value) = pair.ok_or_else(|| AwsError::answer(ACTION, "a header that is none"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn service(error: AwsError) -> FetchError {
    FetchError::Service { reason: error.reason(), said: error.to_string() }
}
