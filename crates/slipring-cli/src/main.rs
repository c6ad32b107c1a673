//! The command `slipring`. Each subcommand has a file.

#![forbid(unsafe_code)]

mod bench;

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
    Bench(slipring_bench::command::Args),
}

fn main() -> ExitCode {
    match Line::parse().command {
        Command::Bench(args) => bench::run(&args),
    }
}
