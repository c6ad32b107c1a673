//! What is known of a journal from outside.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use slipring::Figure;
use slipring_events::Source;

use super::places::{Places, Unknown};
use crate::{EventStore, StoreError};

/// A journal, to be asked how far it is. It can be cloned, and stays when the ring has ended.
///
/// # Positions
/// The event at the first sequence of the ring has the first position that the journal got, and so on: sequence and
/// position go side by side, as long as nobody else commits events to the store and no sequence is without an event.
/// Where they part, the journal remembers it: [`position_of`](Self::position_of) and
/// [`sequence_of`](Self::sequence_of) tell one from the other, for the events of this run and the last 4,096 such places.
///
/// # Examples
/// ```
/// use slipring::{Builder, read};
/// use slipring_store::{Entry, Memory, journal};
/// use std::sync::Arc;
///
/// let kept = journal("ledger", Arc::new(Memory::new()), |number: &u64, bytes| {
///     bytes.extend_from_slice(&number.to_le_bytes());
///     Ok(Entry::new("number", bytes))
/// })?;
/// let journal = kept.handle();
/// let (mut producer, dispatcher) = Builder::new(8, || 0_u64)
///     .first_sequence(100)
///     .then(kept.station())
///     .start()?;
/// producer.publish(|number| *number = 7)?;
/// drop(producer);
/// dispatcher.join()?;
/// assert_eq!((journal.position_of(100), journal.sequence_of(0)), (Some(0), Some(100)));
/// assert_eq!(journal.durable()?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Journal {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) shared: Arc<Shared>,
}

/// What the journal's own thread tells.
#[derive(Debug)]
pub(crate) struct Shared {
    pub name: Box<str>,
    /// The first sequence of this run.
    pub first: u64,
    /// Where the store ended when this run began: its events are behind that, and all others of this name before.
    pub begin: u64,
    pub next: AtomicU64,
    pub places: Mutex<Places>,
    pub counts: Counts,
    /// Why the store does not take it, while it does not.
    pub failing: Mutex<Option<Arc<str>>>,
    pub is_failing: AtomicBool,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub stored: AtomicU64,
    pub bytes: AtomicU64,
    pub commits: AtomicU64,
    pub syncs: AtomicU64,
    pub refused: AtomicU64,
    pub failures: AtomicU64,
    /// How long the last commit or sync took, in nanoseconds.
    pub took: AtomicU64,
}

impl Counts {
    pub(crate) fn add(count: &AtomicU64, more: u64) {
        // Only a figure: it orders nothing.
        count.fetch_add(more, Ordering::Relaxed);
    }
}

impl Shared {
    pub(crate) fn new(name: &str, first: u64, begin: u64) -> Self {
        Self {
            name: name.into(),
            first,
            begin,
            next: AtomicU64::new(first),
            places: Mutex::default(),
            counts: Counts::default(),
            failing: Mutex::default(),
            is_failing: AtomicBool::new(false),
        }
    }

    pub(crate) fn tell(&self, figures: &mut Vec<Figure>) {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        figures.extend([
            Figure::count("stored", get(&counts.stored)),
            Figure::count("bytes", get(&counts.bytes)),
            Figure::count("commits", get(&counts.commits)),
            Figure::count("syncs", get(&counts.syncs)),
            Figure::count("refused", get(&counts.refused)),
            Figure::count("failures", get(&counts.failures)),
            Figure::level("failing", u64::from(self.is_failing.load(Ordering::Relaxed))),
            Figure::time("last commit", Duration::from_nanos(get(&counts.took))),
        ]);
    }

    pub(crate) fn note_failure(&self, why: &str) {
        Counts::add(&self.counts.failures, 1);
        *self.failing.lock() = Some(why.into());
        self.is_failing.store(true, Ordering::Relaxed);
    }

    pub(crate) fn note_success(&self) {
        if self.is_failing.swap(false, Ordering::Relaxed) {
            *self.failing.lock() = None;
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("name", &self.shared.name)
            .field("next", &self.shared.next)
            .field("failing", &self.failure())
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The store that it writes to.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    /// The sequence with which a ring goes on counting where the journal was; of one that was not ended cleanly, far
    /// enough behind that no sequence is used twice. For
    /// [`Builder::first_sequence`](slipring::Builder::first_sequence), if ids are made of sequences.
    pub fn first_sequence(&self) -> u64 {
        self.shared.first
    }

    /// The sequence behind the last event that is committed.
    pub fn next_sequence(&self) -> u64 {
        // Acquire: pairs with the ledger's Release; whoever sees it finds the places that go with it.
        self.shared.next.load(Ordering::Acquire)
    }

    /// The position behind the last durable event of the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn durable(&self) -> Result<u64, StoreError> {
        Ok(self.store.bounds()?.durable)
    }

    /// Where the event of a sequence is in the store; `None` if it is not there yet, was not stored, or belongs to
    /// another run.
    pub fn position_of(&self, sequence: u64) -> Option<u64> {
        self.shared.places.lock().position_of(sequence)
    }

    /// Where the first event at or behind a sequence is in the store, if it is there.
    pub fn position_from(&self, sequence: u64) -> Option<u64> {
        self.shared.places.lock().position_from(sequence)
    }

    /// The position behind the last event before a sequence, or where this run began if there was none: all that was
    /// published before it is stored before that position, and all behind it is not. `None` if that is not all stored
    /// yet, or was forgotten.
    pub fn position_before(&self, sequence: u64) -> Option<u64> {
        if self.next_sequence() < sequence {
            return None;
        }
        match self.shared.places.lock().position_before(sequence) {
            Ok(position) => Some(position),
            Err(Unknown::First) => Some(self.shared.begin),
            Err(Unknown::Forgotten) => None,
        }
    }

    /// What the ids of a bus are made of that has this journal, unless it is told otherwise.
    pub(crate) fn source_of_bus(&self) -> Source {
        Source::named(&format!("{:015x}/{}", self.store.source().bits(), self.name()))
    }

    /// Whether the event of a sequence that has been passed was stored, and not refused.
    pub(crate) fn has_stored(&self, sequence: u64) -> bool {
        // The count is written before the sequence is passed.
        let refused = self.shared.counts.refused.load(Ordering::Relaxed);
        refused == 0 || self.position_of(sequence).is_some()
    }

    /// Which sequence the event of a position had on the ring, if this journal has put it there in this run.
    pub fn sequence_of(&self, position: u64) -> Option<u64> {
        self.shared.places.lock().sequence_of(position)
    }

    /// Whether the event of a sequence survives the end of the machine: what was published before it does, too.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn is_durable(&self, sequence: u64) -> Result<bool, StoreError> {
        let Some(position) = self.position_of(sequence) else { return Ok(false) };
        Ok(position < self.durable()?)
    }

    /// Why the store does not take what it is given, while it does not.
    pub fn failure(&self) -> Option<Arc<str>> {
        self.shared.failing.lock().clone()
    }
}
