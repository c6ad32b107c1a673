//! `cargo xtask readme`: what the documents tell a reader to run and to open is there.

use std::path::Path;

use super::CHECKS;
use crate::{
    finding::{Finding, report},
    markdown::{self, Line},
    project::Project,
};

const DOCUMENTS: [&str; 3] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];
const SHELLS: [&str; 4] = ["sh", "bash", "shell", "console"];
const COMMAND: &str = "cargo xtask ";

pub fn run(project: &Project) -> Result<String, String> {
    let mut findings = Vec::new();
    let (mut commands, mut links) = (0, 0);
    for document in DOCUMENTS {
        let text = project.read(document)?;
        for line in markdown::lines(&text) {
            for command in commands_in(&line) {
                commands += 1;
                if !is_command(command) {
                    let message = format!("`{COMMAND}{command}` does not exist");
                    findings.push(Finding::new(document, line.number, message));
                }
            }
            for target in files_linked_in(&line) {
                links += 1;
                if !exists(project, document, &target) {
                    let message = format!("links to {target}, which does not exist");
                    findings.push(Finding::new(document, line.number, message));
                }
            }
        }
    }
    report(findings, format!("{commands} commands and {links} links to files."))
}

fn is_command(name: &str) -> bool {
    name == "ci" || CHECKS.iter().any(|check| check.name == name)
}

/// The commands of xtask named in a line of shell code, or in a code span of prose.
fn commands_in<'a>(line: &Line<'a>) -> Vec<&'a str> {
    let code = match line.fence {
        None => markdown::code_spans(line.text),
        Some(language) if SHELLS.contains(&language) => {
            vec![line.text.split('#').next().unwrap_or("")]
        }
        Some(_) => Vec::new(),
    };
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    code.into_iter()
        .flat_map(|code| code.split(COMMAND).skip(1))
        .map(str::trim_start)
        .map(|rest| &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())])
        // `cargo xtask <check>` stands for any of them.
        .filter(|name| !name.is_empty())
        .collect()
}

/// The targets of the links to files in a line of prose, without their fragments.
fn files_linked_in(line: &Line<'_>) -> Vec<String> {
    if line.fence.is_some() {
        return Vec::new();
    }
    let targets = markdown::links(line.text).into_iter();
    targets
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .map(|target| target.split('#').next().unwrap_or("").to_owned())
        .filter(|file| !file.is_empty())
        .collect()
}

fn exists(project: &Project, document: &str, target: &str) -> bool {
    match target.strip_prefix('/') {
        Some(from_root) => project.exists(from_root),
        None => project.exists(Path::new(document).parent().unwrap_or(Path::new("")).join(target)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(document: &str) -> Vec<&str> {
        markdown::lines(document).iter().flat_map(commands_in).collect()
    }

    fn links(document: &str) -> Vec<String> {
        markdown::lines(document).iter().flat_map(files_linked_in).collect()
    }

    #[test]
    fn commands_are_read_from_shell_code() {
        let document = "cargo xtask prose\n```sh\ncargo xtask ci && cargo xtask  test # cargo xtask x\n\
                        ```\n```text\ncargo xtask text\n```\n`cargo xtask span` `cargo xtask <check>`";
        assert_eq!(commands(document), ["ci", "test", "span"]);
    }

    #[test]
    fn only_existing_commands_are_known() {
        assert!(is_command("ci") && is_command("facade") && is_command("unsafe"));
        assert!(!is_command("tests") && !is_command("facades"));
    }

    #[test]
    fn links_to_files_are_read_from_prose() {
        let document = "[a](src/a.rs#L1) [b](https://example.org) [c](#here) [d](mailto:a@b.c)\n\
                        ```md\n[e](e.md)\n```\n[f]: f.md\n";
        assert_eq!(links(document), ["src/a.rs", "f.md"]);
    }

    #[test]
    fn links_are_looked_up_from_their_document() {
        let project = Project::here();
        assert!(exists(&project, "README.md", "xtask/Cargo.toml"));
        assert!(exists(&project, "xtask/README.md", "Cargo.toml"));
        assert!(exists(&project, "xtask/README.md", "/xtask/src"));
        assert!(!exists(&project, "README.md", "xtask/Cargo.tom"));
    }
}
