//! What must not compile: each file in `tests/compile_fail` is one way to misuse the bus, with the compiler's answer
//! beside it.
//!
//! After a change of the compiler or of the API, `TRYBUILD=overwrite cargo test -p slipring-events --test
//! compile_fail` writes the answers anew; read them before they are committed.

#![forbid(unsafe_code)]
// It runs the compiler.
#![cfg(not(miri))]

#[test]
fn misuse_does_not_compile_and_is_told_why() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
