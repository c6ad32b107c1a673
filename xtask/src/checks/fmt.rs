//! `cargo xtask fmt`: rustfmt has nothing to change.

use std::env;

use crate::{
    command,
    project::{PEERS_MANIFEST, Project},
};

pub fn run(project: &Project) -> Result<String, String> {
    // rustfmt does not know cargo's variable, and colours its output even in a file.
    let never = env::var("CARGO_TERM_COLOR").is_ok_and(|choice| choice == "never");
    let colour: &[&str] = if never { &["--", "--color", "never"] } else { &[] };
    command::run(&mut project.cargo(&[&["fmt", "--all", "--check"], colour].concat()))?;
    if project.exists(PEERS_MANIFEST) {
        let arguments = ["fmt", "--check", "--manifest-path", PEERS_MANIFEST];
        command::run(&mut project.cargo(&[&arguments, colour].concat()))?;
    }
    Ok("Nothing to change.".to_owned())
}
