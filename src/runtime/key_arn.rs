//! The name of a key of AWS KMS.

use std::fmt;

/// The longest name of an alias that KMS makes, in bytes, `alias/` included.
const MAX_ALIAS: usize = 256;

/// The whole ARN of a key, `arn:<partition>:kms:<region>:<account>:key/<id>`, or of an alias, `…:alias/<name>`. Never a bare id or name: those would mean
/// another key in another account or region.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyArn {
    arn: String,
}

impl KeyArn {
    /// Reads an ARN.
    ///
    /// # Errors
    /// What is wrong with it, as a predicate.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let [arn, partition, service, region, account, resource] = fields(text).ok_or("is no ARN")?;
        let plain =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let alias = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-');
        match resource.split_once('/') {
            _ if arn != "arn" || !plain(partition) => Err("is no ARN"),
            _ if service != "kms" => Err("is no ARN of AWS KMS"),
            _ if !plain(region) => Err("names no region"),
            _ if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) => Err("names no account of 12 digits"),
            Some(("key", id)) if plain(id) => Ok(Self { arn: text.to_owned() }),
            Some(("alias", name)) if name.starts_with("aws/") => Err("names a key that AWS manages, which takes no calls of ours"),
            Some(("alias", name)) if !name.is_empty() && resource.len() <= MAX_ALIAS && name.bytes().all(alias) => {
                Ok(Self { arn: text.to_owned() })
            }
            _ => Err("is no ARN of a key or an alias"),
        }
    }

    /// The whole ARN.
    pub fn as_str(&self) -> &str {
        &self.arn
    }

    /// The region that it is in.
    pub fn region(&self) -> &str {
        fields(&self.arn).map_or("", |[_, _, _, region, ..]| region)
    }

    /// Whether an answer that names the key `used` is an answer of this key. What an alias stands for is only known to be a key in the same place.
    pub fn is_met_by(&self, used: &str) -> bool {
        match self.arn.split_once(":alias/") {
            None => used == self.arn,
            Some((place, _)) => used.strip_prefix(place).is_some_and(|rest| rest.starts_with(":key/")),
        }
    }
}

impl fmt::Display for KeyArn {
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

    const PLACE: &str = "arn:aws:kms:eu-central-1:123456789012";

    #[test]
    fn a_key_knows_where_it_is_and_which_answers_are_its_own() {
        let key = KeyArn::parse("arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab").unwrap();
        assert_eq!((key.region(), key.as_str()), ("cn-north-1", key.to_string().as_str()));
        let key = KeyArn::parse(&format!("{PLACE}:key/6cb1e2c9-0f0e-4f9a-8f65-9c2b1f3a7d10")).unwrap();
        assert!(key.is_met_by(key.as_str()));
        let alias = KeyArn::parse(&format!("{PLACE}:alias/countersign/Sealer_1")).unwrap();
        assert!(alias.is_met_by(key.as_str()));
        for other in ["", "key/b", &format!("{PLACE}:key/b"), &format!("{PLACE}:alias/countersign/Sealer_1")] {
            assert!(!key.is_met_by(other), "{other}");
        }
        for other in ["", "key/b", "arn:aws:kms:eu-central-1:999999999999:key/b", alias.as_str()] {
            assert!(!alias.is_met_by(other), "{other}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let long = format!("{PLACE}:alias/{}", "a".repeat(251));
        let table = [
            ("", "is no ARN"),
            ("6cb1e2c9-0f0e-4f9a-8f65-9c2b1f3a7d10", "is no ARN"),
            ("alias/sealer", "is no ARN"),
            ("urn:aws:kms:eu-west-1:123456789012:key/a", "is no ARN"),
            ("arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/a", "is no ARN of AWS KMS"),
            ("arn:aws:kms::123456789012:key/a", "names no region"),
            ("arn:aws:kms:eu-west-1:12345678901:key/a", "names no account of 12 digits"),
            ("arn:aws:kms:eu-west-1:123456789012:key/", "is no ARN of a key or an alias"),
            ("arn:aws:kms:eu-west-1:123456789012:key/a b", "is no ARN of a key or an alias"),
            ("arn:aws:kms:eu-west-1:123456789012:alias/", "is no ARN of a key or an alias"),
            ("arn:aws:kms:eu-west-1:123456789012:alias/a:b", "is no ARN of a key or an alias"),
            ("arn:aws:kms:eu-west-1:123456789012:alias/aws/s3", "names a key that AWS manages, which takes no calls of ours"),
            (&long, "is no ARN of a key or an alias"),
        ];
        for (text, problem) in table {
            assert_eq!(KeyArn::parse(text), Err(problem), "{text}");
        }
        assert!(KeyArn::parse(&long[..long.len() - 1]).is_ok());
    }
}
