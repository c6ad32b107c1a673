//! `cargo xtask clippy`: every lint of the workspace, as an error.

use crate::{
    command,
    project::{PEERS_MANIFEST, Project},
};

pub fn run(project: &Project) -> Result<String, String> {
    let arguments =
        ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    command::run(&mut project.cargo(&arguments))?;
    if project.exists(PEERS_MANIFEST) {
        let manifest = ["--manifest-path", PEERS_MANIFEST, "--locked"];
        let arguments =
            [&["clippy"], &manifest[..], &["--all-targets", "--", "-D", "warnings"]].concat();
        command::run(&mut project.cargo(&arguments))?;
    }
    Ok("No warnings.".to_owned())
}
