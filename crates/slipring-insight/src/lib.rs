//! Eyes on a running ring: what two looks at it tell.
//!
//! * [`Change`]: rates, and who was busy, from two snapshots.
//! * [`Picture`]: who follows whom, with live figures, as text, Mermaid and DOT.

#![forbid(unsafe_code)]

mod change;
pub mod figure;
mod name;
mod picture;

pub use change::{Change, StationChange};
pub use name::{at_right, columns, fitted, printable};
pub use picture::{Align, Picture, StationTable, doing, phase};
