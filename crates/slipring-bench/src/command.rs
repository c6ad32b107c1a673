//! `slipring bench`, and the comparison: from the command line to the exit code.

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use indicatif::HumanDuration;

use crate::{
    arguments::What,
    contest::Rules,
    contestant::Contestant,
    error::CommandError,
    load::cores_of,
    machine,
    measure::Bench,
    memory::HeapProbe,
    plan,
    progress::Progress,
    report,
    results::Results,
    summary::Summary,
    table::{self, Style},
};

/// Measures slipring, the floor below it, and whoever is built in beside it. Every consumer of every
/// run checks count, order and content of what it saw.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Parser)]
#[command(version, about)]
struct Line {
    #[command(flatten)]
    args: Args,
}

/// A whole program: reads the command line and measures these contestants. `heap` tells how much is
/// allocated, if the program counts that.
#[must_use]
pub fn main(contestants: &[Box<dyn Contestant>], heap: Option<HeapProbe>) -> ExitCode {
    Line::parse().args.run(contestants, heap)
}

/// What was asked for cannot be done.
const USAGE: u8 = 2;

impl Args {
    /// Measures, prints and writes. Fails if what was asked for cannot be done, or if a contestant
    /// failed a check: figures of somebody who loses events are worth nothing.
    #[must_use]
    pub fn run(&self, contestants: &[Box<dyn Contestant>], heap: Option<HeapProbe>) -> ExitCode {
        match self.try_run(contestants, heap) {
            Ok(results) => {
                let faults = results.faults();
                for fault in &faults {
                    eprintln!("FAILED: {fault}");
                }
                if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
            }
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::from(USAGE)
            }
        }
    }

    fn try_run(
        &self,
        contestants: &[Box<dyn Contestant>],
        heap: Option<HeapProbe>,
    ) -> Result<Results, CommandError> {
        let plans = self.what.plans()?;
        let rules = self.what.rules()?;
        let contestants = self.what.common().pick(contestants)?;
        let cores = cores_of(&rules.cores);
        let bench = Bench { contestants, rules, cores, heap };
        let work = plans.iter().filter(|plan| plan.cell().is_some());
        if work.map(|plan| plan.entries(&bench.contestants)).sum::<usize>() == 0 {
            return Err(CommandError::NothingFits);
        }
        let estimate = plan::estimate(&plans, &bench.contestants, &bench.rules, bench.cores);
        let (steps, names) = (plans.len(), bench.contestants.len());
        let time = HumanDuration(estimate.max(Duration::from_secs(1)));
        eprintln!("{steps} steps, {names} contestants, about {time}");
        let mut results = header(&bench.rules);
        bench.carry_out(&plans, &Progress::new(estimate), &mut results);
        results.load_after = machine::load();
        self.give(&results)?;
        Ok(results)
    }

    fn give(&self, results: &Results) -> Result<(), CommandError> {
        let common = self.what.common();
        match common.json.as_deref() {
            Some(path) if path == Path::new("-") => print(&results.to_json())?,
            path => {
                let style = if common.markdown { Style::Markdown } else { Style::Terminal };
                print(&tables(results, style))?;
                if let Some(path) = path {
                    write(path, &results.to_json())?;
                }
            }
        }
        if let Some(directory) = &common.report {
            let page = report::write(results, directory)?;
            eprintln!("report: {}", page.display());
        }
        Ok(())
    }
}

fn header(rules: &Rules) -> Results {
    Results {
        command: command_line(),
        machine: machine::describe(),
        cores: cores_of(&[]),
        load_before: machine::load(),
        rounds: rules.rounds,
        seconds: rules.target.as_secs_f64(),
        ..Results::default()
    }
}

/// The command line, with the program's name and not its place.
fn command_line() -> String {
    let mut words = env::args();
    let program = words.next().map(PathBuf::from).unwrap_or_default();
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    [name].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

fn tables(results: &Results, style: Style) -> String {
    let sheets = table::sheets(results).into_iter().map(|sheet| sheet.render(style));
    let verdict = table::verdict_lines(&Summary::of(&results.throughput));
    let parts: Vec<_> = sheets.chain([table::headline(results)]).chain(verdict).collect();
    parts.join("\n")
}

/// Prints to standard output; whoever has closed it wants no more.
fn print(text: &str) -> Result<(), CommandError> {
    match writeln!(io::stdout(), "{text}") {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::Output { path: "standard output".into(), source })
        }
        _ => Ok(()),
    }
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    fs::write(path, text).map_err(|source| CommandError::Output { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Line::command().debug_assert();
    }
}
