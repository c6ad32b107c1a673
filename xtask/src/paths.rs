//! The paths that code names, with `use` trees unfolded.
//!
//! `use std::{fmt, sync::{Arc, atomic::*}}` names `std::fmt`, `std::sync::Arc` and
//! `std::sync::atomic::*`; so a rule about paths cannot be passed by writing them differently.

use crate::source::Token;

/// A path in the code, from its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    /// Ends in `*` for a glob import; the `self` of an import list is left out.
    pub segments: Vec<&'a str>,
    /// Counted from 1.
    pub line: usize,
    /// Whether a `use` or an `extern crate` names it.
    pub import: bool,
    /// Whether the import gives it another name.
    pub renamed: bool,
}

impl Path<'_> {
    pub fn shown(&self) -> String {
        self.segments.join("::")
    }

    /// Whether this path is `other` or something in it.
    pub fn is_within(&self, other: &[&str]) -> bool {
        self.segments.starts_with(other)
    }

    /// Whether this path imports a module from which `other` can be named in a shorter form.
    pub fn imports_parent_of(&self, other: &[&str]) -> bool {
        let module = match self.segments.split_last() {
            Some((&"*", module)) => module,
            _ => &self.segments[..],
        };
        self.import && module.len() < other.len() && other.starts_with(module)
    }
}

/// All paths in `tokens`, in their order. A single name counts as a path.
pub fn paths<'a>(tokens: &[Token<'a>]) -> Vec<Path<'a>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let next = |offset: usize| tokens.get(at + offset).map_or("", |token| token.text);
        at = match (tokens[at].text, next(1)) {
            // `impl Trait + use<'a>` captures; it imports nothing.
            ("use", "<") => at + 2,
            ("use", _) => tree(tokens, at + 1, &[], &mut found),
            ("extern", "crate") => tree(tokens, at + 2, &[], &mut found),
            _ if tokens[at].is_word() => plain(tokens, at, &mut found),
            _ => at + 1,
        };
    }
    found
}

/// Reads `a::b::c` at `at`; returns the position after it.
fn plain<'a>(tokens: &[Token<'a>], mut at: usize, found: &mut Vec<Path<'a>>) -> usize {
    let line = tokens[at].line;
    let mut segments = vec![tokens[at].text];
    at += 1;
    while let [colons, word, ..] = &tokens[at..]
        && colons.text == "::"
        && word.is_word()
    {
        segments.push(word.text);
        at += 2;
    }
    found.push(Path { segments, line, import: false, renamed: false });
    at
}

/// Reads one branch of a `use` tree at `at`, whose trunk is `prefix`; returns the position after it.
fn tree<'a>(
    tokens: &[Token<'a>],
    mut at: usize,
    prefix: &[&'a str],
    found: &mut Vec<Path<'a>>,
) -> usize {
    let mut segments = prefix.to_vec();
    let mut leaf = None;
    while let Some(token) = tokens.get(at) {
        match token.text {
            "::" => {}
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    at = tree(tokens, at, &segments, found);
                    if tokens.get(at).is_some_and(|token| token.text == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "self" if !segments.is_empty() => leaf = Some(token.line),
            "as" => {
                found.extend(leaf.map(|line| Path { segments, line, import: true, renamed: true }));
                return at + 2;
            }
            text if text == "*" || token.is_word() => {
                segments.push(text);
                leaf = Some(token.line);
            }
            _ => break,
        }
        at += 1;
    }
    if let Some(line) = leaf {
        found.push(Path { segments, line, import: true, renamed: false });
        // A closing brace or a comma is the caller's.
        return at;
    }
    at + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    fn shown(text: &str) -> Vec<String> {
        let source = Source::parse(text);
        let paths = paths(&source.tokens());
        paths
            .iter()
            .map(|path| {
                let kind = if path.import { "use " } else { "" };
                let renamed = if path.renamed { " as _" } else { "" };
                format!("{}: {kind}{}{renamed}", path.line, path.shown())
            })
            .collect()
    }

    #[test]
    fn use_trees_are_unfolded() {
        let text = "use std::{\n fmt,\n sync::{self, atomic::*, Arc as Shared},\n};\n\
                    pub(crate) use ::core::hint;";
        assert_eq!(
            shown(text),
            [
                "2: use std::fmt",
                "3: use std::sync",
                "3: use std::sync::atomic::*",
                "3: use std::sync::Arc as _",
                "5: pub",
                "5: crate",
                "5: use core::hint",
            ],
        );
    }

    #[test]
    fn plain_paths_are_whole() {
        assert_eq!(
            shown("x(std::thread::spawn, a::<B>(c));"),
            ["1: x", "1: std::thread::spawn", "1: a", "1: B", "1: c"],
        );
    }

    #[test]
    fn extern_crates_are_imports_and_captures_are_not() {
        assert_eq!(shown("extern crate libc;"), ["1: use libc"]);
        assert!(!shown("fn f() -> impl A + use<'a> {}").iter().any(|path| path.contains("use")));
    }

    #[test]
    fn broken_trees_end() {
        for text in
            ["use", "use a::{", "use a::{b,", "use $crate::a;", "use a as", "use ,", "use {}}"]
        {
            let _ = shown(text);
        }
    }

    #[test]
    fn parents_are_recognised() {
        let atomic: &[&str] = &["std", "sync", "atomic"];
        let check = |text: &str| {
            let source = Source::parse(text);
            let paths = paths(&source.tokens());
            (paths[0].is_within(atomic), paths[0].imports_parent_of(atomic))
        };
        assert_eq!(check("use std::sync::atomic::AtomicBool;"), (true, false));
        assert_eq!(check("use std::sync::{self};"), (false, true));
        assert_eq!(check("use std::sync::*;"), (false, true));
        assert_eq!(check("use std::sync::Arc;"), (false, false));
        assert_eq!(check("use crate::sync::atomic::AtomicBool;"), (false, false));
    }
}
