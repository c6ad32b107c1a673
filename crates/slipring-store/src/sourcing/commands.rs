//! Which commands have been carried out.
//!
//! What a command has done is recorded in the commit that does it, and that commit expects that it is not recorded yet.
//! So a command that comes twice, also at the same time in two threads, is carried out once.
//!
//! Beside each record, by its time, stands where it is: what is old enough is forgotten from that end, a few at a time.

use std::{
    ops::{ControlFlow, Range},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use slipring_events::{EventId, Time};
use uuid::Uuid;

use crate::{Batch, CommitError, Durability, EventStore, StoreError};

/// The [space](EventStore::value) in which the commands are remembered that were carried out.
pub const COMMANDS: &str = "commands";

/// Where they stand by their times.
const BY_TIME: &str = "commands.by_time";

/// How many are forgotten at a time.
const FORGOTTEN_AT_ONCE: usize = 256;

/// What a command has done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Done {
    /// The position of its first event. Of one that was carried out so long ago that its events have been removed, this
    /// and the end are where the store begins.
    pub first: u64,
    /// The position behind its last event. If it has led to none: a position behind all that was decided by. Whoever
    /// [waits](crate::sourcing::Running::wait_for) for it sees what it has done.
    pub end: u64,
    /// Whether it was carried out before, and not again.
    pub repeated: bool,
    /// How often it was tried, this time.
    pub attempts: u32,
}

impl Done {
    /// The positions of its events.
    pub fn positions(&self) -> Range<u64> {
        self.first..self.end
    }

    /// How many events it has led to.
    pub fn events(&self) -> u64 {
        self.end - self.first
    }
}

/// What a command does, as far as it is known before the commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Doing {
    /// Nothing; all that was decided by is before that position.
    Nothing(u64),
    /// So many events, side by side.
    Events {
        events: u64,
        /// The stream of the first one, and its version there: where it stands only the store knows.
        stream: String,
        version: u64,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    time: u64,
    doing: Doing,
}

/// A command among those of the same scope: of an aggregate, or of all that concern several.
#[derive(Clone, Debug)]
pub(crate) struct CommandKey(Vec<u8>);

impl CommandKey {
    pub fn new(scope: &str, id: EventId) -> Self {
        let mut key = scope.as_bytes().to_vec();
        key.push(0);
        key.extend_from_slice(Uuid::from(id).as_bytes());
        Self(key)
    }

    /// What the command has done, if it was carried out.
    pub fn find(&self, store: &dyn EventStore) -> Result<Option<Doing>, StoreError> {
        let value = store.value(COMMANDS, &self.0)?;
        value.map(|value| self.read(&value).map(|remembered| remembered.doing)).transpose()
    }

    fn read(&self, value: &[u8]) -> Result<Remembered, StoreError> {
        postcard::from_bytes(value).map_err(|error| {
            StoreError::damaged(format_args!("command `{}`", self.0.escape_ascii()), error)
        })
    }

    /// Records it, if nobody has done so.
    pub fn record(&self, batch: &mut Batch, time: Time, doing: Doing) {
        let remembered = Remembered { time: time.as_nanos(), doing };
        let value = postcard::to_stdvec(&remembered).expect("texts and numbers have a form");
        batch.expect_value(COMMANDS, &self.0, None);
        batch.put(COMMANDS, &self.0, &value);
        batch.put(BY_TIME, &by_time(time, &self.0), b"");
    }
}

fn by_time(time: Time, key: &[u8]) -> Vec<u8> {
    [&time.as_nanos().to_be_bytes()[..], key].concat()
}

impl Doing {
    /// Where it stands in the store.
    pub fn positions(&self, store: &dyn EventStore) -> Result<Range<u64>, StoreError> {
        match self {
            Self::Nothing(end) => Ok(*end..*end),
            Self::Events { events, stream, version } => {
                let mut first = None;
                let read = store.stream(stream, *version, &mut |record| {
                    first = Some(record.position);
                    ControlFlow::Break(())
                });
                match (read, first) {
                    (Ok(()), Some(first)) => Ok(first..first + events),
                    (Ok(()), None) => Err(StoreError::damaged(
                        format_args!("stream `{stream}`"),
                        format_args!("a command has led to event {version}, and it is not there"),
                    )),
                    // They are before all that is left.
                    (Err(StoreError::Removed { .. }), _) => {
                        let first = store.bounds()?.first;
                        Ok(first..first)
                    }
                    (Err(error), _) => Err(error),
                }
            }
        }
    }
}

/// Forgets the oldest of those that are older than that, a few.
pub(crate) fn forget(
    store: &dyn EventStore,
    now: Time,
    keep: Duration,
) -> Result<usize, StoreError> {
    let mut old = Vec::new();
    store.values(BY_TIME, b"", &mut |key, _| {
        let Some((time, command)) = key.split_first_chunk() else { return ControlFlow::Break(()) };
        let time = Time::from_nanos(u64::from_be_bytes(*time));
        if now.since(time) <= keep || old.len() == FORGOTTEN_AT_ONCE {
            return ControlFlow::Break(());
        }
        old.push((time, CommandKey(command.to_vec())));
        ControlFlow::Continue(())
    })?;
    if old.is_empty() {
        return Ok(0);
    }
    let mut batch = Batch::new();
    for (time, key) in &old {
        let place = by_time(*time, &key.0);
        // If it was forgotten meanwhile, and carried out anew, that one is not to be forgotten.
        if let Some(value) = store.value(COMMANDS, &key.0)?
            && key.read(&value)?.time == time.as_nanos()
        {
            batch.expect_value(COMMANDS, &key.0, Some(&value));
            batch.remove(COMMANDS, &key.0);
        }
        batch.remove(BY_TIME, &place);
    }
    match store.commit(&batch, Durability::Visible) {
        Ok(_) => Ok(old.len()),
        // Somebody else is at it.
        Err(CommitError::Conflict(_)) => Ok(0),
        Err(CommitError::Store(error)) => Err(error),
    }
}
