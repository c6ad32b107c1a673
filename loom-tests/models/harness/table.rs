//! The table of models in the README: written from a run, and compared with it.

use std::{fmt::Write as _, fs, path::PathBuf};

use super::model::Job;

const BEGIN: &str =
    "<!-- The table is written by: cargo test -p loom-tests --profile loom -- --write-table -->\n";
const END: &str = "<!-- End of the table. -->";

/// Compares the README with what was searched, or brings it up to date.
pub fn settle(searched: &[(Job, usize)], write: bool) -> Result<(), String> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let (before, rest) = text.split_once(BEGIN).ok_or("README.md has no place for the table")?;
    let (found, after) = rest.split_once(END).ok_or("README.md has no end of the table")?;
    let table = table(searched);
    if found == table {
        return Ok(());
    }
    if !write {
        return Err("the table in loom-tests/README.md is out of date; write it with: \
                    cargo test -p loom-tests --profile loom -- --write-table"
            .to_owned());
    }
    let text = format!("{before}{BEGIN}{table}{END}{after}");
    fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Everything but the times, which are not the same twice.
fn table(searched: &[(Job, usize)]) -> String {
    let mut text = String::from(
        "\n| property | model | threads | ring | events | fences | preemptions | executions |\n\
         |---|---|--:|--:|--:|---|---|--:|\n",
    );
    for (job, executions) in searched {
        let model = job.model;
        let (threads, ring, events) = model.size;
        let fences = format!("{:?}", job.fences).to_lowercase();
        let bound = model.bound.map_or("all".to_owned(), |bound| format!("up to {bound}"));
        let _ = writeln!(
            text,
            "| [{0}](models/{0}.rs) | `{1}` | {threads} | {ring} | {events} | {fences} | {bound} | {executions} |",
            model.property, model.name,
        );
    }
    text.push('\n');
    text
}
