//! `cargo xtask package`: the crate that would be published holds what its users need, and no more.

use std::fs;

use crate::{command, project::Project};

const WANTED: [&str; 4] = ["README.md", "LICENSE-APACHE", "LICENSE-MIT", "src/lib.rs"];
/// Folders that stay in the repository.
const UNWANTED: [&str; 8] = [
    ".ci/",
    ".cargo/",
    "benches/",
    "guards/",
    "loom-tests/",
    "shuttle-tests/",
    "stress/",
    "xtask/",
];
const BYTES_MAX: u64 = 1024 * 1024;

pub fn run(project: &Project) -> Result<String, String> {
    let list =
        command::output(&mut project.cargo(&["package", "--list", "--allow-dirty", "--quiet"]))?;
    let files: Vec<&str> = list.lines().map(str::trim).filter(|file| !file.is_empty()).collect();
    // Files that cargo makes while packaging have no size yet; they are small.
    let size = |file: &&str| fs::metadata(project.path(file)).map_or(0, |metadata| metadata.len());
    let bytes = files.iter().map(size).sum();
    let wrong = check(&files, bytes);
    if wrong.is_empty() {
        Ok(format!("{} files, {} KiB.", files.len(), bytes.div_ceil(1024)))
    } else {
        Err(wrong.join("\n"))
    }
}

fn check(files: &[&str], bytes: u64) -> Vec<String> {
    let files: Vec<String> = files.iter().map(|file| file.replace('\\', "/")).collect();
    let missing = WANTED.iter().filter(|wanted| !files.iter().any(|file| file == *wanted));
    let mut wrong: Vec<String> =
        missing.map(|wanted| format!("the package lacks {wanted}")).collect();
    for file in &files {
        if UNWANTED.iter().any(|unwanted| file.starts_with(unwanted)) {
            wrong.push(format!("the package should not hold {file}"));
        }
    }
    if bytes > BYTES_MAX {
        wrong.push(format!("the package's files are {bytes} bytes, more than {BYTES_MAX}"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_package_passes() {
        let files = ["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md", "src/lib.rs"];
        assert!(check(&files, BYTES_MAX).is_empty());
    }

    #[test]
    fn each_fault_is_named() {
        let files =
            ["LICENSE-APACHE", "README.md", "src/lib.rs", "benches/peers/src/a.rs", ".ci/run"];
        let expected = [
            "the package lacks LICENSE-MIT",
            "the package should not hold benches/peers/src/a.rs",
            "the package should not hold .ci/run",
            "the package's files are 1048577 bytes, more than 1048576",
        ];
        assert_eq!(check(&files, BYTES_MAX + 1), expected);
    }
}
