//! What would have been: the same events with a change, or another handler, beside what was.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::Serialize;
use slipring_events::{EventId, Source};

use super::{
    run::{Replay, ReplayCause, ReplayError},
    state_hash::StateHash,
    what_if_report::{Difference, WhatIfReport},
};
use crate::{Batch, Entry, EntryError, EventStore, Frames, Record};

/// Replays events twice: as they were, and with changes; with one handler, or with another one; and tells in which events
/// the two differ, in what they put out and in what their states are.
///
/// A handler is a function of its state, an event, and a list for what it puts out. It is to depend on nothing else, no
/// clock and no chance: then it comes to the same each time.
///
/// # Examples
/// ```
/// use slipring_store::{Batch, Durability, Entry, EventStore, Memory, Record, WhatIf};
/// use std::sync::Arc;
///
/// let store = Arc::new(Memory::new());
/// let mut batch = Batch::new();
/// for cents in [10_u8, 20, 30] {
///     batch.append(Entry::new("paid", &[cents]))?;
/// }
/// store.commit(&batch, Durability::Synced)?;
///
/// let total = |total: &mut u64, event: &Record<'_>, out: &mut Vec<String>| {
///     *total += u64::from(event.payload[0]);
///     if *total >= 50 {
///         out.push(format!("50 reached with {total}"));
///     }
/// };
/// let report = WhatIf::new(store).payload(1, &[45]).compare(|| 0, total, total)?;
/// assert_eq!(report.first().map(|difference| difference.position), Some(1));
/// assert_eq!(report.differences[0].after, ["50 reached with 55"]);
/// assert_eq!(report.differences[1].before, ["50 reached with 60"]);
/// println!("{report}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it does nothing before it is told to compare"]
pub struct WhatIf {
    store: Arc<dyn EventStore>,
    from: u64,
    to: Option<u64>,
    edits: BTreeMap<u64, Edits>,
    most: usize,
    hash_every: u64,
    refused: Option<EntryError>,
}

/// What is done at a position.
#[derive(Default)]
struct Edits {
    /// Before it, each as a frame.
    inserted: Vec<Batch>,
    event: Option<Edit>,
}

enum Edit {
    Dropped,
    Replaced(Batch),
    Payload(Vec<u8>),
}

impl fmt::Debug for WhatIf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhatIf")
            .field("from", &self.from)
            .field("to", &self.to)
            .field("edited", &self.edits.keys())
            .finish_non_exhaustive()
    }
}

impl WhatIf {
    /// Of all events of a store, from the first one ever on. Where that was removed it is an error: say
    /// [`from`](Self::from) which on, and which state goes with it. Each event is read once, for both.
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self {
            store,
            from: 0,
            to: None,
            edits: BTreeMap::new(),
            most: 1_000,
            hash_every: 1,
            refused: None,
        }
    }

    /// From a position on, where the state is the one that `compare` is given.
    pub fn from(mut self, position: u64) -> Self {
        self.from = position;
        self
    }

    /// Up to a position, whose event is not replayed any more.
    pub fn to(mut self, position: u64) -> Self {
        self.to = Some(position);
        self
    }

    /// What if the event at a position had not been.
    pub fn without(mut self, position: u64) -> Self {
        self.at(position).event = Some(Edit::Dropped);
        self
    }

    /// What if the event at a position had been another. It has the id of that one if it has none of its own, and its
    /// version, if it is of the same stream.
    pub fn replace(mut self, position: u64, entry: Entry<'_>) -> Self {
        if let Some(batch) = self.written(entry) {
            self.at(position).event = Some(Edit::Replaced(batch));
        }
        self
    }

    /// What if the event at a position had had another payload.
    pub fn payload(mut self, position: u64, payload: &[u8]) -> Self {
        self.at(position).event = Some(Edit::Payload(payload.to_vec()));
        self
    }

    /// What if something had happened before the event at a position, behind what was put there by an earlier call. It has
    /// the position of the event that it stands before.
    pub fn insert(mut self, position: u64, entry: Entry<'_>) -> Self {
        if let Some(batch) = self.written(entry) {
            self.at(position).inserted.push(batch);
        }
        self
    }

    /// How many events that differ are told, 1,000 if not given; all are counted.
    pub fn most(mut self, differences: usize) -> Self {
        self.most = differences;
        self
    }

    /// Compares the states every so many events, where that takes long: what they put out is compared with each event.
    pub fn compare_states_every(mut self, events: u64) -> Self {
        self.hash_every = events.max(1);
        self
    }

    fn at(&mut self, position: u64) -> &mut Edits {
        self.edits.entry(position).or_default()
    }

    fn written(&mut self, entry: Entry<'_>) -> Option<Batch> {
        let mut batch = Batch::new();
        match batch.append(entry) {
            Ok(()) => Some(batch),
            Err(refused) => {
                self.refused.get_or_insert(refused);
                None
            }
        }
    }

    /// Replays the events as they were with `before`, and as they would have been with `after`, each from the state that
    /// `state` makes.
    ///
    /// # Errors
    /// The store cannot be read, an edit is none that a store would take, or was made where there is no event; or a
    /// state has no form in postcard.
    pub fn compare<S, O, M, B, A>(
        self,
        state: M,
        before: B,
        after: A,
    ) -> Result<WhatIfReport<O>, ReplayError>
    where
        S: Serialize,
        O: PartialEq,
        M: Fn() -> S,
        B: FnMut(&mut S, &Record<'_>, &mut Vec<O>),
        A: FnMut(&mut S, &Record<'_>, &mut Vec<O>),
    {
        let Self { store, from, to, mut edits, most, hash_every, refused } = self;
        let failed = |cause| ReplayError { position: from, cause };
        if let Some(refused) = refused {
            return Err(failed(ReplayCause::Handler(refused.into())));
        }
        let source = store.source();
        let mut sides = Sides {
            before: Side { state: state(), handle: before, out: Vec::new() },
            after: Side { state: state(), handle: after, out: Vec::new() },
            report: WhatIfReport::default(),
            most,
            hash_every,
        };
        let replay = Replay::new(store).from(from);
        let replay = if let Some(to) = to { replay.to(to) } else { replay };
        let done = replay.run(|record| {
            let edits = edits.remove(&record.position).unwrap_or_default();
            for inserted in &edits.inserted {
                sides.after.take(inserted, record.position, source)?;
            }
            sides.before.handle(record);
            match edits.event {
                None => sides.after.handle(record),
                Some(Edit::Dropped) => {}
                Some(Edit::Payload(payload)) => {
                    sides.after.handle(&Record { payload: &payload, ..*record });
                }
                Some(Edit::Replaced(batch)) => sides.after.take_for(&batch, record, source)?,
            }
            sides.compare(record)
        })?;
        if let Some((position, _)) = edits.first_key_value() {
            let problem = format!("there is no event at {position} that could be another one");
            return Err(failed(ReplayCause::Handler(problem.into())));
        }
        sides.end(done.position)
    }
}

/// One of the two.
struct Side<S, O, F> {
    state: S,
    handle: F,
    out: Vec<O>,
}

impl<S, O, F: FnMut(&mut S, &Record<'_>, &mut Vec<O>)> Side<S, O, F> {
    fn handle(&mut self, record: &Record<'_>) {
        (self.handle)(&mut self.state, record, &mut self.out);
    }

    /// Handles what was never in the store.
    fn take(&mut self, batch: &Batch, position: u64, source: Source) -> Result<(), ReplayCause> {
        for record in Frames::new(batch.bytes(), position, source) {
            let record = record.map_err(|error| ReplayCause::Handler(error.into()))?;
            self.handle(&record);
        }
        Ok(())
    }

    /// The same in the place of one that is there.
    fn take_for(
        &mut self,
        batch: &Batch,
        old: &Record<'_>,
        source: Source,
    ) -> Result<(), ReplayCause> {
        for record in Frames::new(batch.bytes(), old.position, source) {
            let mut record = record.map_err(|error| ReplayCause::Handler(error.into()))?;
            if record.id == EventId::of(source, old.position) {
                record.id = old.id;
            }
            if let (Some(place), Some(old)) = (&mut record.stream, old.stream)
                && place.name == old.name
            {
                place.version = old.version;
            }
            self.handle(&record);
        }
        Ok(())
    }
}

struct Sides<S, O, B, A> {
    before: Side<S, O, B>,
    after: Side<S, O, A>,
    report: WhatIfReport<O>,
    most: usize,
    hash_every: u64,
}

impl<S: Serialize, O: PartialEq, B, A> Sides<S, O, B, A> {
    fn compare(&mut self, record: &Record<'_>) -> Result<(), ReplayCause> {
        self.report.events += 1;
        let differ = if self.report.events.is_multiple_of(self.hash_every) {
            let (before, after) = self.hashes()?;
            before != after
        } else {
            false
        };
        if differ && self.report.first_state.is_none() {
            self.report.first_state = Some(record.position);
        }
        let outputs_differ = self.before.out != self.after.out;
        let (before, after) =
            (std::mem::take(&mut self.before.out), std::mem::take(&mut self.after.out));
        self.report.outputs += u64::from(outputs_differ);
        let is_news = outputs_differ || self.report.first_state == Some(record.position);
        if is_news && self.report.differences.len() < self.most {
            self.report.differences.push(Difference {
                position: record.position,
                topic: record.topic.into(),
                before,
                after,
                states_differ: differ,
            });
        }
        Ok(())
    }

    fn hashes(&self) -> Result<(StateHash, StateHash), ReplayCause> {
        Ok((StateHash::of(&self.before.state)?, StateHash::of(&self.after.state)?))
    }

    fn end(mut self, position: u64) -> Result<WhatIfReport<O>, ReplayError> {
        let hashes = self.hashes().map_err(|cause| ReplayError { position, cause })?;
        (self.report.state_before, self.report.state_after) = hashes;
        Ok(self.report)
    }
}
