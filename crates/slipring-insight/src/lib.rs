//! Eyes on a running ring: what two looks at it tell.
//!
//! * [`Change`]: rates, and who was busy, from two snapshots.
//! * [`Picture`]: who follows whom, with live figures, as text, Mermaid and DOT.
//! * [`Stopwatch`]: how long handlers take, and how old events are when they are done with.
//! * [`serve`] and [`Feed`]: a program shows its rings to others on the same machine.

#![forbid(unsafe_code)]

mod address;
mod change;
mod client;
pub mod figure;
mod name;
mod picture;
mod serve;
mod socket;
mod stopwatch;
mod wire;

pub use address::{Address, AddressError};
pub use change::{Change, StationChange};
pub use client::{Feed, FeedError, Update};
pub use name::{at_right, columns, fitted, printable};
pub use picture::{Align, Picture, StationTable, doing, phase};
pub use serve::{Server, Service, serve};
pub use stopwatch::{Stopwatch, Times};
pub use wire::Hello;

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
