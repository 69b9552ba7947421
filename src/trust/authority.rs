//! The name of a certificate authority of AWS.

use std::fmt;

/// The ARN of a private CA: `arn:<partition>:acm-pca:<region>:<account>:certificate-authority/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Authority {
    arn: String,
}

impl Authority {
    /// Reads an ARN.
    ///
    /// # Errors
    /// What is wrong with it, as a predicate.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let [arn, partition, service, region, account, resource] = fields(text).ok_or("is no ARN")?;
        let plain =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        match resource.strip_prefix("certificate-authority/") {
            _ if arn != "arn" || !plain(partition) => Err("is no ARN"),
            _ if service != "acm-pca" => Err("is no ARN of AWS Private CA"),
            _ if !plain(region) => Err("names no region"),
            _ if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) => Err("names no account of 12 digits"),
            Some(id) if plain(id) => Ok(Self { arn: text.to_owned() }),
            Some(_) => Err("is no ARN of an authority, but of something below one"),
            None => Err("is no ARN of an authority"),
        }
    }

    /// The whole ARN.
    pub fn as_str(&self) -> &str {
        &self.arn
    }

    /// The partition: `aws`, `aws-cn`, `aws-us-gov`.
    pub fn partition(&self) -> &str {
        fields(&self.arn).map_or("", |[_, partition, ..]| partition)
    }

    /// The region that it is in.
    pub fn region(&self) -> &str {
        fields(&self.arn).map_or("", |[_, _, _, region, ..]| region)
    }

    /// The account that owns it.
    pub fn account(&self) -> &str {
        fields(&self.arn).map_or("", |[_, _, _, _, account, _]| account)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn)
    }
}

fn fields(arn: &str) -> Option<[&str; 6]> {
    arn.splitn(6, ':').collect::<Vec<_>>().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_knows_where_it_is() {
        let arn = "arn:aws-us-gov:acm-pca:us-gov-west-1:123456789012:certificate-authority/6cb1e2c9-0f0e-4f9a-8f65-9c2b1f3a7d10";
        let authority = Authority::parse(arn).unwrap();
        assert_eq!((authority.partition(), authority.region(), authority.as_str()), ("aws-us-gov", "us-gov-west-1", arn));
        assert_eq!(authority.account(), "123456789012");
    }

    #[test]
    fn everything_else_is_refused() {
        let table = [
            ("", "is no ARN"),
            ("prod-ca", "is no ARN"),
            ("urn:aws:acm-pca:r:123456789012:certificate-authority/a", "is no ARN"),
            ("arn:aws:acm:eu-west-1:123456789012:certificate/a", "is no ARN of AWS Private CA"),
            ("arn:aws:acm-pca::123456789012:certificate-authority/a", "names no region"),
            ("arn:aws:acm-pca:eu-west-1:12345678901:certificate-authority/a", "names no account of 12 digits"),
            ("arn:aws:acm-pca:eu-west-1:123456789012:template/a", "is no ARN of an authority"),
            (
                "arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/a/certificate/b",
                "is no ARN of an authority, but of something below one",
            ),
            ("arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/", "is no ARN of an authority, but of something below one"),
        ];
        for (text, problem) in table {
            assert_eq!(Authority::parse(text), Err(problem), "{text}");
        }
    }
}
