//! `cargo xtask ordering-mutants`: no ordering is stronger than some model proves necessary.
//!
//! Each ordering stronger than Relaxed is weakened, one at a time, and some model must fail. Those
//! whose weakening no model notices are listed in `loom-tests/ordering-survivors.toml`, each with
//! the argument why it stays. Each ordering must be reached by some model at all.
//!
//! One that is killed costs little: the model that the table names is the first to be tried, and the
//! others only where that has changed. One that survives costs a search of every model that reaches
//! it; those that are listed share it, see `Models::jobs`.
//!
//! | file | what |
//! |---|---|
//! | `operation.rs` | what an ordering is an operand of, and what weaker ones there are |
//! | `operands.rs` | the orderings and calls in a file's code |
//! | `sites.rs` | where they take effect, accessors followed to their callers |
//! | `models.rs` | the program with the models, as it runs with and without a mutation |
//! | `mutants.rs` | one ordering weakened, and what counts as a model's failure |
//! | `survivors.rs` | the reviewed list |
//! | `report.rs` | the table in ARCHITECTURE.md, and the score |
//!
//! The models say what they reach, and are told what to weaken, by environment variables: see
//! `src/sync/model/mutation.rs`. So they are built once, and each mutant is a run of a process.

mod models;
mod mutants;
mod operands;
mod operation;
mod report;
#[cfg(test)]
mod samples;
mod sites;
mod survivors;

use std::fs;

use crate::{finding, project::Project, source::Source};

use models::Models;

pub fn run(project: &Project) -> Result<String, String> {
    judge(project, false)
}

/// The same; with `--write` the table is written instead of compared.
pub fn run_with(project: &Project, arguments: &[&str]) -> Result<String, String> {
    match arguments {
        ["--write"] => judge(project, true),
        _ => Err(
            "`cargo xtask ordering-mutants --write` writes the table in ARCHITECTURE.md; there \
                  is nothing else to be told"
                .to_owned(),
        ),
    }
}

fn judge(project: &Project, write: bool) -> Result<String, String> {
    let files = project.rust_files(&["src"])?;
    let sources: Vec<(&str, Source)> =
        files.iter().map(|(file, text)| (file.as_str(), Source::parse(text))).collect();
    let (sites, mut findings) = sites::sites(&sources);
    let (entries, malformed) = survivors::parse(&project.read(survivors::FILE)?);
    findings.extend(malformed);
    if !findings.is_empty() {
        // What follows would take long, and mean little.
        return finding::report(findings, String::new());
    }
    let mutants = mutants::mutants(&sites);
    let listed = survivors::listed(&entries, &mutants);
    let models = Models::build(project)?;
    let jobs = models.jobs(&listed)?;
    findings.extend(mutants::coverage(&sites, &jobs));
    println!("    {} models reach {} sites; {} mutants", jobs.len(), sites.len(), mutants.len());
    let document = project.read(report::DOCUMENT)?;
    let outcomes = models::parallel(&mutants, |mutant| {
        let guards = report::guards(&document, mutant.site);
        let outcome =
            mutants::outcome(mutant, &guards, &jobs, |job, mutant| models.try_mutant(job, mutant));
        (*mutant, outcome)
    });
    let (listed, unlisted) = survivors::compare(&entries, &outcomes);
    findings.extend(unlisted);
    let table = report::table(&outcomes);
    print!("{}\n{table}\n", report::survivors(&outcomes));
    if write {
        match report::with_table(&document, &table) {
            Ok(text) => fs::write(project.path(report::DOCUMENT), text)
                .map_err(|error| format!("{}: {error}", report::DOCUMENT))?,
            Err(finding) => findings.push(finding),
        }
    } else {
        findings.extend(report::check(&document, &table));
    }
    let score = report::score(sites.len(), &outcomes, listed);
    println!("    {score}");
    finding::report(findings, score)
}
