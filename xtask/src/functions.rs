//! The functions of a Rust text: their names, where their bodies are, who calls on whose behalf.

use std::ops::Range;

use crate::source::Token;

/// A function with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    pub name: &'a str,
    /// The type (or trait) whose it is.
    pub of: Option<&'a str>,
    /// Counted from 1.
    pub line: usize,
    /// Whether its caller's place counts as the place of what it calls: `track_caller`, with or
    /// without a condition.
    pub tracks_caller: bool,
    /// The positions of its body's tokens.
    pub body: Range<usize>,
}

impl Function<'_> {
    /// `Cursor::passed`, or `detect` of a function that is nobody's.
    pub fn shown(&self) -> String {
        self.of.map_or_else(|| self.name.to_owned(), |of| format!("{of}::{}", self.name))
    }
}

/// The functions in `tokens`, in their order; what is declared without a body is left out.
pub fn functions<'a>(tokens: &[Token<'a>]) -> Vec<Function<'a>> {
    let mut found = Vec::new();
    let mut owners: Vec<(Range<usize>, &str)> = Vec::new();
    // Whether an attribute since the last item says so.
    let mut tracks_caller = false;
    let mut at = 0;
    while at < tokens.len() {
        let next = tokens.get(at + 1).copied();
        match tokens[at].text {
            "#" => {
                let end = closing(tokens, at + 1);
                tracks_caller |= tokens[at..end].iter().any(|token| token.text == "track_caller");
                at = end;
            }
            "impl" | "trait" if is_item(tokens, at) => {
                let (owner, body) = owner(tokens, at);
                owners.extend(owner.map(|owner| (body.clone(), owner)));
                at = body.start;
            }
            "fn" if next.is_some_and(|next| next.is_word()) => {
                let body = body(tokens, at + 1);
                let of = owners.iter().rev().find(|(range, _)| range.contains(&at));
                if !body.is_empty() {
                    found.push(Function {
                        name: tokens[at + 1].text,
                        of: of.map(|(_, owner)| *owner),
                        line: tokens[at + 1].line,
                        tracks_caller,
                        body: body.clone(),
                    });
                }
                tracks_caller = false;
                at = body.start.max(at + 1);
            }
            "{" | "}" | ";" => tracks_caller = false,
            _ => {}
        }
        at += 1;
    }
    found
}

/// The innermost of `functions` whose body holds the token at `at`.
pub fn enclosing<'f, 'a>(functions: &'f [Function<'a>], at: usize) -> Option<&'f Function<'a>> {
    let around = functions.iter().filter(|function| function.body.contains(&at));
    around.min_by_key(|function| function.body.len())
}

/// Whether the `impl` at `at` opens an item, and is not `impl Trait` in a type.
fn is_item(tokens: &[Token<'_>], at: usize) -> bool {
    let before = at.checked_sub(1).map_or("", |before| tokens[before].text);
    matches!(before, "" | "{" | "}" | ";" | "]" | "unsafe" | "pub" | ")")
}

/// The type that an `impl` at `at` is for, or the name of a `trait`, and the body.
fn owner<'a>(tokens: &[Token<'a>], at: usize) -> (Option<&'a str>, Range<usize>) {
    let body = body(tokens, at);
    let mut depth = 0_usize;
    let mut name = None;
    for token in tokens.get(at + 1..body.start).unwrap_or_default() {
        match token.text {
            "<" => depth += 1,
            ">" => depth = depth.saturating_sub(1),
            "where" | ":" if depth == 0 => break,
            // The trait's name stood before.
            "for" if depth == 0 => name = None,
            "dyn" => {}
            text if depth == 0 && token.is_word() => name = Some(text),
            _ => {}
        }
    }
    (name, body)
}

/// The body of the item whose head starts at `at`: from its brace to the matching one, or empty.
fn body(tokens: &[Token<'_>], mut at: usize) -> Range<usize> {
    while let Some(token) = tokens.get(at) {
        match token.text {
            "(" | "[" => at = closing(tokens, at),
            "{" => return at..closing(tokens, at) + 1,
            ";" => return at..at,
            _ => {}
        }
        at += 1;
    }
    at..at
}

/// The position of what closes the bracket at `at`, or that of the last token.
pub fn closing(tokens: &[Token<'_>], at: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, token) in tokens.iter().enumerate().skip(at) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return offset;
        }
    }
    tokens.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    fn seen(text: &str) -> Vec<(String, usize, bool)> {
        let source = Source::parse(text);
        let tokens = source.tokens();
        let functions = functions(&tokens);
        functions.iter().map(|f| (f.shown(), f.line, f.tracks_caller)).collect()
    }

    #[test]
    fn functions_know_whose_they_are() {
        let text = "fn a() {}\nimpl<T: Fn(u8) -> u8> B<T> {\n fn b(&self) -> [u8; 2] {}\n}\n\
                    impl<'a, T> fmt::Display for c::C<'a, T> where T: X {\nfn d() {}\n}\n\
                    trait E: F {\nfn g();\nfn h() {}\n}\nfn i(_: impl Fn()) -> fn() { fn j() {} }";
        let names: Vec<_> = seen(text).into_iter().map(|(name, line, _)| (name, line)).collect();
        let expected = [("a", 1), ("B::b", 3), ("C::d", 6), ("E::h", 10), ("i", 12), ("j", 12)];
        assert_eq!(names, expected.map(|(name, line)| (name.to_owned(), line)));
    }

    #[test]
    fn attributes_belong_to_the_next_item() {
        let text = "#[inline]\n#[cfg_attr(loom, track_caller)]\npub(crate) fn a() {}\nfn b() {}\n\
                    #[track_caller]\nstruct S;\nfn c() {}\n#[track_caller]\nconst fn d() {}";
        let tracked: Vec<_> = seen(text).into_iter().map(|(_, _, tracked)| tracked).collect();
        assert_eq!(tracked, [true, false, false, true]);
    }

    #[test]
    fn the_innermost_function_is_found() {
        let source = Source::parse("fn a() { x; fn b() { y } z }");
        let tokens = source.tokens();
        let functions = functions(&tokens);
        let around = |name: &str| {
            let at = tokens.iter().position(|token| token.text == name).unwrap();
            enclosing(&functions, at).map(|function| function.name)
        };
        assert_eq!(
            [around("x"), around("y"), around("z"), around("fn")],
            [Some("a"), Some("b"), Some("a"), None]
        );
    }
}
