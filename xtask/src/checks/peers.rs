//! `cargo xtask peers`: the comparison with other crates still builds, with the versions in its own
//! lock file, and its tests pass.

use crate::{
    command,
    project::{PEERS_MANIFEST, Project},
};

pub fn run(project: &Project) -> Result<String, String> {
    if !project.exists(PEERS_MANIFEST) {
        return Ok(format!("Skipped: there is no {PEERS_MANIFEST}."));
    }
    let manifest = ["--manifest-path", PEERS_MANIFEST, "--locked"];
    let targets = [&["check"], &manifest[..], &["--all-targets"]].concat();
    command::run(&mut project.cargo(&targets))?;
    command::run(&mut project.cargo(&[&["test"], &manifest[..]].concat()))?;
    Ok("Builds as locked.".to_owned())
}
