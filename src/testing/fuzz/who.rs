//! Identities: SPIFFE ids, certificates, and what the app is told of them.

use crate::identity::x509::{Leaf, UriError};
use crate::identity::{Principal, SpiffeId};
use crate::proxy::client_cert;

/// An id is accepted exactly when the standard's grammar, written down once more in another way, accepts it; and it keeps its text.
pub(super) fn spiffe_id(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let parsed = SpiffeId::parse(text);
    assert_eq!(parsed.is_ok(), is_spiffe_id(data), "{text:?} gives {parsed:?}");
    let Ok(id) = parsed else { return };
    assert_eq!(id.as_str(), text);
    let again = std::iter::once(id.trust_domain()).chain(id.segments()).collect::<Vec<_>>().join("/");
    assert_eq!(format!("spiffe://{again}"), text);
}

fn is_spiffe_id(text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(b"spiffe://") else { return false };
    let mut parts = rest.split(|byte| *byte == b'/');
    let domain = parts.next().unwrap_or_default();
    let path: Vec<&[u8]> = parts.collect();
    let common = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    let segment = |part: &&[u8]| !matches!(*part, b"" | b"." | b"..") && part.iter().all(|byte| common(byte) || byte.is_ascii_uppercase());
    text.len() <= 2_048 && (1..=255).contains(&domain.len()) && domain.iter().all(common) && !path.is_empty() && path.iter().all(segment)
}

/// A certificate gives an identity only from exactly one URI SAN, and no name with a NUL or outside ASCII gets through.
pub(super) fn x509(data: &[u8]) {
    let Ok(leaf) = Leaf::parse(data) else { return };
    assert!(leaf.uris.iter().chain(&leaf.dns_names).all(|name| name.is_ascii() && !name.contains('\0')));
    assert!(leaf.dns_names.iter().all(|name| !name.contains(|letter: char| letter.is_ascii_uppercase())));
    assert!(!leaf.serial.is_empty() && leaf.fingerprint.len() == 64);
    assert!(!leaf.subject.contains(char::is_control) && !leaf.issuer.contains(char::is_control));
    match leaf.spiffe_id() {
        Ok(None) => assert!(leaf.uris.is_empty()),
        Ok(Some(id)) => assert_eq!([id.as_str()], leaf.uris.as_slice()),
        Err(UriError::Several(count)) => assert!(count > 1 && count == leaf.uris.len()),
        Err(UriError::NotSpiffe(_)) => assert_eq!(leaf.uris.len(), 1),
    }
    if let Ok(Some(id)) = leaf.spiffe_id() {
        one_element(leaf, Principal::Spiffe(id));
    }
}

/// Whatever a subject says, the app reads one element with our four pairs and the subject as it was.
pub(super) fn forwarded_client_cert(data: &[u8]) {
    let Ok(subject) = std::str::from_utf8(data) else { return };
    let leaf = Leaf {
        uris: Vec::new(),
        dns_names: Vec::new(),
        serial: "01".into(),
        fingerprint: "0".repeat(64),
        issuer: String::new(),
        subject: subject.into(),
        not_before: std::time::SystemTime::UNIX_EPOCH,
        not_after: std::time::SystemTime::UNIX_EPOCH,
        is_ca: false,
        is_development: false,
    };
    let id = SpiffeId::parse("spiffe://prod.example/ns/web/sa/frontend").expect("a valid id");
    one_element(leaf, Principal::Spiffe(id));
}

fn one_element(leaf: Leaf, principal: Principal) {
    let uri = principal.as_str().to_owned();
    let peer = leaf.into_peer(principal);
    let text = client_cert("spiffe://prod.example/ns/shop/sa/orders", &peer);
    let expected = [
        ("By", "spiffe://prod.example/ns/shop/sa/orders"),
        ("Hash", peer.fingerprint.as_str()),
        ("Subject", peer.subject.as_str()),
        ("URI", uri.as_str()),
    ];
    let read = elements(&text).unwrap_or_else(|| panic!("{text:?} is not well-formed"));
    let read: Vec<Vec<(&str, &str)>> =
        read.iter().map(|pairs| pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()).collect();
    assert_eq!(read, [expected.to_vec()], "{text:?}");
}

type Pairs = Vec<(String, String)>;

/// Reads the header as its format says: elements parted by commas, pairs by semicolons, values quoted where they hold a special character.
fn elements(text: &str) -> Option<Vec<Pairs>> {
    let mut elements = vec![Pairs::new()];
    let mut rest = text.chars().peekable();
    loop {
        let key: String = std::iter::from_fn(|| rest.next_if(|next| *next != '=')).collect();
        rest.next()?;
        let value = if rest.next_if_eq(&'"').is_some() { quoted(&mut rest)? } else { plain(&mut rest) };
        elements.last_mut()?.push((key, value));
        match rest.next() {
            None => return Some(elements),
            Some(';') => {}
            Some(',') => elements.push(Pairs::new()),
            Some(_) => return None,
        }
    }
}

fn quoted(rest: &mut impl Iterator<Item = char>) -> Option<String> {
    let mut value = String::new();
    loop {
        match rest.next()? {
            '"' => return Some(value),
            '\\' => value.push(rest.next()?),
            other => value.push(other),
        }
    }
}

fn plain(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    std::iter::from_fn(|| rest.next_if(|next| !matches!(next, ';' | ',' | '"'))).collect()
}
