//! An event store: what has happened is kept, in order, and can be asked for again.

#![forbid(unsafe_code)]

mod batch;
mod checkpoint;
mod codec;
mod durable;
#[cfg(feature = "embedded")]
pub mod embedded;
mod entry;
mod error;
mod frame;
mod journal;
pub mod lines;
mod memory;
mod onto;
mod query;
mod record;
#[cfg(feature = "redis")]
mod redis_store;
mod replay;
mod retention;
pub mod sourcing;
mod store;
mod subscription;

pub use batch::{Batch, Change, Expectation, Expected};
pub use checkpoint::{CHECKPOINTS, Checkpoint, NamedCheckpoint};
pub use codec::{Codec, CodecError, Json, Postcard};
pub use durable::{InboxError, Once, Output, StoreCheckpoint, StoreInbox, StoreLetters};
#[cfg(feature = "embedded")]
pub use embedded::Embedded;
pub use entry::{Entry, EntryError};
pub use error::{CommitError, Conflict, StoreError};
pub use frame::{FrameError, Frames};
pub use journal::{
    BusJournal, JOURNALS, Journal, JournalStation, SyncPolicy, WhenFailing, WhenRefused, journal,
};
pub use memory::Memory;
pub use query::{Query, Topics};
pub use record::{Record, StreamPlace};
#[cfg(feature = "redis")]
pub use redis_store::{RedisSettings, RedisStore};
pub use replay::{
    Difference, Diverged, HashCheck, HashPoints, Progress, Replay, ReplayCause, ReplayError,
    ReplayHandle, Replayed, StateHash, WhatIf, WhatIfReport,
};
pub use retention::{Removed, Retention};
pub use store::{Bounds, Committed, Durability, EventStore, Reach, Reader, ValueReader};
pub use subscription::Subscription;
