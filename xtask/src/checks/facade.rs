//! `cargo xtask facade`: everything a model checker has to see goes through `src/sync`.
//!
//! Outside of it no file of the library names the atomics, threads and hints of the standard
//! library, its `UnsafeCell`, or a crate that brings its own: neither in a path nor by importing
//! something on the way to it. The command also runs the check of [`orderings`].

use super::orderings;
use crate::{
    finding::{Finding, report},
    paths::{Path, paths},
    project::Project,
    source::Source,
};

/// Paths that only the facade may name.
const PATHS: &[&[&str]] = &[
    &["std", "sync", "atomic"],
    &["core", "sync", "atomic"],
    &["std", "thread"],
    &["std", "hint"],
    &["core", "hint"],
    &["parking_lot"],
    &["libc"],
    &["loom"],
    &["shuttle"],
];

/// Names that only the facade may use, wherever they come from.
const NAMES: &[&str] = &["UnsafeCell"];

pub fn run(project: &Project) -> Result<String, String> {
    let files = project.rust_files(&["src"])?;
    let sources: Vec<(&str, Source)> =
        files.iter().map(|(file, text)| (file.as_str(), Source::parse(text))).collect();
    let outside = || sources.iter().filter(|(file, _)| !is_facade(file));
    let mut findings: Vec<Finding> =
        outside().flat_map(|(file, source)| check(file, source)).collect();
    let count = outside().count();
    // The model checkers' face names orderings to weaken them: an instrument, no protocol.
    let protocols: Vec<(&str, Source)> =
        sources.into_iter().filter(|(file, _)| !file.starts_with("src/sync/model/")).collect();
    let (more, summary) = orderings::check(&protocols, &project.read(orderings::DOCUMENT)?);
    findings.extend(more);
    report(findings, format!("{count} files outside the facade; {summary}."))
}

fn is_facade(file: &str) -> bool {
    file.starts_with("src/sync/") || file == "src/sync.rs"
}

fn check(file: &str, source: &Source) -> Vec<Finding> {
    let paths = paths(&source.tokens());
    let finding =
        |path: &Path<'_>| objection(path).map(|message| Finding::new(file, path.line, message));
    let mut findings: Vec<_> = paths.iter().filter_map(finding).collect();
    findings.dedup();
    findings
}

fn objection(path: &Path<'_>) -> Option<String> {
    if let Some(name) = NAMES.iter().find(|name| path.segments.contains(name)) {
        return Some(format!("names {name}; only src/sync may"));
    }
    PATHS.iter().find_map(|forbidden| {
        // A crate's name alone is no path: `libc` may be a variable.
        let is_path = path.import || path.segments.len() > 1;
        let shown = forbidden.join("::");
        if is_path && path.is_within(forbidden) {
            Some(format!("names {shown}; only src/sync may"))
        } else if path.imports_parent_of(forbidden) {
            Some(format!("imports {}, from which {shown} can be named unseen", path.shown()))
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        check("src/a.rs", &Source::parse(text)).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn each_forbidden_name_is_found() {
        for text in [
            "use std::sync::atomic::AtomicU64;",
            "use core::sync::atomic::{AtomicU64, Ordering};",
            "use std::{fmt, sync::{Arc, atomic::AtomicBool}};",
            "use std::sync::*;",
            "use std::sync;",
            "fn f() { std::thread::yield_now() }",
            "fn f() { ::std::hint::spin_loop() }",
            "use core::hint;",
            "use std::cell::UnsafeCell;",
            "struct A(UnsafeCell<u8>);",
            "use parking_lot::Mutex;",
            "struct A(parking_lot::Mutex<u8>);",
            "use libc;",
            "extern crate libc;",
            "fn f() -> libc::c_int { 0 }",
            "use loom::sync::Arc;",
        ] {
            assert_eq!(lines(text), [1], "{text}");
        }
    }

    #[test]
    fn every_place_is_reported_with_its_line() {
        let text = "use std::fmt;\nuse std::{\n    hint,\n    thread,\n};\n";
        assert_eq!(lines(text), [3, 4]);
    }

    #[test]
    fn allowed_names_pass() {
        for text in [
            "use crate::sync::{atomic::AtomicU64, hint, thread};",
            "//! Like `std::sync::atomic`, but loom::model sees it.",
            "const A: &str = \"std::thread::spawn\";",
            "use std::sync::{Arc, mpsc};",
            "#[cfg(loom)] fn f(libc: u8) -> u8 { libc }",
            "fn f() { crate::sync::thread::yield_now() }",
            "use std::cell::Cell;",
        ] {
            assert_eq!(lines(text), [0_usize; 0], "{text}");
        }
    }

    #[test]
    fn the_facade_itself_is_known() {
        assert!(is_facade("src/sync/mod.rs"));
        assert!(is_facade("src/sync.rs"));
        assert!(!is_facade("src/synchronous.rs"));
    }
}
