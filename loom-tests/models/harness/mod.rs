//! Runs models, each in a process of its own: a failing one may take its process with it.

pub(crate) mod child;
mod command_line;
mod model;
mod runner;
mod table;

use std::process::ExitCode;

pub use model::Model;

/// The main program, given the models of each property.
pub fn main(models: &[&'static [Model]]) -> ExitCode {
    let jobs = model::Job::all(models);
    match command_line::parse(std::env::args().skip(1)) {
        Ok(command_line::Command::List) => {
            for job in &jobs {
                println!("{}", job.name());
            }
            ExitCode::SUCCESS
        }
        Ok(command_line::Command::Child(child)) => child::main(&jobs, &child),
        Ok(command_line::Command::Run(run)) => runner::main(&jobs, &run),
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// A panic that is part of a model; any other one fails it.
pub fn plan_a_panic() -> ! {
    std::panic::panic_any(child::Planned)
}
