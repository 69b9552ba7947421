//! A key in a file, for where there is no key service.

use super::{Context, DataKey, KEY_BYTES, Key, SealError, Sealer, Sealing, bound, decrypt, encrypt};
use crate::runtime::files::open_to_others;
use crate::runtime::watch::read_capped;
use aws_lc_rs::aead::NONCE_LEN;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// 64 digits and what editors append.
const MAX_FILE_BYTES: u64 = 128;

const NAME: &str = "a key file";

/// Wraps data keys with AES-256-GCM under a key in a file that only we may read: 64 hexadecimal digits. It is read anew each time, so that it may be
/// replaced while we run.
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The key in this file, which need not be there yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    async fn key(&self) -> Result<Key, SealError> {
        let failed = |error| SealError::File { path: self.path.clone(), error };
        let metadata = tokio::fs::metadata(&self.path).await.map_err(failed)?;
        is_ours_alone(&self.path, &metadata)?;
        let text = Zeroizing::new(read_capped(&self.path, MAX_FILE_BYTES).await.map_err(failed)?);
        key_of(text.trim_ascii()).ok_or_else(|| SealError::NoKey { path: self.path.clone() })
    }
}

/// A key that is read once, at start, in the same form. Blocks.
///
/// # Errors
/// The file cannot be read, is open to others, or holds no key.
pub fn read_key(path: &Path) -> Result<Key, SealError> {
    let failed = |error| SealError::File { path: path.to_owned(), error };
    let file = File::open(path).map_err(failed)?;
    is_ours_alone(path, &file.metadata().map_err(failed)?)?;
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES as usize));
    file.take(MAX_FILE_BYTES).read_to_end(&mut text).map_err(failed)?;
    key_of(text.trim_ascii()).ok_or_else(|| SealError::NoKey { path: path.to_owned() })
}

fn is_ours_alone(path: &Path, metadata: &Metadata) -> Result<(), SealError> {
    match open_to_others(metadata) {
        None => Ok(()),
        Some(mode) => Err(SealError::Exposed { path: path.to_owned(), mode }),
    }
}

fn key_of(digits: &[u8]) -> Option<Key> {
    let mut key = Key::default();
    if digits.len() != 2 * KEY_BYTES {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(digits.as_chunks::<2>().0) {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        *byte = u8::try_from(high? << 4 | low?).ok()?;
    }
    Some(key)
}

impl Sealer for KeyFile {
    fn name(&self) -> &'static str {
        NAME
    }

    fn data_key<'a>(&'a self, context: &'a Context) -> Sealing<'a, DataKey> {
        Box::pin(async move {
            let wrapping = self.key().await?;
            let mut key = Key::default();
            aws_lc_rs::rand::fill(key.as_mut_slice()).map_err(|_| SealError::Refused)?;
            let mut sealed = Zeroizing::new(key.to_vec());
            let nonce = encrypt(&wrapping, &bound(NAME, context, &[]), &mut sealed)?;
            Ok(DataKey { key, wrapped: [nonce.as_ref(), sealed.as_slice()].concat() })
        })
    }

    fn unwrap<'a>(&'a self, context: &'a Context, wrapped: &'a [u8]) -> Sealing<'a, Key> {
        Box::pin(async move {
            let wrapping = self.key().await?;
            let (nonce, sealed) = wrapped.split_at_checked(NONCE_LEN).ok_or(SealError::Damaged)?;
            let mut opened = Zeroizing::new(sealed.to_vec());
            decrypt(&wrapping, &bound(NAME, context, &[]), nonce, &mut opened)?;
            let mut key = Key::default();
            if opened.len() != KEY_BYTES {
                return Err(SealError::Damaged);
            }
            key.copy_from_slice(&opened);
            Ok(key)
        })
    }
}
