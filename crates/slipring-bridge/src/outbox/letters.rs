//! Events that no broker takes.

use std::{fmt, ops::ControlFlow, sync::Arc};

use slipring_events::Time;
use slipring_store::{Batch, Durability, Entry, EventStore, Frames, StoreError};
use tokio::sync::Notify;

use crate::{Parcel, Stamp, pauses::conflict_of};

/// The first number of a letter that is given back: no event has such a position.
pub(crate) const FIRST_AGAIN: u64 = 1 << 62;

/// The events that an outbox has set aside because the broker does not take them: too large, say. They are in the store
/// as values, with the reason, until they are given back or purged, also when their events have been removed.
///
/// It works on the store alone; the outbox need not run. What is given back goes out behind what is on its way, in a lane
/// of its own, once.
///
/// # Examples
/// ```
/// use slipring_bridge::OutboxLetters;
/// use slipring_store::Memory;
/// use std::sync::Arc;
///
/// let letters = OutboxLetters::named("shop", Arc::new(Memory::new()));
/// assert!(letters.list()?.is_empty());
/// assert!(!letters.requeue(7)?); // There is no such letter.
/// # Ok::<(), slipring_store::StoreError>(())
/// ```
#[derive(Clone)]
pub struct OutboxLetters {
    store: Arc<dyn EventStore>,
    pub(crate) spaces: Arc<Spaces>,
    /// Tells the outbox, if it runs, that something is given back.
    pub(crate) bell: Arc<Notify>,
}

pub(crate) struct Spaces {
    pub own: String,
    pub letters: String,
    pub passed: String,
    pub again: String,
}

/// An event that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxLetter {
    /// Where the event stands in the store.
    pub position: u64,
    /// Why no broker takes it.
    pub reason: Box<str>,
    /// Since when.
    pub time: Time,
    /// What was to be sent.
    pub parcel: Parcel,
}

impl fmt::Debug for OutboxLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxLetters").field("space", &self.spaces.letters).finish_non_exhaustive()
    }
}

impl OutboxLetters {
    /// Those of the outbox of that name on a store. That of one of several partitions is called as its
    /// [`OutboxHandle::name`](crate::OutboxHandle::name) says.
    pub fn named(name: &str, store: Arc<impl EventStore>) -> Self {
        Self::of(store, name)
    }

    pub(crate) fn of(store: Arc<dyn EventStore>, name: &str) -> Self {
        let own = format!("outbox/{name}");
        let spaces = Spaces {
            letters: format!("{own}/letters"),
            passed: format!("{own}/passed"),
            again: format!("{own}/again"),
            own,
        };
        Self { store, spaces: Arc::new(spaces), bell: Arc::default() }
    }

    /// All of them, by their positions.
    ///
    /// # Errors
    /// The store cannot be read, or what is kept there is none.
    pub fn list(&self) -> Result<Vec<OutboxLetter>, StoreError> {
        let read = self.read(&self.spaces.letters, 0, usize::MAX)?;
        Ok(read.into_iter().map(|(_, letter)| letter).collect())
    }

    /// Gives one back to the outbox, and says whether it was there.
    ///
    /// # Errors
    /// The store cannot be read or written; nothing has changed then.
    pub fn requeue(&self, position: u64) -> Result<bool, StoreError> {
        let Spaces { own, letters, again, .. } = &*self.spaces;
        let key = position.to_be_bytes();
        let is_there = loop {
            let Some(letter) = self.store.value(letters, &key)? else { break false };
            let counter = self.store.value(own, b"again")?;
            let number = match counter.as_deref().map(<[u8; 8]>::try_from) {
                None => FIRST_AGAIN,
                Some(Ok(bytes)) => u64::from_be_bytes(bytes),
                Some(Err(_)) => {
                    let place = format_args!("the counter of `{own}`");
                    return Err(StoreError::damaged(place, "it does not have 8 bytes"));
                }
            };
            let mut batch = Batch::new();
            batch.expect_value(own, b"again", counter.as_deref());
            batch.expect_value(letters, &key, Some(&letter));
            batch.put(own, b"again", &(number + 1).to_be_bytes());
            batch.remove(letters, &key);
            batch.put(again, &number.to_be_bytes(), &letter);
            match self.store.commit(&batch, Durability::Synced) {
                Ok(_) => break true,
                Err(error) => _ = conflict_of(error)?,
            }
        };
        self.bell.notify_one();
        Ok(is_there)
    }

    /// Gives all back, and says how many.
    ///
    /// # Errors
    /// The store cannot be read or written; those that were given back before stay so.
    pub fn requeue_all(&self) -> Result<usize, StoreError> {
        let mut count = 0;
        for letter in self.list()? {
            count += usize::from(self.requeue(letter.position)?);
        }
        Ok(count)
    }

    /// Throws one away, and returns it, if it was there.
    ///
    /// # Errors
    /// The store cannot be read or written; nothing has changed then.
    pub fn purge(&self, position: u64) -> Result<Option<OutboxLetter>, StoreError> {
        let (space, key) = (&self.spaces.letters, position.to_be_bytes());
        loop {
            let Some(bytes) = self.store.value(space, &key)? else { return Ok(None) };
            let letter = self.decode(space, position, &bytes)?;
            let mut batch = Batch::new();
            batch.expect_value(space, &key, Some(&bytes));
            batch.remove(space, &key);
            match self.store.commit(&batch, Durability::Synced) {
                Ok(_) => return Ok(Some(letter)),
                Err(error) => _ = conflict_of(error)?,
            }
        }
    }

    /// Sets one aside; one that was given back before is that no more.
    pub(crate) fn put(
        &self,
        position: u64,
        parcel: &Parcel,
        reason: &str,
        now: Time,
        again: Option<u64>,
    ) -> Result<(), StoreError> {
        let Spaces { letters, passed, again: sent, .. } = &*self.spaces;
        let bytes = encode(position, parcel, reason, now)?;
        let mut batch = Batch::new();
        batch.put(letters, &position.to_be_bytes(), &bytes);
        match again {
            Some(number) => batch.remove(sent, &number.to_be_bytes()),
            None => batch.put(passed, &position.to_be_bytes(), b""),
        }
        match self.store.commit(&batch, Durability::Synced) {
            Ok(_) => Ok(()),
            // Nothing is expected.
            Err(error) => Err(StoreError::damaged("a batch", conflict_of(error)?)),
        }
    }

    /// Those that were given back, from a number on: with their numbers and positions.
    pub(crate) fn again(
        &self,
        from: u64,
        most: usize,
    ) -> Result<Vec<(u64, u64, Parcel)>, StoreError> {
        let read = self.read(&self.spaces.again, from, most)?;
        let parts =
            |(number, letter): (u64, OutboxLetter)| (number, letter.position, letter.parcel);
        Ok(read.into_iter().map(parts).collect())
    }

    fn read(
        &self,
        space: &str,
        from: u64,
        most: usize,
    ) -> Result<Vec<(u64, OutboxLetter)>, StoreError> {
        let (mut letters, mut failed) = (Vec::new(), None);
        self.store.values(space, &from.to_be_bytes(), &mut |key, value| {
            if letters.len() >= most {
                return ControlFlow::Break(());
            }
            let letter = if let Ok(number) = key.try_into().map(u64::from_be_bytes) {
                self.decode(space, number, value).map(|letter| (number, letter))
            } else {
                let place = format_args!("a letter of `{space}`");
                Err(StoreError::damaged(place, "its number does not have 8 bytes"))
            };
            match letter {
                Ok(letter) => letters.push(letter),
                Err(error) => {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        failed.map_or(Ok(letters), Err)
    }

    fn decode(&self, space: &str, number: u64, bytes: &[u8]) -> Result<OutboxLetter, StoreError> {
        let damaged = |problem: &dyn fmt::Display| {
            StoreError::damaged(format_args!("letter {number} of `{space}`"), problem)
        };
        let part = |from: usize| bytes.get(from..from + 8).and_then(|part| part.try_into().ok());
        let number_at = |from: usize| part(from).map(u64::from_be_bytes);
        let (Some(position), Some(time), Some(length)) =
            (number_at(0), number_at(8), number_at(16))
        else {
            return Err(damaged(&"it ends before its event"));
        };
        let split =
            usize::try_from(length).ok().and_then(|length| bytes[24..].split_at_checked(length));
        let Some((reason, frame)) = split else {
            return Err(damaged(&"it ends in the midst of its reason"));
        };
        let Some(record) = Frames::new(frame, position, self.store.source()).next() else {
            return Err(damaged(&"it has no event"));
        };
        let record = record.map_err(|error| damaged(&error))?;
        let stamp = Stamp { lane: Arc::default(), sequence: position, previous: None };
        let mut parcel = Parcel::of(&record, stamp).map_err(|error| damaged(&error))?;
        parcel.stamp = None;
        let reason = String::from_utf8_lossy(reason).into();
        Ok(OutboxLetter { position, reason, time: Time::from_nanos(time), parcel })
    }
}

/// Position, time and length of the reason, the reason, and the event as a frame.
fn encode(position: u64, parcel: &Parcel, reason: &str, now: Time) -> Result<Vec<u8>, StoreError> {
    let mut entry = Entry::at(parcel.time, &parcel.topic, &parcel.payload).schema(parcel.schema);
    (entry.id, entry.source, entry.stream) = (parcel.id, &parcel.source, parcel.stream.as_deref());
    (entry.correlation, entry.causation) = (parcel.correlation, parcel.causation);
    entry.metadata = Some(&parcel.metadata);
    let mut frame = Batch::new();
    let place = format_args!("event {position}");
    frame.append(entry).map_err(|error| StoreError::damaged(place, error))?;
    let mut bytes = Vec::with_capacity(24 + reason.len() + frame.bytes().len());
    for number in [position, now.as_nanos(), reason.len() as u64] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(reason.as_bytes());
    bytes.extend_from_slice(frame.bytes());
    Ok(bytes)
}
