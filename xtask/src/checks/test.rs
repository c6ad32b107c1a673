//! `cargo xtask test`: all tests, by cargo-nextest where it is installed.
//!
//! nextest runs each test in a process of its own and ends one that hangs. Without it `cargo test`
//! runs the same tests. Documentation tests are always `cargo test`'s.

use std::process::Stdio;

use crate::{command, project::Project};

/// Run by `cargo xtask models` and `cargo xtask shuttle`: they want their own profile.
const MODELS: [&str; 4] = ["loom-tests", "loom-controls", "order-service", "shuttle-tests"];

pub fn run(project: &Project) -> Result<String, String> {
    let runner: &[&str] = if has_nextest(project) {
        &["nextest", "run"]
    } else {
        println!("    cargo-nextest is not installed: cargo test runs the tests.");
        &["test", "--lib", "--bins", "--tests", "--examples"]
    };
    let excluded = MODELS.iter().flat_map(|package| ["--exclude", package]);
    let workspace: Vec<&str> =
        ["--workspace", "--all-features"].into_iter().chain(excluded).collect();
    command::run(&mut project.cargo(&[runner, &workspace].concat()))?;
    command::run(&mut project.cargo(&[&["test", "--doc"], &workspace[..]].concat()))?;
    // The runner's own summary is to be the last thing seen.
    Ok(String::new())
}

fn has_nextest(project: &Project) -> bool {
    let mut command = project.cargo(&["nextest", "--version"]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
