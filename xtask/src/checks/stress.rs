//! `cargo xtask stress`: random rings under random misfortune, each checked exactly at its end.
//!
//! The program is the package `stress`; what follows the command on the line is handed on to it.

use crate::{command, project::Project};

const PROGRAM: [&str; 6] = ["run", "--quiet", "--release", "--package", "stress", "--"];

pub fn run(project: &Project) -> Result<String, String> {
    run_with(project, &[])
}

/// With the program's own options: `--seconds`, `--seed` and so on.
pub fn run_with(project: &Project, options: &[&str]) -> Result<String, String> {
    command::run(&mut project.cargo(&[&PROGRAM, options].concat()))?;
    Ok("Every round ended as it should.".to_owned())
}
