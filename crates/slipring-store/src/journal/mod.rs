//! The journal: a stage of a ring that stores every event before anybody behind it sees it.
//!
//! It is a station like any other: it has a cursor, and whoever follows it stays behind that. Its cursor moves when a
//! commit has returned, so what is behind it on the ring is behind it in time.

mod handle;
mod ledger;
mod mark;
mod on_bus;
mod places;
mod policy;
mod station;

pub use handle::Journal;
pub use mark::JOURNALS;
pub use on_bus::BusJournal;
pub use policy::{SyncPolicy, WhenFailing, WhenRefused};
pub use station::{JournalStation, journal};
