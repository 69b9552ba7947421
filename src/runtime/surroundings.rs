//! Where this process runs: production or not, its cores, and what the platform calls it.

mod pod;
mod task;

use std::collections::BTreeMap;
use std::fmt;

/// The variables that only a container platform of AWS sets; laptops have `AWS_ACCESS_KEY_ID` or `AWS_PROFILE`, which say nothing.
const PRODUCTION: [&str; 4] = [
    "ECS_CONTAINER_METADATA_URI_V4",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];

/// The variable that says that this is production; `None`: it is not.
pub fn production() -> Option<&'static str> {
    PRODUCTION.into_iter().find(|name| variable(name).is_some())
}

/// The cores that this process may use, at least 1: affinity and, on Linux, the cgroup's CPU quota count.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Something that the platform says of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// The name of the ECS cluster.
    EcsCluster,
    /// The family of the ECS task definition.
    EcsFamily,
    /// The Kubernetes namespace of the pod.
    K8sNamespace,
    /// The Kubernetes service account of the pod.
    K8sServiceAccount,
}

/// Names and values that go into records.
pub type Labels = BTreeMap<String, String>;

/// What the platform says of this copy of the workload, as labels of its records: `task`, `account` and `zone` of an ECS task, `pod` of a pod; none
/// elsewhere. Blocks, for up to some seconds where the platform does not answer.
///
/// # Errors
/// What should say it cannot be had or read.
pub fn labels() -> Result<Labels, Unsaid> {
    match task::labels() {
        Err(Unsaid::Elsewhere(_)) => {}
        said => return said,
    }
    match pod::labels() {
        Err(Unsaid::Elsewhere(_)) => Ok(Labels::new()),
        said => said,
    }
}

/// A label, where there is something to say.
fn label(name: &str, value: Option<&str>) -> impl Iterator<Item = (String, String)> {
    value.filter(|value| !value.is_empty()).map(|value| (name.to_owned(), value.to_owned())).into_iter()
}

/// Why the platform does not say it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsaid {
    /// This is no such platform; trying again does not help.
    #[error("{0}")]
    Elsewhere(&'static str),
    /// What should say it cannot be had or read; trying again may help.
    #[error("{source_name} {problem}")]
    Unreadable {
        /// The URL or the file.
        source_name: String,
        /// What is wrong with it, as a predicate.
        problem: String,
    },
    /// It cannot stand in a SPIFFE id.
    #[error("{source_name} says {value:?}, which cannot stand in a SPIFFE id")]
    Unusable {
        /// The URL or the file.
        source_name: String,
        /// What it says.
        value: String,
    },
}

impl Fact {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::EcsCluster, Self::EcsFamily, Self::K8sNamespace, Self::K8sServiceAccount];

    /// Asks the platform. Blocks, for up to some seconds where it does not answer.
    ///
    /// # Errors
    /// See [`Unsaid`].
    pub fn ask(self) -> Result<String, Unsaid> {
        let said = match self {
            Self::EcsCluster | Self::EcsFamily => task::ask(self)?,
            Self::K8sNamespace | Self::K8sServiceAccount => pod::ask(self)?,
        };
        if is_segment(&said.value) {
            Ok(said.value)
        } else {
            let value = said.value.chars().take(100).collect();
            Err(Unsaid::Unusable { source_name: said.by, value })
        }
    }
}

/// As the configuration writes it inside of `${}`.
impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcsCluster => "ecs.cluster",
            Self::EcsFamily => "ecs.family",
            Self::K8sNamespace => "k8s.namespace",
            Self::K8sServiceAccount => "k8s.service_account",
        })
    }
}

/// A value, and what said it.
struct Said {
    by: String,
    value: String,
}

/// A path segment of a SPIFFE id (SPIFFE ID standard, section 2.2).
fn is_segment(value: &str) -> bool {
    const LONGEST: usize = 255;
    let is_of_id = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !["", ".", ".."].contains(&value) && value.len() <= LONGEST && value.bytes().all(is_of_id)
}

/// A variable that is set to something.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(|value| value.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_of_its_own_in_an_id_is_no_segment() {
        for good in ["prod", "a-b_c.d", "0", "..."] {
            assert!(is_segment(good), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "a%2fb", "ü", "a\n", "*", &"a".repeat(256)] {
            assert!(!is_segment(bad), "{bad}");
        }
    }
}
