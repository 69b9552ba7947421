//! Signed policy bundles.

use crate::policy::bundle::{Bundle, BundleError};
use crate::runtime::signer::PublicKey;
use serde_json::Value;
use std::time::SystemTime;

/// The public key of RFC 6979, appendix A.2.5, uncompressed; its private half is there for everybody to read, and signed none of the inputs.
const POINT: &str =
    "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";

/// What is read as a bundle every reader of JSON reads alike; what is signed of it is one text, and nobody makes one that the key did not sign.
pub(super) fn bundle(data: &[u8]) {
    let Ok(bundle) = Bundle::parse(data) else { return };
    let plain: Value = serde_json::from_slice(data).expect("it was read");
    let (claimed, manifest) = (bundle.claimed().clone(), &plain["manifest"]);
    assert_eq!((Some(&*claimed.name), Some(claimed.sequence)), (manifest["name"].as_str(), manifest["sequence"].as_u64()));
    let canonical = claimed.canonical();
    let again: Value = serde_json::from_str(&canonical).expect("it was written");
    assert_eq!(again.to_string(), canonical);
    for member in ["name", "version", "sha256", "sequence"] {
        assert_eq!(again[member], manifest[member]);
    }
    let refused = bundle.verified(&key(), SystemTime::now());
    assert!(matches!(refused, Err(BundleError::Signature { .. })), "nobody signed this");
}

fn key() -> PublicKey {
    let digits = |at| u8::from_str_radix(POINT.get(at..at + 2).unwrap_or_default(), 16).expect("digits");
    let point: Vec<u8> = (0..POINT.len()).step_by(2).map(digits).collect();
    PublicKey::from_point(&point).expect("a point")
}
