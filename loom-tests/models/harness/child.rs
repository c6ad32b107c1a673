//! One model in this process.

use std::{
    panic,
    process::{self, ExitCode},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{command_line::Child, model::Job};

/// The payload of a panic that a model plans.
pub struct Planned;

/// What a child says before the number of executions, when it is done.
pub const EXECUTIONS: &str = "executions: ";
/// What a child says before the number of the execution that failed.
pub const FAILED_IN: &str = "failed in execution ";

static EXECUTION: AtomicUsize = AtomicUsize::new(0);

pub fn main(jobs: &[Job], child: &Child) -> ExitCode {
    let Some(job) = jobs.iter().find(|job| job.name() == child.job) else {
        eprintln!("there is no model `{}`", child.job);
        return ExitCode::FAILURE;
    };
    slipring::model::set_fences(job.fences);
    fail_at_once();
    let search = || {
        explorer(job, child).check({
            let body = job.model.body;
            move || {
                EXECUTION.fetch_add(1, Ordering::Relaxed);
                body();
            }
        });
    };
    if child.trace {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .without_time()
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(subscriber, search);
    } else {
        search();
    }
    slipring::model::write_log();
    println!("{EXECUTIONS}{}", EXECUTION.load(Ordering::Relaxed));
    ExitCode::SUCCESS
}

/// Any panic that is not planned ends the process, and does so at once: unwinding could meet a
/// station that takes it for its handler's, or loom in the middle of something.
fn fail_at_once() {
    panic::set_hook(Box::new(|info| {
        if !info.payload().is::<Planned>() {
            println!("{info}\n{FAILED_IN}{}", EXECUTION.load(Ordering::Relaxed));
            process::exit(101);
        }
    }));
}

fn explorer(job: &Job, child: &Child) -> loom::model::Builder {
    let mut explorer = loom::model::Builder::new();
    explorer.preemption_bound = job.bound(child.full);
    // An execution that waits for another thread takes its turns.
    explorer.max_branches = 20_000;
    explorer.checkpoint_file.clone_from(&child.checkpoint);
    if let Some(execution) = child.store_before {
        explorer.checkpoint_interval = execution;
    }
    explorer.log = child.trace;
    explorer.location = child.trace;
    explorer
}
