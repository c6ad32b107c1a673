//! `slipring top`: a running program's rings, in a terminal, or once as text.

mod history;
mod interval;
mod keys;
mod live;
mod once;
mod signals;
mod source;
mod state;
#[cfg(test)]
mod tests;
mod verdict;
mod view;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    time::Duration,
};

use slipring_insight::{Address, Feed};

use once::Form;

/// Whom to look at, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where a program shows its rings: `127.0.0.1:7070` or `unix:/path`.
    #[arg(value_name = "ADDRESS")]
    address: Address,
    /// The time over which rates are taken: 500ms, 2s.
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = interval::parse)]
    interval: Duration,
    /// Print one picture of each ring, and end; needs no terminal.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    form: FormArgs,
}

/// The form of what is printed once.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(multiple = false)]
struct FormArgs {
    /// As text, once.
    #[arg(long)]
    text: bool,
    /// As a Mermaid flowchart, once.
    #[arg(long)]
    mermaid: bool,
    /// For Graphviz, once.
    #[arg(long)]
    dot: bool,
}

impl FormArgs {
    fn form(self) -> Option<Form> {
        match self {
            Self { text: true, .. } => Some(Form::Text),
            Self { mermaid: true, .. } => Some(Form::Mermaid),
            Self { dot: true, .. } => Some(Form::Dot),
            Self { .. } => None,
        }
    }
}

/// Looks; 0 at the end, 1 if the program cannot be looked at, 2 if there is no terminal to show it in.
pub fn run(args: &Args) -> ExitCode {
    let form = args.form.form().or(args.once.then_some(Form::Text));
    if form.is_none() && !(io::stdout().is_terminal() && io::stdin().is_terminal()) {
        eprintln!("error: this is no terminal: --once prints one picture and ends");
        return ExitCode::from(2);
    }
    let result =
        Feed::connect(&args.address).map_err(|error| error.to_string()).and_then(
            |feed| match form {
                Some(form) => once::print(feed, args.interval, form),
                None => live::show(feed, &args.address, args.interval),
            },
        );
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
