//! `cargo xtask clippy`: every lint of the workspace, as an error.

use crate::{
    command,
    project::{PEERS_MANIFEST, Project},
};

/// The library with the model checker's face, and the models. Its unit tests are not built with that
/// face, and `--all-targets` would.
const MODELS: [&[&str]; 3] = [
    &["clippy", "--package", "loom-tests", "--package", "loom-controls", "--all-features"],
    &["--lib", "--test", "models"],
    &["--test", "controls"],
];

pub fn run(project: &Project) -> Result<String, String> {
    let everything = ["clippy", "--workspace", "--all-targets", "--all-features"];
    let without_models = ["--exclude", "loom-tests", "--exclude", "loom-controls"];
    lint(project, &[&everything[..], &without_models])?;
    lint(project, &MODELS)?;
    if project.exists(PEERS_MANIFEST) {
        let manifest = ["--manifest-path", PEERS_MANIFEST, "--locked"];
        lint(project, &[&["clippy"], &manifest[..], &["--all-targets"]])?;
    }
    Ok("No warnings.".to_owned())
}

fn lint(project: &Project, arguments: &[&[&str]]) -> Result<(), String> {
    let arguments = [&arguments.concat()[..], &["--", "-D", "warnings"]].concat();
    command::run(&mut project.cargo(&arguments))
}
