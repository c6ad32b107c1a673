//! The checks, one a file. A new one is a file here and a row of [`CHECKS`].
//!
//! A check gets the repository and answers with a summary, or with what is wrong. Those that read
//! text are a pure function of that text, with tests that show it fail.

mod clippy;
mod doc;
mod facade;
mod fmt;
mod guards;
mod lines;
mod models;
mod ordering_mutants;
mod orderings;
mod orders;
mod package;
mod peers;
mod readme;
mod sanitizers;
mod shuttle;
mod stress;
mod test;
mod unsafe_code;

use crate::project::Project;

/// A command of this program.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    pub name: &'static str,
    /// What holds when the check passes.
    pub about: &'static str,
    pub run: fn(&Project) -> Result<String, String>,
}

/// Every check, in the order of `ci`: the quick ones first, the tests last.
pub const CHECKS: &[Check] = &[
    Check { name: "fmt", about: "the code is formatted", run: fmt::run },
    Check {
        name: "facade",
        about: "atomics go through src/sync, orderings are explained",
        run: facade::run,
    },
    Check {
        name: "unsafe",
        about: "unsafe code is only where it is allowed",
        run: unsafe_code::run,
    },
    Check { name: "lines", about: "files are short enough to hold one concept", run: lines::run },
    Check { name: "readme", about: "commands and links in the documents exist", run: readme::run },
    Check { name: "clippy", about: "no lint fires", run: clippy::run },
    Check { name: "doc", about: "the documentation builds without a warning", run: doc::run },
    Check { name: "package", about: "the published crate holds what it should", run: package::run },
    Check { name: "peers", about: "the comparison with other crates builds", run: peers::run },
    Check {
        name: "orders",
        about: "the orders example runs, on real orders too",
        run: orders::run,
    },
    Check {
        name: "models",
        about: "every property holds in every order, and the models notice when it does not",
        run: models::run,
    },
    Check {
        name: "ordering-mutants",
        about: "each ordering is needed: some model fails without it",
        run: ordering_mutants::run,
    },
    Check {
        name: "sanitizers",
        about: "orders and the stress machine under valgrind, the sanitizers, Miri",
        run: sanitizers::run,
    },
    Check {
        name: "guards",
        about: "the hot paths execute no more instructions than they may",
        run: guards::run,
    },
    Check {
        name: "stress",
        about: "random rings under random misfortune, for a minute",
        run: stress::run,
    },
    Check {
        name: "shuttle",
        about: "large rings end well under random schedules",
        run: shuttle::run,
    },
    Check {
        name: "test",
        about: "unit, integration, example and documentation tests",
        run: test::run,
    },
];

/// A check that is told more on the command line.
pub type RunWith = fn(&Project, &[&str]) -> Result<String, String>;

/// The checks that take arguments. `ci` gives them none.
pub const WITH_ARGUMENTS: &[(&str, RunWith)] =
    &[("ordering-mutants", ordering_mutants::run_with), ("stress", stress::run_with)];
