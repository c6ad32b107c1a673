//! `cargo xtask shuttle`: the library under shuttle, on random rings under random schedules.
//!
//! `SHUTTLE_TIMES` and `SHUTTLE_SEED` are handed on; see `shuttle-tests/README.md`.

use crate::{command, project::Project};

pub fn run(project: &Project) -> Result<String, String> {
    let arguments = ["test", "--package", "shuttle-tests", "--profile", "loom"];
    command::run(&mut project.cargo(&arguments))?;
    // The runner's own summary is to be the last thing seen.
    Ok(String::new())
}
