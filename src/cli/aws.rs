//! `countersign aws`: what is between this workload and AWS.

#[cfg(feature = "aws")]
mod doctor;

use super::{ConfigSource, Outcome};
use crate::runtime::key_arn::KeyArn;

/// What is asked about AWS.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Asks AWS, by calls that change nothing, and says what to fix
    Doctor(Args),
}

/// What `doctor` is asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: ConfigSource,
    /// A key of KMS that the role must be able to sign digests with: it signs one that means nothing
    #[arg(long = "sign-key", value_name = "ARN", value_parser = key)]
    sign_keys: Vec<KeyArn>,
    /// A key of KMS that the role must not be able to sign with, such as the one of your policies: nothing is signed
    #[arg(long = "policy-key", value_name = "ARN", value_parser = key)]
    policy_keys: Vec<KeyArn>,
    /// Prints the findings as JSON
    #[arg(long)]
    json: bool,
}

/// Reads the ARN of a key.
fn key(text: &str) -> Result<KeyArn, String> {
    KeyArn::parse(text).map_err(|problem| format!("it {problem}; write arn:aws:kms:<region>:<account>:key/<id>"))
}

/// Runs the sub-command.
///
/// # Errors
/// Standard output cannot be written.
#[cfg(feature = "aws")]
pub fn run(command: &Command) -> anyhow::Result<Outcome> {
    let Command::Doctor(args) = command;
    doctor::run(args)
}

/// Runs nothing: this build was made without AWS.
///
/// # Errors
/// Always.
#[cfg(not(feature = "aws"))]
pub fn run(command: &Command) -> anyhow::Result<Outcome> {
    let Command::Doctor(Args { source, .. }) = command;
    anyhow::bail!("this build cannot ask AWS anything for {}; take one with the feature \"aws\", which is on by default", source.config)
}

#[cfg(all(test, not(feature = "aws")))]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_aws_says_so() {
        let source = ConfigSource { config: "countersign.toml".to_owned() };
        let said =
            run(&Command::Doctor(Args { source, sign_keys: Vec::new(), policy_keys: Vec::new(), json: false })).unwrap_err().to_string();
        assert!(said.contains("countersign.toml") && said.contains("the feature \"aws\""), "{said}");
    }
}
