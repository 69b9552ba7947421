//! Where this process runs: production or not, and the labels that the platform gives.

/// The variables that only a container platform of AWS sets; laptops have `AWS_ACCESS_KEY_ID` or `AWS_PROFILE`, which say nothing.
const PRODUCTION: [&str; 4] = [
    "ECS_CONTAINER_METADATA_URI_V4",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];

/// The variable that says that this is production; `None`: it is not.
pub fn production() -> Option<&'static str> {
    PRODUCTION.into_iter().find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// The cores that this process may use, at least 1: affinity and, on Linux, the cgroup's CPU quota count.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
