//! A key in a file, for where there is no key service.

use super::{DigestSigner, PublicKey, Sha256, SignError, Signature, Signing};
use crate::runtime::files::open_to_others;
use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use zeroize::Zeroizing;

/// The most bytes that are read of the file; a key of P-256 has some 240.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// Signs digests with a P-256 key that was read from a file which only we may read: PKCS#8 in PEM, not encrypted.
pub struct FileSigner {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

/// Why a file gives no key to sign with. Trying again helps once the file is another.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// It cannot be read.
    #[error("cannot be read ({0})")]
    File(#[from] io::Error),
    /// Others may read it.
    #[error("can be read by others (mode {mode:o}); chmod 600 it, and replace the key")]
    Exposed {
        /// Its permissions.
        mode: u32,
    },
    /// It is something else.
    #[error("holds no private key of P-256: PKCS#8 in PEM, as `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` writes it")]
    NoKey,
}

impl FileSigner {
    /// Reads the key.
    ///
    /// # Errors
    /// See [`SigningKeyError`]; none of them repeats what the file holds.
    pub fn read(path: &Path) -> Result<Self, SigningKeyError> {
        let file = File::open(path)?;
        if let Some(mode) = open_to_others(&file.metadata()?) {
            return Err(SigningKeyError::Exposed { mode });
        }
        let mut pem = Zeroizing::new(Vec::new());
        file.take(MAX_FILE_BYTES).read_to_end(&mut pem)?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|_| SigningKeyError::NoKey)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der.secret_pkcs8_der());
        let pair = pair.map_err(|_| SigningKeyError::NoKey)?;
        let public = PublicKey::from_point(pair.public_key().as_ref()).map_err(|_| SigningKeyError::NoKey)?;
        Ok(Self { pair, public })
    }
}

impl DigestSigner for FileSigner {
    fn public_key(&self) -> Signing<'_, PublicKey> {
        Box::pin(std::future::ready(Ok(self.public.clone())))
    }

    fn sign<'a>(&'a self, digest: &'a Sha256) -> Signing<'a, Signature> {
        Box::pin(async move {
            let imported = Digest::import_less_safe(digest, &SHA256).map_err(|_| SignError::Unverified)?;
            let signed = self.pair.sign_digest(&imported).map_err(|_| SignError::Unverified)?;
            self.public.verified(digest, signed.as_ref().to_vec())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    fn written(bytes: &[u8], mode: u32) -> Result<FileSigner, SigningKeyError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        FileSigner::read(&path)
    }

    #[tokio::test]
    async fn what_a_file_key_signs_verifies_under_its_public_half() {
        let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
        let signer = written(pem.as_bytes(), 0o600).unwrap();
        let public = signer.public_key().await.unwrap();
        let signature = signer.sign(&[7; 32]).await.unwrap();
        assert!(public.verified(&[7; 32], signature.der().to_vec()).is_ok());
        assert!(public.verified(&[8; 32], signature.der().to_vec()).is_err());
        assert!(matches!(written(pem.as_bytes(), 0o640), Err(SigningKeyError::Exposed { mode: 0o640 })));
    }

    #[test]
    fn anything_else_is_no_key() {
        let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
        for wrong in [other.as_bytes(), b"", b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"] {
            assert!(matches!(written(wrong, 0o600), Err(SigningKeyError::NoKey)));
        }
        assert!(matches!(FileSigner::read(Path::new("/nowhere/key.pem")), Err(SigningKeyError::File(_))));
    }
}
