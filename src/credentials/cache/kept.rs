//! What is kept, as text: a document in JSON that is never on disk unsealed.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// A certificate that was kept, with its key.
pub struct Kept {
    /// The leaf first, then its issuers without the root.
    pub chain: Vec<CertificateDer<'static>>,
    /// PKCS#8.
    pub key: PrivateKeyDer<'static>,
    /// When it was issued, to the second.
    pub issued_at: SystemTime,
}

/// Chain, key and moment as text; wiped when it is dropped.
pub fn text(chain: &[CertificateDer<'static>], key: &PrivateKeyDer<'static>, issued_at: SystemTime) -> Zeroizing<Vec<u8>> {
    let chain: Vec<_> = chain.iter().map(|certificate| BASE64_STANDARD.encode(certificate)).collect();
    let since = issued_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let public = json!({ "chain": chain, "issued_at": since }).to_string();
    let key = Zeroizing::new(BASE64_STANDARD.encode(key.secret_der()));
    // By hand, with room for all of it: the key's text shall lie in no buffer that is not wiped.
    let mut text = Zeroizing::new(Vec::with_capacity(public.len() + key.len() + 16));
    text.extend_from_slice(b"{\"key\":\"");
    text.extend_from_slice(key.as_bytes());
    text.extend_from_slice(b"\",");
    text.extend_from_slice(public.as_bytes().get(1..).unwrap_or_default());
    text
}

/// What [`text`] wrote; `None`: it did not.
pub fn parse(text: &[u8]) -> Option<Kept> {
    let mut document: Value = serde_json::from_slice(text).ok()?;
    let key = match document.get_mut("key")?.take() {
        Value::String(key) => Zeroizing::new(key),
        _ => return None,
    };
    let key = PrivatePkcs8KeyDer::from(BASE64_STANDARD.decode(key.as_bytes()).ok()?);
    let certificate = |text: &Value| BASE64_STANDARD.decode(text.as_str()?).ok().map(CertificateDer::from);
    let chain = document.get("chain")?.as_array()?.iter().map(certificate).collect::<Option<Vec<_>>>()?;
    let since = Duration::from_secs(document.get("issued_at")?.as_u64()?);
    Some(Kept { chain, key: key.into(), issued_at: SystemTime::UNIX_EPOCH.checked_add(since)? })
}
