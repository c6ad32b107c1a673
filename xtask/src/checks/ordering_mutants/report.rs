//! The table of what guards each ordering, and the score.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{
    models,
    mutants::{Mutant, Outcome},
    sites::Site,
};
use crate::{finding::Finding, markdown};

/// The document that holds the table.
pub const DOCUMENT: &str = "ARCHITECTURE.md";
const BEGIN: &str = "<!-- written by `cargo xtask ordering-mutants --write` -->";
const END: &str = "<!-- end of what is written -->";

const HEAD: &str = "| edge | file | function | orderings | guarded by |\n|---|---|---|---|---|\n";

/// What became of one function's sites on an edge.
#[derive(Default)]
struct Row<'a> {
    /// How many sites there are of each kind.
    orderings: BTreeMap<String, BTreeSet<&'a Site>>,
    guards: BTreeSet<&'a str>,
    unguarded: BTreeSet<String>,
    unreached: BTreeSet<String>,
}

/// One row for each function on each edge; nothing in it depends on times or on line numbers.
pub fn table(outcomes: &[(Mutant<'_>, Outcome)]) -> String {
    let mut rows: BTreeMap<(&str, &str, &str), Row<'_>> = BTreeMap::new();
    for (mutant, outcome) in outcomes {
        let site = mutant.site;
        for edge in &site.edges {
            let row = rows.entry((edge, &site.place.file, &site.function)).or_default();
            let ordering = format!("{} {}", site.operation, site.order);
            row.orderings.entry(ordering.clone()).or_default().insert(site);
            match outcome {
                Outcome::Killed { job, .. } => {
                    row.guards.insert(models::model(job));
                }
                Outcome::Survived | Outcome::Undecided(_) => {
                    row.unguarded.insert(mutant.change().replace("->", "to"));
                }
                Outcome::Unreached => {
                    row.unreached.insert(ordering);
                }
            }
        }
    }
    let mut text = HEAD.to_owned();
    for ((edge, file, function), row) in rows {
        let orderings = row.orderings.iter().map(|(ordering, sites)| match sites.len() {
            1 => ordering.clone(),
            count => format!("{ordering} ({count})"),
        });
        let orderings = joined(orderings);
        let _ = writeln!(
            text,
            "| `{edge}` | `{file}` | `{function}` | {orderings} | {} |",
            row.guards()
        );
    }
    text
}

impl Row<'_> {
    fn guards(&self) -> String {
        let mut parts = Vec::new();
        if !self.guards.is_empty() {
            parts.push(joined(self.guards.iter().map(|model| format!("`{model}`"))));
        }
        if !self.unguarded.is_empty() {
            parts.push(format!("nothing: {}", joined(self.unguarded.iter().cloned())));
        }
        if !self.unreached.is_empty() {
            parts.push(format!("not reached: {}", joined(self.unreached.iter().cloned())));
        }
        parts.join("; ")
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// The document with this table in it.
pub fn with_table(document: &str, table: &str) -> Result<String, Finding> {
    let between = document.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let Some((before, after)) = between else {
        let message = format!("the table wants two lines to stand between:\n{BEGIN}\n{END}");
        return Err(Finding::new(DOCUMENT, 1, message));
    };
    Ok(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

/// Whether the document has this table.
pub fn check(document: &str, table: &str) -> Vec<Finding> {
    match with_table(document, table) {
        Err(finding) => vec![finding],
        Ok(wanted) if wanted == document => Vec::new(),
        Ok(_) => {
            let line = document.lines().position(|line| line == BEGIN).map_or(1, |at| at + 1);
            let message = "the table of what guards which ordering is out of date; write it with: \
                 cargo xtask ordering-mutants --write";
            vec![Finding::new(DOCUMENT, line, message)]
        }
    }
}

/// The models that guard a site's function, as the document has it.
pub fn guards<'a>(document: &'a str, site: &Site) -> Vec<&'a str> {
    let cells = format!("| `{}` | `{}` |", site.place.file, site.function);
    let rows = document.lines().filter_map(|line| line.split_once(&cells));
    rows.flat_map(|(_, rest)| markdown::code_spans(rest)).collect()
}

/// The mutants that are not killed, one a line.
pub fn survivors(outcomes: &[(Mutant<'_>, Outcome)]) -> String {
    let mut text = String::new();
    for (mutant, outcome) in outcomes {
        let what = match outcome {
            Outcome::Killed { .. } => continue,
            Outcome::Survived => "survives".to_owned(),
            Outcome::Undecided(reasons) => format!("undecided ({})", reasons.join("; ")),
            Outcome::Unreached => "not reached".to_owned(),
        };
        let Site { place, function, .. } = mutant.site;
        let (change, edges) = (mutant.change(), mutant.site.edge_names());
        let _ = writeln!(text, "    {place}: {what}: {change} in `{function}`, edge {edges}");
    }
    text
}

/// One line of numbers.
pub fn score(sites: usize, outcomes: &[(Mutant<'_>, Outcome)], listed: usize) -> String {
    let count =
        |is_it: fn(&Outcome) -> bool| outcomes.iter().filter(|(_, outcome)| is_it(outcome)).count();
    let killed = count(Outcome::is_killed);
    let survivors = count(|outcome| matches!(outcome, Outcome::Survived));
    let undecided = count(|outcome| matches!(outcome, Outcome::Undecided(_)));
    let unreached = count(|outcome| matches!(outcome, Outcome::Unreached));
    let executions: usize = outcomes
        .iter()
        .map(|(_, outcome)| match outcome {
            Outcome::Killed { execution, .. } => *execution,
            _ => 0,
        })
        .sum();
    format!(
        "{sites} sites, {} mutants: {killed} killed (after {executions} executions in all), \
         {survivors} survivors and {undecided} undecided ({listed} of them listed), {unreached} \
         not reached.",
        outcomes.len(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::ordering_mutants::{
        operation::{
            Operation::{Fence, Load},
            Order,
        },
        samples::site,
    };

    fn killed(job: &str) -> Outcome {
        Outcome::Killed { job: job.to_owned(), execution: 3 }
    }

    #[test]
    fn the_table_has_a_row_for_each_function_on_each_edge() {
        let mut fence = site(9, "B::g", Fence, Order::SeqCst);
        fence.edges.insert("D".to_owned());
        let loads = [3, 4, 5].map(|line| site(line, "A::f", Load, Order::Acquire));
        let relaxed = |site| Mutant { site, weaker: Order::Relaxed };
        let outcomes = [
            (relaxed(&loads[0]), killed("p02::a/asymmetric")),
            (relaxed(&loads[1]), killed("p01::b")),
            (relaxed(&loads[2]), Outcome::Unreached),
            (Mutant { site: &fence, weaker: Order::AcqRel }, Outcome::Survived),
            (Mutant { site: &fence, weaker: Order::Drop }, killed("p06::a")),
        ];
        let fences = "fence SeqCst | `p06::a`; nothing: fence SeqCst to AcqRel";
        let expected = format!(
            "{HEAD}\
             | `D` | `src/a.rs` | `B::g` | {fences} |\n\
             | `E` | `src/a.rs` | `A::f` | load Acquire (3) | `p01::b`, `p02::a`; not reached: load Acquire |\n\
             | `E` | `src/a.rs` | `B::g` | {fences} |\n"
        );
        assert_eq!(table(&outcomes), expected);
        assert_eq!(guards(&expected, &loads[0]), ["p01::b", "p02::a"]);
        assert_eq!(guards(&expected, &fence), ["p06::a", "p06::a"]);
        assert!(guards(HEAD, &fence).is_empty());
        let score = score(4, &outcomes, 1);
        assert!(score.starts_with("4 sites, 5 mutants: 3 killed (after 9 executions"), "{score}");
        assert!(score.contains("1 survivors and 0 undecided (1 of them listed), 1 not"), "{score}");
        assert_eq!(survivors(&outcomes).lines().count(), 2);
    }

    #[test]
    fn the_document_must_hold_the_table() {
        let document = format!("# A\n\n{BEGIN}\nold\n{END}\n\n## B\n");
        let fresh = with_table(&document, "new\n").unwrap();
        assert_eq!(fresh, format!("# A\n\n{BEGIN}\n\nnew\n\n{END}\n\n## B\n"));
        assert!(check(&fresh, "new\n").is_empty());
        let findings = check(&document, "new\n");
        assert!(findings.len() == 1 && findings[0].line == 3, "{findings:?}");
        assert!(check("# A\n", "new\n")[0].message.contains(BEGIN));
        assert!(with_table(&format!("{END}{BEGIN}"), "").is_err());
    }
}
