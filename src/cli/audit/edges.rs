//! `countersign audit edges`: who calls whom.

use super::Format;
use super::source::{LogSource, When};
use super::top::{counting, say_missed};
use super::walk::{Bar, complain, walk};
use super::write::{Out, Rows};
use crate::audit::query::{Count, Field, Filter, Got, Scan, Tally};
use crate::cli::Outcome;
use crate::cli::terminal::printable;
use serde_json::json;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::time::SystemTime;

/// What says something of an edge.
const DECISIONS: &str = "kind in (decision, handshake, aggregate) and has dir";
/// What an edge is made of, before what its count is made of.
const ENDS: [&str; 6] = ["boot", "dir", "src.id", "src.ip", "dst.id", "dst.host"];
/// Starts of sidecars whose names are remembered.
const BOOTS: usize = 65_536;

/// What `audit edges` is asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    log: LogSource,
    /// Which records, as `audit query` has them
    #[arg(long, value_name = "FILTER", default_value = "")]
    filter: String,
    #[command(flatten)]
    when: When,
    /// How edges are printed; on a terminal as a table, elsewhere as JSON
    #[arg(long, value_enum, conflicts_with = "dot")]
    format: Option<Format>,
    /// Prints a graph for Graphviz, as in: countersign audit edges --dot | dot -Tsvg -o edges.svg
    #[arg(long)]
    dot: bool,
}

/// Counts who calls whom.
///
/// # Errors
/// The filter cannot be read, there is no log, or standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let (filter, now) = (args.when.filter(&args.filter)?, SystemTime::now());
    let ends: Vec<Field> = ENDS.into_iter().filter_map(Field::named).chain(counting()).collect();
    let mut scan = Scan::new(filter.and(Filter::parse(DECISIONS, now)?), &ends);
    let named: Vec<Field> = ["boot", "workload"].into_iter().filter_map(Field::named).collect();
    let mut boots = Scan::new(Filter::parse("has workload", now)?, &named);
    let (mut workloads, mut tally) = (HashMap::new(), Tally::default());
    let inputs = args.log.inputs()?;
    let outcome = walk(&inputs, Bar::new(&inputs, false), |lines| {
        boots.lines(lines, |hit| {
            if let [Got::Text(boot), Got::Text(workload)] = hit.values
                && workloads.len() < BOOTS
            {
                workloads.insert(boot.clone().into_owned(), workload.clone().into_owned());
            }
            ControlFlow::Continue(())
        })?;
        scan.lines(lines, |hit| {
            if let Some(([boot, dir, ends @ ..], [kind, phase, count, decision])) = hit.values.split_last_chunk() {
                let [caller, callee] = between(&workloads, boot, dir, kind, ends);
                tally.add([caller.as_str(), callee.as_str(), &dir.to_string()], Count::of(kind, phase, count, decision));
            }
            ControlFlow::Continue(())
        })
    });
    let outcome = if args.dot { dot(&tally, outcome) } else { rows(&tally, args.format, outcome) }?;
    complain(scan.unreadable());
    say_missed(&tally);
    Ok(outcome)
}

/// Who called whom, by a record: one end of it is the sidecar that wrote it.
fn between(workloads: &HashMap<String, String>, boot: &Got<'_>, dir: &Got<'_>, kind: &Got<'_>, ends: &[Got<'_>]) -> [String; 2] {
    let is = |value: &Got<'_>, text: &str| matches!(value, Got::Text(found) if found == text);
    let boot = boot.to_string();
    let own = workloads.get(&boot).cloned().unwrap_or_else(|| format!("sidecar of boot {}", boot.get(..8).unwrap_or(&boot)));
    let of = |one: usize, other: usize| match (ends.get(one), ends.get(other)) {
        // What a refused certificate says is no more than that.
        (Some(Got::Text(id)), _) if is(kind, "handshake") => format!("unverified {id}"),
        (Some(Got::Text(name)), _) | (_, Some(Got::Text(name))) => name.clone().into_owned(),
        _ => "unknown".to_owned(),
    };
    if is(dir, "inbound") { [of(0, 1), own] } else { [own, of(2, 3)] }
}

fn rows(tally: &Tally, format: Option<Format>, outcome: Outcome) -> anyhow::Result<Outcome> {
    let mut rows = Rows::new(format, ["caller", "callee", "seen by", "allowed", "denied"].map(str::to_owned).into());
    for (key, count) in tally.sorted() {
        let [caller, callee, dir] = key else { continue };
        let (seen, allowed) = (if dir == "inbound" { "callee" } else { "caller" }, count.all - count.denied);
        let cells = || vec![caller.clone(), callee.clone(), seen.to_owned(), allowed.to_string(), count.denied.to_string()];
        let line = || json!({ "caller": caller, "callee": callee, "seen_by": seen, "allowed": allowed, "denied": count.denied });
        if rows.row(cells, || line().to_string().into_bytes()).is_break() {
            break;
        }
    }
    rows.end(outcome)
}

fn dot(tally: &Tally, outcome: Outcome) -> anyhow::Result<Outcome> {
    let mut out = Out::new();
    let _ = out.write(graph(tally).as_bytes());
    out.end(outcome)
}

/// In the language of Graphviz (<https://graphviz.org/doc/info/lang.html>); what was denied is red, and what the caller's own sidecar saw is dashed.
fn graph(tally: &Tally) -> String {
    let mut text =
        "digraph countersign {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\"];\n"
            .to_owned();
    for (key, count) in tally.sorted() {
        let [caller, callee, dir] = key else { continue };
        let allowed = count.all - count.denied;
        let label = match (allowed, count.denied) {
            (allowed, 0) => allowed.to_string(),
            (0, denied) => format!("{denied} denied"),
            (allowed, denied) => format!("{allowed}, {denied} denied"),
        };
        let colour = if count.denied > 0 { ", color=red, fontcolor=red" } else { "" };
        let style = if dir == "inbound" { "solid" } else { "dashed" };
        // Writing into a String cannot fail.
        let _ = writeln!(text, "  {} -> {} [label={}, style={style}{colour}];", name(caller), name(callee), name(&label));
    }
    text.push_str("}\n");
    text
}

/// A name in quotes. Of a backslash the language makes line ends and more, so there is none alone.
fn name(text: &str) -> String {
    format!("\"{}\"", printable(text).replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the statements of a graph by the grammar: `id -> id [id=id, …];`, where an id is a word or a text in quotes.
    fn edges(graph: &str) -> Vec<(String, String)> {
        let mut tokens = Vec::new();
        let mut letters = graph.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '"' => {
                    let mut text = String::from("\"");
                    loop {
                        match letters.next().expect("a quote ends") {
                            '"' => break,
                            '\\' => text.push(letters.next().unwrap()),
                            letter => text.push(letter),
                        }
                    }
                    tokens.push(text);
                }
                '-' => {
                    assert_eq!(letters.next(), Some('>'));
                    tokens.push("->".to_owned());
                }
                '{' | '}' | '[' | ']' | '=' | ',' | ';' => tokens.push(letter.to_string()),
                letter if letter.is_whitespace() => {}
                letter => {
                    assert!(letter.is_ascii_alphanumeric(), "{letter}");
                    let mut word = letter.to_string();
                    while let Some(letter) = letters.next_if(char::is_ascii_alphanumeric) {
                        word.push(letter);
                    }
                    tokens.push(word);
                }
            }
        }
        assert_eq!(tokens[..3], ["digraph", "countersign", "{"]);
        assert_eq!(tokens.last().unwrap(), "}");
        let mut found = Vec::new();
        for statement in tokens[3..tokens.len() - 1].split(|token| token == ";").filter(|statement| !statement.is_empty()) {
            let attributes = match statement {
                [from, arrow, to, rest @ ..] if arrow == "->" => {
                    found.push((from[1..].to_owned(), to[1..].to_owned()));
                    rest
                }
                [_, equal, _] if equal == "=" => continue,
                [kind, rest @ ..] if kind == "node" || kind == "edge" => rest,
                other => panic!("{other:?}"),
            };
            let [open, inner @ .., close] = attributes else { panic!("{attributes:?}") };
            assert_eq!((open.as_str(), close.as_str()), ("[", "]"));
            for attribute in inner.split(|token| token == ",") {
                assert!(matches!(attribute, [_, equal, _] if equal == "="), "{attribute:?}");
            }
        }
        found
    }

    #[test]
    fn a_graph_is_one_whatever_names_are() {
        let mut tally = Tally::default();
        for name in ["spiffe://d/web", "a\"]; x -> \"b", "ends in \\", "\\N\u{1b}[2J\n", "<b>"] {
            tally.add([name, "spiffe://d/orders", "inbound"], Count { all: 2, denied: 1 });
        }
        let found = edges(&graph(&tally));
        assert_eq!(found.len(), 5);
        assert!(found.contains(&("a\"]; x -> \"b".to_owned(), "spiffe://d/orders".to_owned())), "{found:?}");
        assert!(found.contains(&("ends in \\".to_owned(), "spiffe://d/orders".to_owned())), "{found:?}");
    }
}
