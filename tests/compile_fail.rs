//! What must not compile: each file in `tests/compile_fail` is one way to break a guarantee, with
//! the compiler's answer beside it.
//!
//! After a change of the compiler or of the API, `TRYBUILD=overwrite cargo test --test compile_fail`
//! writes the answers anew; read them before they are committed.

#![forbid(unsafe_code)]
// It runs the compiler, which has nothing to do with either.
#![cfg(not(any(loom, miri)))]

#[test]
fn broken_guarantees_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
