//! The signature algorithms that an issuer may be allowed, and no others (RFC 7518 section 3, RFC 8037 section 3.1).

/// How tokens are signed. What a table lists is what is taken; what a token says of itself must be in that list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of RFC 7518 and RFC 8037")]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

/// What kind of key an algorithm needs: one key never serves two kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// RSA, whatever the padding and the digest.
    Rsa,
    /// The curve P-256.
    P256,
    /// The curve P-384.
    P384,
    /// The curve of Ed25519.
    Ed25519,
}

impl Algorithm {
    const ALL: [(&str, Self); 9] = [
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
    ];

    /// The algorithm of this name, byte by byte.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, algorithm)| *algorithm)
    }

    /// Its registered name.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, algorithm)| *algorithm == self).map_or("", |(name, _)| name)
    }

    pub(super) fn family(self) -> Family {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => Family::Rsa,
            Self::Es256 => Family::P256,
            Self::Es384 => Family::P384,
            Self::EdDsa => Family::Ed25519,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Algorithm;

    #[test]
    fn names_are_exact_and_nothing_symmetric_is_among_them() {
        for (name, algorithm) in Algorithm::ALL {
            assert_eq!((Algorithm::named(name), algorithm.as_str()), (Some(algorithm), name));
        }
        for name in ["", "none", "None", "HS256", "HS384", "HS512", "rs256", "ES256K", "ES512", "RS1", "RS256 "] {
            assert_eq!(Algorithm::named(name), None, "{name}");
        }
    }
}
