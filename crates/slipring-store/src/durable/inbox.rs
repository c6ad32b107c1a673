//! What has been handled before, also in an earlier run.

use std::{collections::BTreeSet, fmt, ops::ControlFlow, sync::Arc, time::Duration};

use parking_lot::Mutex;
use slipring_events::{
    Clock, EventId, HandledElsewhere, HandlerError, Inbox, Source, SystemClock, Time,
};
use uuid::Uuid;

use crate::{Batch, CommitError, Committed, Conflict, Durability, EventStore, StoreError};

/// How many that are too many or too old are removed with one record, at most.
const MOST_REMOVED: usize = 256;

/// An [`Inbox`] in a store: what was handled is known in later runs, and to all workers that have an inbox of that name
/// in that store.
///
/// An event is recorded after its handler has succeeded, and the record is expected not to be there: of two workers
/// that handle the same event at once, one wins, and the other is told
/// [`HandledElsewhere`]. Its size is bounded: by a number of events, by their age, or to one number for each source.
///
/// What the handler itself keeps in the store can go into the same commit as the record, by
/// [`output`](Self::output): then it is there exactly once, however the program ends.
///
/// # Examples
/// A total that counts no payment twice, also when it comes again in another run:
/// ```
/// use slipring_events::{AnyEvent, Bus, Draft, EventId};
/// use slipring_store::{EventStore, Memory, StoreInbox};
/// use std::{sync::Arc, time::Duration};
///
/// let (store, id) = (Arc::new(Memory::new()), EventId::random());
/// for _ in 0..2 {
///     let inbox = StoreInbox::last("payments", store.clone(), 10_000)?;
///     let (output, totals) = (inbox.output(), store.clone());
///     let bus = Bus::<AnyEvent>::start(64)?;
///     let _total = bus.handler("total").on::<u64>().idempotent_by(inbox).run(move |cents, _| {
///         let total = totals.value("totals", b"cents")?.map_or(0, |bytes| bytes[0]) + *cents as u8;
///         output.with(|batch| batch.put("totals", b"cents", &[total]));
///         Ok::<_, slipring_store::StoreError>(())
///     })?;
///     bus.publisher().send(Draft::new(AnyEvent::new(40_u64)).id(id))?;
///     bus.shutdown(Duration::from_secs(5))?;
/// }
/// assert_eq!(store.value("totals", b"cents")?, Some(vec![40]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StoreInbox {
    store: Arc<dyn EventStore>,
    clock: Arc<dyn Clock>,
    keep: Keep,
    durability: Durability,
    /// Of the records by their ids, and by their times.
    spaces: [String; 2],
    /// How many records there are, as far as this worker knows.
    count: u64,
    /// Of one that keeps a number for each source: asked for and not recorded.
    asked: BTreeSet<(u64, u64)>,
    batch: Batch,
    output: Output,
}

/// The keys of a record that may go: by its time, and by its id.
type Old = (Vec<u8>, Vec<u8>);

/// What an inbox remembers.
#[derive(Clone, Copy, Debug)]
enum Keep {
    Last(u64),
    Within(Duration),
    PerSource,
}

/// What a handler puts into the store together with the record that it has handled its event; see
/// [`StoreInbox::output`]. It can be cloned.
#[derive(Clone, Debug, Default)]
pub struct Output(Arc<Mutex<Batch>>);

impl Output {
    /// Puts events, values and expectations where they are committed with the record of the event in hand. If the
    /// handler fails, they are not.
    pub fn with<T>(&self, put: impl FnOnce(&mut Batch) -> T) -> T {
        put(&mut self.0.lock())
    }
}

/// What has become of an event that was to be handled once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once {
    /// It is recorded, with all that was to go with it.
    First(Committed),
    /// It had been, and nothing was committed.
    Known,
}

/// Why an event cannot be recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InboxError {
    /// Something that goes with it is not as expected, or the store cannot be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// An inbox that keeps a number for each source was asked about an event whose id was not made of one.
    #[error("event {0} has an id from elsewhere: keep the last ones, or those of some time")]
    NoSource(EventId),
    /// An inbox that keeps a number for each source would forget that an earlier event was not handled.
    #[error(
        "event {before} of the same source is not handled yet: have the handler keep the order (`in_order`)"
    )]
    OutOfOrder {
        /// The earlier one.
        before: EventId,
    },
}

impl From<StoreError> for InboxError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl fmt::Debug for StoreInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreInbox")
            .field("space", &self.spaces[0])
            .field("keep", &self.keep)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl StoreInbox {
    /// One that knows the last so many events that were handled, at least; at most an eighth more are kept.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn last(name: &str, store: Arc<impl EventStore>, events: u64) -> Result<Self, StoreError> {
        Self::open(name, store, Keep::Last(events))
    }

    /// One that knows the events that were handled within a time: longer than an event may take to come again.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn within(
        name: &str,
        store: Arc<impl EventStore>,
        time: Duration,
    ) -> Result<Self, StoreError> {
        Self::open(name, store, Keep::Within(time))
    }

    /// One that keeps one number for each source: the sequence of the last event that was handled. All before it count
    /// as handled, so that it is for handlers that see the events of each source in order, and keep it
    /// ([`in_order`](slipring_events::Registration::in_order)); it refuses to pass over one that has failed. Ids have to
    /// be made of a [source](EventId::of).
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn per_source(name: &str, store: Arc<impl EventStore>) -> Result<Self, StoreError> {
        Self::open(name, store, Keep::PerSource)
    }

    fn open(name: &str, store: Arc<impl EventStore>, keep: Keep) -> Result<Self, StoreError> {
        let spaces = match keep {
            Keep::PerSource => [format!("inbox-sources/{name}"), String::new()],
            _ => [format!("inbox/{name}"), format!("inbox-times/{name}")],
        };
        let mut inbox = Self {
            store,
            clock: Arc::new(SystemClock),
            keep,
            durability: Durability::Synced,
            spaces,
            count: 0,
            asked: BTreeSet::new(),
            batch: Batch::new(),
            output: Output::default(),
        };
        inbox.count = inbox.count_records()?;
        Ok(inbox)
    }

    /// What tells the time, by which records get old.
    #[must_use = "it is built by value, another is returned"]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// When a record counts: [`Synced`](Durability::Synced) if not given. With [`Visible`](Durability::Visible) the last
    /// ones may be lost with the machine, and their events are handled again.
    #[must_use = "it is built by value, another is returned"]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Where the handler puts what is to be committed with the record of the event in hand.
    pub fn output(&self) -> Output {
        self.output.clone()
    }

    /// Records an event, and commits all that is in the batch with it, unless the event was recorded before. The batch
    /// is left as it was.
    ///
    /// # Errors
    /// Something in the batch is not as expected, or as [`InboxError`] says: nothing was committed, unless the store
    /// failed meanwhile.
    ///
    /// # Examples
    /// ```
    /// use slipring_events::EventId;
    /// use slipring_store::{Batch, EventStore, Memory, Once, StoreInbox};
    /// use std::sync::Arc;
    ///
    /// let store = Arc::new(Memory::new());
    /// let mut inbox = StoreInbox::last("orders", store.clone(), 1_000)?;
    /// let (id, mut batch) = (EventId::random(), Batch::new());
    /// batch.put("orders", b"7", b"packed");
    /// assert!(matches!(inbox.commit(id, &batch)?, Once::First(_)));
    /// assert_eq!(inbox.commit(id, &batch)?, Once::Known);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn commit(&mut self, id: EventId, batch: &Batch) -> Result<Once, InboxError> {
        let mut whole = std::mem::take(&mut self.batch);
        let done = self.commit_in(id, batch, &mut whole);
        self.batch = whole;
        done
    }

    fn commit_in(
        &mut self,
        id: EventId,
        output: &Batch,
        whole: &mut Batch,
    ) -> Result<Once, InboxError> {
        let now = self.clock.now();
        let mut removed = self.overdue(now)?;
        loop {
            whole.clone_from(output);
            let key = match self.keep {
                Keep::PerSource => match self.expect_in_order(id, whole)? {
                    Some(source) => source.to_vec(),
                    None => return Ok(Once::Known),
                },
                _ => self.expect_new(id, now, &removed, whole),
            };
            match self.store.commit(whole, self.durability) {
                Ok(committed) => {
                    self.note(id, removed.len());
                    return Ok(Once::First(committed));
                }
                Err(CommitError::Conflict(Conflict::Value { space, key: found, .. }))
                    if *space == *self.spaces[0] && *found == *key =>
                {
                    if !matches!(self.keep, Keep::PerSource) {
                        return Ok(Once::Known);
                    }
                    // Somebody has recorded another one of that source: look again.
                    removed.clear();
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// That it is not there, and will be.
    fn expect_new(&self, id: EventId, now: Time, removed: &[Old], whole: &mut Batch) -> Vec<u8> {
        let [ids, times] = &self.spaces;
        for (time, id) in removed {
            whole.remove(times, time);
            whole.remove(ids, id);
        }
        let key = Uuid::from(id).as_bytes().to_vec();
        let mut by_time = now.as_nanos().to_be_bytes().to_vec();
        by_time.extend_from_slice(&key);
        whole.expect_value(ids, &key, None);
        whole.put(ids, &key, &now.as_nanos().to_be_bytes());
        whole.put(times, &by_time, b"");
        key
    }

    /// That nothing behind it is there. None if it is known.
    fn expect_in_order(
        &mut self,
        id: EventId,
        whole: &mut Batch,
    ) -> Result<Option<[u8; 8]>, InboxError> {
        let (source, sequence) = made_of(id)?;
        let key = source.bits().to_be_bytes();
        let last = self.store.value(&self.spaces[0], &key)?;
        if self.reaches(source, last.as_deref(), sequence)? {
            return Ok(None);
        }
        if let Some((_, before)) =
            self.asked.range((source.bits(), 0)..(source.bits(), sequence)).next()
        {
            return Err(InboxError::OutOfOrder { before: EventId::of(source, *before) });
        }
        whole.expect_value(&self.spaces[0], &key, last.as_deref());
        whole.put(&self.spaces[0], &key, &sequence.to_be_bytes());
        Ok(Some(key))
    }

    /// Whether the last one that was recorded of a source is that one or behind it. Whatever is not behind the last one
    /// is recorded, also if nobody was told so.
    fn reaches(
        &mut self,
        source: Source,
        last: Option<&[u8]>,
        sequence: u64,
    ) -> Result<bool, StoreError> {
        let Some(last) = last else { return Ok(false) };
        let last = last.try_into().map(u64::from_be_bytes).map_err(|_| {
            let place = format_args!("a value of `{}`", self.spaces[0]);
            StoreError::damaged(place, "it does not have 8 bytes")
        })?;
        self.asked.retain(|(asked, before)| *asked != source.bits() || *before > last);
        Ok(last >= sequence)
    }

    fn note(&mut self, id: EventId, removed: usize) {
        match self.keep {
            Keep::PerSource => {
                if let Ok((source, sequence)) = made_of(id) {
                    self.asked.remove(&(source.bits(), sequence));
                }
            }
            _ => self.count = (self.count + 1).saturating_sub(removed as u64),
        }
    }

    /// The records that may go: by their times, and by their ids.
    fn overdue(&mut self, now: Time) -> Result<Vec<Old>, StoreError> {
        let mut overdue = Vec::new();
        let (most, before) = match self.keep {
            Keep::PerSource => return Ok(overdue),
            Keep::Last(events) => {
                // Seldom, since others may have recorded some, and they are to be counted first.
                if self.count <= events + (events / 8).max(64) {
                    return Ok(overdue);
                }
                self.count = self.count_records()?;
                let excess = self.count.saturating_sub(events);
                (usize::try_from(excess).unwrap_or(usize::MAX), Time::from_nanos(u64::MAX))
            }
            Keep::Within(time) => {
                let age = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                (usize::MAX, Time::from_nanos(now.as_nanos().saturating_sub(age)))
            }
        };
        let most = most.min(MOST_REMOVED);
        self.store.values(&self.spaces[1], b"", &mut |key, _| {
            let Some((time, id)) = key.split_first_chunk() else {
                return ControlFlow::Continue(());
            };
            if overdue.len() >= most || u64::from_be_bytes(*time) >= before.as_nanos() {
                return ControlFlow::Break(());
            }
            overdue.push((key.to_vec(), id.to_vec()));
            ControlFlow::Continue(())
        })?;
        Ok(overdue)
    }

    fn count_records(&self) -> Result<u64, StoreError> {
        let mut count = 0;
        self.store.values(&self.spaces[0], b"", &mut |_, _| {
            count += 1;
            ControlFlow::Continue(())
        })?;
        Ok(count)
    }
}

fn made_of(id: EventId) -> Result<(Source, u64), InboxError> {
    id.source().zip(id.sequence()).ok_or(InboxError::NoSource(id))
}

impl Inbox for StoreInbox {
    fn knows(&mut self, id: EventId) -> Result<bool, HandlerError> {
        // What an attempt has left that failed.
        self.output.0.lock().clear();
        let Keep::PerSource = self.keep else {
            return Ok(self.store.value(&self.spaces[0], Uuid::from(id).as_bytes())?.is_some());
        };
        let (source, sequence) = made_of(id)?;
        let last = self.store.value(&self.spaces[0], &source.bits().to_be_bytes())?;
        let is_known = self.reaches(source, last.as_deref(), sequence)?;
        if !is_known {
            self.asked.insert((source.bits(), sequence));
        }
        Ok(is_known)
    }

    fn record(&mut self, id: EventId) -> Result<(), HandlerError> {
        let output = std::mem::take(&mut *self.output.0.lock());
        let done = self.commit(id, &output);
        // Its memory is used again.
        let mut place = self.output.0.lock();
        *place = output;
        place.clear();
        drop(place);
        match done? {
            Once::First(_) => Ok(()),
            Once::Known => Err(HandledElsewhere.into()),
        }
    }
}
