//! The orderings that no model proves necessary, each with the argument why it stays.
//!
//! The file is TOML of a kind that is easily read: tables `[[survivor]]` of strings and numbers,
//! one a line; a string in three quotes may take several lines. An entry names its site in words
//! that edits elsewhere do not touch:
//!
//! ```toml
//! [[survivor]]
//! file = "src/ring.rs"
//! function = "Ring::clear_passed"
//! operation = "fence"
//! ordering = "SeqCst"
//! weaker = "AcqRel"
//! ordinal = 1 # only where the function has several of this operation and ordering
//! edge = "DEKKER"
//! argument = "Why it stays, although no model fails without it."
//! ```

use std::collections::BTreeMap;

use super::mutants::{Mutant, Outcome};
use crate::finding::Finding;

pub const FILE: &str = "loom-tests/ordering-survivors.toml";

const HEADER: &str = "[[survivor]]";
const NEEDED: [&str; 7] =
    ["file", "function", "operation", "ordering", "weaker", "edge", "argument"];
const ORDINAL: &str = "ordinal";

/// A reviewed survivor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Where the entry begins.
    line: usize,
    values: BTreeMap<String, String>,
}

impl Entry {
    fn get(&self, key: &str) -> &str {
        self.values.get(key).map_or("", String::as_str)
    }

    /// Whether it names this mutant, but for the ordinal.
    fn is_about(&self, mutant: &Mutant<'_>) -> bool {
        let site = mutant.site;
        self.get("file") == site.place.file
            && self.get("function") == site.function
            && self.get("operation") == site.operation.to_string()
            && self.get("ordering") == site.order.to_string()
            && self.get("weaker") == mutant.weaker.to_string()
    }

    /// Whether its ordinal is that of the mutant; where there is only one, it needs none.
    fn counts_to(&self, mutant: &Mutant<'_>) -> bool {
        let (ordinal, of) = mutant.site.ordinal;
        match self.values.get(ORDINAL) {
            Some(own) => *own == ordinal.to_string(),
            None => of == 1,
        }
    }
}

/// The entries of the file, and what is wrong with it.
pub fn parse(text: &str) -> (Vec<Entry>, Vec<Finding>) {
    let mut entries: Vec<Entry> = Vec::new();
    let mut findings = Vec::new();
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    while let Some((line, text)) = lines.next() {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if text == HEADER {
            entries.push(Entry { line, values: BTreeMap::new() });
            continue;
        }
        let pair = text.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
        let value = pair.and_then(|(key, value)| {
            let value = match value.strip_prefix("\"\"\"") {
                Some(first) => paragraph(first, &mut lines)?,
                None => single(value)?,
            };
            Some((key, value))
        });
        let message = match (value, entries.last_mut()) {
            (None, _) => format!("wants {HEADER}, or a key with a string or number, not: {text}"),
            (_, None) => format!("stands before the first {HEADER}: {text}"),
            (Some((key, _)), _) if key != ORDINAL && !NEEDED.contains(&key) => {
                format!("an entry has no `{key}`")
            }
            (Some((key, value)), Some(entry)) => {
                if entry.values.insert(key.to_owned(), value).is_none() {
                    continue;
                }
                format!("the entry has a `{key}` already")
            }
        };
        findings.push(Finding::new(FILE, line, message));
    }
    for entry in &entries {
        let missing = NEEDED.iter().filter(|key| entry.get(key).trim().is_empty());
        findings.extend(
            missing
                .map(|key| Finding::new(FILE, entry.line, format!("the entry lacks its `{key}`"))),
        );
    }
    (entries, findings)
}

/// A string in quotes or a number; a comment may follow.
fn single(value: &str) -> Option<String> {
    let Some(quoted) = value.strip_prefix('"') else {
        let number = value.split('#').next().unwrap_or("").trim();
        return number.parse::<usize>().ok().map(|number| number.to_string());
    };
    let mut text = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => match characters.next()? {
                escaped @ ('"' | '\\') => text.push(escaped),
                _ => return None,
            },
            character => text.push(character),
        }
    }
    let rest = characters.as_str().trim();
    (rest.is_empty() || rest.starts_with('#')).then_some(text)
}

/// A string in three quotes, its lines joined; `first` follows the opening ones.
fn paragraph<'a>(
    first: &'a str,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> Option<String> {
    let mut words: Vec<&str> = Vec::new();
    let mut line = first;
    loop {
        if let Some((last, rest)) = line.split_once("\"\"\"") {
            words.extend(last.split_whitespace());
            return rest.is_empty().then(|| words.join(" "));
        }
        words.extend(line.split_whitespace());
        (_, line) = lines.next()?;
    }
}

/// The mutants that have an entry, but for fences: where one is left out, or is not the event that
/// it was, loom tries fewer executions.
pub fn listed<'a>(entries: &[Entry], mutants: &[Mutant<'a>]) -> Vec<Mutant<'a>> {
    let is_listed = |mutant: &&Mutant<'a>| {
        entries.iter().any(|entry| entry.is_about(mutant) && entry.counts_to(mutant))
    };
    let orderings = mutants.iter().filter(|mutant| !mutant.site.operation.is_fence());
    orderings.filter(is_listed).copied().collect()
}

/// Holds the entries against what happened: each survivor wants one entry, each entry one survivor.
/// Also says how many survivors are listed.
pub fn compare(entries: &[Entry], outcomes: &[(Mutant<'_>, Outcome)]) -> (usize, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut listed = 0;
    for (mutant, outcome) in outcomes {
        let survives = matches!(outcome, Outcome::Survived | Outcome::Undecided(_));
        let matching = |entry: &&Entry| entry.is_about(mutant) && entry.counts_to(mutant);
        match entries.iter().filter(matching).count() {
            0 if survives => {
                let site = mutant.site;
                let message = format!(
                    "no model needs this ordering ({}): add a model, weaken it, or list it in \
                     {FILE} with an argument:\n{}",
                    mutant.change(),
                    template(mutant),
                );
                findings.push(Finding::new(&site.place.file, site.place.line, message));
            }
            0 => {}
            _ if survives => listed += 1,
            _ => {}
        }
    }
    for (index, entry) in entries.iter().enumerate() {
        let same = |other: &&Entry| {
            let keys = NEEDED.iter().filter(|key| !matches!(**key, "edge" | "argument"));
            keys.chain([&ORDINAL]).all(|key| other.get(key) == entry.get(key))
        };
        let message = if entries[..index].iter().any(|other| same(&other)) {
            Some("the entry stands here twice".to_owned())
        } else {
            objection(entry, outcomes)
        };
        findings.extend(message.map(|message| Finding::new(FILE, entry.line, message)));
    }
    (listed, findings)
}

/// What is wrong with an entry, given what happened.
fn objection(entry: &Entry, outcomes: &[(Mutant<'_>, Outcome)]) -> Option<String> {
    let about: Vec<_> = outcomes.iter().filter(|(mutant, _)| entry.is_about(mutant)).collect();
    let Some((mutant, outcome)) = about.iter().find(|(mutant, _)| entry.counts_to(mutant)) else {
        return Some(match about.len() {
            0 => "stale: there is no such ordering any more".to_owned(),
            count => format!("the function has {count} of these: `ordinal` says which"),
        });
    };
    let edges = mutant.site.edge_names();
    match outcome {
        Outcome::Killed { job, .. } => Some(format!("stale: {job} fails without this ordering")),
        Outcome::Unreached => Some("no model reaches this, so nothing survives".to_owned()),
        _ if entry.get("edge") != edges => Some(format!("the edge of this ordering is {edges}")),
        Outcome::Survived | Outcome::Undecided(_) => None,
    }
}

/// An entry for a survivor, but for the argument.
fn template(mutant: &Mutant<'_>) -> String {
    let site = mutant.site;
    let ordinal = match site.ordinal {
        (_, 1) => String::new(),
        (ordinal, _) => format!("    {ORDINAL} = {ordinal}\n"),
    };
    format!(
        "    {HEADER}\n    file = \"{}\"\n    function = \"{}\"\n    operation = \"{}\"\n    \
         ordering = \"{}\"\n    weaker = \"{}\"\n{ordinal}    edge = \"{}\"\n    argument = \"\"",
        site.place.file,
        site.function,
        site.operation,
        site.order,
        mutant.weaker,
        site.edge_names(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::ordering_mutants::{
        operation::{Operation::Load, Order},
        samples::site,
        sites::Site,
    };

    const ENTRY: &str = "\
[[survivor]]
file = \"src/a.rs\"
function = \"A::f\"
operation = \"load\"
ordering = \"Acquire\"
weaker = \"Relaxed\"
edge = \"E\"
argument = \"\"\"
Why it
stays.\"\"\"
";

    fn load(line: usize, ordinal: (usize, usize)) -> Site {
        Site { ordinal, ..site(line, "A::f", Load, Order::Acquire) }
    }

    fn killed() -> Outcome {
        Outcome::Killed { job: "p01::a".to_owned(), execution: 3 }
    }

    /// The findings of a file's text, given what becomes of each site.
    fn findings(text: &str, outcomes: &[(&Site, Outcome)]) -> Vec<String> {
        let (entries, mut findings) = parse(text);
        let outcomes: Vec<_> = outcomes
            .iter()
            .map(|(site, outcome)| (Mutant { site, weaker: Order::Relaxed }, outcome.clone()))
            .collect();
        findings.extend(compare(&entries, &outcomes).1);
        findings.iter().map(Finding::to_string).collect()
    }

    #[track_caller]
    fn fails(text: &str, outcomes: &[(&Site, Outcome)], expected: &str) {
        let found = findings(text, outcomes);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:#?}");
    }

    #[test]
    fn listed_survivors_pass_wherever_they_stand() {
        for line in [3, 300] {
            for outcome in [Outcome::Survived, Outcome::Undecided(Vec::new())] {
                assert!(findings(ENTRY, &[(&load(line, (1, 1)), outcome)]).is_empty());
            }
        }
        assert!(findings("# None.\n", &[(&load(3, (1, 1)), killed())]).is_empty());
        // What is not reached is the coverage's to say.
        assert!(findings("", &[(&load(3, (1, 1)), Outcome::Unreached)]).is_empty());
    }

    #[test]
    fn unlisted_survivors_fail_with_the_entry_that_is_missing() {
        let survives = [(&load(3, (1, 1)), Outcome::Survived)];
        fails("", &survives, "src/a.rs:3: no model needs this ordering (load Acquire -> Relaxed)");
        let template = findings("", &survives).remove(0);
        let (_, entry) = template.split_once('\n').unwrap();
        assert!(
            findings(&entry.replace("argument = \"\"", "argument = \"Why.\""), &survives)
                .is_empty()
        );
        fails(entry, &survives, "survivors.toml:1: the entry lacks its `argument`");
    }

    #[test]
    fn stale_entries_fail() {
        fails(ENTRY, &[(&load(3, (1, 1)), killed())], "toml:1: stale: p01::a fails without");
        fails(ENTRY, &[], "toml:1: stale: there is no such ordering");
        let other = ENTRY.replace("A::f", "A::g");
        fails(&other, &[(&load(3, (1, 1)), killed())], "toml:1: stale: there is no such ordering");
        fails(ENTRY, &[(&load(3, (1, 1)), Outcome::Unreached)], "toml:1: no model reaches this");
        let edge = ENTRY.replace("\"E\"", "\"F\"");
        fails(
            &edge,
            &[(&load(3, (1, 1)), Outcome::Survived)],
            "toml:1: the edge of this ordering is E",
        );
        let twice = format!("{ENTRY}{ENTRY}");
        fails(
            &twice,
            &[(&load(3, (1, 1)), Outcome::Survived)],
            "toml:11: the entry stands here twice",
        );
    }

    #[test]
    fn of_several_the_ordinal_says_which() {
        let (first, second) = (load(3, (1, 2)), load(4, (2, 2)));
        let survives = [(&first, killed()), (&second, Outcome::Survived)];
        let mutants = [&first, &second].map(|site| Mutant { site, weaker: Order::Relaxed });
        let numbered =
            |ordinal: usize| ENTRY.replace("edge", &format!("ordinal = {ordinal} # why\nedge"));
        assert!(findings(&numbered(2), &survives).is_empty());
        assert_eq!(listed(&parse(&numbered(2)).0, &mutants), mutants[1..]);
        let wrong = findings(&numbered(1), &survives);
        assert!(wrong.iter().any(|finding| finding.contains("toml:1: stale")), "{wrong:?}");
        let none = findings(ENTRY, &survives);
        assert!(none.iter().any(|finding| finding.contains("`ordinal` says which")), "{none:?}");
    }

    #[test]
    fn what_is_not_an_entry_fails() {
        for (text, expected) in [
            ("file = \"a\"\n", "toml:1: stands before the first"),
            ("[survivor]\n", "toml:1: wants [[survivor]]"),
            ("edge\n", "toml:1: wants"),
            ("edge = E\n", "toml:1: wants"),
            ("edge = \"E\n", "toml:1: wants"),
            ("edge = \"E\" \"F\"\n", "toml:1: wants"),
            ("edge = \"\"\"E\n", "toml:1: wants"),
        ] {
            fails(text, &[], expected);
        }
        let survives = [(&load(3, (1, 1)), Outcome::Survived)];
        fails(
            &format!("{ENTRY}edge = \"E\"\n"),
            &survives,
            "toml:11: the entry has a `edge` already",
        );
        fails(&format!("{ENTRY}line = 3\n"), &survives, "toml:11: an entry has no `line`");
    }

    #[test]
    fn strings_are_read_as_toml_reads_them() {
        let (entries, findings) = parse("[[survivor]]\nargument = \"a \\\"b\\\" \\\\ # c\" # d\n");
        assert_eq!(entries[0].get("argument"), "a \"b\" \\ # c");
        assert_eq!(findings.len(), NEEDED.len() - 1);
        let (entries, _) = parse("[[survivor]]\nargument = \"\"\"a\n  b\n\n\"\"\"\nedge = \"E\"");
        assert_eq!((entries[0].get("argument"), entries[0].get("edge")), ("a b", "E"));
    }
}
