//! `slipring store`: looks into an event store, copies it, checks it. Each subcommand has a file.

mod copy;
mod failure;
mod inspect;
mod location;
mod output;
mod read;
mod replay;
mod times;
mod upkeep;

use std::process::ExitCode;

use clap::Subcommand;

use failure::Failure;

/// What to do, with which store.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Says what is in a store: where it begins and ends, its topics, its checkpoints.
    Inspect(inspect::Args),
    /// Writes the events of some topics and times, in the order of their times.
    Query(read::QueryArgs),
    /// Writes the last events, and goes on with those that come.
    Tail(read::TailArgs),
    /// Reads everything there is, and says what is damaged.
    Verify(upkeep::VerifyArgs),
    /// Writes all events as lines of JSON.
    Export(copy::ExportArgs),
    /// Appends events from lines of JSON.
    Import(copy::ImportArgs),
    /// Writes events as they happened, as fast or so many times faster, with a progress bar.
    Replay(replay::Args),
    /// Removes events that need not be kept.
    Retain(upkeep::RetainArgs),
    /// Gives room back to the disk.
    Compact(upkeep::CompactArgs),
}

/// 0 if it was done, 1 if something is damaged, 2 if it could not be done.
pub fn run(args: &Args) -> ExitCode {
    let done = match &args.command {
        Command::Inspect(args) => inspect::run(args),
        Command::Query(args) => read::query(args),
        Command::Tail(args) => read::tail(args),
        Command::Verify(args) => upkeep::verify(args),
        Command::Export(args) => copy::export(args),
        Command::Import(args) => copy::import(args),
        Command::Replay(args) => replay::run(args),
        Command::Retain(args) => upkeep::retain(args),
        Command::Compact(args) => upkeep::compact(args),
    };
    match done {
        // Whoever reads may stop before the end.
        Ok(()) | Err(Failure::NobodyReads) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.code())
        }
    }
}
