//! One HTTP client and one chain of AWS credentials for everything that asks AWS.

use crate::runtime::key_arn::KeyArn;
use crate::trust::{Authority, BoxFuture};
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_acmpca::config::SharedHttpClient;
use aws_sdk_acmpca::config::retry::RetryConfig;
use aws_sdk_acmpca::config::timeout::TimeoutConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// From the connect call to a connected socket, TLS included.
const CONNECT: Duration = Duration::from_secs(3);

/// From the beginning of one request to the end of its answer.
const ATTEMPT: Duration = Duration::from_secs(5);

/// From the beginning of a request to its end, the credentials for it included.
const OPERATION: Duration = Duration::from_secs(20);

/// Asks for the addresses of a name, without the C library.
pub type Names = Arc<dyn Fn(String) -> BoxFuture<'static, Result<Vec<IpAddr>, Box<dyn std::error::Error + Send + Sync>>> + Send + Sync>;

/// The way to AWS. Cheap to clone; credentials are looked for at the first use, where the SDK looks for them.
#[derive(Clone)]
pub struct Aws {
    http: SharedHttpClient,
    base: Arc<OnceCell<SdkConfig>>,
}

impl Aws {
    /// A way that finds hosts by `names`. The proxy variables of the environment do not count, which the SDK's own default client reads: they point
    /// the app at this very process.
    pub fn new(names: Names) -> Self {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
            .build_with_resolver(Resolver(names));
        Self { http, base: Arc::default() }
    }

    /// A way that ends at a double of AWS, whatever the region and the service.
    #[cfg(feature = "testing")]
    pub async fn to_double(endpoint: &str) -> Self {
        let names: Names = Arc::new(|_| Box::pin(async { Err("a double has an address, not a name".into()) }));
        let aws = Self::new(names);
        let credentials = aws_sdk_acmpca::config::Credentials::new("test", "test", None, None, "test");
        let base = aws.loader(Region::from_static("eu-central-1")).endpoint_url(endpoint).credentials_provider(credentials);
        Self { base: Arc::new(OnceCell::new_with(Some(base.load().await))), ..aws }
    }

    /// A client for the region that `authority` is in.
    pub(super) async fn acm_pca(&self, authority: &Authority) -> aws_sdk_acmpca::Client {
        aws_sdk_acmpca::Client::new(&self.in_region(authority.region()).await)
    }

    /// A client for the region that `key` is in.
    pub(super) async fn kms(&self, key: &KeyArn) -> aws_sdk_kms::Client {
        aws_sdk_kms::Client::new(&self.in_region(key.region()).await)
    }

    /// What a client of any service in this region is made from.
    pub(super) async fn in_region(&self, region: &str) -> SdkConfig {
        let region = Region::new(region.to_owned());
        let base = self.base.get_or_init(|| self.loader(region.clone()).load()).await;
        base.to_builder().region(region).build()
    }

    fn loader(&self, region: Region) -> ConfigLoader {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).operation_timeout(OPERATION);
        aws_config::defaults(BehaviorVersion::latest())
            // Named, so that no metadata service is asked for it.
            .region(region)
            .http_client(self.http.clone())
            .timeout_config(timeouts.build())
            // Its retry gives up under a herd of clients; ours is in `call`.
            .retry_config(RetryConfig::disabled())
            // It would sign with AWS's time from the second request on. A clock that is wrong is wrong for certificates too: it is told of instead, and
            // nothing is paid for that this clock would not take for valid.
            .disable_clock_skew_correction(true)
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws").finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Resolver(Names);

impl ResolveDns for Resolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        let answer = (self.0)(name.to_owned());
        DnsFuture::new(async move { answer.await.map_err(ResolveDnsError::new) })
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}
