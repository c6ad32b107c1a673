//! Events that nothing was made of, yet.

use serde::{Deserialize, Serialize};
use slipring_events::{EventId, Time};

use crate::{Record, StoreError, sourcing::Halt};

/// What is done with an event that cannot be read, or that the projection says it cannot apply. One at which it panics
/// always halts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnFailure {
    /// The projection halts before it. When the cause is gone, it goes on there.
    #[default]
    Halt,
    /// It is put aside with the reason, to be listed, retried or purged, and the projection goes on: what comes later
    /// is applied before it.
    Park,
    /// It is put aside, and with it all later events of its stream, so that they are applied in order: retry them in
    /// order, too. Other streams go on. An event in no stream is put aside alone.
    ParkStream,
}

/// An event that was put aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Parked {
    /// Where it stands.
    pub position: u64,
    /// Which it is.
    pub id: EventId,
    /// What it is called.
    pub topic: String,
    /// Its stream, if it is in one.
    pub stream: Option<String>,
    /// When it happened.
    #[serde(with = "nanos")]
    pub time: Time,
    /// How often it was tried; 0 if it waits for another of its stream.
    pub attempts: u32,
    /// Why it is here.
    pub reason: String,
}

/// Times as numbers.
mod nanos {
    use serde::{Deserialize, Deserializer, Serializer};
    use slipring_events::Time;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "that is how serde calls it")]
    pub(super) fn serialize<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(time.as_nanos())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Time, D::Error> {
        u64::deserialize(deserializer).map(Time::from_nanos)
    }
}

impl Parked {
    pub(crate) fn new(record: &Record<'_>, attempts: u32, reason: impl Into<String>) -> Self {
        Self {
            position: record.position,
            id: record.id,
            topic: record.topic.to_owned(),
            stream: record.stream.map(|stream| stream.name.to_owned()),
            time: record.time,
            attempts,
            reason: reason.into(),
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("texts and numbers have a form")
    }

    pub(crate) fn from_bytes(space: &str, bytes: &[u8]) -> Result<Self, StoreError> {
        postcard::from_bytes(bytes)
            .map_err(|error| StoreError::damaged(format_args!("an event of `{space}`"), error))
    }
}

/// A parked event that is still parked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetryError {
    /// None is parked there.
    #[error("event {0} is not parked")]
    NotParked(u64),
    /// An earlier one of its stream is parked, too, and comes first.
    #[error("event {first} is of the same stream and comes first")]
    Behind {
        /// Where that one stands.
        first: u64,
    },
    /// It has failed again.
    #[error("it has failed {attempts} times now: {reason}")]
    Failed {
        /// How often it was tried.
        attempts: u32,
        /// What went wrong this time.
        reason: Box<str>,
    },
    /// The store cannot be read or written, the projection has panicked, or is run elsewhere.
    #[error(transparent)]
    Halt(#[from] Halt),
}

impl From<StoreError> for RetryError {
    fn from(error: StoreError) -> Self {
        Self::Halt(error.into())
    }
}
