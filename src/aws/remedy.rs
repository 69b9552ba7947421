//! What to do about an error, by the service and AWS's code. Actions are as IAM writes them: the service, a colon, the operation.

/// Where a denied action is to be allowed.
pub fn denied(action: &str) -> &'static str {
    match service(action) {
        "kms" => "allow it in the role's policy and in the key's, under the conditions that it is asked with",
        "s3" => "allow it in the role's policy, and kms:Decrypt where the bucket is encrypted under a key of KMS",
        _ => "allow it in the role's policy",
    }
}

/// What brings an authority or a key back.
pub fn inactive(action: &str) -> &'static str {
    match service(action) {
        "acm-pca" => "it does not issue; make its status ACTIVE",
        "kms" => "it is disabled, or about to be deleted; enable it, or cancel its deletion",
        _ => "make it active",
    }
}

/// What to look at where AWS refuses for good.
pub fn refused(action: &str, code: &str) -> &'static str {
    match (service(action), code) {
        ("acm-pca", _) => "look at authority, template, validity and signing_algorithm in [credentials.acm_pca]",
        ("kms", "IncorrectKeyException") => "it was made with another key than the one that is configured",
        ("kms", "InvalidCiphertextException") => "it was changed, or made with another key or for another encryption context",
        ("kms", "InvalidKeyUsageException") => "the key is not made for this; look at its usage and its key spec",
        ("kms", _) => "look at the key's ARN, usage and key spec",
        _ => "look at what is configured for it",
    }
}

fn service(action: &str) -> &str {
    action.split_once(':').map_or("", |(service, _)| service)
}
