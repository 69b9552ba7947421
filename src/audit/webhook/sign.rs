//! What proves to the receiver that a message is ours, and new.

use crate::runtime::files::open_to_others;
use aws_lc_rs::hmac;
use http::HeaderValue;
use std::io::Read as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// The least bytes of a secret: fewer can be guessed.
const LEAST: usize = 32;

/// The most bytes that are read of its file.
const MOST: u64 = 4_096;

/// The secret that both sides know.
pub struct Secret(hmac::Key);

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read; trying again helps once it can.
    #[error("{0}")]
    Unreadable(#[from] std::io::Error),
    /// Others may read it; it helps to take that from them, and to replace it.
    #[error("can be read by others (mode {0:o}); chmod 600 it, and replace the secret")]
    Exposed(u32),
    /// It is too short or too long; it helps to write another one.
    #[error("the secret has {0} bytes; write 32 to 4096, such as of `openssl rand -hex 32`")]
    Length(usize),
}

impl Secret {
    /// Reads it from a file that only we may read; white space around it is not part of it.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let mut bytes = Zeroizing::new(Vec::new());
        let file = std::fs::File::open(path)?;
        if let Some(mode) = open_to_others(&file.metadata()?) {
            return Err(SecretError::Exposed(mode));
        }
        file.take(MOST + 1).read_to_end(&mut bytes)?;
        let secret = bytes.trim_ascii();
        if secret.len() < LEAST || bytes.len() as u64 > MOST {
            return Err(SecretError::Length(secret.len()));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// `t=<seconds since 1970>,v1=<HMAC-SHA256 in hex>` over `<seconds>.<body>`: an old message cannot be sent again with a new time.
    pub(super) fn signature(&self, body: &[u8], now: SystemTime) -> Option<HeaderValue> {
        let seconds = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{seconds}.").as_bytes());
        context.update(body);
        let tag = crate::identity::x509::hex(context.sign().as_ref());
        HeaderValue::from_str(&format!("t={seconds},v1={tag}")).ok()
    }
}
