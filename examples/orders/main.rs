//! Orders from several threads go through a ring of five stations, and the result is checked
//! against a plain loop.
//!
//! ```text
//! producers -> created -> risk   -> inventory -> report
//!                      -> ledger ->
//! ```
//!
//! Run it with `cargo run --release --example orders`, add `-- --help` for the options.
//!
//! * `order`: the event, and what each station does to it
//! * `input`: the purchase file and the generator
//! * `pipeline`: the ring
//! * `reference`: the plain loop
//! * `report`: the table and the progress bar
//! * `options`: the command line

#![forbid(unsafe_code)]

mod input;
mod options;
mod order;
mod pipeline;
mod reference;
mod report;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use input::Source;
use options::Options;
use order::Inventory;
use report::{Progress, Table};

/// Why a run did not end well.
enum Failure {
    /// The user has to ask for something else: exit code 2.
    Usage(String),
    /// The ring stopped early, or gave a wrong result: exit code 1.
    Run(String),
}

fn main() -> ExitCode {
    let (code, message) = match run(&Options::from_command_line()) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Run(message)) => (1, message),
        Err(Failure::Usage(message)) => (2, message),
    };
    eprintln!("error: {message}");
    ExitCode::from(code)
}

fn run(options: &Options) -> Result<(), Failure> {
    let (source, bad_lines) = match &options.input {
        Some(path) => read(path, options)?,
        None => (Source::Generated { seed: options.seed, events: options.events.get() }, 0),
    };
    let Some(events) = source.len() else {
        return Err(Failure::Usage(format!(
            "--repeat {} makes more orders than the {} a run can number",
            options.repeat,
            u32::MAX
        )));
    };
    let stock = Inventory::plan(source.iter(), options.seed);

    let progress = Progress::start(u64::from(events));
    let result = pipeline::run(options, &source, stock.clone(), &progress.passed);
    progress.stop();
    let run = result.map_err(Failure::Run)?;

    let differences = reference::differences(&source, options.producers, stock, &run.books);
    let mut text = Table { options, run: &run, bad_lines }.to_string();
    if differences.is_empty() {
        text.push_str("\nself-check passed\n");
    }
    print(&text)?;
    if differences.is_empty() {
        return Ok(());
    }
    Err(Failure::Run(format!("self-check FAILED\n  {}", differences.join("\n  "))))
}

/// Reads the purchase file and names its bad lines; also gives their number.
fn read(path: &Path, options: &Options) -> Result<(Source, usize), Failure> {
    let name = path.display();
    let purchases = input::read_purchases(path)
        .map_err(|error| Failure::Usage(format!("cannot read {name}: {error}")))?;
    if purchases.header {
        eprintln!("{name}:1: taken for a header");
    }
    for bad in &purchases.bad_lines {
        eprintln!("{name}:{}: skipped, {}: {}", bad.number, bad.reason, bad.quote);
    }
    let source = Source::File { orders: purchases.orders, repeat: options.repeat.get() };
    Ok((source, purchases.bad_lines.len()))
}

/// Prints to stdout. A reader that went away, as in `orders | head -1`, has seen enough.
fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Run(format!("cannot write the result: {error}")))
        }
        _ => Ok(()),
    }
}
