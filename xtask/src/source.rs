//! Rust text taken apart: the code without comments and literals, and the comments.
//!
//! Both parts keep their lines (and the code its columns), so that whatever is found in one of them
//! has a place in the file. This is a lexer of the few constructs that can hide a quote, a brace or
//! a slash: nested block comments, strings with escapes, raw strings, characters, lifetimes.

/// A file's code and comments, line by line; a line of the one is blank where the other stands.
#[derive(Debug)]
pub struct Source {
    pub code: Vec<String>,
    pub comments: Vec<String>,
}

/// A word, a number, `::`, or a single character of punctuation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    pub text: &'a str,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters, as the compiler does.
    pub column: usize,
}

impl Token<'_> {
    pub fn is_word(&self) -> bool {
        self.text.starts_with(is_word_char)
    }
}

impl Source {
    pub fn parse(text: &str) -> Self {
        let mut lexer =
            Lexer { rest: text, code: String::new(), comments: String::new(), in_word: false };
        lexer.run();
        let lines = |text: &str| text.split('\n').map(str::to_owned).collect();
        Self { code: lines(&lexer.code), comments: lines(&lexer.comments) }
    }

    /// The code as tokens.
    pub fn tokens(&self) -> Vec<Token<'_>> {
        let mut tokens = Vec::new();
        for (index, code) in self.code.iter().enumerate() {
            let mut column = 1;
            let mut rest = code.as_str();
            while let Some(first) = rest.chars().next() {
                if first.is_whitespace() {
                    rest = &rest[first.len_utf8()..];
                    column += 1;
                    continue;
                }
                let length = if is_word_char(first) {
                    rest.find(|c| !is_word_char(c)).unwrap_or(rest.len())
                } else if rest.starts_with("::") {
                    2
                } else {
                    first.len_utf8()
                };
                let (text, behind) = rest.split_at(length);
                tokens.push(Token { text, line: index + 1, column });
                column += text.chars().count();
                rest = behind;
            }
        }
        tokens
    }

    /// The lines, counted from 1, that belong to a `#[cfg(test)]` item with a body.
    pub fn test_lines(&self) -> Vec<std::ops::RangeInclusive<usize>> {
        const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
        let tokens = self.tokens();
        let mut ranges = Vec::new();
        for (start, window) in tokens.windows(ATTRIBUTE.len()).enumerate() {
            if !window.iter().map(|token| token.text).eq(ATTRIBUTE) {
                continue;
            }
            let item = &tokens[start + ATTRIBUTE.len()..];
            let mut depth = 0_usize;
            for token in item {
                match token.text {
                    "{" => depth += 1,
                    "}" => depth = depth.saturating_sub(1),
                    ";" => {}
                    _ => continue,
                }
                if depth == 0 {
                    ranges.push(window[0].line..=token.line);
                    break;
                }
            }
        }
        ranges
    }
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where a piece of the text goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Comment,
    Literal,
}

struct Lexer<'a> {
    rest: &'a str,
    code: String,
    comments: String,
    /// Whether the code just taken ends in the middle of a word, so that an `r` is not a prefix.
    in_word: bool,
}

impl Lexer<'_> {
    fn run(&mut self) {
        while let Some(first) = self.rest.chars().next() {
            let (part, length) = if self.rest.starts_with("//") {
                (Part::Comment, self.rest.find('\n').unwrap_or(self.rest.len()))
            } else if self.rest.starts_with("/*") {
                (Part::Comment, block_comment(self.rest))
            } else if first == '"' {
                (Part::Literal, string(self.rest))
            } else if let Some(length) = raw_string(self.rest).filter(|_| !self.in_word) {
                (Part::Literal, length)
            } else if let Some(length) = character(self.rest) {
                (Part::Literal, length)
            } else {
                (Part::Code, first.len_utf8())
            };
            self.in_word = part == Part::Code && is_word_char(first);
            self.take(part, length);
        }
    }

    /// Moves `length` bytes to their part; the others get blanks, and every one its line ends.
    fn take(&mut self, part: Part, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        for c in taken.chars() {
            let or_blank = |wanted| if c == '\n' || part == wanted { c } else { ' ' };
            self.code.push(or_blank(Part::Code));
            self.comments.push(or_blank(Part::Comment));
        }
    }
}

/// The length of the block comment at the start of `text`; block comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of the string at the start of `text`, whose first byte is its opening quote.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a raw string (`r"…"`, `br#"…"#`, `cr"…"`) if `text` starts with one.
fn raw_string(text: &str) -> Option<usize> {
    let body = text.strip_prefix(['b', 'c']).unwrap_or(text).strip_prefix('r')?;
    let quoted = body.trim_start_matches('#');
    let hashes = &body[..body.len() - quoted.len()];
    let inside = quoted.strip_prefix('"')?;
    let end = format!("\"{hashes}");
    let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
    Some(text.len() - inside.len() + length)
}

/// The length of a character literal if `text` starts with one, and not with a lifetime.
fn character(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    let first = inside.chars().next()?;
    if first == '\\' {
        // What follows the backslash may itself be a quote.
        let escape = inside.get(2..)?;
        return Some(3 + escape.find('\'')? + 1);
    }
    let rest = &inside[first.len_utf8()..];
    (first != '\'' && rest.starts_with('\'')).then(|| 1 + first.len_utf8() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let source = Source::parse(text);
        source.tokens().iter().map(|token| token.text.to_owned()).collect()
    }

    #[test]
    fn comments_are_kept_apart_on_their_lines() {
        let source = Source::parse("let a = 1; // one\n/* two /* nested */\n three */ let b;\n");
        assert_eq!(source.code[0].trim_end(), "let a = 1;");
        assert_eq!(source.comments[0].trim(), "// one");
        assert_eq!(source.comments[1], "/* two /* nested */");
        assert_eq!(source.comments[2].trim(), "three */");
        assert_eq!(source.code[2].trim(), "let b;");
    }

    #[test]
    fn strings_hide_what_is_in_them() {
        assert_eq!(words(r#"f("// no \" comment {", x)"#), ["f", "(", ",", "x", ")"]);
        assert_eq!(words(r##"f(r#"a " \ "#, x)"##), ["f", "(", ",", "x", ")"]);
        assert_eq!(words(r#"f(br"\", x)"#), ["f", "(", ",", "x", ")"]);
        assert_eq!(words("f(\"two\nlines\", x)"), ["f", "(", ",", "x", ")"]);
    }

    #[test]
    fn characters_and_lifetimes_differ() {
        assert_eq!(words(r"f('{', '\'', '\u{7d}', '\\')"), ["f", "(", ",", ",", ",", ")"]);
        assert_eq!(words("&'a str"), ["&", "'", "a", "str"]);
        assert_eq!(words("f::<'a, 'b>('\"')").last().map(String::as_str), Some(")"));
    }

    #[test]
    fn words_that_end_in_r_do_not_open_raw_strings() {
        assert_eq!(words("for_each!(var\"x\"); y"), ["for_each", "!", "(", "var", ")", ";", "y"]);
        assert_eq!(words("r#type"), ["r", "#", "type"]);
    }

    #[test]
    fn tokens_know_their_lines() {
        let source = Source::parse("a\n\n  b::c\n");
        let lines: Vec<_> = source.tokens().iter().map(|token| (token.line, token.text)).collect();
        assert_eq!(lines, [(1, "a"), (3, "b"), (3, "::"), (3, "c")]);
    }

    #[test]
    fn tokens_know_their_columns() {
        let source = Source::parse("f(\"é\", /* ü */ a::b)\n  c");
        let columns: Vec<_> =
            source.tokens().iter().map(|token| (token.column, token.text)).collect();
        let expected =
            [(1, "f"), (2, "("), (6, ","), (16, "a"), (17, "::"), (19, "b"), (20, ")"), (3, "c")];
        assert_eq!(columns, expected);
    }

    #[test]
    fn unfinished_literals_end_with_the_file() {
        for text in ["\"a", "r#\"a", "/* a", "'", "'\\", "'\\n", "// a", "\"\\"] {
            assert!(Source::parse(text).tokens().len() <= 3, "{text}");
        }
    }

    #[test]
    fn test_items_are_found() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { c() }\n}\nfn d() {}\n";
        assert_eq!(Source::parse(text).test_lines(), vec![2..=5]);
        let text = "#[cfg(test)]\nuse a::b;\nfn c() {}\n";
        assert_eq!(Source::parse(text).test_lines(), vec![1..=2]);
        let text = "#[cfg(not(test))]\nmod a {}\n";
        assert!(Source::parse(text).test_lines().is_empty());
    }
}
