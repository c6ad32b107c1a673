//! `cargo xtask doc`: the crate's documentation, with broken links as errors.

use crate::{command, project::Project};

pub fn run(project: &Project) -> Result<String, String> {
    let mut command = project.cargo(&["doc", "--no-deps", "--all-features"]);
    command::run(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok("No warnings.".to_owned())
}
