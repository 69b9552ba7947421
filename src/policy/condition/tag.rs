//! `principal_tag`: what the caller's SPIFFE id says of it, read by the table's templates.

use crate::identity::Principal;
use crate::policy::Truth;
use crate::policy::canonical_json::object;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Reads tags off SPIFFE ids: `spiffe://{td}/env/{env}/sa/{name}`. A placeholder is one whole segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct Template {
    text: Box<str>,
    /// The trust domain, then the segments of the path.
    parts: Box<[Part]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Tag(Box<str>),
}

/// A test of tags: all of them must be there and say this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct TagTest {
    /// Names and values, in order of the names.
    pub(in crate::policy) wanted: Box<[(Box<str>, Box<str>)]>,
    /// Its number in [`Tags`].
    pub(in crate::policy) number: u32,
    /// Of the whole table: without them nobody knows what a tag is.
    pub(in crate::policy) templates: Arc<[Template]>,
}

/// A table's conditions on tags, each once, by number.
#[derive(Debug, Default)]
pub(in crate::policy) struct Tags(pub(in crate::policy) Box<[Arc<TagTest>]>);

impl Template {
    /// Reads one; the error is what is wrong with it.
    pub(in crate::policy) fn parse(text: &str) -> Result<Self, &'static str> {
        let rest = text.strip_prefix("spiffe://").ok_or("does not begin with spiffe://")?;
        let parts = rest.split('/').map(part).collect::<Result<Box<[Part]>, _>>()?;
        let names: Vec<&str> = parts.iter().filter_map(Part::tag).collect();
        match (parts.len(), names.as_slice()) {
            (0 | 1, _) => Err("has no path"),
            (_, []) => Err("has no placeholder, so it gives no tag"),
            (_, names) if (1..names.len()).any(|at| names[..at].contains(&names[at])) => Err("has a tag twice"),
            _ => Ok(Self { text: text.into(), parts }),
        }
    }

    /// Whether it has a placeholder of this name.
    pub(in crate::policy) fn gives(&self, name: &str) -> bool {
        self.parts.iter().any(|part| part.tag() == Some(name))
    }

    /// What the id says under each name; `None`: the template is not about such ids.
    fn read<'p>(&'p self, principal: &'p Principal) -> Option<Vec<(&'p str, &'p str)>> {
        let Principal::Spiffe(id) = principal else { return None };
        let mut actual = std::iter::once(id.trust_domain()).chain(id.segments());
        let mut tags = Vec::new();
        for part in &self.parts {
            match (part, actual.next()?) {
                (Part::Tag(name), value) => tags.push((&**name, value)),
                (Part::Literal(wanted), value) if **wanted == *value => {}
                _ => return None,
            }
        }
        actual.next().is_none().then_some(tags)
    }
}

fn part(text: &str) -> Result<Part, &'static str> {
    const SEGMENT: &str =
        "has a segment with something other than letters, digits, dot, dash and underscore, or a placeholder beside other text";
    if let Some(name) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        return if plain && !name.is_empty() {
            Ok(Part::Tag(name.into()))
        } else {
            Err("has a tag with something other than a-z, 0-9 and underscore")
        };
    }
    if is_value(text) { Ok(Part::Literal(text.into())) } else { Err(SEGMENT) }
}

/// Whether a segment of an id can be this.
pub(in crate::policy) fn is_value(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

impl Part {
    fn tag(&self) -> Option<&str> {
        match self {
            Self::Tag(name) => Some(name),
            Self::Literal(_) => None,
        }
    }
}

impl TagTest {
    /// By the first template that is about such ids. Where there is none it cannot be told; a tag that the template does not have is not there.
    fn holds(&self, principal: &Principal) -> Truth {
        let Some(tags) = self.templates.iter().find_map(|template| template.read(principal)) else { return Truth::Unknown };
        self.wanted.iter().all(|(name, value)| tags.contains(&(name, value))).into()
    }

    pub(super) fn json(&self) -> Value {
        let wanted: Map<String, Value> = self.wanted.iter().map(|(name, value)| (name.to_string(), json!(**value))).collect();
        let templates = self.templates.iter().map(|template| json!(&*template.text)).collect();
        object([("is", Value::Object(wanted)), ("template", templates)])
    }
}

impl Tags {
    /// Whether each holds for `principal`.
    pub(in crate::policy) fn truths(&self, principal: &Principal) -> Box<[Truth]> {
        self.0.iter().map(|test| test.holds(principal)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::SpiffeId;

    #[test]
    fn the_first_template_that_fits_is_read() {
        let templates = ["spiffe://{td}/env/{env}/ns/{team}/sa/{name}", "spiffe://prod.example/{kind}/{name}"];
        let templates: Arc<[Template]> = templates.iter().map(|text| Template::parse(text).unwrap()).collect();
        let holds = |wanted: &[(&str, &str)], id: &str| {
            let wanted = wanted.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            let principal = if id.contains("://") { Principal::Spiffe(SpiffeId::parse(id).unwrap()) } else { Principal::Dns(id.into()) };
            TagTest { wanted, number: 0, templates: Arc::clone(&templates) }.holds(&principal)
        };
        let id = "spiffe://prod.example/env/prod/ns/web/sa/a";
        let table = [
            (&[("env", "prod")][..], id, Truth::True),
            (&[("env", "prod"), ("td", "prod.example"), ("team", "web")], id, Truth::True),
            (&[("env", "prod"), ("team", "ops")], id, Truth::False),
            (&[("env", "pro")], id, Truth::False),
            (&[("kind", "env")], id, Truth::False),
            (&[("kind", "human"), ("name", "alice")], "spiffe://prod.example/human/alice", Truth::True),
            (&[("env", "prod")], "spiffe://prod.example/human/alice", Truth::False),
            (&[("kind", "human")], "spiffe://other.example/human/alice", Truth::Unknown),
            (&[("env", "prod")], "spiffe://prod.example/env/prod/ns/web/sa/a/b", Truth::Unknown),
            (&[("env", "prod")], "a.example", Truth::Unknown),
        ];
        for (wanted, id, truth) in table {
            assert_eq!(holds(wanted, id), truth, "{wanted:?} {id}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in [
            "",
            "{a}/b",
            "spiffe://{td}",
            "spiffe://d/a",
            "spiffe://d/{a}/{a}",
            "spiffe://d/x{a}",
            "spiffe://d/{}",
            "spiffe://d/{A}",
            "spiffe://d//{a}",
            "spiffe://d/*/{a}",
        ] {
            assert!(Template::parse(text).is_err(), "{text:?}");
        }
    }
}
