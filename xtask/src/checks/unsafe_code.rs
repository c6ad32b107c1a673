//! `cargo xtask unsafe`: unsafe code stands only in the files that are meant to hold it.
//!
//! The fewer they are, the shorter the list of invariants a reader has to trust. Whether each block
//! has its `SAFETY` comment is clippy's to say (`undocumented_unsafe_blocks`).

use std::collections::BTreeMap;

use crate::{
    finding::{Finding, report},
    project::Project,
    source::Source,
};

/// Files that may hold unsafe code; a `/` at the end admits a whole folder. Each with its reason.
const ALLOWED: &[&str] = &[
    // The facade: cells, fences, system calls.
    "src/sync/",
    // Who may touch which slot: the two kinds of access...
    "src/ring.rs",
    "src/lent.rs",
    // ... and the four who are lent slots: a claim, a station at work, a polled batch, a look at a key.
    "src/producer.rs",
    "src/consumer.rs",
    "src/poller.rs",
    "src/worker.rs",
    // A global allocator that counts is unsafe by its nature.
    "tests/allocation.rs",
];

/// Where unsafe code is looked for.
const FOLDERS: &[&str] = &["src", "examples", "tests", "benches", "xtask"];

pub fn run(project: &Project) -> Result<String, String> {
    let mut findings = Vec::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (file, text) in project.rust_files(FOLDERS)? {
        for (line, kind) in unsafe_in(&text) {
            *counts.entry(format!("{file}: unsafe {kind}")).or_default() += 1;
            if !is_allowed(&file) {
                let message = format!("unsafe {kind} outside the files that may hold unsafe code");
                findings.push(Finding::new(&file, line, message));
            }
        }
    }
    for (what, count) in &counts {
        println!("    {count:>4}  {what}");
    }
    report(findings, format!("{} uses in all.", counts.values().sum::<usize>()))
}

fn is_allowed(file: &str) -> bool {
    ALLOWED
        .iter()
        .any(|allowed| file == *allowed || (allowed.ends_with('/') && file.starts_with(allowed)))
}

/// Each use of `unsafe` with its line and what it makes unsafe: a block, a function, an impl, …
fn unsafe_in(text: &str) -> Vec<(usize, String)> {
    let source = Source::parse(text);
    let tokens = source.tokens();
    let mut uses = Vec::new();
    for pair in tokens.windows(2).filter(|pair| pair[0].text == "unsafe") {
        let kind = match pair[1].text {
            "{" => "block",
            "(" => "attribute",
            // `fn`, `impl`, `trait`, `extern`.
            word => word,
        };
        uses.push((pair[0].line, kind.to_owned()));
    }
    uses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found() {
        let text = "unsafe impl Send for A {}\nfn f() { unsafe\n { g() } }\nunsafe fn g() {}\n\
                    unsafe extern \"C\" {}\n#[unsafe(no_mangle)]\nfn h() {}\nunsafe trait T {}\n";
        let found = unsafe_in(text);
        let found: Vec<_> = found.iter().map(|(line, kind)| (*line, kind.as_str())).collect();
        let expected =
            [(1, "impl"), (2, "block"), (4, "fn"), (5, "extern"), (6, "attribute"), (8, "trait")];
        assert_eq!(found, expected);
    }

    #[test]
    fn words_in_comments_strings_and_names_are_not() {
        let text = "// unsafe { }\n/// unsafe fn\nconst A: &str = \"unsafe { }\";\n\
                    #![deny(unsafe_op_in_unsafe_fn)]\nfn is_unsafe() {}\n";
        assert!(unsafe_in(text).is_empty());
    }

    #[test]
    fn folders_and_files_are_allowed_as_listed() {
        assert!(is_allowed("src/sync/cell.rs"));
        assert!(is_allowed("src/ring.rs"));
        assert!(!is_allowed("src/ring.rs.rs"));
        assert!(!is_allowed("src/sync.rs"));
        assert!(!is_allowed("tests/src/ring.rs"));
    }
}
