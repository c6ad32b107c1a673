//! Runs checks one after the other, with the time each took.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use crate::{checks::Check, project::Project};

/// Runs `checks` in order and stops at the first failure.
///
/// The last one's success is not remarked upon: the tests come last, and the closing lines of their
/// runner (with its own count and time) are to end the output.
pub fn run(project: &Project, checks: &[Check]) -> Result<(), String> {
    let started = Instant::now();
    let mut times = String::new();
    for (done, check) in checks.iter().enumerate() {
        let position = format!("[{}/{}]", done + 1, checks.len());
        if done > 0 && done + 1 == checks.len() {
            println!("\n{done} checks passed in {}:\n{times}", seconds(started.elapsed()));
        }
        println!("\n==> {position} {}: {}", check.name, check.about);
        let (outcome, took) = timed(|| (check.run)(project));
        let summary = outcome.map_err(|report| {
            let name = check.name;
            format!(
                "check {position} `{name}` failed after {}:\n{report}\n\
                 Run it alone with: cargo xtask {name}",
                seconds(took),
            )
        })?;
        if done + 1 < checks.len() {
            println!("    {}: ok in {}. {summary}", check.name, seconds(took));
            let _ = writeln!(times, "    {:<16} {:>9}", check.name, seconds(took));
        }
    }
    Ok(())
}

/// Runs a single check, with or without arguments.
pub fn run_one(name: &str, check: impl FnOnce() -> Result<String, String>) -> Result<(), String> {
    let (outcome, took) = timed(check);
    let summary = outcome.map_err(|report| format!("check `{name}` failed:\n{report}"))?;
    // Some checks end with their tool's own words.
    if !summary.is_empty() {
        println!("{name}: ok in {}. {summary}", seconds(took));
    }
    Ok(())
}

fn timed(check: impl FnOnce() -> Result<String, String>) -> (Result<String, String>, Duration) {
    let started = Instant::now();
    let outcome = check();
    (outcome, started.elapsed())
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    #[expect(clippy::unnecessary_wraps, reason = "checks have this type")]
    fn the_first_failure_stops_the_run_and_is_named() {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        fn good(_: &Project) -> Result<String, String> {
            RUNS.fetch_add(1, Ordering::Relaxed);
            Ok(String::new())
        }
        fn bad(_: &Project) -> Result<String, String> {
            Err("src/a.rs:1: wrong".to_owned())
        }
        let checks = [
            Check { name: "first", about: "", run: good },
            Check { name: "second", about: "", run: bad },
            Check { name: "third", about: "", run: good },
        ];
        let failure = run(&Project::here(), &checks).expect_err("the second check fails");
        assert!(failure.starts_with("check [2/3] `second` failed"), "{failure}");
        assert!(failure.contains("src/a.rs:1: wrong"), "{failure}");
        assert!(failure.ends_with("cargo xtask second"), "{failure}");
        assert_eq!(RUNS.load(Ordering::Relaxed), 1);
    }
}
