//! Every memory ordering in the library is explained by an edge that `ARCHITECTURE.md` describes.
//!
//! Where code says `Ordering::Release` (or another of the five), a comment on that line or up to
//! [`REACH`] lines above it says `ORDERING(EDGE)`; several edges are parted by commas. The edges are
//! the rows of the table under [`HEADING`], first column, in backticks. Every edge named in a
//! comment has a row, and every row is named in a comment.
//!
//! Code under `#[cfg(test)]` is exempt: the orderings of a test's scaffold are no protocol.

use std::collections::BTreeMap;

use crate::{finding::Finding, markdown, paths::Path, paths::paths, source::Source};

/// The document with the table of edges.
pub const DOCUMENT: &str = "ARCHITECTURE.md";

const HEADING: &str = "## Memory-ordering edges";
const MARK: &str = "ORDERING(";
/// How many lines above an ordering its comment may begin.
const REACH: usize = 6;
const ORDERINGS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];

/// An edge and the line that names it.
type Edge = (usize, String);

/// Checks all sources against the document; also says what was counted.
pub fn check(sources: &[(&str, Source)], document: &str) -> (Vec<Finding>, String) {
    let (table, mut findings) = table(document);
    let mut used = BTreeMap::new();
    let mut orderings = 0;
    for (file, source) in sources {
        let (edges, malformed) = edges_in(file, source);
        findings.extend(malformed);
        let (count, unexplained) = unexplained(file, source, &edges);
        orderings += count;
        findings.extend(unexplained);
        for (line, edge) in edges {
            if !table.contains_key(&edge) {
                let message = format!("edge {edge} has no row under \"{HEADING}\" in {DOCUMENT}");
                findings.push(Finding::new(file, line, message));
            }
            *used.entry(edge).or_insert(0) += 1;
        }
    }
    let unused = table.iter().filter(|(edge, _)| !used.contains_key(*edge));
    findings.extend(unused.map(|(edge, line)| {
        Finding::new(DOCUMENT, *line, format!("no comment in src names the edge {edge}"))
    }));
    (findings, format!("{orderings} orderings on {} edges", table.len()))
}

/// The edges that the comment nearest above a line names, the line itself included: those of an
/// ordering that stands there.
pub fn edges_of(source: &Source, line: usize) -> Vec<String> {
    let (edges, _) = edges_in("", source);
    let reach = line.saturating_sub(REACH)..=line;
    let nearest = edges.iter().map(|(line, _)| *line).filter(|at| reach.contains(at)).max();
    edges.into_iter().filter(|(at, _)| Some(*at) == nearest).map(|(_, edge)| edge).collect()
}

/// The edges of the document with their lines.
fn table(document: &str) -> (BTreeMap<String, usize>, Vec<Finding>) {
    let mut edges = BTreeMap::new();
    let mut findings = Vec::new();
    let rows = markdown::table_under(document, HEADING).unwrap_or_default();
    if rows.is_empty() {
        let message = format!("there is no table under the heading \"{HEADING}\"");
        findings.push(Finding::new(DOCUMENT, 1, message));
    }
    for (line, cells) in rows {
        let cell = cells.first().copied().unwrap_or("");
        let edge = cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`'));
        match edge.filter(|edge| is_edge(edge)) {
            None => {
                let message = format!("the first column is not an edge in backticks: {cell}");
                findings.push(Finding::new(DOCUMENT, line, message));
            }
            Some(edge) => {
                if edges.insert(edge.to_owned(), line).is_some() {
                    let message = format!("the edge {edge} has a row already");
                    findings.push(Finding::new(DOCUMENT, line, message));
                }
            }
        }
    }
    (edges, findings)
}

fn is_edge(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || "_-".contains(c);
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(is_part)
}

/// The edges that comments name, and the comments that name none properly.
fn edges_in(file: &str, source: &Source) -> (Vec<Edge>, Vec<Finding>) {
    let mut edges = Vec::new();
    let mut findings = Vec::new();
    for (index, comment) in source.comments.iter().enumerate() {
        for (at, _) in comment.match_indices(MARK) {
            let names = comment[at + MARK.len()..].split_once(')').map(|(names, _)| names);
            for name in names.unwrap_or("").split(',').map(str::trim) {
                if is_edge(name) {
                    edges.push((index + 1, name.to_owned()));
                } else {
                    let message = format!("{MARK}…) wants the name of an edge, not \"{name}\"");
                    findings.push(Finding::new(file, index + 1, message));
                }
            }
        }
    }
    (edges, findings)
}

/// Counts the orderings in a file's code and finds those that no comment explains.
fn unexplained(file: &str, source: &Source, edges: &[Edge]) -> (usize, Vec<Finding>) {
    let tests = source.test_lines();
    let is_test = |line: usize| tests.iter().any(|lines| lines.contains(&line));
    let mut count = 0;
    let mut findings = Vec::new();
    for path in paths(&source.tokens()).iter().filter(|path| !is_test(path.line)) {
        if hides_orderings(path) {
            let message = format!("imports {}; write `Ordering::` in full", path.shown());
            findings.push(Finding::new(file, path.line, message));
        } else if let Some(ordering) = ordering(path) {
            count += 1;
            let reach = path.line.saturating_sub(REACH)..=path.line;
            if !edges.iter().any(|(line, _)| reach.contains(line)) {
                let message = format!("no {MARK}…) comment explains Ordering::{ordering}");
                findings.push(Finding::new(file, path.line, message));
            }
        }
    }
    (count, findings)
}

/// The ordering that a path ends in.
fn ordering<'a>(path: &Path<'a>) -> Option<&'a str> {
    match path.segments[..] {
        [.., "Ordering", ordering] if ORDERINGS.contains(&ordering) => Some(ordering),
        _ => None,
    }
}

/// Whether an import lets code name an ordering in a way that this check would not see.
fn hides_orderings(path: &Path<'_>) -> bool {
    let inside = |name: &str| name == "*" || ORDERINGS.contains(&name);
    path.import
        && match path.segments[..] {
            // `std::cmp::Ordering` is another type.
            [.., "cmp", "Ordering", _] | [.., "cmp", "Ordering"] => false,
            [.., "Ordering", name] => inside(name),
            [.., "Ordering"] => path.renamed,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# A\n\n## Memory-ordering edges\n\n| edge | writer |\n|---|---|\n\
                         | `PUBLISH` | x |\n";

    fn findings(text: &str, document: &str) -> Vec<String> {
        let (findings, _) = check(&[("src/a.rs", Source::parse(text))], document);
        findings.iter().map(Finding::to_string).collect()
    }

    #[track_caller]
    fn fails(text: &str, document: &str, expected: &str) {
        let found = findings(text, document);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:#?}");
    }

    #[test]
    fn explained_orderings_pass() {
        for text in [
            "// ORDERING(PUBLISH): why.\na.store(1, Ordering::Release);",
            "a.load(Ordering::Acquire) // ORDERING(PUBLISH): why.",
            "// ORDERING(PUBLISH): why.\n\n\n\n\n\na.load(atomic::Ordering::Acquire);",
            "// ORDERING(PUBLISH, PUBLISH): why.\na.load(Ordering::Acquire);",
        ] {
            assert!(findings(text, TABLE).is_empty(), "{text}");
        }
    }

    #[test]
    fn what_is_not_an_ordering_passes() {
        for text in [
            "if a == cmp::Ordering::Less {}",
            "use std::cmp::Ordering::*;",
            "use std::cmp::Ordering as Comparison;",
            "// Ordering::Relaxed would do here.",
            "pub use std::sync::atomic::{AtomicU64, Ordering};",
            "#[cfg(test)]\nmod tests {\n    fn f() { a.load(Ordering::Relaxed); }\n}",
        ] {
            let text = format!("{text}\n// ORDERING(PUBLISH): named.");
            assert!(findings(&text, TABLE).is_empty(), "{text}");
        }
    }

    #[test]
    fn unexplained_orderings_fail() {
        let far = "// ORDERING(PUBLISH): why.\n\n\n\n\n\n\na.load(Ordering::Acquire);";
        fails(far, TABLE, "src/a.rs:8: no ORDERING(");
        let below = "a.load(Ordering::Relaxed);\n// ORDERING(PUBLISH): too late.";
        fails(below, TABLE, "src/a.rs:1: no ORDERING(");
        let string = "let s = \"ORDERING(PUBLISH)\";\na.load(Ordering::SeqCst);\n\n\n\n\n\n\n\
                      // ORDERING(PUBLISH): far.";
        fails(string, TABLE, "src/a.rs:2: no ORDERING(");
        let after_tests = "#[cfg(test)]\nmod tests {}\na.load(Ordering::AcqRel);\n\
                           // ORDERING(PUBLISH): late.";
        fails(after_tests, TABLE, "src/a.rs:3: no ORDERING(");
    }

    #[test]
    fn hidden_orderings_fail() {
        for import in [
            "use std::sync::atomic::Ordering::*;",
            "use crate::sync::atomic::Ordering::{Acquire};",
            "use crate::sync::Ordering as O;",
        ] {
            let text = format!("// ORDERING(PUBLISH): named.\n{import}");
            fails(&text, TABLE, "in full");
        }
    }

    #[test]
    fn edges_and_rows_match_both_ways() {
        let text = "// ORDERING(PUBLISH): a.\n// ORDERING(GATE): b.\na.load(Ordering::Acquire);";
        fails(text, TABLE, "src/a.rs:2: edge GATE has no row");
        let document = format!("{TABLE}| `GATE` | y |\n");
        assert!(findings(text, &document).is_empty());
        let text = "// ORDERING(PUBLISH): a.\na.load(Ordering::Acquire);";
        fails(text, &document, "ARCHITECTURE.md:8: no comment in src names the edge GATE");
    }

    #[test]
    fn the_nearest_comment_names_the_edges_of_a_line() {
        let source = Source::parse("// ORDERING(A): a.\n// ORDERING(B, C): b.\nx();\n\n\n\n\n\n");
        assert_eq!(edges_of(&source, 3), ["B", "C"]);
        assert_eq!(edges_of(&source, 1), ["A"]);
        assert!(edges_of(&source, 9).is_empty());
    }

    #[test]
    fn malformed_names_and_tables_fail() {
        let named = "// ORDERING(PUBLISH): a.";
        fails(&format!("{named}\n// ORDERING(publish): b."), TABLE, "src/a.rs:2: ORDERING(");
        fails(&format!("{named}\n// ORDERING(): b."), TABLE, "src/a.rs:2: ORDERING(");
        fails(&format!("{named}\n// ORDERING(PUBLISH"), TABLE, "src/a.rs:2: ORDERING(");
        fails(named, &format!("{TABLE}| GATE | y |\n"), "ARCHITECTURE.md:8: the first column");
        fails(named, &format!("{TABLE}| `PUBLISH` | y |\n"), "ARCHITECTURE.md:8: the edge PUBLISH");
        fails("", "# A\n", "ARCHITECTURE.md:1: there is no table");
    }
}
