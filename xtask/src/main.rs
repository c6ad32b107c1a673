//! The checks of this repository: `cargo xtask <check>` runs one, `cargo xtask ci` runs all of them.
//!
//! Each check is a file of [`checks`] and a row of [`checks::CHECKS`]; the few that take arguments
//! are listed in [`checks::WITH_ARGUMENTS`]. Checks that only read text do
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

use checks::{CHECKS, WITH_ARGUMENTS};
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
        [name, ref arguments @ ..] => run_one(name, arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run_one(name: &str, arguments: &[&str]) -> Result<(), String> {
    let Some(check) = CHECKS.iter().find(|check| check.name == name) else {
        return Err(format!("no check is called `{name}`\n\n{}", usage()));
    };
    let project = Project::here();
    if arguments.is_empty() {
        return pipeline::run_one(name, || (check.run)(&project));
    }
    let Some((_, run)) = WITH_ARGUMENTS.iter().find(|(able, _)| *able == name) else {
        return Err(format!("`{name}` takes no arguments\n\n{}", usage()));
    };
    pipeline::run_one(name, || run(&project, arguments))
}

/// The commands, in the order in which `ci` runs them.
fn usage() -> String {
    let mut text = String::from("Usage: cargo xtask <command>\n\n");
    for (name, about) in CHECKS.iter().map(|check| (check.name, check.about)) {
        let _ = writeln!(text, "  {name:<16} {about}");
    }
    let all = "all of the above, in this order, up to the first failure";
    let _ = writeln!(text, "\n  {:<16} {all}", "ci");
    for (name, _) in WITH_ARGUMENTS {
        let _ = writeln!(text, "\n`cargo xtask {name} --help` lists what `{name}` can be told.");
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
    fn only_checks_that_can_take_arguments_do() {
        assert!(WITH_ARGUMENTS.iter().all(|(able, _)| CHECKS.iter().any(|row| row.name == *able)));
        let refused = run_one("lines", &["--seconds", "1"]).expect_err("it takes none");
        assert!(refused.starts_with("`lines` takes no arguments"), "{refused}");
        let unknown = run_one("nothing", &["--seed"]).expect_err("there is no such check");
        assert!(unknown.starts_with("no check is called `nothing`"), "{unknown}");
    }

    #[test]
    fn the_tests_are_last_so_that_their_summary_ends_the_output() {
        assert_eq!(CHECKS.last().map(|check| check.name), Some("test"));
    }
}
