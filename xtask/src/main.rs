//! The checks of this repository: `cargo xtask <check>` runs one, `cargo xtask ci` runs all of them.
//!
//! Each check is a file of [`checks`] and a row of [`checks::CHECKS`]. Checks that only read text do
//! so through [`source`] (Rust without comments and strings, and the comments), [`paths`] (the paths
//! that code names, `use` trees unfolded) and [`markdown`].

mod checks;
mod command;
mod finding;
mod functions;
mod markdown;
mod paths;
mod pipeline;
mod project;
mod source;

use std::{env, fmt::Write as _, process::ExitCode};

use checks::{CHECKS, Check, WRITERS};
use project::Project;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        [] | ["help" | "-h" | "--help"] => {
            print!("{}", usage());
            return ExitCode::SUCCESS;
        }
        ["ci"] => pipeline::run(&Project::here(), CHECKS),
        [name] => one_of(CHECKS, name, "no check is called"),
        [name, "--write"] => one_of(WRITERS, name, "nothing is written by"),
        _ => Err(format!("one check at a time, and no further arguments\n\n{}", usage())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn one_of(checks: &[Check], name: &str, or: &str) -> Result<(), String> {
    match checks.iter().find(|check| check.name == name) {
        Some(check) => pipeline::run_one(&Project::here(), check),
        None => Err(format!("{or} `{name}`\n\n{}", usage())),
    }
}

/// The commands, in the order in which `ci` runs them.
fn usage() -> String {
    let mut text = String::from("Usage: cargo xtask <command>\n\n");
    for (name, about) in CHECKS.iter().map(|check| (check.name, check.about)) {
        let _ = writeln!(text, "  {name:<16} {about}");
    }
    let all = "all of the above, in this order, up to the first failure";
    let _ = writeln!(text, "\n  {:<16} {all}", "ci");
    for (name, about) in WRITERS.iter().map(|check| (check.name, check.about)) {
        let _ = writeln!(text, "\ncargo xtask {name} --write: {about}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_lists_every_command_once() {
        let text = usage();
        for name in CHECKS.iter().map(|check| check.name).chain(["ci"]) {
            let rows = text.lines().filter(|line| line.split_whitespace().next() == Some(name));
            assert_eq!(rows.count(), 1, "{name}");
        }
    }

    #[test]
    fn the_tests_are_last_so_that_their_summary_ends_the_output() {
        assert_eq!(CHECKS.last().map(|check| check.name), Some("test"));
    }
}
