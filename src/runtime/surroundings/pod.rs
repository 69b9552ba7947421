//! What the service account's token says of the pod.
//!
//! The kubelet projects it into the pod. Its signature is not verified: it is our own token, and whoever could write another one into our file system
//! could write another configuration too. It proves nothing to anybody else.

use super::{Fact, Labels, Said, Unsaid, label, variable};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

/// Where the token is unless the pod switches it off.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Where EKS says that it projects one of its own: for IAM roles of service accounts, and for Pod Identity.
const EKS: [&str; 2] = ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];

/// Bytes of a token; real ones have about one thousand.
const LONGEST: u64 = 64 << 10;

pub(super) fn ask(fact: Fact) -> Result<Said, Unsaid> {
    let (path, claims) = token()?;
    let pod = &claims["kubernetes.io"];
    let value = match fact {
        Fact::K8sNamespace => &pod["namespace"],
        _ => &pod["serviceaccount"]["name"],
    };
    let by = path.display().to_string();
    match value.as_str() {
        Some(value) => Ok(Said { by, value: value.to_owned() }),
        None => {
            let problem = "is no projected service account token: it has no claim for that".into();
            Err(Unsaid::Unreadable { source_name: by, problem })
        }
    }
}

/// The pod.
pub(super) fn labels() -> Result<Labels, Unsaid> {
    let (_, claims) = token()?;
    Ok(label("pod", claims["kubernetes.io"]["pod"]["name"].as_str()).collect())
}

/// What the token says, and where it is.
fn token() -> Result<(PathBuf, Value), Unsaid> {
    let named = EKS.into_iter().filter_map(variable).map(PathBuf::from);
    let path = std::iter::once(PathBuf::from(TOKEN)).chain(named).find(|path| path.exists()).ok_or(Unsaid::Elsewhere(
        "there is no service account token: this is no pod, or automountServiceAccountToken is false and EKS projects none of its own",
    ))?;
    let unreadable = |problem: String| Unsaid::Unreadable { source_name: path.display().to_string(), problem };
    let token = read(&path).map_err(|error| unreadable(format!("cannot be read ({error})")))?;
    let claims = claims(&token).ok_or_else(|| unreadable("holds no JSON web token".into()))?;
    Ok((path, claims))
}

fn read(path: &PathBuf) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// The payload (RFC 7519, section 7.2).
fn claims(token: &str) -> Option<Value> {
    let mut parts = token.trim().split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else { return None };
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_parts_are_a_token() {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(r#"{"kubernetes.io":{"namespace":"shop"}}"#);
        assert_eq!(claims(&format!("e30.{payload}.sig\n")).unwrap()["kubernetes.io"]["namespace"], "shop");
        for bad in ["", "a.b", "a.b.c.d", &format!("{payload}.x"), "e30.%%%.sig", "e30.aGVsbG8.sig"] {
            assert!(claims(bad).is_none(), "{bad}");
        }
    }
}
