//! Names of things at AWS.

use std::fmt;

/// An ARN that says where the thing is: `arn:<partition>:<service>:<region>:<account>:<resource>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Arn {
    text: String,
}

impl Arn {
    /// Reads an ARN of one service; `of_another` is the problem where it is of another one.
    ///
    /// # Errors
    /// What is wrong with it, as a predicate.
    pub fn parse(text: &str, service: &str, of_another: &'static str) -> Result<Self, &'static str> {
        let [arn, partition, of, region, account, _] = fields(text).ok_or("is no ARN")?;
        match () {
            () if arn != "arn" || !is_plain(partition) => Err("is no ARN"),
            () if of != service => Err(of_another),
            () if !is_plain(region) => Err("names no region"),
            () if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) => Err("names no account of 12 digits"),
            () => Ok(Self { text: text.to_owned() }),
        }
    }

    /// The whole ARN.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The partition: `aws`, `aws-cn`, `aws-us-gov`.
    pub fn partition(&self) -> &str {
        fields(&self.text).map_or("", |[_, partition, ..]| partition)
    }

    /// The region that it is in.
    pub fn region(&self) -> &str {
        fields(&self.text).map_or("", |[_, _, _, region, ..]| region)
    }

    /// The account that owns it.
    pub fn account(&self) -> &str {
        fields(&self.text).map_or("", |[_, _, _, _, account, _]| account)
    }

    /// What it is within its service, such as `key/<id>`.
    pub fn resource(&self) -> &str {
        fields(&self.text).map_or("", |[.., resource]| resource)
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether it is a name of lower-case letters, digits and dashes.
pub fn is_plain(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn fields(arn: &str) -> Option<[&str; 6]> {
    arn.splitn(6, ':').collect::<Vec<_>>().try_into().ok()
}
