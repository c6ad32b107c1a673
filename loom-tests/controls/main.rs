//! Negative controls: for each fault of `faults.rs`, the models that must notice it.
//!
//! A model that passes may be one that looks at nothing. So each is run, in a process of its own,
//! on a ring that is broken in one place, and must fail with a finding of its own: not by running
//! out of time, and not by searching too deep. Unbroken, the same program must pass the same
//! models.

#[allow(dead_code, reason = "what is broken, and how, is the build script's affair")]
mod faults;
#[path = "../models/main.rs"]
mod models;

use std::{
    collections::BTreeSet,
    env,
    fmt::Write as _,
    io::Read as _,
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use faults::{FAULTS, Fault};
use models::{harness, shapes};
// What is planted in what the models include asks for it here.
use slipring::is_planted;

/// Far more than any of them takes.
const TIME_MAX: Duration = Duration::from_mins(5);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    // One model in this process, with the fault that the environment names; or the names of all.
    if arguments.iter().any(|argument| argument == "--run" || argument == "--list") {
        return models::main();
    }
    let filters: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |fault: &&Fault| {
        let name = format!("{} {}", fault.property, fault.name);
        filters.is_empty() || filters.iter().any(|filter| name.contains(*filter))
    };
    let faults: Vec<&Fault> = FAULTS.iter().filter(is_wanted).collect();
    let jobs: BTreeSet<&str> = faults.iter().flat_map(|fault| fault.caught_by).copied().collect();
    let runs: Vec<Run<'_>> = faults
        .iter()
        .map(|fault| Run::Broken(fault))
        .chain(jobs.into_iter().map(Run::Unbroken))
        .collect();
    let started = Instant::now();
    let mut failed = judge_all(&runs);
    if filters.is_empty() {
        let unproven = never_seen_to_fail();
        for model in &unproven {
            println!("{model}: no fault shows that it can fail; name it with one in faults.rs");
        }
        failed += unproven.len();
    }
    println!(
        "\ntest result: {}. {} passed; {failed} failed; finished in {:.2}s",
        if failed == 0 { "ok" } else { "FAILED" },
        runs.len().saturating_sub(failed),
        started.elapsed().as_secs_f64(),
    );
    if failed == 0 && !runs.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The models that no fault must be caught by, whatever their fences.
fn never_seen_to_fail() -> Vec<String> {
    let plain = |job: &str| job.split('/').next().unwrap_or_default().to_owned();
    let seen: BTreeSet<String> =
        FAULTS.iter().flat_map(|fault| fault.caught_by).map(|job| plain(job)).collect();
    let listed =
        env::current_exe().and_then(|program| Command::new(program).arg("--list").output());
    let listed = listed.expect("this program can be run");
    let listed = String::from_utf8_lossy(&listed.stdout);
    let all: BTreeSet<String> = listed.lines().map(plain).collect();
    all.difference(&seen).cloned().collect()
}

enum Run<'a> {
    /// A fault, and every model that must catch it.
    Broken(&'a Fault),
    /// A model without any fault.
    Unbroken(&'a str),
}

/// Runs them, as many at once as there are cores; returns how many went wrong.
fn judge_all(runs: &[Run<'_>]) -> usize {
    let (next, failed, output) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(()));
    let work = || {
        while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (report, is_right) = match run {
                Run::Broken(fault) => judge(fault),
                Run::Unbroken(job) => judge_unbroken(job),
            };
            failed.fetch_add(usize::from(!is_right), Ordering::Relaxed);
            // Not `print`'s own lock: a report has several lines.
            let _one_at_a_time = output.lock();
            println!("{report}");
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    failed.into_inner()
}

fn judge(fault: &Fault) -> (String, bool) {
    let Fault { name, property, what, caught_by, .. } = fault;
    let mut report = format!("{property} {name}: {what}");
    let mut is_caught = !caught_by.is_empty();
    for job in *caught_by {
        let started = Instant::now();
        let verdict = run(job, Some(name)).and_then(|text| finding(&text));
        let seconds = started.elapsed().as_secs_f64();
        let row = match verdict {
            Ok(Finding { execution, how }) => {
                format!("execution {execution:>7} {seconds:>7.2} s  {how}")
            }
            Err(error) => {
                is_caught = false;
                format!("NOT CAUGHT: {error}")
            }
        };
        let _ = write!(report, "\n    {job:<48} {row}");
    }
    (report, is_caught)
}

fn judge_unbroken(job: &str) -> (String, bool) {
    match run(job, None) {
        Ok(text) if text.lines().any(|line| line.starts_with(harness::child::EXECUTIONS)) => {
            (format!("unbroken: {job} passes"), true)
        }
        Ok(text) => (format!("unbroken: {job} FAILED:\n{text}"), false),
        Err(error) => (format!("unbroken: {job} FAILED: {error}"), false),
    }
}

/// What a model has to say of a fault.
struct Finding {
    execution: usize,
    /// The first line of the panic.
    how: String,
}

fn finding(text: &str) -> Result<Finding, String> {
    let execution = text
        .lines()
        .find_map(|line| line.strip_prefix(harness::child::FAILED_IN)?.trim().parse().ok())
        .ok_or_else(|| format!("no execution fails: {}", text.trim()))?;
    // The first line says where, and who panicked; an assertion's values have lines of their own.
    let mut said = text.lines().skip_while(|line| line.is_empty() || line.contains("panicked at "));
    let mut how = said.next().unwrap_or_default().to_owned();
    for value in said.take_while(|line| line.starts_with(' ')) {
        how = format!("{how}, {}", value.trim());
    }
    let how: String = how.chars().take(120).collect();
    if how.contains("exceeded maximum number of branches") {
        return Err("the search went too deep: that finds nothing".to_owned());
    }
    Ok(Finding { execution, how })
}

/// What a model prints, run in a process of its own.
fn run(job: &str, fault: Option<&str>) -> Result<String, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["--run", job]).env_remove("PLANTED").envs(fault.map(|name| ("PLANTED", name)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let child = command.spawn().map_err(|error| error.to_string())?;
    wait(child)
}

fn wait(mut child: Child) -> Result<String, String> {
    let started = Instant::now();
    // What it prints is short: it fits the pipe until it is read.
    while child.try_wait().map_err(|error| error.to_string())?.is_none() {
        if started.elapsed() > TIME_MAX {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("no end within {} s", TIME_MAX.as_secs()));
        }
        thread::sleep(Duration::from_millis(5));
    }
    let mut text = String::new();
    let mut pipe = child.stdout.take().ok_or("no pipe")?;
    pipe.read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}
