//! Tokens of end users, and the keys that they are verified by.

use crate::policy::jwt::trial;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// The public keys of RFC 7515, appendices A.2 and A.3, whose tokens are there for everybody to read and to change.
const KEYS: &str = r#"{"keys":[
{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"},
{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

/// Nobody makes a token that is believed without the key, and what is read of one every reader of JSON would read.
pub(super) fn token(data: &[u8]) {
    // Before 2011-03-22T18:43:00Z, when those of the appendices end.
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_300_000_000);
    let judged = || trial::judged(KEYS, "joe", data, then);
    let first = judged();
    assert_eq!(first, judged());
    assert!(first.is_err(), "nobody signed this for us");
    let payload = || URL_SAFE_NO_PAD.decode(data.split(|byte| *byte == b'.').nth(1)?).ok();
    if let Some(claims) = trial::claims(data) {
        let plain: Value = serde_json::from_slice(&payload().expect("it was decoded")).expect("it was read");
        assert_eq!(claims, plain);
    }
}

/// What a set is read from is JSON to everybody, and gives as many keys each time, none without a place in it.
pub(super) fn key_set(data: &[u8]) {
    let plain = serde_json::from_slice::<Value>(data).ok();
    if let Some(object) = trial::object(data) {
        assert_eq!(Some(&object), plain.as_ref());
    }
    let keys = trial::keys(data);
    assert_eq!(keys, trial::keys(data));
    if let Some(keys) = keys {
        let listed = plain.as_ref().and_then(|set| set["keys"].as_array()).map_or(0, Vec::len);
        assert!((1..=256).contains(&keys) && keys <= listed, "{keys} of {listed}");
    }
}
