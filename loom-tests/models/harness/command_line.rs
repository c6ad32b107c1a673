//! What the program is asked to do.

use std::path::PathBuf;

const USAGE: &str = "\
Usage: models [--full] [--write-table] [--list] [FILTER]...

Runs the models whose name contains one of the filters, or all. With --full without bounds on
preemptions, but for the few models whose searches would not end.
A run of all compares the table in the README with what it found, or writes it.";

pub enum Command {
    List,
    Run(Run),
    Child(Child),
}

/// A run of many models.
#[derive(Default)]
pub struct Run {
    pub full: bool,
    pub write_table: bool,
    pub filters: Vec<String>,
}

/// The run of one model in this process.
#[derive(Default)]
pub struct Child {
    pub job: String,
    pub full: bool,
    /// Where the search stands is written to this file or read from it.
    pub checkpoint: Option<PathBuf>,
    /// Write it before this execution.
    pub store_before: Option<usize>,
    pub trace: bool,
}

pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let (mut run, mut child, mut is_child, mut list) =
        (Run::default(), Child::default(), false, false);
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
        match &*argument {
            "--list" => list = true,
            "--write-table" => run.write_table = true,
            "--full" => (run.full, child.full) = (true, true),
            // One job here: what the runner and `cargo xtask ordering-mutants` start.
            "--run" => (child.job, is_child) = (value()?, true),
            "--checkpoint" => child.checkpoint = Some(value()?.into()),
            "--store-before" => {
                let execution = value()?.parse().map_err(|error| format!("{argument}: {error}"))?;
                child.store_before = Some(execution);
            }
            "--trace" => child.trace = true,
            // What `cargo test` passes on to every test program.
            "--nocapture" | "--no-capture" | "--quiet" | "-q" => {}
            _ if argument.starts_with('-') => {
                return Err(format!("unknown: {argument}\n\n{USAGE}"));
            }
            _ => run.filters.push(argument),
        }
    }
    Ok(match (list, is_child) {
        (true, _) => Command::List,
        (_, true) => Command::Child(child),
        _ => Command::Run(run),
    })
}
