//! The name of an object in AWS S3.

use std::fmt;

/// The longest key that S3 has, bytes.
const MAX_KEY: usize = 1_024;

/// `s3://<bucket>/<key>`, both of characters that need no escape in a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Object {
    bucket: String,
    key: String,
}

impl S3Object {
    /// Reads a name.
    ///
    /// # Errors
    /// What is wrong with it, as a predicate.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let name = text.strip_prefix("s3://").ok_or("is no s3://<bucket>/<key>")?;
        let (bucket, key) = name.split_once('/').ok_or("names a bucket and no key in it")?;
        let end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if bucket.contains('.') {
            return Err("names a bucket with a dot, whose name in DNS no certificate of S3 covers");
        }
        let is_bucket = (3..=63).contains(&bucket.len()) && bucket.bytes().all(plain);
        if !is_bucket || !end(bucket.as_bytes().first()) || !end(bucket.as_bytes().last()) {
            return Err("names no bucket");
        }
        let is_safe = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.'));
        match key.split('/').any(|segment| segment.is_empty() || segment == "." || segment == "..") {
            true => Err("names a key with an empty segment, or one of dots"),
            false if !is_safe || key.len() > MAX_KEY => Err("names a key with something other than A-Z, a-z, 0-9, /, -, _ and ."),
            false => Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() }),
        }
    }

    /// The bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key in it.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// As it was written.
impl fmt::Display for S3Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_needs_no_escape() {
        let object = S3Object::parse("s3://tables-1/prod/orders_v2.bundle.json").unwrap();
        assert_eq!((object.bucket(), object.key()), ("tables-1", "prod/orders_v2.bundle.json"));
        assert_eq!(object.to_string(), "s3://tables-1/prod/orders_v2.bundle.json");
        for (text, what) in [
            ("s3:tables/x", "is no s3://<bucket>/<key>"),
            ("s3://tables", "names a bucket and no key in it"),
            ("s3://tables/", "names a key with an empty segment, or one of dots"),
            ("s3://tables/a//b", "names a key with an empty segment, or one of dots"),
            ("s3://tables/a/../b", "names a key with an empty segment, or one of dots"),
            ("s3://ta/x", "names no bucket"),
            ("s3://-tables/x", "names no bucket"),
            ("s3://Tables/x", "names no bucket"),
            ("s3://user@tables/x", "names no bucket"),
            ("s3://tables.example/x", "names a bucket with a dot, whose name in DNS no certificate of S3 covers"),
            ("s3://tables/a b", "names a key with something other than A-Z, a-z, 0-9, /, -, _ and ."),
            ("s3://tables/a?versionId=1", "names a key with something other than A-Z, a-z, 0-9, /, -, _ and ."),
            ("s3://tables/%2e", "names a key with something other than A-Z, a-z, 0-9, /, -, _ and ."),
        ] {
            assert_eq!(S3Object::parse(text), Err(what), "{text}");
        }
    }
}
