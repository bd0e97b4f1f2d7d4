//! Prints a comparison, for people or as JSON Lines.
//!
//! JSON: `{"type":"kind",…}` with the five counts of each kind; `{"type":"difference",…}` for each listed type with
//! `side`, `kind`, `name`, `id`, `cause` (`missing`, `itself`, `reaches`) and `text`; `{"type":"duplicate",…}`; at last
//! `{"type":"result","equal":…}`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use super::describe::{describe, text};
use super::{Cause, Comparison, Finding, Node};

/// Prints the table of kinds, then up to `limit` notable differences of each file and cause, or all of all.
///
/// # Errors
/// What writing to `out` returns.
pub fn print_text(
    out: &mut impl Write,
    comparison: &Comparison<'_>,
    limit: usize,
    list_all: bool,
) -> io::Result<()> {
    writeln!(
        out,
        "{:<12}{:>9}{:>9}{:>9}{:>13}{:>13}",
        "kind", "common", "only A", "only B", "duplicates A", "duplicates B"
    )?;
    for (kind, c) in &comparison.counts {
        writeln!(
            out,
            "{:<12}{:>9}{:>9}{:>9}{:>13}{:>13}",
            kind.name(),
            c.common,
            c.only_a,
            c.only_b,
            c.duplicates_a,
            c.duplicates_b
        )?;
    }
    print_causes(out, comparison, limit)?;
    let mut listed: HashMap<_, usize> = HashMap::new();
    for finding in comparison
        .findings
        .iter()
        .filter(|finding| list_all || finding.notable)
    {
        let group = (finding.side, std::mem::discriminant(&finding.cause));
        let count = listed.entry(group).or_default();
        *count += 1;
        if *count <= limit {
            writeln!(out, "{}", line(comparison, finding))?;
        } else if *count - 1 == limit {
            writeln!(
                out,
                "… more of this group in {}: --list shows all",
                finding.side
            )?;
        }
    }
    if list_all {
        for &(node, count) in &comparison.duplicates {
            let side = comparison.graph.side(node);
            writeln!(out, "{side}: {count} times {}", label(comparison, node))?;
        }
    }
    Ok(())
}

/// Prints how many types reach which difference, the most frequent first.
fn print_causes(out: &mut impl Write, comparison: &Comparison<'_>, limit: usize) -> io::Result<()> {
    let mut counts: HashMap<Option<Node>, usize> = HashMap::new();
    for finding in &comparison.findings {
        if let Cause::Reaches(nearest) = finding.cause {
            *counts.entry(nearest).or_default() += 1;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable_by_key(|&(node, count)| (std::cmp::Reverse(count), node));
    for (node, count) in counts.into_iter().take(limit) {
        let cause = node.map_or_else(
            || "another choice among types of one name".to_owned(),
            |node| {
                format!(
                    "{} of {}",
                    label(comparison, node),
                    comparison.graph.side(node)
                )
            },
        );
        writeln!(out, "{count} types differ because they reach {cause}")?;
    }
    Ok(())
}

/// Kind, name or description, and id.
fn label(comparison: &Comparison<'_>, node: Node) -> String {
    let graph = &comparison.graph;
    let kind = graph.kind(node).map_or("void", |kind| kind.name());
    format!("{kind} {} {}", describe(graph, node), graph.id(node))
}

fn line(comparison: &Comparison<'_>, finding: &Finding) -> String {
    let label = label(comparison, finding.node);
    let side = finding.side;
    match &finding.cause {
        Cause::Missing => format!("only {side}: {label}"),
        Cause::Itself(text) => format!("differs in {side}: {label}: {text}"),
        Cause::Reaches(Some(node)) => {
            format!(
                "reaches a difference in {side}: {label}: {}",
                describe(&comparison.graph, *node)
            )
        }
        Cause::Reaches(None) => format!("reaches another type of the same name in {side}: {label}"),
    }
}

/// Prints everything as JSON Lines.
///
/// # Errors
/// What writing to `out` returns.
pub fn print_json(
    out: &mut impl Write,
    comparison: &Comparison<'_>,
    equal: bool,
) -> io::Result<()> {
    for (kind, c) in &comparison.counts {
        writeln!(
            out,
            r#"{{"type":"kind","kind":"{}","common":{},"only_a":{},"only_b":{},"duplicates_a":{},"duplicates_b":{}}}"#,
            kind.name(),
            c.common,
            c.only_a,
            c.only_b,
            c.duplicates_a,
            c.duplicates_b
        )?;
    }
    let graph = &comparison.graph;
    let kind = |node| graph.kind(node).map_or("void", |kind| kind.name());
    for Finding {
        node, side, cause, ..
    } in &comparison.findings
    {
        let (cause, detail) = match cause {
            Cause::Missing => ("missing", describe(graph, *node)),
            Cause::Itself(text) => ("itself", text.clone()),
            Cause::Reaches(nearest) => (
                "reaches",
                nearest
                    .map(|node| describe(graph, node))
                    .unwrap_or_default(),
            ),
        };
        writeln!(
            out,
            r#"{{"type":"difference","side":"{side}","kind":"{}","name":{},"id":{},"cause":"{cause}","text":{}}}"#,
            kind(*node),
            json_string(&text(graph.name(*node))),
            graph.id(*node).0,
            json_string(&detail)
        )?;
    }
    for &(node, count) in &comparison.duplicates {
        writeln!(
            out,
            r#"{{"type":"duplicate","side":"{}","kind":"{}","name":{},"id":{},"count":{count}}}"#,
            graph.side(node),
            kind(node),
            json_string(&text(graph.name(node))),
            graph.id(node).0
        )?;
    }
    writeln!(out, r#"{{"type":"result","equal":{equal}}}"#)
}

/// A string as a JSON literal.
fn json_string(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
