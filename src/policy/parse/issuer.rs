//! `[[jwt_issuer]]`.

use super::fields::{each, list_of};
use crate::document::Section;
use crate::fetch::Url;
use crate::policy::jwt::{Algorithm, Issuer, Issuers, Source};

type Wrong = (String, String);

/// The most issuers of a table: each costs a look at its keys for every token.
const MOST: usize = 32;

/// Reads the issuers; what is wrong is noted.
pub(super) fn read(root: &Section<'_>) -> Issuers {
    let sections = root.sections("jwt_issuer");
    if sections.len() > MOST {
        root.problem("jwt_issuer", format!("is there {} times", sections.len()), "write at most 32 issuers");
    }
    let mut issuers: Vec<Issuer> = Vec::new();
    for section in sections {
        let place = section.place_of("iss");
        let Some(issuer) = issuer(section) else { continue };
        if issuers.iter().any(|known| known.iss == issuer.iss) {
            let what = format!("`{}` is an issuer already", issuer.iss);
            root.document().report(place, what, "write it once: iss is how a token says whose it is");
            continue;
        }
        issuers.push(issuer);
    }
    Issuers::new(issuers)
}

fn issuer(section: Section<'_>) -> Option<Issuer> {
    for (key, instead) in [
        ("iss", "write iss = \"https://…\", as its tokens have it"),
        ("aud", "write aud = [\"…\"], what its tokens for this service have there; tokens for others are refused"),
        ("jwks", "write jwks = \"https://…\" or \"file:/…\""),
        ("algs", "write algs = [\"RS256\"], how its tokens are signed"),
    ] {
        if !section.has(key) {
            section.problem(key, "is missing", instead);
        }
    }
    let iss = section.str("iss").and_then(|item| each(&section, item, text));
    let aud = list_of(&section, "aud", "list at least one audience", text);
    let jwks = section.str("jwks").and_then(|item| each(&section, item, source));
    let algs = list_of(&section, "algs", "list at least one algorithm", algorithm);
    section.close();
    Some(Issuer::new(&iss?, aud?, algs?, jwks?))
}

fn text(text: &str) -> Result<Box<str>, Wrong> {
    if text.is_empty() { Err(("is empty".into(), "write it as tokens have it".into())) } else { Ok(text.into()) }
}

fn algorithm(text: &str) -> Result<Algorithm, Wrong> {
    const KNOWN: &str = "write some of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA";
    let wrong = |what: &str| Err((what.to_owned(), KNOWN.to_owned()));
    match Algorithm::named(text) {
        Some(algorithm) => Ok(algorithm),
        None if text.eq_ignore_ascii_case("none") => wrong("is no signature: anybody could write such a token"),
        None if text.starts_with("HS") => wrong("is symmetric: whoever verifies such a token could write one"),
        None => wrong("is no algorithm that is known here"),
    }
}

fn source(text: &str) -> Result<Source, Wrong> {
    let wrong = |what: &str| Err((what.to_owned(), "write \"https://…\", or \"file:/etc/countersign/jwks.json\"".to_owned()));
    if let Some(path) = text.strip_prefix("file:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return if path.is_empty() { wrong("names no file") } else { Ok(Source::File(path.into())) };
    }
    if text.starts_with("http:") {
        return wrong("is not encrypted: whoever is on the way could put keys of their own there");
    }
    Url::parse(text).map(Source::Remote).or_else(wrong)
}
