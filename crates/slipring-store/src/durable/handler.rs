//! How far a handler of a bus is, in the store of the bus's journal.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    fmt,
    ops::ControlFlow,
};

use slipring_events::{
    Checkpoints, DoneBefore, Envelope, Event, EventId, HandlerError, Joining, Missed, Pattern,
    Source,
};

use crate::{
    Batch, CHECKPOINTS, Checkpoint, Codec, CommitError, Conflict, Durability, EventStore, Journal,
    Record, StoreError,
};

/// How many events are read at a time.
const PAGE: usize = 64;
/// How many events are looked at for that.
const LOOKS: u64 = 4_096;

/// Keeps how far a handler is, in the store of its bus's journal: for
/// [`Registration::durable`](slipring_events::Registration::durable).
///
/// It is a [`Checkpoint`], called by the names of the journal and the handler with `/` between, unless it is
/// [named](Self::named). The store removes no event by retention that the handler has not done. A handler that is never to
/// come again leaves it behind: [remove](Checkpoint::remove) it.
///
/// Of the store it sees the events of its bus's journal, of this run and all before; others have others to tell of them.
///
/// # Examples
/// A handler that was not there when something happened:
/// ```
/// use slipring_events::{Bus, DeadLetters, WhenFull, events};
/// use slipring_store::{BusJournal, Json, Memory, StoreCheckpoint, StoreInbox, StoreLetters};
/// use std::{sync::{Arc, Mutex}, time::Duration};
///
/// #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
/// pub struct Order { id: u32 }
///
/// events! {
///     /// What happens in the shop.
///     #[derive(serde::Serialize, serde::Deserialize)]
///     pub enum Shop {
///         Order = "order.created",
///     }
/// }
///
/// let (store, seen) = (Arc::new(Memory::new()), Arc::new(Mutex::new(Vec::new())));
/// for run in 0..2 {
///     let journal = BusJournal::open("shop", store.clone(), Json)?;
///     let checkpoint = StoreCheckpoint::new(&journal.handle(), Json).from_the_beginning();
///     let letters = DeadLetters::kept(1_000, WhenFull::Hold, StoreLetters::named("shop", store.clone(), Json))?;
///     let bus = Bus::<Shop>::builder(64).journal(journal).dead_letters(letters).start()?;
///     bus.publisher().publish(Order { id: run })?;
///     if run == 1 {
///         let seen = seen.clone();
///         bus.handler("mail")
///             .on::<Order>()
///             .idempotent_by(StoreInbox::last("mail", store.clone(), 10_000)?)
///             .durable(checkpoint)
///             .run(move |order, _| seen.lock().unwrap().push(order.id))?;
///     }
///     bus.shutdown(Duration::from_secs(5))?;
/// }
/// assert_eq!(*seen.lock().unwrap(), [0, 1]);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[must_use = "it keeps nothing before a handler is registered with it"]
pub struct StoreCheckpoint<E, C> {
    journal: Journal,
    codec: C,
    name: Option<Box<str>>,
    is_from_the_beginning: bool,
    durability: Durability,
    // From here on as it is when a handler has it.
    checkpoint: Checkpoint,
    patterns: Vec<Pattern>,
    source: Source,
    /// From there on the handler sees the ring, which is here in the store.
    live: u64,
    bound: u64,
    /// Behind what was read.
    next: u64,
    /// Before that there is nothing, it was told.
    told: u64,
    page: VecDeque<(u64, Box<Envelope<E>>)>,
    /// Where it is in the store, as far as that is known.
    kept: u64,
    /// Where it may be, since the store has failed when it was to move there.
    tried: BTreeSet<u64>,
    is_unsynced: bool,
    batch: Batch,
}

impl<E, C> fmt::Debug for StoreCheckpoint<E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreCheckpoint")
            .field("checkpoint", &self.checkpoint)
            .field("next", &self.next)
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

impl<E: Event, C: Codec<E>> StoreCheckpoint<E, C> {
    /// One for a handler of the bus that has this journal, with a codec for its events. A handler that is new begins with
    /// what is published from when it is registered.
    pub fn new(journal: &Journal, codec: C) -> Self {
        let source = journal.source_of_bus();
        Self {
            journal: journal.clone(),
            codec,
            name: None,
            is_from_the_beginning: false,
            durability: Durability::Visible,
            checkpoint: Checkpoint::named(""),
            patterns: Vec::new(),
            source,
            live: 0,
            bound: 0,
            next: 0,
            told: u64::MAX,
            page: VecDeque::new(),
            kept: 0,
            tried: BTreeSet::new(),
            is_unsynced: false,
            batch: Batch::new(),
        }
    }

    /// It under another name: a handler that is called otherwise now goes on where it was.
    pub fn named(mut self, name: impl Into<Box<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// A handler that is new begins with the first event that is still there.
    pub fn from_the_beginning(mut self) -> Self {
        self.is_from_the_beginning = true;
        self
    }

    /// When it counts as kept how far the handler is: [`Visible`](Durability::Visible) if not given, and then more events
    /// may come again after the machine has failed. When the handler begins and when it leaves it is synced anyhow.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    fn store(&self) -> &dyn EventStore {
        &**self.journal.store()
    }

    /// Where it is, or where it is from now on.
    fn begin(&mut self) -> Result<u64, HandlerError> {
        let (store, name) = (&**self.journal.store(), self.checkpoint.name());
        let bounds = store.bounds()?;
        if let Some(position) = self.checkpoint.get(store)? {
            if position < bounds.first {
                return Err(StoreError::Removed { asked: position, first: bounds.first }.into());
            }
            if position > bounds.end {
                return Err(StoreError::Beyond { asked: position, end: bounds.end }.into());
            }
            return Ok(position);
        }
        let position = if self.is_from_the_beginning { bounds.first } else { self.bound };
        self.batch.clear();
        self.batch.expect_value(CHECKPOINTS, name.as_bytes(), None);
        self.checkpoint.put(&mut self.batch, position);
        match store.commit(&self.batch, Durability::Synced) {
            Ok(_) => Ok(position),
            Err(CommitError::Conflict(_)) => Err(self.moved_by_another()),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    fn moved_by_another(&self) -> HandlerError {
        let name = self.checkpoint.name();
        format!("checkpoint `{name}` was moved by somebody else: one handler at a time may have it")
            .into()
    }

    fn move_to(&mut self, position: u64) -> Result<(), HandlerError> {
        while position > self.kept {
            let name = self.checkpoint.name().as_bytes();
            self.batch.clear();
            self.batch.expect_value(CHECKPOINTS, name, Some(&self.kept.to_be_bytes()));
            self.checkpoint.put(&mut self.batch, position);
            match self.journal.store().commit(&self.batch, self.durability) {
                Ok(_) => {
                    self.is_unsynced = self.durability == Durability::Visible;
                    self.kept = position;
                }
                Err(CommitError::Conflict(Conflict::Value { found: Some(found), .. })) => {
                    // It may have been taken before, when the store said that it had failed.
                    let found = found.as_ref().try_into().map(u64::from_be_bytes);
                    let Some(found) = found.ok().filter(|found| self.tried.contains(found)) else {
                        return Err(self.moved_by_another());
                    };
                    (self.kept, self.is_unsynced) = (found, true);
                }
                Err(CommitError::Conflict(_)) => return Err(self.moved_by_another()),
                Err(CommitError::Store(error)) => {
                    self.tried.insert(position);
                    return Err(error.into());
                }
            }
            self.tried.clear();
        }
        Ok(())
    }

    /// Reads what comes next, as far as the ring does not tell of it.
    fn read(&mut self) -> Result<Missed<E>, HandlerError> {
        let store = std::sync::Arc::clone(self.journal.store());
        let (from, bound, mut failed) = (self.next, self.bound, None);
        store.scan(from, &mut |record| {
            let is_enough = self.page.len() == PAGE || record.position >= from + LOOKS;
            if record.position >= bound || is_enough {
                return ControlFlow::Break(());
            }
            if self.asks_for(&record) {
                match record.to_envelope(&self.codec) {
                    Ok(envelope) => self.page.push_back((record.position, Box::new(envelope))),
                    Err(error) => {
                        failed = Some((record.position, error));
                        return ControlFlow::Break(());
                    }
                }
            }
            self.next = record.position + 1;
            ControlFlow::Continue(())
        })?;
        if let Some((place, envelope)) = self.page.pop_front() {
            return Ok(Missed::Event { place, envelope });
        }
        match failed {
            Some((position, error)) if position == self.told => {
                Err(format!("the event at {position} cannot be read: {error}").into())
            }
            // First how far it is.
            _ => {
                self.told = self.next;
                Ok(Missed::NothingBefore(self.next))
            }
        }
    }

    /// Whether an event was on the ring of its bus, and the handler asks for its topic.
    fn asks_for(&self, record: &Record<'_>) -> bool {
        let is_of_bus =
            record.source == self.journal.name() || record.id.source() == Some(self.source);
        is_of_bus
            && record.stream.is_none()
            && self.patterns.iter().any(|pattern| pattern.matches(record.topic))
    }
}

impl<E: Event, C: Codec<E>> Checkpoints<E> for StoreCheckpoint<E, C> {
    fn open(&mut self, joining: &Joining<'_>) -> Result<(), HandlerError> {
        let Joining { handler, journal, live, patterns, .. } = *joining;
        if journal != self.journal.name() {
            let told = self.journal.name();
            return Err(format!(
                "the bus of `{handler}` has journal `{journal}`, and its checkpoint is of `{told}`: give it the handle of the former"
            )
            .into());
        }
        let name = self.name.take();
        let name = name.unwrap_or_else(|| format!("{journal}/{handler}").into());
        self.checkpoint = Checkpoint::named(name);
        self.patterns = patterns.to_vec();
        self.live = live;
        self.bound = self.bound_of(live)?;
        self.kept = self.begin()?;
        self.next = self.kept;
        Ok(())
    }

    fn next(&mut self, live: u64) -> Result<Missed<E>, HandlerError> {
        if live != self.live {
            (self.bound, self.live) = (self.bound_of(live)?, live);
        }
        if let Some((place, envelope)) = self.page.pop_front() {
            return Ok(Missed::Event { place, envelope });
        }
        if self.next >= self.bound { Ok(Missed::Nothing) } else { self.read() }
    }

    fn confirm(&mut self, done: DoneBefore) -> Result<(), HandlerError> {
        let position = match done {
            DoneBefore::Place(position) => Some(position),
            DoneBefore::Sequence(sequence) => self.journal.position_before(sequence),
        };
        // Where it is not known any more, it stays where it is.
        position.map_or(Ok(()), |position| self.move_to(position))
    }

    fn is_stored(&self, sequence: u64) -> bool {
        self.journal.has_stored(sequence)
    }

    fn still_to_come(&self, ids: &HashSet<EventId>) -> Result<HashSet<EventId>, HandlerError> {
        let mut found = HashSet::new();
        self.store().scan(self.next, &mut |record| {
            if record.position >= self.bound {
                return ControlFlow::Break(());
            }
            if ids.contains(&record.id) && self.asks_for(&record) {
                found.insert(record.id);
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    fn end(&mut self) -> Result<(), HandlerError> {
        if self.is_unsynced {
            self.store().sync()?;
            self.is_unsynced = false;
        }
        Ok(())
    }
}

impl<E: Event, C: Codec<E>> StoreCheckpoint<E, C> {
    /// Where the event of a sequence stands in the store, or will.
    fn bound_of(&self, live: u64) -> Result<u64, HandlerError> {
        self.journal.position_before(live).ok_or_else(|| {
            let journal = self.journal.name();
            format!("journal `{journal}` does not know what it has stored before sequence {live}")
                .into()
        })
    }
}
