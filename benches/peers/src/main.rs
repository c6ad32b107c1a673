//! Prints the table of `slipring` beside its peers; see the README.

#![forbid(unsafe_code)]

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use slipring_peers::options::{Options, Refusal};
use slipring_peers::{contest, machine, table};

fn main() -> ExitCode {
    let options = match Options::parse(env::args().skip(1)) {
        Ok(options) => options,
        Err(Refusal::Help) => {
            print!("{}", Refusal::Help);
            return ExitCode::SUCCESS;
        }
        Err(refusal) => {
            eprint!("{refusal}");
            return ExitCode::from(2);
        }
    };
    match print_table(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn print_table(options: &Options) -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout();
    let (rounds, target) = (options.rounds, options.target);
    writeln!(out, "Machine: {}. {rounds} rounds of runs of {target:?}.\n", machine::describe())?;
    writeln!(out, "{}", table::HEAD)?;
    for (cell, peers) in options.cells() {
        eprintln!("measuring {cell}");
        for row in table::rows(&cell, &contest::hold(&cell, &peers, rounds, target)?) {
            writeln!(out, "{row}")?;
        }
        out.flush()?;
    }
    writeln!(out, "\nAfterwards: {}.", machine::describe())?;
    Ok(())
}
