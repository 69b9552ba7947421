//! Findings in SARIF 2.1.0 (OASIS standard, 27 March 2020), which code hosts show beside the lines.

use super::check::Report;
use crate::document::Position;
use crate::policy::lint::Lint;
use serde_json::{Value, json};

/// What a table that cannot be used is called.
const UNUSABLE: &str = "unusable";

/// The log of one run.
pub(super) fn log(reports: &[Report]) -> Value {
    let rules = Lint::ALL.iter().map(|lint| rule(lint.id(), lint.about()));
    let rules = rules.chain([rule(UNUSABLE, "A table that is refused as a whole.")]);
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "countersign policy check",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules.collect::<Vec<_>>(),
            } },
            "results": reports.iter().flat_map(results).collect::<Vec<_>>(),
        }],
    })
}

fn rule(id: &str, about: &str) -> Value {
    json!({ "id": id, "shortDescription": { "text": about } })
}

fn results(report: &Report) -> Vec<Value> {
    let result = |id: &str, level: &str, place: &Position, what: &str, instead: &str| {
        json!({
            "ruleId": id,
            "level": level,
            "message": { "text": if instead.is_empty() { what.to_owned() } else { format!("{what}; {instead}") } },
            "locations": [{ "physicalLocation": location(&report.file, place) }],
        })
    };
    match &report.result {
        Ok(findings) => findings
            .iter()
            .map(|finding| result(finding.lint.id(), finding.severity.as_str(), &finding.place, &finding.what, &finding.instead))
            .collect(),
        Err(problems) => {
            problems.iter().map(|problem| result(UNUSABLE, "error", &problem.place, &problem.what, &problem.instead)).collect()
        }
    }
}

/// A file and, where it is about one, the line. Columns are counted in bytes, so that they are left out: SARIF counts characters.
fn location(file: &str, place: &Position) -> Value {
    let mut location = json!({ "artifactLocation": { "uri": uri(file) } });
    if place.line > 0 {
        location["region"] = json!({ "startLine": place.line });
    }
    location
}

/// A path as a relative reference (RFC 3986, section 4.2): everything that is not plain is escaped, so that no colon makes a scheme of it.
fn uri(file: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._~-".contains(byte);
    file.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths_are_escaped() {
        assert_eq!(super::uri("a dir/p:1.toml"), "a%20dir/p%3A1.toml");
    }
}
