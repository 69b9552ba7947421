//! `when` of a rule.

use super::fields::{self, each};
use super::{Context, source, tags, time};
use crate::document::Section;
use crate::policy::condition::{CertAgeTest, Test, TlsTest, Version};

/// Reads the conditions; what is wrong is noted.
pub(super) fn read(rule: &Section<'_>, context: &Context<'_>) -> Vec<Test> {
    let Some(when) = rule.section("when") else { return Vec::new() };
    if when.keys().is_empty() {
        rule.problem("when", "is empty", "write a condition, as in tls = { min = \"1.3\" }, or remove it");
    }
    let tests = [
        tls(&when).map(Test::Tls),
        tags::read(&when, &context.tags).map(Test::Tag),
        cert_age(&when).map(Test::CertAge),
        time::read(&when, &context.windows).map(Test::Time),
        source::read(&when, &context.sets.networks).map(Test::Source),
    ];
    when.close();
    tests.into_iter().flatten().collect()
}

fn cert_age(when: &Section<'_>) -> Option<CertAgeTest> {
    let section = when.section("cert_age")?;
    if !section.has("max") {
        when.problem("cert_age", "says nothing", "write cert_age = { max = \"24h\" }");
    }
    let max = fields::duration(&section, "max");
    section.close();
    Some(CertAgeTest { max: max? })
}

fn tls(when: &Section<'_>) -> Option<TlsTest> {
    let tls = when.section("tls")?;
    if !tls.has("min") && !tls.has("post_quantum") {
        when.problem("tls", "says nothing", "write tls = { min = \"1.3\" }, or post_quantum = true in it");
    }
    let wrong = || ("is no version of TLS that is spoken here".to_owned(), "write \"1.2\" or \"1.3\"".to_owned());
    let min = tls.str("min").and_then(|item| each(&tls, item, |text| Version::named(text).ok_or_else(wrong)));
    let post_quantum = tls.bool("post_quantum");
    if post_quantum.as_ref().is_some_and(|wanted| !wanted.value) {
        tls.problem("post_quantum", "is false, and there is no `not`", "remove it, or write a deny rule with post_quantum = true");
    }
    tls.close();
    Some(TlsTest { min, post_quantum: post_quantum.is_some_and(|wanted| wanted.value) })
}
