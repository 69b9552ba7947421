//! Identities as sequences of parts, and back.

use super::{Alphabet, Budget, Exhausted, Way, ways};
use crate::identity::pattern::PrincipalPattern;
use crate::identity::{Principal, SpiffeId};
use crate::policy::pattern::{Shape, Step};
use crate::policy::principals::shape;
use crate::policy::rule::From;

/// Whom a rule is about, as shapes: one for each pattern, two for everybody.
pub(in crate::policy) fn shapes(from: &From) -> Vec<Shape<'_>> {
    let everybody = from.any_authenticated.then(everybody);
    everybody.into_iter().flatten().chain(from.patterns().map(shape)).collect()
}

/// Every SPIFFE id, and every DNS name.
pub(in crate::policy) fn everybody() -> [Shape<'static>; 2] {
    let literal = Step::Literal;
    [Shape { steps: vec![literal("spiffe"), Step::Any], rest: true }, Shape { steps: vec![literal("dns")], rest: true }]
}

/// The identity of these parts.
pub(in crate::policy) fn principal(parts: &[String]) -> Option<Principal> {
    match parts.split_first()? {
        (kind, [domain, path @ ..]) if kind == "spiffe" => {
            SpiffeId::parse(&format!("spiffe://{domain}/{}", path.join("/"))).ok().map(Principal::Spiffe)
        }
        (_, labels) => Some(Principal::Dns(labels.join(".").into())),
    }
}

/// A member of a pattern that as few as can be of these others have in common with it.
pub(in crate::policy) fn plainest(
    pattern: &PrincipalPattern,
    others: &[&Shape],
    budget: &mut Budget,
) -> Result<Option<Principal>, Exhausted> {
    let ways = ways(&shape(pattern), others, Alphabet::Identity, budget)?;
    let plainest = ways.iter().min_by_key(|way| way.met.len());
    Ok(plainest.and_then(|Way { example, .. }| principal(example)))
}
