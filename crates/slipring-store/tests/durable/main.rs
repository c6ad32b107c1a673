//! Handlers that go on where they were, whatever has become of the program.

// Shorter where the type of what is collected is all that it is about.
#![allow(clippy::from_iter_instead_of_collect)]

mod catching_up;
#[path = "../common/mod.rs"]
mod common;
mod crashes;
mod program;
mod refused;
mod standing;
