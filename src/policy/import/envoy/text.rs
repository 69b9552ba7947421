//! What permissions and principals have in common: matchers of strings and headers.

use super::super::expr::Expr;
use super::super::fields::{At, Findings};
use super::super::node::Value;
use super::super::terms::{self, Said, Text};

/// What a policy is read with.
pub(super) struct Reading<'r> {
    pub(super) findings: &'r Findings<'r>,
    /// What gaps call the policy.
    pub(super) rule: &'r str,
}

/// Matchers of a text, by the names of their fields in `StringMatcher`, and in the header's own.
const MATCHERS: [(&str, &str); 5] = [
    ("exact", "exact_match"),
    ("prefix", "prefix_match"),
    ("suffix", "suffix_match"),
    ("contains", "contains_match"),
    ("safe_regex", "safe_regex_match"),
];

impl Reading<'_> {
    /// The field of a mapping that has one, by its name in protocol buffers.
    pub(super) fn only<'n>(&self, at: &At<'n>) -> Option<(String, At<'n>)> {
        let Value::Map(entries) = &at.node.value else {
            self.findings.problem(at.position(), format!("is {} and no mapping", at.node.kind()), "write one field and its value");
            return None;
        };
        let [(key, node)] = entries.as_slice() else {
            let what = format!("has {} fields, and one of them counts", entries.len());
            self.findings.problem(at.position(), what, "write one field");
            return None;
        };
        let snake = key.text.chars().flat_map(|c| c.is_ascii_uppercase().then_some('_').into_iter().chain([c.to_ascii_lowercase()]));
        Some((snake.collect(), At { node, path: format!("{}.{}", at.path, key.text) }))
    }

    /// The list inside of a set of rules or ids.
    pub(super) fn inside(&self, at: &At<'_>, list: &str, read: fn(&Self, &At<'_>) -> Expr) -> Vec<Expr> {
        let Some(fields) = at.fields(self.findings) else { return vec![Expr::Gap] };
        let items = fields.take(list);
        fields.close();
        let Some(items) = items else {
            self.findings.problem(at.position(), format!("has no {list}"), format!("write {list}, at least one"));
            return vec![Expr::Gap];
        };
        items.items(self.findings).iter().map(|item| read(self, item)).collect()
    }

    pub(super) fn any(&self, at: &At<'_>) -> Expr {
        if at.node.boolean() != Some(true) {
            self.findings.problem(at.position(), "is not true", "write any: true");
        }
        Expr::ALWAYS
    }

    pub(super) fn url_path(&self, at: &At<'_>) -> Expr {
        let Some(fields) = at.fields(self.findings) else { return Expr::Gap };
        let path = fields.take("path");
        fields.close();
        let Some(path) = path else {
            self.findings.problem(at.position(), "has no path", "write path and how it is compared");
            return Expr::Gap;
        };
        let Some((at, text)) = self.text(&path) else { return Expr::Gap };
        self.said(&at, at.node.string(), terms::path(text))
    }

    /// A `StringMatcher`, and where its text stands.
    pub(super) fn text<'n>(&self, at: &At<'n>) -> Option<(At<'n>, Text<'n>)> {
        let fields = at.fields(self.findings)?;
        let ignores_case = fields.take_either("ignore_case").is_some_and(|ignores| ignores.node.boolean() != Some(false));
        let found = MATCHERS.iter().filter_map(|(name, _)| Some((*name, fields.take_either(name)?)));
        let found: Vec<(&str, At<'n>)> = found.chain(fields.take("custom").map(|custom| ("custom", custom))).collect();
        fields.close();
        let [(name, value)] = found.as_slice() else {
            self.findings.problem(
                at.position(),
                format!("compares in {} ways", found.len()),
                "write one of exact, prefix, suffix, contains, safe_regex",
            );
            return None;
        };
        let text = self.compared(name, value)?;
        let text = if ignores_case { Text::Other("letters of any case") } else { text };
        Some((value.clone(), text))
    }

    fn compared<'n>(&self, how: &str, value: &At<'n>) -> Option<Text<'n>> {
        Some(match how {
            "exact" => Text::Exact(value.string(self.findings)?),
            "prefix" => Text::Prefix(value.string(self.findings)?),
            "suffix" => Text::Other("a suffix"),
            "contains" => Text::Other("a part"),
            "safe_regex" => Text::Other("a regular expression"),
            _ => Text::Other("an extension of Envoy"),
        })
    }

    /// A `HeaderMatcher`, also of what HTTP/2 has as headers.
    pub(super) fn header(&self, at: &At<'_>) -> Expr {
        let Some(fields) = at.fields(self.findings) else { return Expr::Gap };
        let name = fields.string("name");
        let plain = |flag: &str| fields.take_either(flag).is_none_or(|flag| flag.node.boolean() == Some(false));
        let is_plain = plain("invert_match") & plain("treat_missing_header_as_empty");
        let present = fields.take_either("present_match");
        let range = fields.take_either("range_match");
        let own = MATCHERS.iter().filter_map(|(how, name)| Some((*how, fields.take_either(name)?)));
        let own: Vec<(&str, At<'_>)> = own.collect();
        let string = fields.take_either("string_match");
        fields.close();
        let Some(name) = name else {
            self.findings.problem(at.position(), "has no name", "write name");
            return Expr::Gap;
        };
        if !is_plain || range.is_some() {
            return self.gap(at, "inverts what is compared, or takes what is missing for empty, or for a number", "write it by hand");
        }
        let text = match (present, own.as_slice(), string) {
            (None, [], None) => Some(Text::Present),
            (Some(present), [], None) if present.node.boolean() == Some(true) => Some(Text::Present),
            (Some(present), [], None) if present.node.boolean() == Some(false) => return self.field(at, name, Text::Present).not(),
            (None, [(how, value)], None) => self.compared(how, value),
            (None, [], Some(string)) => self.text(&string).map(|(_, text)| text),
            _ => {
                self.findings.problem(at.position(), "compares in more ways than one", "write one of them");
                None
            }
        };
        text.map_or(Expr::Gap, |text| self.field(at, name, text))
    }

    fn field(&self, at: &At<'_>, name: &str, text: Text<'_>) -> Expr {
        let said = match (name, text) {
            (":path" | ":method" | ":authority", Text::Present) => Ok(Expr::ALWAYS),
            (":method", text) => terms::method(text),
            // The query comes after the path: what begins the two of them, and has no part of it, begins the path.
            (":path", Text::Prefix(begin)) if !begin.contains('?') => terms::path(text),
            (":path", _) => {
                Err(("compares the path together with its query".to_owned(), "write paths: the query is never matched".to_owned()))
            }
            (":authority", text) => terms::hosts(&[text]).swap_remove(0),
            (name, text) if name.eq_ignore_ascii_case("host") => terms::hosts(&[text]).swap_remove(0),
            (name, text) => terms::header(name, &[text]),
        };
        self.said(at, Some(name), said)
    }

    pub(super) fn unknown(&self, at: &At<'_>) -> Expr {
        self.findings.problem(at.position(), "is a field that is not known here", "remove it, or correct its name");
        Expr::Gap
    }

    pub(super) fn said(&self, at: &At<'_>, text: Option<&str>, said: Said) -> Expr {
        said.unwrap_or_else(|(what, instead)| {
            let what = text.map_or_else(|| what.clone(), |text| format!("`{text}` {what}"));
            self.findings.gap(self.rule, at.position(), what, instead)
        })
    }

    pub(super) fn gap(&self, at: &At<'_>, what: &str, instead: &str) -> Expr {
        self.findings.gap(self.rule, at.position(), what, instead)
    }
}
