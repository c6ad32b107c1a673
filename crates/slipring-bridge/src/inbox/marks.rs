//! How far an inbox has come with each lane, in a store.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use slipring_store::{Batch, Committed, Conflict, Durability, EventStore, StoreError};

use super::{IntakeError, Mark};
use crate::{Stamp, pauses::conflict_of};

/// The marks of an inbox: values of the space `inbox-lanes/` and its name, by the lanes.
///
/// Each is expected to be what it was: so two inboxes of one name never both write, and one that does not know whether
/// its last commit was taken can find out.
pub(crate) struct Marks {
    store: Arc<dyn EventStore>,
    space: String,
    name: Box<str>,
    kept: BTreeMap<Arc<str>, u64>,
    /// What a commit that failed was to make of them.
    tried: Option<BTreeMap<Arc<str>, u64>>,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Now(Committed),
    /// The attempt before had been taken.
    Before,
}

impl Marks {
    pub fn open(store: Arc<dyn EventStore>, name: &str) -> Result<Self, StoreError> {
        let space = format!("inbox-lanes/{name}");
        let (mut kept, mut damage) = (BTreeMap::new(), None);
        store.values(&space, b"", &mut |lane, value| {
            let lane = std::str::from_utf8(lane);
            if let (Ok(lane), Ok(mark)) = (lane, value.try_into().map(u64::from_be_bytes)) {
                kept.insert(Arc::from(lane), mark);
                return ControlFlow::Continue(());
            }
            let place = format_args!("a mark of inbox `{name}`");
            damage = Some(StoreError::damaged(place, "it is no lane with a number"));
            ControlFlow::Break(())
        })?;
        match damage {
            Some(damage) => Err(damage),
            None => Ok(Self { store, space, name: name.into(), kept, tried: None }),
        }
    }

    pub fn all(&self) -> Vec<Mark> {
        let mark =
            |(lane, sequence): (&Arc<str>, &u64)| Mark { lane: lane.clone(), sequence: *sequence };
        self.kept.iter().map(mark).collect()
    }

    /// Commits a batch with the marks moved to these, durably.
    pub fn commit<'a>(
        &mut self,
        batch: &mut Batch,
        stamps: impl IntoIterator<Item = &'a Stamp>,
    ) -> Result<Kept, IntakeError> {
        let mut after: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for stamp in stamps {
            let mark = after.entry(stamp.lane.clone()).or_insert(stamp.sequence);
            *mark = stamp.sequence.max(*mark);
        }
        for (lane, sequence) in &after {
            let before = self.kept.get(lane).map(|mark| mark.to_be_bytes());
            let before = before.as_ref().map(|bytes| &bytes[..]);
            batch.expect_value(&self.space, lane.as_bytes(), before);
            batch.put(&self.space, lane.as_bytes(), &sequence.to_be_bytes());
        }
        match self.store.commit(batch, Durability::Synced) {
            Ok(committed) => {
                self.kept.append(&mut after);
                self.tried = None;
                Ok(Kept::Now(committed))
            }
            Err(error) => match conflict_of(error) {
                Ok(conflict) => self.after_conflict(after, &conflict),
                Err(error) => {
                    self.tried = Some(after);
                    Err(error.into())
                }
            },
        }
    }

    /// Whether it is our own last attempt that stands there.
    fn after_conflict(
        &mut self,
        after: BTreeMap<Arc<str>, u64>,
        conflict: &Conflict,
    ) -> Result<Kept, IntakeError> {
        if self.tried.as_ref() == Some(&after) && self.stand_in_store(&after)? {
            self.tried = None;
            self.kept.extend(after);
            return Ok(Kept::Before);
        }
        let name = &self.name;
        Err(IntakeError::over(format_args!(
            "somebody else runs inbox `{name}`, too: run each name once, or keep no order ({conflict})"
        )))
    }

    fn stand_in_store(&self, marks: &BTreeMap<Arc<str>, u64>) -> Result<bool, StoreError> {
        for (lane, mark) in marks {
            let found = self.store.value(&self.space, lane.as_bytes())?;
            if found.as_deref() != Some(&mark.to_be_bytes()[..]) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
