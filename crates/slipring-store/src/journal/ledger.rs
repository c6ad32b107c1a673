//! Writing what is on a ring into a store, a slice at a time: what the journals of rings and of buses have in common.
//!
//! A slice is encoded once, committed, and synced if it is time; each of these may fail, and it goes on from there when
//! the slice comes again. Whether a commit that failed was taken all the same, and where it went, the mark tells that goes with it.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use slipring::{Fatal, HandlerError, Policy};

use super::{
    handle::{Counts, Journal, Shared},
    mark::{JOURNALS, Mark, Placed},
    policy::{SyncPolicy, WhenFailing, WhenRefused},
};
use crate::{Batch, CommitError, Committed, Conflict, Durability, EventStore, StoreError};

/// The first pause of one that holds, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(250));
/// How often one that holds tries to end cleanly.
const LAST_TRIES: u32 = 5;

pub(crate) struct Ledger {
    store: Arc<dyn EventStore>,
    shared: Arc<Shared>,
    pub sync: SyncPolicy,
    pub when_failing: WhenFailing,
    pub when_refused: WhenRefused,
    /// As it is in the store.
    mark: Placed,
    batch: Batch,
    scratch: Vec<u8>,
    /// Which sequence has which place in the batch, where they do not go side by side.
    runs: Vec<Run>,
    stage: Stage,
    /// Events may have been published that it will never be given.
    is_halted: bool,
    /// What is committed and not synced.
    unsynced: Option<Unsynced>,
    pause: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    sequence: u64,
    index: u64,
    events: u64,
}

/// How far the slice in hand has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    /// It is in the batch; whether a commit was tried.
    Encoded {
        to: u64,
        tried: bool,
    },
    Committed {
        to: u64,
    },
}

#[derive(Clone, Copy, Debug)]
struct Unsynced {
    bytes: u64,
    oldest: Instant,
    newest: Instant,
}

/// What comes of an event.
pub(crate) enum Written {
    Stored,
    /// It is none, or is there already.
    Nothing,
}

impl Ledger {
    /// Opens the journal of that name, and says so in the store.
    pub(crate) fn open(store: Arc<dyn EventStore>, name: &str) -> Result<Self, StoreError> {
        let before = store.value(JOURNALS, name.as_bytes())?;
        let read = before.as_deref().map(|bytes| Placed::read(name, bytes)).transpose()?;
        let mark = Mark::opened_after(read.map(|placed| placed.mark)).ok_or_else(|| {
            StoreError::Refused(format!("journal `{name}` has used up its sequences").into())
        })?;
        let mut batch = Batch::new();
        batch.expect_value(JOURNALS, name.as_bytes(), before.as_deref());
        batch.put_placed(JOURNALS, name.as_bytes(), &mark.to_bytes());
        let opened = store.commit(&batch, Durability::Synced).map_err(|error| match error {
            CommitError::Store(error) => error,
            CommitError::Conflict(_) => StoreError::Refused(
                format!(
                    "journal `{name}` is being opened by somebody else: one at a time may write"
                )
                .into(),
            ),
        })?;
        Ok(Self {
            shared: Arc::new(Shared::new(name, mark.next, opened.end)),
            store,
            sync: SyncPolicy::default(),
            when_failing: WhenFailing::default(),
            when_refused: WhenRefused::default(),
            mark: Placed { mark, first: opened.first },
            batch,
            scratch: Vec::new(),
            runs: Vec::new(),
            stage: Stage::Idle,
            is_halted: false,
            unsynced: None,
            pause: PAUSES.0,
        })
    }

    pub(crate) fn handle(&self) -> Journal {
        Journal { store: Arc::clone(&self.store), shared: Arc::clone(&self.shared) }
    }

    /// The policy of a station that works by this.
    pub(crate) fn policy(&self) -> Policy {
        match self.when_failing {
            WhenFailing::Halt => Policy::Halt,
            WhenFailing::Hold => Policy::retry(u32::MAX),
        }
    }

    /// Stores the events from a sequence on: `write` is called for each once, and again only after it has refused one.
    pub(crate) fn keep(
        &mut self,
        first: u64,
        events: usize,
        mut write: impl FnMut(usize, &mut Batch, &mut Vec<u8>) -> Result<Written, HandlerError>,
    ) -> Result<(), HandlerError> {
        let end = first + events as u64;
        if self.stage == Stage::Idle {
            self.sync_if_due()?;
            self.encode(first, events, &mut write)?;
            self.stage = Stage::Encoded { to: end, tried: false };
        }
        if let Stage::Encoded { to, tried } = self.stage {
            debug_assert_eq!(to, end, "a slice comes again as it was");
            self.commit(to, tried)?;
        }
        self.sync_if_due()?;
        self.stage = Stage::Idle;
        Ok(())
    }

    fn encode(
        &mut self,
        first: u64,
        events: usize,
        write: &mut impl FnMut(usize, &mut Batch, &mut Vec<u8>) -> Result<Written, HandlerError>,
    ) -> Result<(), HandlerError> {
        self.batch.clear();
        self.runs.clear();
        for (sequence, event) in (first..).zip(0..events) {
            self.scratch.clear();
            // One that panics is no better the next time: it is a refusal, and nothing that a policy tries again.
            let (batch, scratch) = (&mut self.batch, &mut self.scratch);
            let written = catch_unwind(AssertUnwindSafe(|| write(event, batch, scratch)));
            match written.unwrap_or_else(|panic| Err(text_of(&*panic).into())) {
                Ok(Written::Stored) => self.note_place(sequence),
                Ok(Written::Nothing) => {}
                Err(_) if self.when_refused == WhenRefused::Pass => {
                    Counts::add(&self.shared.counts.refused, 1);
                }
                Err(refused) => {
                    let why =
                        format!("the event at sequence {sequence} cannot be stored: {refused}");
                    self.shared.note_failure(&why);
                    return Err(Fatal(why.into()).into());
                }
            }
        }
        Ok(())
    }

    fn note_place(&mut self, sequence: u64) {
        let index = self.batch.len() as u64 - 1;
        match self.runs.last_mut() {
            Some(run) if run.sequence + run.events == sequence => run.events += 1,
            _ => self.runs.push(Run { sequence, index, events: 1 }),
        }
    }

    /// Commits what is in the batch. If that was tried before, it may have been taken.
    fn commit(&mut self, to: u64, tried: bool) -> Result<(), HandlerError> {
        let mark = self.mark.mark.behind(to);
        if !tried && !self.batch.is_empty() {
            let name = self.shared.name.as_bytes();
            self.batch.expect_value(JOURNALS, name, Some(&self.mark.to_bytes()));
            self.batch.put_placed(JOURNALS, name, &mark.to_bytes());
        }
        self.stage = Stage::Encoded { to, tried: true };
        let durability = match self.sync {
            SyncPolicy::EachBatch => Durability::Synced,
            _ => Durability::Visible,
        };
        let begun = Instant::now();
        let taken = if self.batch.is_empty() {
            // Nothing of it is to be stored: the mark goes with the next one.
            Ok(None)
        } else {
            self.try_commit(mark, durability, tried).map(Some)
        };
        match taken {
            Ok(committed) => {
                self.note_commit(committed, mark, to, begun);
                self.stage = Stage::Committed { to };
                Ok(())
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Commits the batch, which has that mark.
    fn try_commit(
        &self,
        mark: Mark,
        durability: Durability,
        tried: bool,
    ) -> Result<Committed, CommitError> {
        let conflict = match self.store.commit(&self.batch, durability) {
            Err(CommitError::Conflict(conflict)) => conflict,
            other => return other,
        };
        let Conflict::Value { found: Some(found), .. } = &conflict else {
            return Err(conflict.into());
        };
        match Placed::read(&self.shared.name, found) {
            // It was taken the last time, when the store said that it had failed.
            Ok(placed) if tried && placed.mark == mark => {
                if durability == Durability::Synced {
                    self.store.sync()?;
                }
                let first = placed.first;
                Ok(Committed { first, end: first + self.batch.len() as u64 })
            }
            _ => Err(conflict.into()),
        }
    }

    fn note_commit(&mut self, committed: Option<Committed>, mark: Mark, to: u64, begun: Instant) {
        let (shared, counts) = (&self.shared, &self.shared.counts);
        if let Some(Committed { first, .. }) = committed {
            self.mark = Placed { mark, first };
            let mut places = shared.places.lock();
            for run in &self.runs {
                places.add(run.sequence, first + run.index, run.events);
            }
            drop(places);
            let bytes = self.batch.bytes().len() as u64;
            Counts::add(&counts.stored, self.batch.len() as u64);
            Counts::add(&counts.bytes, bytes);
            Counts::add(&counts.commits, 1);
            let now = Instant::now();
            counts.took.store((now - begun).as_nanos() as u64, Ordering::Relaxed);
            if self.sync != SyncPolicy::EachBatch {
                let before =
                    self.unsynced.unwrap_or(Unsynced { bytes: 0, oldest: now, newest: now });
                let bytes = before.bytes + bytes;
                self.unsynced = Some(Unsynced { bytes, newest: now, ..before });
            }
        }
        // Release: pairs with the handle's Acquire.
        shared.next.store(to, Ordering::Release);
        self.succeeded();
    }

    fn sync_if_due(&mut self) -> Result<(), HandlerError> {
        let Some(Unsynced { bytes, oldest, newest }) = self.unsynced else { return Ok(()) };
        let now = Instant::now();
        if !self.sync.is_due(bytes, now - oldest, now - newest) {
            return Ok(());
        }
        match self.store.sync() {
            Ok(_) => {
                Counts::add(&self.shared.counts.syncs, 1);
                self.unsynced = None;
                self.succeeded();
                Ok(())
            }
            Err(error) => Err(self.failed(&CommitError::Store(error))),
        }
    }

    fn succeeded(&mut self) {
        self.shared.note_success();
        self.pause = PAUSES.0;
    }

    /// One that holds takes a pause before it is tried again.
    fn failed(&mut self, error: &CommitError) -> HandlerError {
        let why = match &error {
            CommitError::Conflict(conflict) => format!(
                "somebody else writes as journal `{}`, or has changed its mark ({conflict}): one at a time may write",
                self.shared.name
            ),
            CommitError::Store(error) => {
                format!("journal `{}` cannot store events: {error}", self.shared.name)
            }
        };
        self.shared.note_failure(&why);
        let is_for_good = matches!(
            error,
            CommitError::Conflict(_)
                | CommitError::Store(
                    StoreError::Stopped { .. }
                        | StoreError::Damaged { .. }
                        | StoreError::Refused(_)
                )
        );
        if is_for_good {
            return Fatal(why.into()).into();
        }
        if self.when_failing == WhenFailing::Hold {
            thread::sleep(self.pause);
            self.pause = (self.pause * 2).min(PAUSES.1);
        }
        why.into()
    }

    /// When no events come.
    ///
    /// # Panics
    /// It is time to sync, and the store cannot, unless it is to hold: that halts the ring.
    pub(crate) fn idle(&mut self) {
        if let Err(error) = self.sync_if_due() {
            assert!(self.when_failing == WhenFailing::Hold && !error.is::<Fatal>(), "{error}");
        }
    }

    /// Before the end, if the ring was halted.
    pub(crate) fn halt(&mut self) {
        self.is_halted = true;
    }

    /// At the end: all is made durable, unless that is somebody else's business, and the next run goes on from here; if
    /// the ring was halted, behind a gap, since what was published and not stored has been given its ids.
    ///
    /// # Panics
    /// The store cannot do it: that is the ring's last fault.
    pub(crate) fn end(&mut self) {
        if self.stage != Stage::Idle {
            // What failed last was told.
            return;
        }
        let next = self.shared.next.load(Ordering::Relaxed);
        let mark = Mark { is_ended: !self.is_halted, ..self.mark.mark.behind(next) };
        let name = self.shared.name.as_bytes();
        self.batch.clear();
        self.batch.expect_value(JOURNALS, name, Some(&self.mark.to_bytes()));
        self.batch.put_placed(JOURNALS, name, &mark.to_bytes());
        let durability = match self.sync {
            SyncPolicy::Never => Durability::Visible,
            _ => Durability::Synced,
        };
        let mut left = if self.when_failing == WhenFailing::Hold { LAST_TRIES } else { 1 };
        let mut tried = false;
        while let Err(error) = self.try_commit(mark, durability, tried) {
            tried = true;
            left -= 1;
            let error = self.failed(&error);
            assert!(left > 0 && !error.is::<Fatal>(), "{error}");
        }
        self.unsynced = None;
        self.shared.note_success();
    }
}

/// What a panic says.
fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref().copied());
    format!("it panicked: {}", text.unwrap_or("without a word"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, Memory};
    use allocation_counter::measure;
    use slipring_events::Time;

    #[test]
    fn nothing_is_allocated_for_an_event() {
        let mut ledger = Ledger::open(Arc::new(Memory::new()), "ledger").unwrap();
        let mut next = 0;
        let mut keep = |events: usize| {
            let used = measure(|| {
                let kept = ledger.keep(next, events, |index, batch, bytes| {
                    bytes.extend_from_slice(&[index as u8; 64]);
                    batch.append(Entry::at(Time::EPOCH, "number", bytes))?;
                    Ok(Written::Stored)
                });
                kept.unwrap();
            });
            next += events as u64;
            used.count_total
        };
        keep(10_000);
        let [one, many] = [keep(1), keep(10_000)];
        // What the store takes for a batch; its list of batches may have grown.
        assert!(many <= one + 1, "{one} for a batch of one, {many} for one of ten thousand");
    }
}
