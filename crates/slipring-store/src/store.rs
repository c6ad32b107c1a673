//! What every store does.

use std::{ops::ControlFlow, time::Duration};

use slipring_events::{Source, Time};

use crate::{Batch, CommitError, Query, Record, Removed, Retention, StoreError};

/// Keeps events, in the order in which they were committed, and values beside them.
///
/// Each event has a position: 0, 1, 2, without a gap. What is committed is seen at once and as a whole by all who
/// read; it is *durable*, and survives the end of the program and of the machine, when a commit
/// [`Synced`](Durability::Synced) or a [`sync`](Self::sync) after it has returned. All methods may be called from any
/// thread; commits come one after the other.
///
/// Readers are called back with each record and say whether to go on. A reader may read the store meanwhile; it must not
/// commit.
pub trait EventStore: Send + Sync + 'static {
    /// What ids are made of, for events that came without one: it stays the same as long as the store is there.
    fn source(&self) -> Source;

    /// Takes all of a batch, or nothing. Expectations are checked first, against what is there before the batch. An
    /// empty batch is no error; synced, it makes durable what is there.
    ///
    /// # Errors
    /// Something is not as expected, or the store cannot be written. After a failed write nobody can tell what is on
    /// the disk, and the store takes nothing more until it is opened again.
    fn commit(&self, batch: &Batch, durability: Durability) -> Result<Committed, CommitError>;

    /// Makes durable what is committed, and returns the position behind it.
    ///
    /// # Errors
    /// It cannot be done; nothing counts as durable that did not before.
    fn sync(&self) -> Result<u64, StoreError>;

    /// Where the store begins and ends.
    ///
    /// # Errors
    /// The store cannot be read.
    fn bounds(&self) -> Result<Bounds, StoreError>;

    /// Reads all events from a position on, in order, up to the end that the store has when it is called. Returns the
    /// position behind the last one that the reader has seen: where to go on.
    ///
    /// # Errors
    /// That position was removed ([`Removed`](StoreError::Removed)) or is behind the end
    /// ([`Beyond`](StoreError::Beyond)), or the store cannot be read.
    fn scan(&self, from: u64, reader: Reader<'_>) -> Result<u64, StoreError>;

    /// Reads the events that a query asks for, by their times, those of one time by their positions.
    ///
    /// # Errors
    /// The store cannot be read.
    fn query(&self, query: &Query, reader: Reader<'_>) -> Result<(), StoreError>;

    /// Every topic that an event has had, in order.
    ///
    /// # Errors
    /// The store cannot be read.
    fn topics(&self) -> Result<Vec<String>, StoreError>;

    /// Reads the events of a stream from a version on, in order. One that has none is no error.
    ///
    /// # Errors
    /// Its events from that version on were removed, in part, and nothing is read; or the store cannot be read.
    fn stream(&self, stream: &str, from: u64, reader: Reader<'_>) -> Result<(), StoreError>;

    /// How many events a stream has ever had: the version that the next one gets.
    ///
    /// # Errors
    /// The store cannot be read.
    fn version(&self, stream: &str) -> Result<u64, StoreError>;

    /// A value, if it is there.
    ///
    /// # Errors
    /// The store cannot be read.
    fn value(&self, space: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The values of a space from a key on, in the order of the keys as bytes.
    ///
    /// # Errors
    /// The store cannot be read.
    fn values(&self, space: &str, from: &[u8], reader: ValueReader<'_>) -> Result<(), StoreError>;

    /// Removes what need not be kept.
    ///
    /// # Errors
    /// The store cannot be written.
    fn retain(&self, keep: &Retention, now: Time) -> Result<Removed, StoreError>;

    /// Waits until the store reaches behind a position, or for so long, and returns where it is then.
    ///
    /// # Errors
    /// The store cannot be read, or has stopped.
    fn wait(&self, beyond: u64, reach: Reach, timeout: Duration) -> Result<Bounds, StoreError>;
}

/// Whoever reads a store: called back with each record, and says whether to go on.
pub type Reader<'a> = &'a mut dyn FnMut(Record<'_>) -> ControlFlow<()>;

/// Whoever reads the values of a space: called back with each key and its value, and says whether to go on.
pub type ValueReader<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// When a commit returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// When everybody can read it. It is lost if the program or the machine ends before the next sync; never a part of
    /// it, and never what was committed before it without it. Positions that are lost so are given again, and with them
    /// the ids that the store makes of them: who keeps either elsewhere reads what is [durable](Reach::Durable).
    Visible,
    /// When it is on the disk.
    Synced,
}

/// How far a store has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// To where everybody can read.
    Visible,
    /// To where it survives the end of the machine.
    Durable,
}

/// Where a store begins and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// The position of the first event that is still there.
    pub first: u64,
    /// The position that the next event gets.
    pub end: u64,
    /// The position behind the last durable event.
    pub durable: u64,
}

impl Bounds {
    /// The position behind the last event, or behind the last durable one.
    pub const fn end_of(&self, reach: Reach) -> u64 {
        match reach {
            Reach::Visible => self.end,
            Reach::Durable => self.durable,
        }
    }
}

/// Which positions the events of a batch got: all of them, side by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed {
    /// That of the first.
    pub first: u64,
    /// The one behind the last.
    pub end: u64,
}
