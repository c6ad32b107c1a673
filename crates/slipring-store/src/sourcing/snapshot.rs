//! States as they were.
//!
//! ```text
//! 1 byte   4 bytes            2 bytes   8 bytes    8 bytes    the rest
//! 1        crc32 of the rest  schema    version    position   the state, as postcard
//! ```
//!
//! Numbers have the lowest byte first. A snapshot is never needed: what cannot be used is left aside, and counted.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Serialize, de::DeserializeOwned};

/// The [space](crate::EventStore::value) in which the snapshots of aggregates are kept, by the names of their streams.
pub const SNAPSHOTS: &str = "snapshots";

const FORMAT: u8 = 1;
const CHECKED: usize = 1 + size_of::<u32>();
const HEAD: usize = CHECKED + 2 + 8 + 8;

/// A state with what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Saved<T> {
    pub state: T,
    /// How many events of the stream are in it.
    pub version: u64,
    /// The position behind the last of them; of an aggregate, 0: where its last event stands only the commit knows.
    pub position: u64,
}

/// Why a snapshot is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    Unreadable,
    /// Of another schema.
    Outdated,
}

/// How states of a type become bytes.
pub(crate) struct Form<T> {
    schema: u16,
    encode: fn(&T, &mut Vec<u8>) -> bool,
    decode: fn(&[u8]) -> Option<T>,
}

impl<T> Clone for Form<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Form<T> {}

impl<T: Serialize + DeserializeOwned> Form<T> {
    pub fn new(schema: u16) -> Self {
        Self {
            schema,
            encode: |state, bytes| crate::onto::write(state, bytes).is_ok(),
            decode: |bytes| match postcard::take_from_bytes(bytes) {
                Ok((state, [])) => Some(state),
                _ => None,
            },
        }
    }
}

impl<T> Form<T> {
    /// None if the state has no such form.
    pub fn write(&self, saved: Saved<&T>) -> Option<Vec<u8>> {
        let mut bytes = vec![FORMAT; CHECKED];
        bytes.extend_from_slice(&self.schema.to_le_bytes());
        bytes.extend_from_slice(&saved.version.to_le_bytes());
        bytes.extend_from_slice(&saved.position.to_le_bytes());
        if !(self.encode)(saved.state, &mut bytes) {
            return None;
        }
        let sum = crc32fast::hash(&bytes[CHECKED..]);
        bytes[1..CHECKED].copy_from_slice(&sum.to_le_bytes());
        Some(bytes)
    }

    pub fn read(&self, bytes: &[u8]) -> Result<Saved<T>, Unusable> {
        if bytes.len() < HEAD || bytes[0] != FORMAT {
            return Err(Unusable::Unreadable);
        }
        let (sum, rest) = bytes[1..].split_first_chunk().ok_or(Unusable::Unreadable)?;
        if crc32fast::hash(rest) != u32::from_le_bytes(*sum) {
            return Err(Unusable::Unreadable);
        }
        let (schema, rest) = rest.split_first_chunk().ok_or(Unusable::Unreadable)?;
        if u16::from_le_bytes(*schema) != self.schema {
            return Err(Unusable::Outdated);
        }
        let (version, rest) = rest.split_first_chunk().ok_or(Unusable::Unreadable)?;
        let (position, state) = rest.split_first_chunk().ok_or(Unusable::Unreadable)?;
        Ok(Saved {
            state: (self.decode)(state).ok_or(Unusable::Unreadable)?,
            version: u64::from_le_bytes(*version),
            position: u64::from_le_bytes(*position),
        })
    }
}

/// What became of snapshots, since the program began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotReport {
    /// How many were committed.
    pub taken: u64,
    /// How often one spared reading all events.
    pub used: u64,
    /// How often there was one of another [schema](crate::sourcing::Aggregate::SCHEMA). All events were read.
    pub outdated: u64,
    /// How often one could not be read. All events were read.
    pub unreadable: u64,
    /// How often one was of more events than its stream has. All events were read.
    pub ahead: u64,
    /// How often a state could not be written. There is no snapshot of it.
    pub unwritable: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub taken: AtomicU64,
    pub used: AtomicU64,
    pub outdated: AtomicU64,
    pub unreadable: AtomicU64,
    pub ahead: AtomicU64,
    pub unwritable: AtomicU64,
}

impl Counts {
    pub fn unusable(&self, why: Unusable) {
        count(match why {
            Unusable::Unreadable => &self.unreadable,
            Unusable::Outdated => &self.outdated,
        });
    }

    pub fn report(&self) -> SnapshotReport {
        // ORDERING: Relaxed. They are counted for people to read, and nothing hangs on them.
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        SnapshotReport {
            taken: load(&self.taken),
            used: load(&self.used),
            outdated: load(&self.outdated),
            unreadable: load(&self.unreadable),
            ahead: load(&self.ahead),
            unwritable: load(&self.unwritable),
        }
    }
}

pub(crate) fn count(count: &AtomicU64) {
    // ORDERING: Relaxed, as in `Counts::report`.
    count.fetch_add(1, Ordering::Relaxed);
}
