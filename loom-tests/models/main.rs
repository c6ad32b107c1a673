//! The models of slipring: one file a property. See `../README.md`.

mod harness;
mod p01;

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::main(&[p01::MODELS])
}
