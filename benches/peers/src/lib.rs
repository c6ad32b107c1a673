//! `slipring` beside its peers: five scenarios, each built on `slipring`, on `disruptor` and on
//! `crossbeam`, checked while they run and measured in turn.
//!
//! ```text
//! unicast    P -> C                 mpsc3    {P1, P2, P3} -> C
//! multicast  P -> {C1, C2, C3}      diamond  P -> {C1, C2} -> C3
//! pipeline   P -> C1 -> C2 -> C3
//! ```
//!
//! * [`cell`]: what is measured: scenario, wait, batch and capacity.
//! * [`peer`]: who is measured, and [`Peer::run`] which does one run.
//! * [`event`], [`feed`], [`pause`]: what all peers share: payloads, producers' loops, waits.
//! * [`witness`], [`outcome`]: what each consumer checks, and the verdict on a run.
//! * [`calibrate`], [`contest`], [`stats`]: how long runs are, in what order, and their medians.
//! * [`options`], [`machine`], [`table`]: the command line, the header and the Markdown.
//!
//! The README of this crate says what the figures mean and what they do not.

#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::pedantic)]
// Rates and averages are for people; counts stay far below 2^52.
#![allow(clippy::cast_precision_loss)]

pub mod calibrate;
pub mod cell;
pub mod contest;
pub mod event;
pub mod feed;
pub mod machine;
pub mod options;
pub mod outcome;
pub mod pause;
pub mod peer;
pub mod stats;
pub mod table;
pub mod witness;

mod link;
mod on_crossbeam;
mod on_disruptor;
mod on_slipring;

pub use cell::{Cell, Scenario, Wait};
pub use outcome::{Fault, Outcome};
pub use peer::Peer;
