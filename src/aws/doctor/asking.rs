//! How the doctor asks: each answer's date is looked at, and nobody waits long.

use super::dates::Dates;
use crate::aws::call::{Throttled, call};
use crate::aws::client::Aws;
use crate::aws::error::AwsError;
use crate::trust::{Authority, BoxFuture};
use std::time::Duration;
use tokio::time::Instant;

/// From the beginning of one check to the last request that it begins.
const PATIENCE: Duration = Duration::from_secs(4);

/// Clients that note when AWS answered by its own clock.
pub struct Asking<'a> {
    pub(super) aws: &'a Aws,
    pub(super) dates: Dates,
}

impl<'a> Asking<'a> {
    pub(super) fn new(aws: &'a Aws) -> Self {
        Self { aws, dates: Dates::default() }
    }

    pub(super) async fn acm_pca(&self, authority: &Authority) -> aws_sdk_acmpca::Client {
        let client = self.aws.acm_pca(authority).await;
        aws_sdk_acmpca::Client::from_conf(client.config().to_builder().interceptor(self.dates.clone()).build())
    }

    pub(super) async fn sts(&self, region: &str) -> aws_sdk_sts::Client {
        let config = aws_sdk_sts::config::Builder::from(&self.aws.in_region(region).await);
        aws_sdk_sts::Client::from_conf(config.interceptor(self.dates.clone()).build())
    }
}

/// Asks until there is an answer, and not for long.
pub(super) async fn ask<'a, T>(action: &'static str, send: impl Fn() -> BoxFuture<'a, Result<T, AwsError>>) -> Result<T, AwsError> {
    call(action, Throttled::SentAgain, Instant::now() + PATIENCE, send).await
}

/// What to do where AWS gave no answer to the question.
pub(super) fn again(error: &AwsError) -> &'static str {
    match error {
        AwsError::Throttled { .. } => "ask again in a minute: too many calls in this account and region",
        AwsError::TimedOut { .. } | AwsError::Unreachable { .. } => {
            "ask again; where it stays, look at route, security group and VPC endpoint"
        }
        _ => "ask again; where it stays, ask AWS with what it said",
    }
}
