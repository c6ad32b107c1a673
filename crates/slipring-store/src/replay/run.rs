//! Reading a store from somewhere to somewhere, and handing on what is there.

use std::{fmt, ops::ControlFlow, sync::Arc, time::Instant};

use slipring::PublishError;
use slipring_events::{RefusedReason, Time};

use super::progress::{Progress, ReplayHandle};
use crate::{
    Bounds, Checkpoint, CodecError, EventStore, Query, Reach, Record, StoreError, Subscription,
};

/// How many events go by between two looks at the progress.
const STRIDE: u64 = 4_096;
/// How long one that goes on waits for more before it looks whether it was broken off.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(50);

/// What has happened, once more: from a position, a time or a checkpoint, up to a position or the end; and from there
/// on, if it is to go on, what is happening.
///
/// It hands events to a function ([`run`](Self::run)), writes them into the slots of a ring
/// ([`into_ring`](Self::into_ring)) or publishes them on a bus ([`into_bus`](Self::into_bus)): to the handlers that have
/// seen them before.
///
/// # Examples
/// ```
/// use slipring_store::{Batch, Durability, Entry, EventStore, Memory, Replay};
/// use std::sync::Arc;
///
/// let store = Arc::new(Memory::new());
/// let mut batch = Batch::new();
/// for number in 0..10_u8 {
///     batch.append(Entry::new("number", &[number]))?;
/// }
/// store.commit(&batch, Durability::Synced)?;
///
/// let mut sum = 0;
/// let done = Replay::new(store).from(2).to(5).run(|record| {
///     sum += u32::from(record.payload[0]);
///     Ok(())
/// })?;
/// assert_eq!((sum, done.events, done.position), (2 + 3 + 4, 3, 5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it replays nothing before it is run"]
pub struct Replay {
    pub(super) store: Arc<dyn EventStore>,
    from: Origin,
    to: Option<u64>,
    follow: Option<Reach>,
    handle: ReplayHandle,
    tell: Option<Tell>,
}

struct Tell {
    every: u64,
    tell: Box<dyn FnMut(Progress) + Send>,
}

enum Origin {
    /// The first event that is still there.
    First,
    Position(u64),
    Time(Time),
    Checkpoint(Checkpoint),
}

/// What a replay has come to.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Replayed {
    /// Where it began.
    pub from: u64,
    /// The position of the next event: where to go on.
    pub position: u64,
    /// How many events it has handed on.
    pub events: u64,
    /// Whether it was broken off.
    pub was_cancelled: bool,
    /// How it went.
    pub progress: Progress,
}

/// A replay that did not come to its end. What was before that position was handed on.
#[derive(Debug, thiserror::Error)]
#[error("the replay ended before the event at {position}: {cause}")]
#[non_exhaustive]
pub struct ReplayError {
    /// The position of the next event: where to go on.
    pub position: u64,
    /// Why.
    #[source]
    pub cause: ReplayCause,
}

/// Why a replay did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayCause {
    /// The store cannot be read, or the events from there on were removed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event cannot be read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The ring takes no more.
    #[error(transparent)]
    Ring(#[from] PublishError),
    /// The bus takes no more.
    #[error(transparent)]
    Bus(#[from] RefusedReason),
    /// A state is another one than it was.
    #[error(transparent)]
    Diverged(#[from] super::Diverged),
    /// What it was handed to has failed.
    #[error("{0}")]
    Handler(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("to", &self.to)
            .field("follow", &self.follow)
            .field("progress", &self.handle.progress())
            .finish_non_exhaustive()
    }
}

impl Replay {
    /// All that is in a store.
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self {
            store,
            from: Origin::First,
            to: None,
            follow: None,
            handle: ReplayHandle::default(),
            tell: None,
        }
    }

    /// From the event of a position on.
    pub fn from(mut self, position: u64) -> Self {
        self.from = Origin::Position(position);
        self
    }

    /// From the first event on, by its position, that happened at that time or later. Where times are out of order,
    /// events behind it may have happened before.
    ///
    /// To find it, either the events before it are read or those behind it, whichever are fewer: half of the store at
    /// most, unless times are much out of order.
    pub fn from_time(mut self, time: Time) -> Self {
        self.from = Origin::Time(time);
        self
    }

    /// From where a checkpoint is, as it goes with a snapshot: the first event that is not in it. Of a checkpoint that
    /// is not there, from the first event on.
    pub fn from_checkpoint(mut self, checkpoint: &Checkpoint) -> Self {
        self.from = Origin::Checkpoint(checkpoint.clone());
        self
    }

    /// Up to a position, whose event is not replayed any more.
    pub fn to(mut self, position: u64) -> Self {
        self.to = Some(position);
        self
    }

    /// Goes on behind the end with what is committed from now on, or durable: without a gap and without a duplicate,
    /// until it is [broken off](ReplayHandle::cancel) or has come to where it is to end.
    pub fn follow(mut self, reach: Reach) -> Self {
        self.follow = Some(reach);
        self
    }

    /// Tells of the progress every so many events, in the thread that replays.
    pub fn tell(mut self, every: u64, tell: impl FnMut(Progress) + Send + 'static) -> Self {
        self.tell = Some(Tell { every: every.max(1), tell: Box::new(tell) });
        self
    }

    /// To look at it from elsewhere, and to break it off.
    pub fn handle(&self) -> ReplayHandle {
        self.handle.clone()
    }

    /// The position with which it would begin, if it was run now.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn first_position(&self) -> Result<u64, StoreError> {
        self.find_start().map(|(from, _)| from)
    }

    pub(super) fn follows(&self) -> bool {
        self.follow.is_some()
    }

    /// Hands each event to a function, in this thread.
    ///
    /// # Errors
    /// The store cannot be read, or the function has failed: it is not called again.
    pub fn run(
        self,
        hand_on: impl FnMut(&Record<'_>) -> Result<(), ReplayCause>,
    ) -> Result<Replayed, ReplayError> {
        let found = self.find_start();
        let (from, end) =
            found.map_err(|error| ReplayError { position: 0, cause: error.into() })?;
        let Self { store, to, follow, handle, tell, .. } = self;
        let mut walk = Walk {
            to: to.unwrap_or(u64::MAX),
            end,
            position: from,
            from,
            cause: None,
            begun: Instant::now(),
            next_tell: tell.as_ref().map_or(u64::MAX, |tell| tell.every),
            handle,
            tell,
            hand_on,
        };
        let walked = match follow {
            None => walk.over(&*store, to.map_or(end, |to| to.min(end))),
            Some(reach) => walk.after(&store, reach),
        };
        let progress = walk.note();
        let position = walk.position;
        if let Some(cause) = walk.cause.or(walked.err().map(Into::into)) {
            return Err(ReplayError { position, cause });
        }
        let (events, was_cancelled) = (position - from, walk.handle.is_cancelled());
        Ok(Replayed { from, position, events, was_cancelled, progress })
    }

    /// Where it begins, and where the store ends.
    fn find_start(&self) -> Result<(u64, u64), StoreError> {
        let bounds = self.store.bounds()?;
        let from = match &self.from {
            Origin::First => bounds.first,
            Origin::Position(position) => *position,
            Origin::Time(time) => first_since(&*self.store, bounds, *time)?,
            Origin::Checkpoint(checkpoint) => checkpoint.get(&*self.store)?.unwrap_or(bounds.first),
        };
        Ok((from, bounds.end))
    }
}

/// The position of the first event that happened at that time or later, or the end.
///
/// The index tells which of them happened first. Another one may stand before it, with a later time: either what stands
/// before it is looked at, or what happened after it, whichever seems to be less.
fn first_since(store: &dyn EventStore, bounds: Bounds, time: Time) -> Result<u64, StoreError> {
    let since = Query::all().between(time..);
    let mut found = None;
    store.query(&since.clone().limit(1), &mut |record| {
        found = Some(record.position);
        ControlFlow::Break(())
    })?;
    let Some(earliest) = found else { return Ok(bounds.end) };
    let mut first = earliest;
    if earliest.saturating_sub(bounds.first) <= bounds.end.saturating_sub(earliest) {
        store.scan(bounds.first, &mut |record| {
            if record.position < earliest && record.time < time {
                return ControlFlow::Continue(());
            }
            first = record.position;
            ControlFlow::Break(())
        })?;
    } else {
        store.query(&since, &mut |record| {
            first = first.min(record.position);
            if first == bounds.first { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
    }
    Ok(first)
}

/// A replay on its way.
struct Walk<F> {
    from: u64,
    position: u64,
    end: u64,
    to: u64,
    cause: Option<ReplayCause>,
    begun: Instant,
    /// After how many events it is told of next.
    next_tell: u64,
    handle: ReplayHandle,
    tell: Option<Tell>,
    hand_on: F,
}

impl<F: FnMut(&Record<'_>) -> Result<(), ReplayCause>> Walk<F> {
    /// What is there.
    fn over(&mut self, store: &dyn EventStore, to: u64) -> Result<(), StoreError> {
        if self.position >= to && self.position <= self.end {
            return Ok(());
        }
        store.scan(self.position, &mut |record| {
            if record.position >= to { ControlFlow::Break(()) } else { self.step(&record) }
        })?;
        Ok(())
    }

    /// What is there, and what comes.
    fn after(&mut self, store: &Arc<dyn EventStore>, reach: Reach) -> Result<(), StoreError> {
        let mut subscription = Subscription::new(Arc::clone(store), self.position, reach);
        while self.position < self.to && !self.handle.is_cancelled() && self.cause.is_none() {
            let to = self.to;
            subscription.next_within(PATIENCE, &mut |record| {
                if record.position >= to { ControlFlow::Break(()) } else { self.step(&record) }
            })?;
            subscription.seek(self.position);
            self.end = store.bounds()?.end_of(reach);
            self.note();
        }
        Ok(())
    }

    #[inline]
    fn step(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        if self.handle.is_cancelled() {
            return ControlFlow::Break(());
        }
        if let Err(cause) = (self.hand_on)(record) {
            self.cause = Some(cause);
            return ControlFlow::Break(());
        }
        self.position = record.position + 1;
        let events = self.position - self.from;
        if events.is_multiple_of(STRIDE) || events >= self.next_tell {
            self.look();
        }
        ControlFlow::Continue(())
    }

    #[cold]
    fn look(&mut self) {
        let progress = self.note();
        if let Some(tell) = self.tell.as_mut().filter(|_| progress.events >= self.next_tell) {
            self.next_tell = progress.events + tell.every;
            (tell.tell)(progress);
        }
    }

    fn note(&self) -> Progress {
        let end = self.end.max(self.position).min(self.to);
        self.handle.note(self.position, end, self.position - self.from, self.begun)
    }
}

impl From<Box<dyn std::error::Error + Send + Sync>> for ReplayCause {
    fn from(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self::Handler(error)
    }
}
