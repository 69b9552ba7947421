//! What AWS says, in words that tell what to do.

use super::remedy;
use aws_sdk_acmpca::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_acmpca::primitives::{DateTime, DateTimeFormat};
use std::error::Error;
use std::time::SystemTime;

/// Why AWS did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AwsError {
    /// No credentials are found; trying again helps once the platform gives some.
    #[error("there are no AWS credentials for {action}: give the task a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY ({said})")]
    NoCredentials {
        /// The IAM action, such as `acm-pca:IssueCertificate`.
        action: &'static str,
        /// What the SDK says.
        said: String,
    },
    /// The credentials are not accepted: revoked, expired, or signed with a clock that is wrong.
    #[error("AWS does not accept the credentials for {action}: renew them, and compare this machine's clock ({code}: {said})")]
    BadCredentials {
        /// The IAM action, such as `acm-pca:IssueCertificate`.
        action: &'static str,
        /// AWS's code.
        code: String,
        /// What AWS says.
        said: String,
    },
    /// AWS does not accept what was signed by this machine's clock; trying again helps once that is right.
    #[error("AWS does not accept what this machine's clock signs for {action}: it is {}; set it ({said})", apart(*ahead_s))]
    Clock {
        /// The IAM action, such as `acm-pca:IssueCertificate`.
        action: &'static str,
        /// How far this machine's clock is ahead of AWS's, seconds; negative: behind.
        ahead_s: i64,
        /// What AWS says.
        said: String,
    },
    /// The role may not do this; trying again helps after its policy was changed.
    #[error("the role may not {action} on {resource}: {} ({said})", remedy::denied(.action))]
    Denied {
        /// The IAM action, such as `acm-pca:IssueCertificate`.
        action: &'static str,
        /// The ARN that it is about.
        resource: String,
        /// What AWS says.
        said: String,
    },
    /// Too many calls in this account and region; trying again helps.
    #[error("AWS throttles {action}: too many calls in this account and region; it is tried again ({said})")]
    Throttled {
        /// The IAM action, such as `acm-pca:IssueCertificate`.
        action: &'static str,
        /// What AWS says.
        said: String,
    },
    /// The authority or the key is disabled, expired or not set up; trying again helps once it is active.
    #[error("{resource} is not to be had for {action}: {} ({said})", remedy::inactive(.action))]
    Inactive {
        /// The IAM action, such as `acm-pca:IssueCertificate`.
        action: &'static str,
        /// The ARN of the authority or the key.
        resource: String,
        /// What AWS says.
        said: String,
    },
    /// There is no such authority, certificate or key.
    #[error("{resource} is not there: compare ARN, account and region ({said})")]
    NotFound {
        /// The ARN.
        resource: String,
        /// What AWS says.
        said: String,
    },
    /// AWS refuses what was asked for; trying again does not help until it is changed.
    #[error("AWS refuses {action}: {} ({code}: {said})", remedy::refused(.action, .code))]
    Refused {
        /// The IAM action, such as `acm-pca:IssueCertificate`.
        action: &'static str,
        /// AWS's code.
        code: String,
        /// What AWS says.
        said: String,
    },
    /// The authority has not issued yet; the request is kept and asked for again.
    #[error("the certificate was asked for and is not issued yet; it is waited for ({arn})")]
    InProgress {
        /// The certificate's ARN.
        arn: String,
    },
    /// The authority gave up on a request; another one may pass.
    #[error("the authority could not issue: {said}")]
    Failed {
        /// What AWS says.
        said: String,
    },
    /// Nobody answered in time.
    #[error("AWS did not answer {action} in time: is its endpoint reachable from here, through a NAT or a VPC endpoint?")]
    TimedOut {
        /// The IAM action, such as `acm-pca:IssueCertificate`.
        action: &'static str,
    },
    /// The endpoint cannot be reached, or the connection was cut.
    #[error("AWS cannot be reached for {action}: is there a way to its endpoint, through a NAT or a VPC endpoint? ({said})")]
    Unreachable {
        /// The IAM action, such as `acm-pca:IssueCertificate`.
        action: &'static str,
        /// What the network says.
        said: String,
    },
    /// AWS is at fault, or answers something that it should not; trying again helps.
    #[error("AWS fails at {action}; it is tried again ({said})")]
    Unavailable {
        /// The IAM action, such as `acm-pca:IssueCertificate`.
        action: &'static str,
        /// What AWS says.
        said: String,
    },
    /// An answer does not say what it must.
    #[error("AWS answers {action} with something else than it should: {problem}")]
    Answer {
        /// The IAM action, such as `acm-pca:IssueCertificate`.
        action: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The authority's key is of a kind that peers cannot verify.
    #[error("the key of {authority} is {algorithm}, which peers do not verify; use an authority with an EC or RSA key")]
    KeyAlgorithm {
        /// The authority's ARN.
        authority: String,
        /// AWS's name of it.
        algorithm: String,
    },
}

impl AwsError {
    /// Reads what the SDK says of an action (such as `acm-pca:IssueCertificate`) on `resource`, an ARN.
    pub(super) fn of<E>(action: &'static str, resource: &str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::TimeoutError(_) => Self::TimedOut { action },
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::TimedOut { action },
            SdkError::DispatchFailure(failure) => {
                let said = failure.as_connector_error().map(|error| causes(error)).unwrap_or_default();
                match failure.is_io() || !said.contains("credential") {
                    true => Self::Unreachable { action, said },
                    false => Self::NoCredentials { action, said },
                }
            }
            SdkError::ServiceError(context) => {
                let fault = context.raw().status().is_server_error();
                let error = Self::service(
                    action,
                    resource,
                    context.err().code().unwrap_or_default(),
                    context.err().message().unwrap_or_default(),
                    fault,
                );
                error.or_clock(context.raw().headers().get("date"), SystemTime::now())
            }
            other => {
                let said = causes(other);
                if said.contains("credential") { Self::NoCredentials { action, said } } else { Self::Unavailable { action, said } }
            }
        }
    }

    /// An answer to `action` that does not say what it must.
    pub(super) fn answer(action: &'static str, problem: impl Into<String>) -> Self {
        Self::Answer { action, problem: plain(&problem.into()) }
    }

    pub(super) fn service(action: &'static str, resource: &str, code: &str, message: &str, fault: bool) -> Self {
        let (code, said, resource) = (code.to_owned(), plain(message), resource.to_owned());
        match code.as_str() {
            "AccessDeniedException" | "AccessDenied" => Self::Denied { action, resource, said },
            "ThrottlingException" | "Throttling" | "TooManyRequestsException" | "RequestLimitExceeded" | "LimitExceededException" => {
                Self::Throttled { action, said }
            }
            "InvalidStateException" | "DisabledException" | "KMSInvalidStateException" => Self::Inactive { action, resource, said },
            "ResourceNotFoundException" | "NotFoundException" => Self::NotFound { resource, said },
            "RequestInProgressException" => Self::InProgress { arn: resource },
            "RequestFailedException" => Self::Failed { said },
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignatureException"
            | "RequestExpired"
            | "MissingAuthenticationTokenException" => Self::BadCredentials { action, code, said },
            _ if fault => Self::Unavailable { action, said: format!("{code}: {said}") },
            _ => Self::Refused { action, code, said },
        }
    }

    /// A signature that is refused while the clocks are far apart is not the credentials' fault; `date` is the header of AWS's answer.
    pub(super) fn or_clock(self, date: Option<&str>, now: SystemTime) -> Self {
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        let theirs = date.and_then(|date| SystemTime::try_from(date).ok());
        let ahead = theirs.map(|theirs| match now.duration_since(theirs) {
            Ok(ahead) => i64::try_from(ahead.as_secs()).unwrap_or(i64::MAX),
            Err(behind) => i64::try_from(behind.duration().as_secs()).unwrap_or(i64::MAX).saturating_neg(),
        });
        match (self, ahead) {
            (Self::BadCredentials { action, code, said }, Some(ahead_s))
                if ahead_s.unsigned_abs() >= APART_S && TIMED.contains(&code.as_str()) =>
            {
                Self::Clock { action, ahead_s, said }
            }
            (error, _) => error,
        }
    }

    /// Whether the same call may pass a moment later.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::TimedOut { .. } | Self::Unreachable { .. } | Self::Unavailable { .. })
    }

    /// The stable label of metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoCredentials { .. } => "no_credentials",
            Self::BadCredentials { .. } => "bad_credentials",
            Self::Clock { .. } => "clock",
            Self::Denied { .. } => "denied",
            Self::Throttled { .. } => "throttled",
            Self::Inactive { .. } => "inactive",
            Self::NotFound { .. } => "not_found",
            Self::Refused { .. } => "refused",
            Self::InProgress { .. } => "in_progress",
            Self::Failed { .. } => "failed",
            Self::TimedOut { .. } => "timeout",
            Self::Unreachable { .. } => "unreachable",
            Self::Unavailable { .. } => "unavailable",
            Self::Answer { .. } => "answer",
            Self::KeyAlgorithm { .. } => "key_algorithm",
        }
    }
}

/// What AWS says of a signature, where its time may be what is wrong.
const TIMED: [&str; 4] = ["InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired", "RequestTimeTooSkewed"];

/// Clocks that are nearer than this are not why a signature is refused, seconds: AWS bears 300, and the answer took its time.
const APART_S: u64 = 240;

/// The way from AWS's clock to this machine's.
fn apart(ahead_s: i64) -> String {
    let (seconds, side) = (ahead_s.unsigned_abs(), if ahead_s < 0 { "behind" } else { "ahead of" });
    format!("{seconds} s {side} AWS's")
}

/// An error and what is behind it, each once: some repeat their cause.
pub(super) fn causes(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        next = cause.source();
    }
    plain(&said)
}

/// One line of bounded length: what is said elsewhere goes into log and status.
fn plain(said: &str) -> String {
    const MAX_CHARS: usize = 500;
    said.chars().map(|char| if char.is_control() { ' ' } else { char }).take(MAX_CHARS).collect()
}
