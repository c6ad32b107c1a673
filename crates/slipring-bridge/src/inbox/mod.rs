//! From a broker to a store, or to a bus.
//!
//! A task receives and settles, and keeps the order of each lane; a thread beside it hands on to the intake.

mod builder;
mod desk;
mod handle;
mod intake;
mod into_bus;
mod into_store;
mod journal_marks;
mod marks;
mod receiving;
mod turns;

pub use builder::{Inbox, InboxBuilder, WhenMissing, WhenUnstamped};
pub use handle::{InboxHalt, InboxHandle, InboxReport, InboxState, InboxStatus};
pub use intake::{Intake, IntakeError, Mark, ORIGIN, ORIGIN_SEQUENCE, RefusedBefore, Verdict};
pub use into_bus::{IntoBus, SafeWhen};
pub use into_store::IntoStore;
pub use turns::Missing;
