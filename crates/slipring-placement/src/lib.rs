//! Which thread of a pipeline goes to which core of this machine and why, and what here would hurt
//! its latency.
//!
//! ```
//! use slipring_placement::{Machine, Placement, examine};
//!
//! // Threads in the order in which events pass them, producers first; a name for each thread, so that
//! // a team of two has its name twice.
//! let plan = Placement::auto(["producer", "risk", "price", "price", "ledger"]);
//! println!("{plan}"); // A line for each thread: its core, and why.
//! assert_eq!(plan.seats().len(), 5);
//!
//! for finding in examine(&Machine::here()) {
//!     println!("{finding}");
//! }
//! ```
//!
//! * [`Machine`]: what `/proc` and `/sys` say of a machine, as plain data. Nothing that is missing there
//!   is an error; [`Machine::unknown`] lists it.
//! * [`Placement`]: a plan, and the reasons of every choice in it.
//! * [`examine`]: what would hurt, why, and the command that mends it.
//!
//! A *core* here is what the kernel calls a CPU, and may be one of several threads of a physical core.
//!
//! Only Linux has these files. Elsewhere everything is unknown, and a plan pins nothing and says so.

#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod core_set;
mod doctor;
mod files;
mod machine;
mod placement;

pub use core_set::{CoreSet, CoreSetError};
pub use doctor::{Finding, Severity, examine};
pub use machine::{Core, IdleState, Interrupt, Limit, Machine, Pages, Quota, System};
pub use placement::{Choice, Placement, Reason, Remark, Seat, Unpinned};
