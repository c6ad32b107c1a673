//! Many models, as many at once as there are cores, and a table of what was searched.

use std::{
    collections::BTreeMap,
    env, io,
    process::{Command, ExitCode, Output},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    child::{EXECUTIONS, FAILED_IN},
    command_line::Run,
    model::Job,
    table,
};

pub fn main(jobs: &[Job], run: &Run) -> ExitCode {
    let is_wanted = |job: &&Job| {
        run.filters.is_empty() || run.filters.iter().any(|filter| job.name().contains(filter))
    };
    let jobs: Vec<Job> = jobs.iter().filter(is_wanted).copied().collect();
    println!(
        "{:<48} {:>3} {:>4} {:>6} {:>11} {:>10} {:>9}",
        "model", "thr", "ring", "events", "preemptions", "executions", "seconds"
    );
    let started = Instant::now();
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let searched = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else { return };
            match judge(job, run.full) {
                Ok((count, time)) => {
                    println!("{}", row(job, run.full, count, time));
                    searched.lock().expect("nobody panics with it").insert(index, (*job, count));
                }
                Err(report) => {
                    failed.fetch_add(1, Ordering::Relaxed);
                    println!("{report}");
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let mut failed = failed.into_inner();
    let searched = searched.into_inner().expect("nobody panics with it");
    let searched: Vec<(Job, usize)> = searched.into_values().collect();
    if failed == 0
        && run.filters.is_empty()
        && !run.full
        && let Err(message) = table::settle(&searched, run.write_table)
    {
        println!("{message}");
        failed = 1;
    }
    println!(
        "\ntest result: {}. {} passed; {failed} failed; {} executions; finished in {:.2}s",
        if failed == 0 { "ok" } else { "FAILED" },
        searched.len(),
        searched.iter().map(|(_, count)| count).sum::<usize>(),
        started.elapsed().as_secs_f64(),
    );
    if failed == 0 && !jobs.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn row(job: &Job, full: bool, executions: usize, time: Duration) -> String {
    let (threads, ring, events) = job.model.size;
    let bound = job.bound(full).map_or("all".to_owned(), |bound| format!("at most {bound}"));
    let (name, seconds) = (job.name(), time.as_secs_f64());
    format!(
        "{name:<48} {threads:>3} {ring:>4} {events:>6} {bound:>11} {executions:>10} {seconds:>9.2}"
    )
}

/// Runs a job; of one that fails, the report ends with the trace of the failing execution.
fn judge(job: &Job, full: bool) -> Result<(usize, Duration), String> {
    let started = Instant::now();
    let output = child(job, full, &[])?;
    let text = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        let count = number_after(&text, EXECUTIONS).ok_or("the child did not count")?;
        return Ok((count, started.elapsed()));
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let mut report = format!("{} FAILED, {}:\n{text}{errors}", job.name(), output.status);
    if let Some(execution) = number_after(&text, FAILED_IN) {
        match trace(job, full, execution) {
            Ok(trace) => report.push_str(&trace),
            Err(error) => report = format!("{report}no trace could be had: {error}\n"),
        }
    }
    Err(report)
}

/// Repeats the search up to the failing execution, notes where it stands, and repeats that one
/// with everything loom has to say about it.
fn trace(job: &Job, full: bool, execution: usize) -> Result<String, String> {
    let folder = env::temp_dir().join(format!("slipring-loom-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let file = folder.join(job.name().replace([':', '/'], "_"));
    let _ = std::fs::remove_file(&file);
    let path = file.to_string_lossy();
    child(job, full, &["--checkpoint", &path, "--store-before", &execution.to_string()])?;
    let output = child(job, full, &["--checkpoint", &path, "--trace"])?;
    let _ = std::fs::remove_dir_all(&folder);
    Ok(format!("---- the failing execution ----\n{}", String::from_utf8_lossy(&output.stdout)))
}

fn child(job: &Job, full: bool, more: &[&str]) -> Result<Output, String> {
    let program = env::current_exe().map_err(|error: io::Error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["--run", &job.name()]).args(full.then_some("--full")).args(more);
    command.output().map_err(|error| format!("{}: {error}", job.name()))
}

fn number_after(text: &str, label: &str) -> Option<usize> {
    text.lines().find_map(|line| line.strip_prefix(label)?.trim().parse().ok())
}
