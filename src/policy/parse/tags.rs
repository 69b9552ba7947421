//! `[tags]` of a table, and `principal_tag` of a rule.

use super::fields::{each, list_of, not_built};
use crate::document::Section;
use crate::policy::condition::{TagTest, Tags, Template, is_value};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The most templates, and the most conditions on tags that differ: all are tried when an identity is met for the first time.
const TEMPLATES: usize = 64;
const CONDITIONS: usize = 1_024;

/// The conditions on tags of a table, each once, and what they are read by.
#[derive(Debug)]
pub(super) struct Tagging {
    templates: Arc<[Template]>,
    known: RefCell<HashMap<Wanted, Arc<TagTest>>>,
}

/// Values by the names of their tags.
type Wanted = BTreeMap<Box<str>, Box<str>>;

impl Tagging {
    /// Reads `[tags]`.
    pub(super) fn read(root: &Section<'_>) -> Self {
        let templates = root.section("tags").and_then(|section| {
            // A map says of an identity what its certificate does not: that belongs into a table that is signed.
            not_built(&section, "identities");
            let read = |text: &str| {
                let instead = "write it as in \"spiffe://{td}/env/{env}/ns/{team}/sa/{name}\"";
                Template::parse(text).map_err(|what| (what.to_owned(), instead.to_owned()))
            };
            let templates = list_of(&section, "template", "list at least one template", read);
            if !section.has("template") && !section.has("identities") {
                root.problem("tags", "has no template", "write template = [\"spiffe://{td}/env/{env}/sa/{name}\"]");
            }
            if templates.as_ref().is_some_and(|templates| templates.len() > TEMPLATES) {
                section.problem("template", "has more than 64 templates", "write fewer that say more");
            }
            section.close();
            templates
        });
        Self { templates: templates.unwrap_or_default().into(), known: RefCell::default() }
    }

    /// All conditions that were read.
    pub(super) fn finish(self) -> Tags {
        let mut tests: Vec<Arc<TagTest>> = self.known.into_inner().into_values().collect();
        tests.sort_unstable_by_key(|test| test.number);
        Tags(tests.into())
    }

    fn number(&self, wanted: Wanted) -> Option<Arc<TagTest>> {
        let mut known = self.known.borrow_mut();
        let number = u32::try_from(known.len()).ok()?;
        if known.len() >= CONDITIONS && !known.contains_key(&wanted) {
            return None;
        }
        let templates = Arc::clone(&self.templates);
        let make = || Arc::new(TagTest { wanted: wanted.clone().into_iter().collect(), number, templates });
        Some(Arc::clone(known.entry(wanted.clone()).or_insert_with(make)))
    }
}

/// Reads the condition; what is wrong is noted.
pub(super) fn read(when: &Section<'_>, tagging: &Tagging) -> Option<Arc<TagTest>> {
    let section = when.section("principal_tag")?;
    let mut wanted = BTreeMap::new();
    for (name, value) in section.named_strings() {
        let name = each(&section, name, |name| {
            let gives = tagging.templates.iter().any(|template| template.gives(name));
            let instead = "name a {placeholder} of template in [tags]";
            if gives { Ok(name.into()) } else { Err(("is a tag that no template gives".to_owned(), instead.to_owned())) }
        });
        let value = each(&section, value, |value| {
            let instead = "write letters, digits, dot, dash and underscore";
            if is_value(value) { Ok(value.into()) } else { Err(("is no segment of a SPIFFE id".to_owned(), instead.to_owned())) }
        });
        wanted.extend(name.zip(value));
    }
    if section.keys().is_empty() {
        when.problem("principal_tag", "says nothing", "write principal_tag = { env = \"prod\" }");
    }
    let test = tagging.number(wanted);
    if test.is_none() {
        when.problem("principal_tag", "is one of more than 1024 different conditions on tags", "let rules have conditions in common");
    }
    test
}
