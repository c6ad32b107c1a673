//! The strong orderings that a file's code names, and the calls that could pass them on.

use crate::{
    checks::orderings,
    finding::Finding,
    functions::{self, Function},
    source::{Source, Token},
};

use super::operation::{Operation, Order};

/// A line and a column, as the compiler counts them.
pub type Position = (usize, usize);

/// An ordering stronger than Relaxed that is an operand of an atomic's method or of a fence.
#[derive(Clone, Debug)]
pub struct Operand<'a> {
    /// Where the call stands, as its `#[track_caller]` sees it.
    pub position: Position,
    pub operation: Operation,
    pub order: Order,
    pub edges: Vec<String>,
    pub function: Option<Function<'a>>,
}

/// A call by name.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    pub name: &'a str,
    pub position: Position,
    pub function: Option<Function<'a>>,
}

/// What the check has to know of a file's code; `#[cfg(test)]` is left out.
#[derive(Debug, Default)]
pub struct Code<'a> {
    pub functions: Vec<Function<'a>>,
    pub operands: Vec<Operand<'a>>,
    pub calls: Vec<Call<'a>>,
    /// Names behind `::` that are not called: imports, and functions passed as values.
    pub named: Vec<(&'a str, usize)>,
    pub findings: Vec<Finding>,
}

impl<'a> Code<'a> {
    pub fn read(file: &str, source: &Source, tokens: &[Token<'a>]) -> Self {
        let tests = source.test_lines();
        let is_test = |line: usize| tests.iter().any(|lines| lines.contains(&line));
        let mut all = functions::functions(tokens);
        all.retain(|function| !is_test(function.line));
        let around = |at: usize| functions::enclosing(&all, at).cloned();
        let mut code = Code::default();
        for (at, token) in tokens.iter().enumerate().filter(|(_, token)| !is_test(token.line)) {
            let near = |offset: isize| {
                at.checked_add_signed(offset).and_then(|at| tokens.get(at)).map_or("", |t| t.text)
            };
            if near(-2) == "Ordering"
                && near(-1) == "::"
                && let Some(order) = Order::named(token.text).filter(|order| order.is_strong())
            {
                match operation(tokens, at) {
                    Some((call, operation)) => code.operands.push(Operand {
                        position: position(tokens, call),
                        operation,
                        order,
                        edges: orderings::edges_of(source, token.line),
                        function: around(at),
                    }),
                    None => code.findings.push(Finding::new(
                        file,
                        token.line,
                        format!(
                            "Ordering::{order} is no operand of a known operation, so it cannot \
                             be weakened; write it in the call of an atomic's method or a fence"
                        ),
                    )),
                }
            } else if token.is_word() && near(1) == "(" && near(-1) != "fn" {
                let position = position(tokens, at);
                code.calls.push(Call { name: token.text, position, function: around(at) });
            } else if token.is_word() && near(-1) == "::" {
                code.named.push((token.text, token.line));
            }
        }
        code.functions = all;
        code
    }
}

/// The call whose argument the token at `at` is, as the position of the called name, and what the
/// argument is an operand of.
fn operation(tokens: &[Token<'_>], at: usize) -> Option<(usize, Operation)> {
    let mut argument = 0;
    let mut depth = 0_usize;
    for (before, token) in tokens[..at].iter().enumerate().rev() {
        match token.text {
            ")" | "]" | "}" => depth += 1,
            "(" if depth == 0 => {
                let name = before.checked_sub(1)?;
                return Some((name, Operation::of_call(tokens[name].text, argument)?));
            }
            "[" | "{" | ";" if depth == 0 => return None,
            "(" | "[" | "{" => depth -= 1,
            "," if depth == 0 => argument += 1,
            _ => {}
        }
    }
    None
}

/// Where the compiler says that the call of the name at `at` stands: a method at its name, any
/// other function at the beginning of its path.
fn position(tokens: &[Token<'_>], mut at: usize) -> Position {
    while let Some(before) = at.checked_sub(2)
        && tokens[at - 1].text == "::"
        && tokens[before].is_word()
    {
        at = before;
    }
    (tokens[at].line, tokens[at].column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operands(text: &str) -> Vec<(Position, String, Vec<String>)> {
        let source = Source::parse(text);
        let tokens = source.tokens();
        let code = Code::read("src/a.rs", &source, &tokens);
        assert!(code.findings.is_empty(), "{:?}", code.findings);
        let shown = |operand: Operand<'_>| {
            let function = operand.function.map_or_else(String::new, |function| function.shown());
            let what = format!("{} {} in {function}", operand.operation, operand.order);
            (operand.position, what, operand.edges)
        };
        code.operands.into_iter().map(shown).collect()
    }

    #[test]
    fn operands_stand_where_their_call_stands() {
        let text = "impl A {\n fn f(&self) {\n  // ORDERING(E): a.\n  self.0\n   .load(\n    \
                    atomic::Ordering::Acquire);\n  sync::fence(Ordering::SeqCst);\n }\n}";
        let edges = vec!["E".to_owned()];
        let expected = [
            ((5, 5), "load Acquire in A::f".to_owned(), edges.clone()),
            ((7, 3), "fence SeqCst in A::f".to_owned(), edges),
        ];
        assert_eq!(operands(text), expected);
    }

    #[test]
    fn each_argument_of_an_exchange_is_an_operand_of_its_own() {
        let text = "fn f() { a.compare_exchange(g(1, 2), [3, 4], Ordering::AcqRel, \
                    Ordering::Acquire); b.compare_exchange(1, 2, Ordering::Relaxed, \
                    Ordering::Acquire); }";
        let found = operands(text);
        let what: Vec<&str> = found.iter().map(|(_, what, _)| what.as_str()).collect();
        assert_eq!(what, ["change AcqRel in f", "failure Acquire in f", "failure Acquire in f"]);
    }

    #[test]
    fn tests_and_weak_orderings_are_left_out() {
        let text = "fn f() { a.load(Ordering::Relaxed) }\n#[cfg(test)]\nmod tests {\n \
                    fn g() { a.load(Ordering::SeqCst); h(); }\n}\n";
        assert!(operands(text).is_empty());
        let source = Source::parse(text);
        let tokens = source.tokens();
        let code = Code::read("src/a.rs", &source, &tokens);
        assert_eq!((code.functions.len(), code.calls.len()), (1, 1));
    }

    #[test]
    fn an_ordering_outside_of_a_call_is_objected_to() {
        for text in [
            "const A: Ordering = Ordering::Acquire;",
            "fn f() { a.load({ Ordering::Acquire }) }",
            "fn f() { a.update(Ordering::Release, Ordering::Relaxed, g) }",
        ] {
            let source = Source::parse(text);
            let tokens = source.tokens();
            let findings = Code::read("src/a.rs", &source, &tokens).findings;
            assert!(
                findings.len() == 1 && findings[0].message.contains("known operation"),
                "{text}"
            );
        }
    }

    #[test]
    fn calls_and_names_are_told_apart() {
        let source = Source::parse("fn f() { a.b(); c::d(c::e); g(h); }");
        let tokens = source.tokens();
        let code = Code::read("src/a.rs", &source, &tokens);
        let calls: Vec<_> = code.calls.iter().map(|call| (call.name, call.position.1)).collect();
        assert_eq!(calls, [("b", 12), ("d", 17), ("g", 29)]);
        assert_eq!(code.named, [("e", 1)]);
    }
}
