//! As much of Markdown as the checks read: fenced code, code spans, links and tables.

/// A line of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Counted from 1.
    pub number: usize,
    pub text: &'a str,
    /// The language of the fenced code the line stands in (possibly empty); `None` for prose.
    pub fence: Option<&'a str>,
}

/// The lines of a document without the fences themselves.
pub fn lines(document: &str) -> Vec<Line<'_>> {
    let mut open: Option<(&str, &str)> = None;
    let mut lines = Vec::new();
    for (index, text) in document.lines().enumerate() {
        let trimmed = text.trim_start();
        let marker = ["```", "~~~"].into_iter().find(|marker| trimmed.starts_with(marker));
        match (open, marker) {
            (None, Some(marker)) => {
                let language = trimmed.trim_start_matches(['`', '~']).trim();
                let language = language.split([' ', ',']).next().unwrap_or("");
                open = Some((marker, language));
            }
            (Some((opened, _)), Some(marker)) if opened == marker => open = None,
            _ => {
                let fence = open.map(|(_, language)| language);
                lines.push(Line { number: index + 1, text, fence });
            }
        }
    }
    lines
}

/// The code spans of a line of prose.
pub fn code_spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The targets of the links in a line of prose: `[text](target)` and `[label]: target`.
pub fn links(text: &str) -> Vec<String> {
    let prose = without_code_spans(text);
    let mut targets: Vec<&str> = prose
        .match_indices("](")
        .filter_map(|(at, opening)| prose[at + opening.len()..].split_once(')'))
        .map(|(target, _)| target)
        .collect();
    if prose.starts_with('[')
        && let Some((label, target)) = prose.split_once("]:")
        && !label.contains(']')
    {
        targets.push(target);
    }
    // A title may follow the target; pointed brackets may surround it.
    let bare = |target: &str| {
        let target = target.split_whitespace().next().unwrap_or("");
        target.trim_start_matches('<').trim_end_matches('>').to_owned()
    };
    targets.into_iter().map(bare).collect()
}

fn without_code_spans(text: &str) -> String {
    text.split('`').step_by(2).collect::<Vec<_>>().join("")
}

/// The rows of the tables under a heading, up to the next heading of its level or above: the line
/// number and the cells of each, without head and separator. `None` when there is no such heading.
pub fn table_under<'a>(document: &'a str, heading: &str) -> Option<Vec<(usize, Vec<&'a str>)>> {
    let level = |text: &str| text.len() - text.trim_start_matches('#').len();
    let prose: Vec<_> = lines(document).into_iter().filter(|line| line.fence.is_none()).collect();
    let start = prose.iter().position(|line| line.text.trim_end() == heading)?;
    let section = prose[start + 1..].iter().take_while(|line| {
        let depth = level(line.text);
        depth == 0 || depth > level(heading)
    });
    let mut rows = Vec::new();
    for line in section.filter(|line| line.text.trim_start().starts_with('|')) {
        let cells: Vec<&str> = line.text.trim().trim_matches('|').split('|').collect();
        let cells: Vec<&str> = cells.into_iter().map(str::trim).collect();
        if cells.iter().all(|cell| !cell.is_empty() && cell.trim_matches(['-', ':']).is_empty()) {
            // What stood above the separator was the head.
            rows.pop();
        } else {
            rows.push((line.number, cells));
        }
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_carry_their_language() {
        let document = "a\n```sh\nb\n```\nc\n~~~\n```\n~~~\n```rust,no_run\nd\n```\n";
        let seen: Vec<_> =
            lines(document).iter().map(|line| (line.number, line.text, line.fence)).collect();
        assert_eq!(
            seen,
            [
                (1, "a", None),
                (3, "b", Some("sh")),
                (5, "c", None),
                (7, "```", Some("")),
                (10, "d", Some("rust")),
            ],
        );
    }

    #[test]
    fn links_are_found_outside_code() {
        assert_eq!(
            links("see [`a`](src/a.rs), ![b](<b c.png>) and [d](d.md#x \"title\"); `[e](e.md)`"),
            ["src/a.rs", "b", "d.md#x"],
        );
        assert_eq!(links("[label]: docs/x.md 'title'"), ["docs/x.md"]);
        assert!(links("nothing [here] (at all)").is_empty());
    }

    #[test]
    fn code_spans_are_found() {
        assert_eq!(code_spans("run `cargo xtask a`, then `b`"), ["cargo xtask a", "b"]);
    }

    #[test]
    fn tables_end_with_their_section() {
        let document = "## A\n| x | y |\n|---|:-:|\n| `P` | 1 |\ntext\n### B\n| z |\n| - |\n\
                        | `Q` |\n## C\n| `R` |\n";
        let rows = table_under(document, "## A").expect("the heading is there");
        assert_eq!(rows, [(4, vec!["`P`", "1"]), (9, vec!["`Q`"])]);
        assert_eq!(table_under(document, "## Z"), None);
    }
}
