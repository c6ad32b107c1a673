//! `slipring bench`, with everybody who is measured beside it.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use slipring_bench::command;

fn main() -> ExitCode {
    command::main(&slipring_peers::contestants(), None)
}
