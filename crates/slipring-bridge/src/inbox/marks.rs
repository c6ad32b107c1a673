//! How far an inbox has come with each lane, in a store.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::ControlFlow,
    sync::Arc,
};

use slipring_store::{Batch, Committed, Conflict, Durability, EventStore, StoreError};

use super::{IntakeError, Mark, RefusedBefore, Verdict, receiving::MOST_REFUSED};
use crate::{Stamp, pauses::conflict_of};

/// The marks of an inbox: values of the space `inbox-lanes/` and its name, by the lanes. Beside them, in `inbox-refused/`, is
/// why the last ones were refused: the broker may not have been told when the program ended.
///
/// Each is expected to be what it was: so two inboxes of one name never both write, and one that does not know whether
/// its last commit was taken can find out.
pub(crate) struct Marks {
    store: Arc<dyn EventStore>,
    space: String,
    refused_space: String,
    name: Box<str>,
    kept: BTreeMap<Arc<str>, u64>,
    /// The last ones that were refused, by lane and sequence.
    refused: VecDeque<RefusedBefore>,
    /// What a commit that failed was to make of them.
    tried: Option<BTreeMap<Arc<str>, u64>>,
}

/// Those that are refused, if they are of a lane.
pub(crate) fn refused_of<'a>(
    said: impl IntoIterator<Item = (Option<&'a Stamp>, &'a Verdict)>,
) -> Vec<RefusedBefore> {
    let refused = |(stamp, verdict): (Option<&Stamp>, &Verdict)| match (stamp, verdict) {
        (Some(Stamp { lane, sequence, .. }), Verdict::Refused(reason)) => {
            Some(RefusedBefore { lane: lane.clone(), sequence: *sequence, reason: reason.clone() })
        }
        _ => None,
    };
    said.into_iter().filter_map(refused).collect()
}

/// Its sequence, and its lane.
fn key_of(refused: &RefusedBefore) -> Vec<u8> {
    [&refused.sequence.to_be_bytes()[..], refused.lane.as_bytes()].concat()
}

fn refused_before(key: &[u8], reason: &[u8]) -> Option<RefusedBefore> {
    let (sequence, lane) = key.split_first_chunk()?;
    let lane = std::str::from_utf8(lane).ok()?.into();
    let reason = String::from_utf8_lossy(reason).into();
    Some(RefusedBefore { lane, sequence: u64::from_be_bytes(*sequence), reason })
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
        if let Some(damage) = damage {
            return Err(damage);
        }
        let (refused_space, mut refused) = (format!("inbox-refused/{name}"), VecDeque::new());
        store.values(&refused_space, b"", &mut |key, reason| {
            refused.extend(refused_before(key, reason));
            ControlFlow::Continue(())
        })?;
        Ok(Self { store, space, refused_space, name: name.into(), kept, refused, tried: None })
    }

    pub fn refused(&self) -> Vec<RefusedBefore> {
        self.refused.iter().cloned().collect()
    }

    /// Puts into a batch what is refused with it, and takes the oldest ones out.
    fn refuse(&mut self, batch: &mut Batch, refused: Vec<RefusedBefore>) {
        for one in refused {
            batch.put(&self.refused_space, &key_of(&one), one.reason.as_bytes());
            // If it is tried again, it is there already.
            self.refused.retain(|other| key_of(other) != key_of(&one));
            self.refused.push_back(one);
        }
        while self.refused.len() > MOST_REFUSED {
            if let Some(oldest) = self.refused.pop_front() {
                batch.remove(&self.refused_space, &key_of(&oldest));
            }
        }
    }

    pub fn all(&self) -> Vec<Mark> {
        let mark =
            |(lane, sequence): (&Arc<str>, &u64)| Mark { lane: lane.clone(), sequence: *sequence };
        self.kept.iter().map(mark).collect()
    }

    /// Commits a batch with the marks moved to these, durably, and with what is refused of them.
    pub fn commit<'a>(
        &mut self,
        batch: &mut Batch,
        stamps: impl IntoIterator<Item = &'a Stamp>,
        refused: Vec<RefusedBefore>,
    ) -> Result<Kept, IntakeError> {
        self.refuse(batch, refused);
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
