//! How far an inbox has come with each lane, as the events of a journal tell.
//!
//! What is in the journal has its lane and its sequence in its notes. At the start the events behind the last place that
//! was written down are read; that place, with the marks there, is written down now and then.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use slipring_store::{Batch, Checkpoint, Journal, StoreError};

use super::{
    IntakeError, Mark, ORIGIN, ORIGIN_SEQUENCE, RefusedBefore, Verdict,
    marks::{Marks, refused_of},
};
use crate::Stamp;

/// After how many events, or how long, it writes down how far it is.
const SAVE_EVERY: usize = 16_384;
const SAVE_WITHIN: Duration = Duration::from_secs(10);

/// How often it looks whether the journal is durable.
pub(crate) const LOOK: Duration = Duration::from_millis(1);

pub(crate) struct JournalMarks {
    journal: Journal,
    marks: Marks,
    checkpoint: Checkpoint,
    /// Of what is durable in the journal.
    known: BTreeMap<Arc<str>, u64>,
    /// Behind the last event of which that tells.
    known_to: u64,
    /// Where the store was durable when it was asked.
    durable: u64,
    unsaved: usize,
    saved_at: Instant,
}

impl JournalMarks {
    pub fn open(name: &str, journal: Journal) -> Result<Self, StoreError> {
        let store = journal.store().clone();
        let marks = Marks::open(store.clone(), name)?;
        let checkpoint = Checkpoint::named(format!("inbox:{name}"));
        let mut known: BTreeMap<_, _> =
            marks.all().into_iter().map(|mark| (mark.lane, mark.sequence)).collect();
        // What is told here counts as safe.
        store.sync()?;
        let first = store.bounds()?.first;
        let from = checkpoint.get(&*store)?.unwrap_or(first).max(first);
        let mut unreadable = None;
        let known_to = store.scan(from, &mut |record| {
            let notes = match record.metadata() {
                Ok(notes) => notes,
                Err(error) => {
                    let place = format_args!("event {}", record.position);
                    unreadable = Some(StoreError::damaged(place, error));
                    return ControlFlow::Break(());
                }
            };
            let sequence = notes.get(ORIGIN_SEQUENCE).and_then(|text| text.parse().ok());
            if let (Some(lane), Some(sequence)) = (notes.get(ORIGIN), sequence) {
                let mark = known.entry(lane.into()).or_insert(sequence);
                *mark = sequence.max(*mark);
            }
            ControlFlow::Continue(())
        })?;
        if let Some(damage) = unreadable {
            return Err(damage);
        }
        let mut opened = Self {
            journal,
            marks,
            checkpoint,
            known,
            known_to,
            durable: 0,
            unsaved: 0,
            saved_at: Instant::now(),
        };
        // From now on retention waits for it.
        opened
            .write_down(Vec::new())
            .map_err(|error| StoreError::Refused(error.to_string().into()))?;
        Ok(opened)
    }

    pub fn all(&self) -> Vec<Mark> {
        let mark =
            |(lane, sequence): (&Arc<str>, &u64)| Mark { lane: lane.clone(), sequence: *sequence };
        self.known.iter().map(mark).collect()
    }

    /// Whether the event of a sequence of the ring is durable.
    pub fn look(&mut self, sequence: u64) -> Result<Option<Verdict>, IntakeError> {
        if let Some(why) = self.journal.failure() {
            return Err(IntakeError::failing(format_args!("the journal: {why}")));
        }
        // Asked first, so that one that has been passed and has no position never gets one.
        let has_passed = self.journal.next_sequence() > sequence;
        match self.journal.position_of(sequence) {
            Some(position) if self.is_durable(position)? => {
                self.known_to = self.known_to.max(position + 1);
                Ok(Some(Verdict::Safe))
            }
            None if has_passed => {
                Ok(Some(Verdict::Refused("the journal of the bus does not store it".into())))
            }
            _ => Ok(None),
        }
    }

    /// Waits for that; [`note`](Self::note) is to be told of it before anything is written down.
    pub fn wait(
        &mut self,
        sequence: u64,
        deadline: Instant,
    ) -> Result<Option<Verdict>, IntakeError> {
        loop {
            let looked = self.look(sequence)?;
            if looked.is_some() || Instant::now() >= deadline {
                return Ok(looked);
            }
            thread::sleep(LOOK);
        }
    }

    fn is_durable(&mut self, position: u64) -> Result<bool, StoreError> {
        if position >= self.durable {
            self.durable = self.journal.durable()?;
        }
        Ok(position < self.durable)
    }

    pub fn refused(&self) -> Vec<RefusedBefore> {
        self.marks.refused()
    }

    /// These are done with. Of what was refused the journal does not tell: that is written down before it is said.
    pub fn note(&mut self, ready: &[(Option<Stamp>, Verdict)]) -> Result<(), IntakeError> {
        for stamp in ready.iter().filter_map(|(stamp, _)| stamp.as_ref()) {
            let mark = self.known.entry(stamp.lane.clone()).or_insert(stamp.sequence);
            *mark = stamp.sequence.max(*mark);
        }
        self.unsaved += ready.len();
        let refused = refused_of(ready.iter().map(|(stamp, verdict)| (stamp.as_ref(), verdict)));
        let is_due = self.unsaved >= SAVE_EVERY || self.saved_at.elapsed() >= SAVE_WITHIN;
        if is_due || !refused.is_empty() { self.write_down(refused) } else { Ok(()) }
    }

    /// Nothing of this inbox is under way: all that the journal has is known, and retention need not wait for it.
    pub fn idle(&mut self) -> Result<(), IntakeError> {
        if self.saved_at.elapsed() < SAVE_WITHIN {
            return Ok(());
        }
        self.saved_at = Instant::now();
        let durable = self.journal.durable()?;
        if durable <= self.known_to {
            return Ok(());
        }
        self.known_to = durable;
        self.write_down(Vec::new())
    }

    pub fn save(&mut self) -> Result<(), IntakeError> {
        if self.unsaved == 0 { Ok(()) } else { self.write_down(Vec::new()) }
    }

    fn write_down(&mut self, refused: Vec<RefusedBefore>) -> Result<(), IntakeError> {
        let stamp = |(lane, sequence): (&Arc<str>, &u64)| Stamp {
            lane: lane.clone(),
            sequence: *sequence,
            previous: None,
        };
        let stamps: Vec<Stamp> = self.known.iter().map(stamp).collect();
        let mut batch = Batch::new();
        self.checkpoint.put(&mut batch, self.known_to);
        self.marks.commit(&mut batch, &stamps, refused)?;
        (self.unsaved, self.saved_at) = (0, Instant::now());
        Ok(())
    }
}
