//! The scenarios, checks and measurements behind `slipring bench`.
//!
//! ```text
//! unicast    P -> C                 mpscN    {P1, .., PN} -> C
//! multicast  P -> {C1, C2, C3}      diamond  P -> {C1, C2} -> C3
//! pipeline   P -> C1 -> C2 -> C3    pingpong P -> ring -> C -> ring -> P
//! shareN     P -> {C1 | .. | CN}: each event to one of them
//! keyedN     the same, by key: all events of a key to the same one; skewedN: most have the same key
//! busNxP     {P1, .., PP} -> event bus -> {H1, .., HN}, each on a thread; with async, each a task
//! ```
//!
//! * [`cell`], [`mod@bus`], [`load`]: what is measured, how many events at what rate.
//! * [`contestant`]: who is measured; [`on_slipring`] and [`floor`] are those that are always there.
//! * [`event`], [`keys`], [`feed`], [`witness`], [`outcome`]: what all contestants share: payloads and
//!   their keys, producers' loops, what each consumer checks, and the verdict on a run.
//! * [`calibrate`], [`contest`], [`stats`]: how long runs are, in what order, and their medians.
//! * [`watch`]: what ends a program whose run does not end.
//! * [`machine`]: the header without which figures mean nothing.
//! * [`command`], [`arguments`], [`error`]: the command line, shared by all programs.
//! * [`plan`], [`growth`], [`memory`], [`measure`], [`progress`]: what is measured, in what order.
//! * [`results`], [`summary`], [`table`], [`report`]: what came out, and how it is shown.

#![deny(unsafe_code)]
// Rates and averages are for people; counts stay far below 2^52.
#![allow(clippy::cast_precision_loss)]

pub mod arguments;
pub mod bus;
pub mod calibrate;
pub mod cell;
pub mod command;
pub mod contest;
pub mod contestant;
pub mod error;
pub mod event;
pub mod feed;
pub mod floor;
pub mod growth;
pub mod keys;
pub mod load;
pub mod machine;
pub mod measure;
pub mod memory;
pub mod on_slipring;
pub mod outcome;
pub mod plan;
pub mod progress;
pub mod report;
pub mod results;
#[cfg(test)]
pub(crate) mod sample;
pub mod stats;
pub mod summary;
pub mod table;
pub mod watch;
pub mod witness;

pub use cell::{Cell, Scenario, Wait};
pub use contestant::Contestant;
pub use load::Load;
pub use outcome::{Fault, Outcome};
