//! `cargo xtask lines`: no source file is longer than one concept.
//!
//! The length of functions is clippy's (`too_many_lines`, see `clippy.toml`).

use crate::{
    finding::{Finding, report},
    project::Project,
};

const LINES_MAX: usize = 600;

pub fn run(project: &Project) -> Result<String, String> {
    let files = project.rust_files(&["src"])?;
    let longest = files.iter().map(|(_, text)| text.lines().count()).max().unwrap_or(0);
    let findings = files.iter().filter_map(|(file, text)| check(file, text)).collect();
    report(findings, format!("{} files, the longest of {longest} lines.", files.len()))
}

fn check(file: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    let message = || format!("{lines} lines are more than {LINES_MAX}: more than one concept?");
    (lines > LINES_MAX).then(|| Finding::new(file, lines, message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_allowed_and_one_more_is_not() {
        assert_eq!(check("src/a.rs", &"x\n".repeat(LINES_MAX)), None);
        let finding = check("src/a.rs", &"x\n".repeat(LINES_MAX + 1)).expect("one line too many");
        assert_eq!(finding.line, LINES_MAX + 1);
    }
}
