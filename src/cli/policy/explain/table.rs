//! Who may, and callers by paths, as text and as JSON.

use crate::cli::Outcome;
use crate::cli::policy::Format;
use crate::cli::policy::given::Given;
use crate::policy::explain::{Cell, Grant, Matrix, RulePlace, Taken, Who};
use crate::policy::{Mode, Outline, Part};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;

/// Who may send this request, by each table: those who may by all of them.
pub(super) fn who(given: &Given, request: &str, all: &[(Part, Who)], format: Format) -> anyhow::Result<Outcome> {
    let text = match format {
        Format::Json => {
            format!("{:#}\n", json!({ "request": request, "tables": all.iter().map(|who| who_json(given, who)).collect::<Vec<_>>() }))
        }
        Format::Text => all.iter().map(|(part, who)| who_text(given, request, *part, who)).collect::<Result<Vec<_>, _>>()?.concat(),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Outcome::Fine)
}

fn is_in_shadow(given: &Given, part: Part) -> bool {
    given.tables.all().any(|(own, table)| own == part && matches!(table.mode(), Mode::Shadow { .. }))
}

fn who_text(given: &Given, request: &str, part: Part, who: &Who) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let place = |index: usize| RulePlace { part, index };
    if is_in_shadow(given, part) {
        writeln!(text, "The table is in shadow: today everybody may, and only the record tells. Enforced:")?;
    }
    if let Some(percent) =
        given.tables.all().find(|(own, _)| *own == part).map(|(_, table)| table.percent()).filter(|percent| *percent < 100)
    {
        writeln!(text, "The table is enforced for {percent} % of identities, and the others are not denied anything. Enforced:")?;
    }
    match (who.grants.is_empty(), part) {
        (true, Part::Boundary) => writeln!(text, "and, since the boundary must let it as well, nobody")?,
        (true, _) => writeln!(text, "nobody may {request}")?,
        (false, Part::Boundary) => writeln!(text, "and, since the boundary must let it as well, only")?,
        (false, _) => writeln!(text, "who may {request}")?,
    }
    for Grant { who, rule, conditions, except, unless } in &who.grants {
        writeln!(text, "  {who}  by {}  ({})", given.id(place(*rule)), given.place(place(*rule)))?;
        for condition in conditions {
            writeln!(text, "    if      {condition}")?;
        }
        for Taken { who, rule, .. } in except {
            writeln!(text, "    except  {who}, by {}", given.id(place(*rule)))?;
        }
        for Taken { who, rule, conditions } in unless {
            writeln!(text, "    except  {who}, by {}, if {}", given.id(place(*rule)), conditions.join(" and "))?;
        }
    }
    for (allow, denies) in &who.denied {
        let by: Vec<String> = denies.iter().map(|deny| given.id(place(*deny))).collect();
        writeln!(text, "  {} lets nobody do it: {} takes it back", given.id(place(*allow)), by.join(" and "))?;
    }
    Ok(text)
}

fn who_json(given: &Given, (part, who): &(Part, Who)) -> Value {
    let id = |index: usize| given.id(RulePlace { part: *part, index });
    let taken = |taken: &Taken| json!({ "who": taken.who, "rule": id(taken.rule), "if": taken.conditions });
    let outline = given.outline(*part);
    let grants = who.grants.iter().map(|grant| {
        json!({
            "who": grant.who,
            "rule": id(grant.rule),
            "line": outline.and_then(|outline| outline.line(grant.rule)),
            "if": grant.conditions,
            "except": grant.except.iter().chain(&grant.unless).map(taken).collect::<Vec<_>>(),
        })
    });
    let denied = who
        .denied
        .iter()
        .map(|(allow, denies)| json!({ "rule": id(*allow), "denied_by": denies.iter().map(|deny| id(*deny)).collect::<Vec<_>>() }));
    json!({
        "table": part.as_str(),
        "file": outline.map(Outline::file),
        "in_shadow": is_in_shadow(given, *part),
        "grants": grants.collect::<Vec<_>>(),
        "denied": denied.collect::<Vec<_>>(),
    })
}

/// Callers by paths.
pub(super) fn matrix(matrix: &Matrix, format: Format) -> anyhow::Result<Outcome> {
    let text = match format {
        Format::Json => format!("{:#}\n", matrix_json(matrix)),
        Format::Text => matrix_text(matrix)?,
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Outcome::Fine)
}

fn shown(cell: &Cell) -> String {
    let sometimes = cell.sometimes.iter().map(|method| format!("{method}?"));
    let methods: Vec<String> = cell.always.iter().cloned().chain(sometimes).collect();
    if methods.is_empty() { "-".to_owned() } else { methods.join(" ") }
}

fn matrix_text(matrix: &Matrix) -> Result<String, std::fmt::Error> {
    let head: Vec<String> = std::iter::once("caller".to_owned()).chain(matrix.paths.iter().cloned()).collect();
    let rows = matrix.rows.iter().map(|(who, cells)| std::iter::once(who.clone()).chain(cells.iter().map(shown)).collect::<Vec<_>>());
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..=matrix.paths.len()).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(text, "| {} |", cells.join(" | "))?;
        if index == 0 {
            let lines: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            writeln!(text, "| {} |", lines.join(" | "))?;
        }
    }
    writeln!(text, "\nMethods that may be used at {}; with ? where more must hold, OTHER where no rule names them.", matrix.at)?;
    writeln!(text, "A row is about the callers of its pattern that no other row is about, and so is a column.")?;
    let (callers, paths) = matrix.left_out;
    if (callers, paths) != (0, 0) {
        writeln!(text, "Left out: {callers} more callers and {paths} more paths; --all shows them.")?;
    }
    Ok(text)
}

fn matrix_json(matrix: &Matrix) -> Value {
    let cell = |cell: &Cell| json!({ "always": cell.always, "sometimes": cell.sometimes });
    let rows = matrix.rows.iter().map(|(who, cells)| json!({ "caller": who, "cells": cells.iter().map(cell).collect::<Vec<_>>() }));
    json!({
        "at": matrix.at,
        "paths": matrix.paths,
        "rows": rows.collect::<Vec<_>>(),
        "left_out": { "callers": matrix.left_out.0, "paths": matrix.left_out.1 },
    })
}
