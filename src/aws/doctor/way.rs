//! The way to AWS: credentials, who they are, the endpoint, the clock.

use super::asking::{Asking, again, ask};
use super::finding::{Group, Report};
use super::words;
use crate::aws::error::{AwsError, causes};
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use std::time::{Duration, SystemTime};

/// From the question for credentials to giving up: more than the SDK waits for instance metadata.
const CREDENTIALS: Duration = Duration::from_secs(15);

/// How far apart clocks may be, and how far before AWS takes no signature; seconds.
const CLOCK: (u64, u64) = (60, 300);

const GROUP: Group = Group::Way;

/// Who is asking.
pub(super) struct Caller {
    /// The account, where AWS said it.
    pub(super) account: Option<String>,
}

/// Looks for credentials and asks whose they are. `None`: there is no use in asking anything else.
pub(super) async fn caller(asking: &Asking<'_>, region: &str, now: SystemTime, report: &mut Report) -> Option<Caller> {
    let fix = "give the task a role (ECS: taskRoleArn; EKS: Pod Identity or a role for the service account); the execution role is not it";
    let credentials = match credentials(asking, region).await {
        Ok(credentials) => credentials,
        Err(said) => {
            report.broken(GROUP, "credentials", said, fix);
            return None;
        }
    };
    if credentials.expiry().is_some_and(|end| end <= now) {
        report.broken(
            GROUP,
            "credentials",
            whence(&credentials) + ", and they have ended",
            "look at the clock, and at whoever hands them out",
        );
        return None;
    }
    let identity = identity(asking, region).await;
    match &identity {
        Err(AwsError::Clock { .. }) => {
            let found = format!("{}; AWS looks at no signature of this clock", whence(&credentials));
            report.unknown(GROUP, "credentials", found, "set the clock first");
            return None;
        }
        Err(AwsError::BadCredentials { code, said, .. }) => {
            let found = format!("{}, and AWS does not accept them ({code}: {said})", whence(&credentials));
            report.broken(GROUP, "credentials", found, "give the task a role whose credentials are in force");
            return None;
        }
        _ => {}
    }
    // Keys of users begin so, those of roles with ASIA.
    if credentials.access_key_id().starts_with("AKIA") {
        report.warning(GROUP, "credentials", whence(&credentials) + ", a user's key, which has no end", fix);
    } else {
        report.ok(GROUP, "credentials", whence(&credentials));
    }
    let account = match identity {
        Ok(identity) => {
            report.ok(GROUP, "caller", identity.arn().unwrap_or("nameless"));
            identity.account().map(str::to_owned)
        }
        Err(error) => {
            let found = match &error {
                AwsError::Denied { said, .. } => format!("denied: {said}"),
                error => unreached("sts", region, error).unwrap_or_else(|| error.to_string()),
            };
            report.unknown(GROUP, "caller", found, "nothing, if the rest is well: only this command asks STS who it is");
            None
        }
    };
    Some(Caller { account })
}

/// Compares the clocks.
pub(super) fn clock(asking: &Asking<'_>, report: &mut Report) {
    let fix = "set this machine's clock by NTP (on EC2: chrony with 169.254.169.123)";
    let Some(ahead) = asking.dates.ahead() else {
        report.not_asked(GROUP, "clock", "nobody answered who knows the time");
        return;
    };
    let (apart, side) = (ahead.unsigned_abs(), if ahead > 0 { "behind" } else { "ahead of" });
    let found = match apart {
        // Dates have whole seconds, and answers take their time.
        0..=2 => "as AWS's".to_owned(),
        3..120 => format!("{apart} s {side} AWS's"),
        _ => format!("{} min {side} AWS's", (apart + 30) / 60),
    };
    if apart >= CLOCK.1 {
        let found = format!("{found}; AWS takes no signature that is 5 min off, and certificates are judged by this clock");
        report.broken(GROUP, "clock", found, fix);
    } else if apart >= CLOCK.0 {
        report.warning(GROUP, "clock", found, fix);
    } else {
        report.ok(GROUP, "clock", found);
    }
}

/// Says whether a service is reached, by what became of the first question. `false`: there is no use in asking it anything else.
pub(super) fn endpoint(service: &str, region: &str, answered: Option<&AwsError>, report: &mut Report) -> bool {
    let name = format!("{service}.{region}");
    let way = format!(
        "open a way to {name}: a NAT or a VPC endpoint with port 443 open to this task, or AWS_ENDPOINT_URL_{}; HTTPS_PROXY does not count",
        service.to_uppercase().replace('-', "_")
    );
    let Some(error) = answered else {
        report.ok(GROUP, "endpoint", format!("{name} answers"));
        return true;
    };
    match error {
        AwsError::BadCredentials { code, said, .. } => {
            let found = format!("{name} does not accept the credentials ({code}: {said})");
            report.broken(GROUP, "endpoint", found, "give the task a role whose credentials are in force");
        }
        AwsError::Clock { .. } => {
            report.unknown(GROUP, "endpoint", format!("{name} looks at no signature of this clock"), "set the clock first")
        }
        AwsError::NoCredentials { said, .. } => {
            report.broken(GROUP, "endpoint", format!("no credentials for {name}: {said}"), "give the task a role");
        }
        AwsError::Unavailable { said, .. } => report.unknown(GROUP, "endpoint", format!("{name} fails: {said}"), again(error)),
        _ => match unreached(service, region, error) {
            Some(found) => report.broken(GROUP, "endpoint", found, way),
            None => {
                report.ok(GROUP, "endpoint", format!("{name} answers"));
                return true;
            }
        },
    }
    false
}

/// Why a service is not reached; `None`: it is.
fn unreached(service: &str, region: &str, error: &AwsError) -> Option<String> {
    match error {
        AwsError::Unreachable { said, .. } => Some(format!("{service}.{region} cannot be reached: {said}")),
        AwsError::TimedOut { .. } => Some(format!("{service}.{region} does not answer in time")),
        _ => None,
    }
}

async fn credentials(asking: &Asking<'_>, region: &str) -> Result<Credentials, String> {
    let config = asking.aws.in_region(region).await;
    let provider = config.credentials_provider().ok_or("the SDK has nowhere to look for them")?;
    match tokio::time::timeout(CREDENTIALS, provider.provide_credentials()).await {
        Ok(Ok(credentials)) => Ok(credentials),
        Ok(Err(CredentialsError::CredentialsNotLoaded(_))) => {
            Err("none in environment, profile, web identity token, container endpoint and instance metadata".to_owned())
        }
        Ok(Err(error)) => Err(format!("none: {}", causes(&error))),
        Err(_) => Err(format!("none within {} s", CREDENTIALS.as_secs())),
    }
}

async fn identity(
    asking: &Asking<'_>,
    region: &str,
) -> Result<aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityOutput, AwsError> {
    const ACTION: &str = "sts:GetCallerIdentity";
    let client = asking.sts(region).await;
    ask(ACTION, || {
        let sent = client.get_caller_identity().send();
        Box::pin(async move { sent.await.map_err(|error| AwsError::of(ACTION, "*", &error)) })
    })
    .await
}

/// Where credentials are from and when they end.
fn whence(credentials: &Credentials) -> String {
    use AwsCredentialFeature as Feature;
    let features = credentials.get_property::<Vec<Feature>>().map(Vec::as_slice).unwrap_or_default();
    let place = features.iter().find_map(|feature| match feature {
        Feature::CredentialsEnvVars => Some("the environment"),
        Feature::CredentialsHttp => Some("the container's credential endpoint (ECS task role or EKS Pod Identity)"),
        Feature::CredentialsImds => Some("instance metadata: the machine's role, which all of its containers have"),
        Feature::CredentialsEnvVarsStsWebIdToken | Feature::CredentialsProfileStsWebIdToken | Feature::CredentialsStsAssumeRoleWebId => {
            Some("a web identity token (a service account's role)")
        }
        Feature::CredentialsStsAssumeRole => Some("a role that a profile assumes"),
        Feature::CredentialsProfile | Feature::CredentialsProcess => Some("a profile"),
        _ => None,
    });
    let ends = credentials.expiry().map(|end| format!(", until {}", words::date(end))).unwrap_or_default();
    format!("from {}{ends}", place.unwrap_or("where the SDK found them"))
}
