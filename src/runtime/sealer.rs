//! Secrets on disk: each is sealed with AES-256-GCM under a data key of its own, and who keeps data keys is a [`Sealer`].

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use zeroize::Zeroizing;

mod key_file;

pub use key_file::{KeyFile, read_key};

/// Names the format; it is sealed in.
const FORMAT: &str = "countersign.sealed/1";

/// Bytes of a data key.
pub const KEY_BYTES: usize = 32;

/// A key for one secret; wiped when it is dropped.
pub type Key = Zeroizing<[u8; KEY_BYTES]>;

/// A future of a sealer.
pub type Sealing<'a, T> = Pin<Box<dyn Future<Output = Result<T, SealError>> + Send + 'a>>;

/// Whose secret it is and what for; it opens as nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The workload's SPIFFE id.
    pub workload: String,
    /// Such as `certificate`.
    pub purpose: &'static str,
}

/// A new key, and the form in which it is kept beside what it seals.
pub struct DataKey {
    /// The key itself.
    pub key: Key,
    /// What only the sealer makes a key again.
    pub wrapped: Vec<u8>,
}

/// Makes data keys and opens wrapped ones, each for one [`Context`] alone. An answer, or an error, is there within seconds: a start waits for it.
pub trait Sealer: Send + Sync {
    /// Its name in sealed files and messages, such as `kms`.
    fn name(&self) -> &'static str;

    /// A new data key.
    fn data_key<'a>(&'a self, context: &'a Context) -> Sealing<'a, DataKey>;

    /// The data key that was wrapped for the same context.
    fn unwrap<'a>(&'a self, context: &'a Context, wrapped: &'a [u8]) -> Sealing<'a, Key>;
}

/// Why a secret is not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A file cannot be read or written.
    #[error("{}: {error}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        error: std::io::Error,
    },
    /// The sealing key's file is open to others.
    #[error("{} can be read by others (mode {mode:o}); chmod 600 it, and replace the key", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The sealing key's file holds no key.
    #[error("{} holds no sealing key: 64 hexadecimal digits, such as `openssl rand -hex 32` writes", .path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// What is on disk is not of this format, or incomplete.
    #[error("it is no sealed file, or it is damaged")]
    Damaged,
    /// It was sealed by another kind of sealer.
    #[error("it was sealed with {found}, and {wanted} is configured")]
    OtherSealer {
        /// What it says.
        found: String,
        /// What is configured.
        wanted: &'static str,
    },
    /// It was sealed for somebody or something else.
    #[error("it was sealed for {found}, and this is {wanted}")]
    OtherContext {
        /// Workload and purpose that it names.
        found: String,
        /// Ours.
        wanted: String,
    },
    /// The key is another one, or a byte was changed.
    #[error("it does not open: it was sealed under another key, or it was changed")]
    Refused,
    /// The key service failed.
    #[error("{0}")]
    Service(Box<dyn std::error::Error + Send + Sync>),
}

/// Seals `secret` for `context` under a new data key.
///
/// # Errors
/// The sealer's.
pub async fn seal(sealer: &dyn Sealer, context: &Context, secret: &[u8]) -> Result<Vec<u8>, SealError> {
    let DataKey { key, wrapped } = sealer.data_key(context).await?;
    let mut sealed = Zeroizing::new(secret.to_vec());
    let nonce = encrypt(&key, &bound(sealer.name(), context, &wrapped), &mut sealed)?;
    let text = json!({
        "v": FORMAT,
        "sealer": sealer.name(),
        "workload": context.workload,
        "purpose": context.purpose,
        "key": BASE64_STANDARD.encode(&wrapped),
        "nonce": BASE64_STANDARD.encode(nonce.as_ref()),
        "secret": BASE64_STANDARD.encode(sealed.as_slice()),
    });
    Ok(text.to_string().into_bytes())
}

/// Opens what [`seal`] made for the same context.
///
/// # Errors
/// It is damaged, was made for another context or by another sealer; or the sealer's.
pub async fn open(sealer: &dyn Sealer, context: &Context, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let document: Value = serde_json::from_slice(sealed).map_err(|_| SealError::Damaged)?;
    let text = |name: &str| document.get(name).and_then(Value::as_str).ok_or(SealError::Damaged);
    let bytes = |name: &str| text(name).and_then(|text| BASE64_STANDARD.decode(text).map_err(|_| SealError::Damaged));
    if text("v")? != FORMAT {
        return Err(SealError::Damaged);
    }
    if text("sealer")? != sealer.name() {
        return Err(SealError::OtherSealer { found: text("sealer")?.to_owned(), wanted: sealer.name() });
    }
    let (found, wanted) =
        (format!("{} of {}", text("purpose")?, text("workload")?), format!("{} of {}", context.purpose, context.workload));
    if found != wanted {
        return Err(SealError::OtherContext { found, wanted });
    }
    let (wrapped, nonce) = (bytes("key")?, bytes("nonce")?);
    let mut secret = Zeroizing::new(bytes("secret")?);
    let key = sealer.unwrap(context, &wrapped).await?;
    decrypt(&key, &bound(sealer.name(), context, &wrapped), &nonce, &mut secret)?;
    Ok(secret)
}

/// What is authenticated beside the secret: each part with its length, so that no two contexts are the same bytes.
fn bound(sealer: &str, context: &Context, wrapped: &[u8]) -> Vec<u8> {
    let mut bound = Vec::new();
    for part in [FORMAT.as_bytes(), sealer.as_bytes(), context.workload.as_bytes(), context.purpose.as_bytes(), wrapped] {
        bound.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bound.extend_from_slice(part);
    }
    bound
}

/// Encrypts in place and appends the tag; gives the nonce, which is random: a data key seals one secret only.
fn encrypt(key: &Key, bound: &[u8], secret: &mut Vec<u8>) -> Result<Nonce, SealError> {
    // What follows the secret in memory must not move it: the old place would not be wiped.
    let mut room = Zeroizing::new(Vec::with_capacity(secret.len() + AES_256_GCM.tag_len()));
    room.extend_from_slice(secret);
    std::mem::swap(secret, &mut room);
    let key = RandomizedNonceKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| SealError::Refused)?;
    key.seal_in_place_append_tag(Aad::from(bound), secret).map_err(|_| SealError::Refused)
}

/// Decrypts in place and takes the tag off.
fn decrypt(key: &Key, bound: &[u8], nonce: &[u8], secret: &mut Vec<u8>) -> Result<(), SealError> {
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Damaged)?;
    let key = RandomizedNonceKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| SealError::Refused)?;
    let length = key.open_in_place(nonce, Aad::from(bound), secret).map_err(|_| SealError::Refused)?.len();
    secret.truncate(length);
    Ok(())
}

#[cfg(test)]
mod tests;
