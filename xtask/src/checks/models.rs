//! `cargo xtask models`: every model of `loom-tests` holds, and every fault of `loom-controls` is
//! noticed by the models that are named for it.

use crate::{command, project::Project};

/// Searches want their own profile: fast, and with every check.
const PACKAGES: [&str; 3] = ["loom-tests", "loom-controls", "order-service"];

pub fn run(project: &Project) -> Result<String, String> {
    for package in PACKAGES {
        command::run(&mut project.cargo(&["test", "--package", package, "--profile", "loom"]))?;
    }
    Ok("Every model passes, and none of them passes a fault that it must notice.".to_owned())
}
