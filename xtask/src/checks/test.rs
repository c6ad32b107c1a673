//! `cargo xtask test`: all tests, by cargo-nextest where it is installed.
//!
//! nextest runs each test in a process of its own and ends one that hangs. Without it `cargo test`
//! runs the same tests. Documentation tests are always `cargo test`'s, and so are those that share one RabbitMQ server:
//! it takes seconds to start, and nextest would start one for each of them.

use std::{process::Stdio, time::Duration};

use crate::{command, project::Project};

/// Run by `cargo xtask models` and `cargo xtask shuttle`: they want their own profile.
const MODELS: [&str; 4] = ["loom-tests", "loom-controls", "order-service", "shuttle-tests"];

/// They share a server as long as they share a process.
const SHARING: &str = "rabbit";
/// With the build. Nobody else ends one that hangs.
const TIME_MAX: Duration = Duration::from_mins(20);

pub fn run(project: &Project) -> Result<String, String> {
    let rest = format!("not binary({SHARING})");
    let runner: &[&str] = if has_nextest(project) {
        sharing(project)?;
        &["nextest", "run", "--filterset", &rest]
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

fn sharing(project: &Project) -> Result<(), String> {
    let package = ["--package", "slipring-bridge", "--all-features"];
    let mut tests = project.cargo(&[&["test"], &package[..], &["--test", SHARING]].concat());
    let name = command::shown(&tests);
    println!("    $ {name}");
    match command::within(&mut tests, TIME_MAX)? {
        None => Err(format!("`{name}` did not end and was stopped")),
        Some(output) => {
            print!("{}", String::from_utf8_lossy(&output.stdout));
            output
                .status
                .success()
                .then_some(())
                .ok_or(format!("`{name}` ended with {}", output.status))
        }
    }
}

fn has_nextest(project: &Project) -> bool {
    let mut command = project.cargo(&["nextest", "--version"]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
