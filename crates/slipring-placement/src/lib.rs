//! What a machine is to threads that spin, from `/proc` and `/sys`.
//!
//! [`Machine`] is plain data. Nothing that is missing there is an error; [`Machine::unknown`] lists it.
//!
//! A *core* here is what the kernel calls a CPU, and may be one of several threads of a physical core.

#![forbid(unsafe_code)]

mod core_set;
mod files;
mod machine;
mod placement;

pub use core_set::{CoreSet, CoreSetError};
pub use machine::{Core, IdleState, Interrupt, Limit, Machine, Pages, Quota, System};
pub use placement::{Choice, Placement, Reason, Remark, Seat, Unpinned};
