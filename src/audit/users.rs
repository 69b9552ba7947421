//! What records call end users.

use super::Users;
use super::json::{Line, key};
use crate::policy::User;
use crate::runtime::sealer::read_key;
use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};
use std::fmt::Write as _;
use std::io;
use zeroize::Zeroizing;

/// What stands before a name that is none of the user's own.
const PREFIX: &str = "hmac-sha256:";

/// How their names are written.
pub(super) enum Names {
    /// As the token says them.
    Plain,
    /// As HMAC-SHA256 under a key that is never in the log: whoever has the log cannot try names out, and one user still has one name.
    Hashed(Box<Key>),
}

impl Names {
    pub(super) fn of(users: &Users) -> io::Result<Self> {
        let key = match users {
            Users::Plain => return Ok(Self::Plain),
            Users::HashedUnder(path) => read_key(path).map_err(io::Error::other)?,
            Users::HashedForThisBoot => {
                let mut key = Zeroizing::new([0; 32]);
                aws_lc_rs::rand::fill(key.as_mut_slice()).map_err(|_| io::Error::other("the system gives no random bytes"))?;
                key
            }
        };
        Ok(Self::Hashed(Box::new(Key::new(HMAC_SHA256, key.as_slice()))))
    }

    /// Appends `user`.
    pub(super) fn render(&self, line: &mut Line<'_>, user: &User) {
        line.open(key!("user"));
        line.text(key!("iss"), &user.iss);
        match self {
            Self::Plain => line.optional(key!("sub"), user.sub.as_deref()),
            Self::Hashed(key) => line.optional(key!("sub"), user.sub.as_deref().map(|sub| hashed(key, &user.iss, sub)).as_deref()),
        }
        line.close();
    }
}

/// Over the issuer too, length first: a `sub` is unique only there (RFC 7519 section 4.1.2), and no two pairs are one text.
fn hashed(key: &Key, iss: &str, sub: &str) -> String {
    let mut context = Context::with_key(key);
    context.update(&(iss.len() as u64).to_be_bytes());
    context.update(iss.as_bytes());
    context.update(sub.as_bytes());
    let mut name = PREFIX.to_owned();
    for byte in context.sign().as_ref() {
        // Writing into a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn rendered(names: &Names, iss: &str, sub: Option<&str>) -> serde_json::Value {
        let mut out = Vec::new();
        let mut line = Line::begin(&mut out);
        line.number(key!("a"), 1);
        names.render(&mut line, &User { iss: iss.into(), sub: sub.map(Into::into) });
        line.end();
        out.push(b'}');
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_hashed_name_is_the_same_under_one_key_and_only_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.key");
        std::fs::write(&path, "0b".repeat(32) + "\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let kept = || Names::of(&Users::HashedUnder(path.clone())).unwrap();
        let name = |names: &Names, iss: &str, sub: &str| rendered(names, iss, Some(sub))["user"]["sub"].as_str().unwrap().to_owned();
        let alice = name(&kept(), "https://idp", "alice");
        // Python: hmac.new(bytes.fromhex("0b" * 32), len(iss).to_bytes(8, "big") + iss + sub, "sha256").hexdigest()
        assert_eq!(alice, "hmac-sha256:c4727f9ae42c236935b6eaa262218244810fa791e73ef93965062240caed26e3");
        assert_eq!(alice, name(&kept(), "https://idp", "alice"));
        assert_ne!(alice, name(&kept(), "https://idpa", "lice"));
        let boots = [(); 2].map(|()| Names::of(&Users::HashedForThisBoot).unwrap());
        assert_eq!(name(&boots[0], "https://idp", "alice"), name(&boots[0], "https://idp", "alice"));
        assert_ne!(name(&boots[0], "https://idp", "alice"), name(&boots[1], "https://idp", "alice"));
        assert_eq!(rendered(&kept(), "https://idp", None)["user"], serde_json::json!({"iss": "https://idp"}));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Names::of(&Users::HashedUnder(path)).is_err_and(|error| error.to_string().contains("can be read by others")));
    }

    #[test]
    fn a_plain_name_is_what_the_token_says() {
        let user = &rendered(&Names::Plain, "https://idp", Some("a\"b\n"))["user"];
        assert_eq!(user, &serde_json::json!({"iss": "https://idp", "sub": "a\"b\n"}));
    }
}
