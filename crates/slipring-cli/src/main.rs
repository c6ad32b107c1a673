//! The command `slipring`. Each subcommand has a file.

#![forbid(unsafe_code)]

mod bench;
mod doctor;
mod store;
mod top;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "slipring", version, about)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures slipring on this machine, beside a floor of what the machine can do.
    Bench(Box<slipring_bench::command::Args>),
    /// Says what would hurt latency on this machine and how to mend it, and plans threads' cores.
    Doctor(doctor::Args),
    /// Looks into an event store, copies it, checks it.
    Store(Box<store::Args>),
    /// Shows the rings of a running program.
    Top(top::Args),
}

fn main() -> ExitCode {
    match Line::parse().command {
        Command::Bench(args) => bench::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Store(args) => store::run(&args),
        Command::Top(args) => top::run(&args),
    }
}
