//! Eyes on a running ring: what two looks at it tell.
//!
//! * [`Change`]: rates, and who was busy, from two snapshots.
//! * [`Picture`]: who follows whom, with live figures, as text, Mermaid and DOT.
//! * [`Rule`], [`Rules`], [`Alert`]: what is worth waking somebody up for, and when it is over.
//! * [`Rounds`], [`Watch`]: several rings, looked at again and again, by the caller or by a thread.
//! * [`Stopwatch`]: how long handlers take, and how old events are when they are done with.
//! * [`serve`] and [`Feed`]: a program shows its rings to others on the same machine.
//!
//! # Features
//!
//! * `metrics`: the module of that name hands snapshots to whatever collects by the facade of that name.
//! * `tracing`: alerts are warnings of `tracing`, too, with the target `slipring` and the fields `alert`
//!   (`raised` or `cleared`), `rule`, `ring` and `station`.

#![forbid(unsafe_code)]

mod address;
mod alert;
mod change;
mod client;
pub mod figure;
mod measure;
#[cfg(feature = "metrics")]
pub mod metrics;
mod name;
mod picture;
mod recent;
mod rounds;
mod rule;
mod rules;
mod serve;
mod socket;
mod stopwatch;
mod told;
mod trace;
mod value;
mod watch;
mod wire;

pub use address::{Address, AddressError};
pub use alert::{Alert, Turn};
pub use change::{Change, StationChange};
pub use client::{Feed, FeedError, Update};
pub use name::{at_right, columns, fitted, printable};
pub use picture::{Align, Column, Picture, StationTable, doing, phase};
pub use rounds::{Rounds, Tally};
pub use rule::{Rule, Stations, Told};
pub use rules::Rules;
pub use serve::{ServeError, Server, Service, serve};
pub use stopwatch::{Stopwatch, Times};
pub use value::Value;
pub use watch::Watch;
pub use wire::Hello;

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
