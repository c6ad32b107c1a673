//! What an outbox keeps in its store: how far it is, and which events it has passed over.
//!
//! ```text
//! outboxes            NAME            run, next position, last confirmed of both lanes
//! checkpoints         outbox:NAME     next position: retention waits for it
//! outbox/NAME/passed  position        set aside, while it is behind the checkpoint
//! outbox/NAME/letters position        what was set aside, with the reason
//! outbox/NAME/again   number          letters that were given back and are not confirmed
//! outbox/NAME         again           the number that the next of these gets
//! ```

use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc};

use parking_lot::Mutex;
use slipring_events::Time;
use slipring_store::{Batch, Bounds, Checkpoint, Conflict, Durability, EventStore, StoreError};

use super::{
    OutboxHalt,
    letters::{OutboxLetters, Spaces},
    window::Out,
};
use crate::{Parcel, pauses::conflict_of};

/// The space in which outboxes keep how far they are.
const OUTBOXES: &str = "outboxes";
/// Run, next position, and twice whether there is one and which one was confirmed last.
const BYTES: usize = 8 + 8 + 9 + 9;

/// How far an outbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// How often it was opened.
    pub run: u64,
    /// Everything before that position is done.
    pub next: u64,
    /// The last one that was confirmed, of both lanes.
    pub confirmed: [Option<u64>; 2],
}

impl Progress {
    fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&self.run.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.next.to_be_bytes());
        for (at, confirmed) in [16, 25].into_iter().zip(self.confirmed) {
            bytes[at] = u8::from(confirmed.is_some());
            bytes[at + 1..at + 9].copy_from_slice(&confirmed.unwrap_or(0).to_be_bytes());
        }
        bytes
    }

    fn read(name: &str, bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = |problem: &str| StoreError::damaged(format_args!("outbox `{name}`"), problem);
        let bytes: &[u8; BYTES] =
            bytes.try_into().map_err(|_| damaged("its place does not have 34 bytes"))?;
        let number = |at: usize| {
            bytes[at..at + 8].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let confirmed = |at: usize| match bytes[at] {
            0 => Ok(None),
            1 => Ok(Some(number(at + 1))),
            _ => Err(damaged("it says neither that something was confirmed nor that nothing was")),
        };
        Ok(Self { run: number(0), next: number(8), confirmed: [confirmed(16)?, confirmed(25)?] })
    }
}

/// Positions that were set aside and are not behind the checkpoint's back yet: never sent as what they were.
pub(crate) type Passed = Arc<Mutex<BTreeSet<u64>>>;

/// Writes down how far an outbox is.
pub(crate) struct Books {
    store: Arc<dyn EventStore>,
    name: Box<str>,
    checkpoint: Checkpoint,
    pub letters: OutboxLetters,
    pub passed: Passed,
    /// As it is in the store.
    kept: Progress,
    /// What a commit that failed was to make of it.
    tried: Option<Progress>,
}

fn checkpoint(name: &str) -> Checkpoint {
    Checkpoint::named(format!("outbox:{name}"))
}

/// Why something was not written down.
#[derive(Debug)]
pub(crate) enum Unwritten {
    /// It may work the next time.
    Later(StoreError),
    Never(OutboxHalt),
}

impl From<StoreError> for Unwritten {
    fn from(error: StoreError) -> Self {
        if super::error::may_mend(&error) { Self::Later(error) } else { Self::Never(error.into()) }
    }
}

impl Books {
    /// Opens those of that name: from now on nobody else may write in them. New ones begin at `first`, if it is there:
    /// nobody would get them away from a place that is not.
    pub fn open(
        store: Arc<dyn EventStore>,
        name: &str,
        first: u64,
        bounds: Bounds,
    ) -> Result<Self, StoreError> {
        let before = store.value(OUTBOXES, name.as_bytes())?;
        let kept = match &before {
            Some(bytes) => Progress::read(name, bytes)?,
            None if first < bounds.first => {
                return Err(StoreError::Removed { asked: first, first: bounds.first });
            }
            None if first > bounds.end => {
                return Err(StoreError::Beyond { asked: first, end: bounds.end });
            }
            None => Progress { run: 0, next: first, confirmed: [None; 2] },
        };
        let letters = OutboxLetters::of(store.clone(), name);
        let mut passed = BTreeSet::new();
        store.values(&letters.spaces.passed, b"", &mut |key, _| {
            passed.extend(key.try_into().map(u64::from_be_bytes));
            ControlFlow::Continue(())
        })?;
        let mut books = Self {
            checkpoint: checkpoint(name),
            store,
            name: name.into(),
            letters,
            passed: Arc::new(Mutex::new(passed)),
            kept,
            tried: None,
        };
        let opened = Progress { run: kept.run + 1, ..kept };
        let mut batch = Batch::new();
        books.fill(&mut batch, before.as_deref(), opened);
        match books.store.commit(&batch, Durability::Synced) {
            Ok(_) => {
                books.kept = opened;
                Ok(books)
            }
            Err(error) => {
                conflict_of(error)?;
                let problem = "is being opened by somebody else: run each name once";
                Err(StoreError::Refused(format!("outbox `{name}` {problem}").into()))
            }
        }
    }

    /// Has the outbox of that name send again what is behind an event, if it was further. Says whether it was.
    pub fn set_back(
        store: &Arc<dyn EventStore>,
        name: &str,
        behind: u64,
    ) -> Result<bool, StoreError> {
        let bounds = store.bounds()?;
        let before = store.value(OUTBOXES, name.as_bytes())?;
        let Some(bytes) = &before else {
            let problem = format!("there is no outbox `{name}`: its name is what its handle says");
            return Err(StoreError::Refused(problem.into()));
        };
        let kept = Progress::read(name, bytes)?;
        let next = behind.saturating_add(1);
        if next >= kept.next {
            return Ok(false);
        }
        if next < bounds.first {
            return Err(StoreError::Removed { asked: next, first: bounds.first });
        }
        let [_, letters] = kept.confirmed;
        // One that runs notices, and halts.
        let after = Progress { run: kept.run + 1, next, confirmed: [Some(behind), letters] };
        let mut batch = Batch::new();
        batch.expect_value(OUTBOXES, name.as_bytes(), before.as_deref());
        batch.put(OUTBOXES, name.as_bytes(), &after.to_bytes());
        checkpoint(name).put(&mut batch, next);
        match store.commit(&batch, Durability::Synced) {
            Ok(_) => Ok(true),
            Err(error) => {
                conflict_of(error)?;
                let problem = "is at work: stop it first";
                Err(StoreError::Refused(format!("outbox `{name}` {problem}").into()))
            }
        }
    }

    pub fn progress(&self) -> Progress {
        self.kept
    }

    fn fill(&self, batch: &mut Batch, before: Option<&[u8]>, after: Progress) {
        batch.expect_value(OUTBOXES, self.name.as_bytes(), before);
        batch.put(OUTBOXES, self.name.as_bytes(), &after.to_bytes());
        self.checkpoint.put(batch, after.next);
    }

    /// Writes down how far it is, and that letters that were given back are confirmed.
    pub fn save(
        &mut self,
        next: u64,
        confirmed: [Option<u64>; 2],
        again: &[u64],
        durability: Durability,
    ) -> Result<(), Unwritten> {
        let after = Progress { run: self.kept.run, next, confirmed };
        let Spaces { passed, again: sent, .. } = &*self.letters.spaces;
        let gone: Vec<u64> = self.passed.lock().range(..next).copied().collect();
        let mut batch = Batch::new();
        for position in &gone {
            batch.remove(passed, &position.to_be_bytes());
        }
        for number in again {
            batch.remove(sent, &number.to_be_bytes());
        }
        loop {
            let mut whole = batch.clone();
            self.fill(&mut whole, Some(&self.kept.to_bytes()), after);
            match self.store.commit(&whole, durability) {
                Ok(_) => break,
                Err(error) => {
                    let conflict = match conflict_of(error) {
                        Ok(conflict) => conflict,
                        Err(error) => {
                            self.tried = Some(after);
                            return Err(error.into());
                        }
                    };
                    // A commit of ours that was said to have failed may have been taken.
                    let tried = self.tried.take().filter(|tried| is_found(&conflict, *tried));
                    let Some(tried) = tried else {
                        let name = self.name.clone();
                        return Err(Unwritten::Never(OutboxHalt::RunTwice { name }));
                    };
                    self.kept = tried;
                }
            }
        }
        (self.kept, self.tried) = (after, None);
        let mut passed = self.passed.lock();
        *passed = passed.split_off(&next);
        Ok(())
    }

    /// Puts a parcel aside, durably; an event is not looked at again.
    pub fn set_aside(&mut self, out: &Out, reason: &str, now: Time) -> Result<(), Unwritten> {
        let again = (out.lane == super::window::Lane::Letters).then_some(out.sequence);
        self.letters.put(out.position, &out.parcel, reason, now, again)?;
        if again.is_none() {
            self.passed.lock().insert(out.position);
        }
        Ok(())
    }

    /// Letters that were given back, from a number on.
    pub fn again(&self, from: u64, most: usize) -> Result<Vec<(u64, u64, Parcel)>, Unwritten> {
        Ok(self.letters.again(from, most)?)
    }
}

fn is_found(conflict: &Conflict, tried: Progress) -> bool {
    let Conflict::Value { found, .. } = conflict else { return false };
    found.as_deref() == Some(&tried.to_bytes()[..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_place_is_read_as_it_was_written(
            run: u64, next: u64, events: Option<u64>, letters: Option<u64>,
        ) {
            let place = Progress { run, next, confirmed: [events, letters] };
            prop_assert_eq!(Progress::read("o", &place.to_bytes()).unwrap(), place);
        }

        #[test]
        fn any_bytes_are_a_place_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            let _ = Progress::read("o", &bytes);
        }
    }
}
