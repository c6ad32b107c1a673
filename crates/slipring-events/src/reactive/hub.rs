//! What the handles of a subject share: the ring, and who is there.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    thread,
    time::Duration,
};

use futures_core::Stream;
use futures_util::stream;
use parking_lot::Mutex;
use slipring::{
    At, AttachError, Builder, Dispatcher, Events, Membership, MultiProducer, Poller, Start, poller,
};

use super::{Flow, SubjectError, TooManySubscribers, panics};

/// A slot of the ring: empty when everybody has passed it, so that no value stays longer than it is wanted.
pub(super) type Slot<T> = Option<T>;

pub(super) struct Hub<T> {
    members: Membership<Slot<T>>,
    /// In a lock because it is not to be shared; nobody waits for it.
    dispatcher: Mutex<Dispatcher<Slot<T>>>,
    subscribers: AtomicUsize,
    /// How many have ever come: no two stations of a ring have the same name.
    arrivals: AtomicU64,
    replay: Option<Replay<T>>,
}

/// What keeps the last values on the ring: a station that stays behind by so many, and holds the producers back
/// like any other.
struct Replay<T> {
    last: usize,
    keeper: Mutex<Keeper<T>>,
}

struct Keeper<T> {
    poller: Poller<Slot<T>>,
    /// When the subject is closed, what it had kept, for those who come later.
    rest: Option<Vec<T>>,
}

impl<T> fmt::Debug for Hub<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("subscribers", &self.subscribers())
            .field("replays", &self.replay.as_ref().map(|replay| replay.last))
            .finish_non_exhaustive()
    }
}

/// The name of the station that keeps the last values.
const KEEPER: &str = "keeper";

impl<T: Clone + Send + Sync + 'static> Hub<T> {
    pub(super) fn start(
        capacity: usize,
        last: usize,
    ) -> Result<(MultiProducer<Slot<T>>, Arc<Self>), SubjectError> {
        let ring = Builder::new(capacity, || None).reset(|slot: &mut Slot<T>| {
            let value = slot.take();
            // A destructor that panics would halt the ring, for everybody.
            panics::swallow(|| drop(value));
        });
        let ring = if last == 0 { ring.without_stations() } else { ring.then(poller(KEEPER)) };
        let (producer, mut dispatcher) = ring.start_multi()?;
        if last >= capacity {
            return Err(SubjectError::Replay { last, capacity });
        }
        let replay = dispatcher
            .poller(KEEPER)
            .ok()
            .map(|poller| Replay { last, keeper: Mutex::new(Keeper { poller, rest: None }) });
        let hub = Self {
            members: dispatcher.membership(),
            dispatcher: Mutex::new(dispatcher),
            subscribers: AtomicUsize::new(0),
            arrivals: AtomicU64::new(0),
            replay,
        };
        Ok((producer, Arc::new(hub)))
    }

    pub(super) fn subscribe(self: &Arc<Self>) -> Result<Flow<T>, TooManySubscribers> {
        // Relaxed: only a number that no other has.
        let number = self.arrivals.fetch_add(1, Ordering::Relaxed);
        let station = poller(format!("subscriber {number}"));
        // Beside the keeper, if there is one, not behind it.
        let beside: [&str; 0] = [];
        let start = if self.replay.is_some() { Start::Oldest } else { Start::Now };
        match self.members.attach_poller_after(beside, station, start) {
            Ok(mut poller) => {
                if let Some(replay) = &self.replay {
                    // The oldest value on the ring may be one that another subscriber is late with.
                    poller.skip_ahead(replay.last as u64);
                }
                Ok(Flow::from_stream(Subscription::new(Arc::clone(self), poller)))
            }
            Err(AttachError::Closed) => Ok(self.rest()),
            // The name is new, and the station is a poller: what is left is that there is no room for it.
            Err(_) => Err(TooManySubscribers),
        }
    }

    /// For somebody who comes when it is closed.
    fn rest(&self) -> Flow<T> {
        let rest = self.replay.as_ref().map(Replay::rest);
        rest.map_or_else(Flow::empty, |rest| Flow::from_stream(stream::iter(rest)))
    }

    /// A value has been published: the oldest of those that are kept is one too many.
    pub(super) fn keep_last(&self) {
        if let Some(replay) = &self.replay {
            replay.keeper.lock().poller.skip_ahead(replay.last as u64);
        }
    }
}

impl<T> Hub<T> {
    pub(super) fn subscribers(&self) -> usize {
        // Relaxed: a figure; nothing is done on the strength of it.
        self.subscribers.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        self.dispatcher.lock().close();
    }
}

impl<T: Clone> Replay<T> {
    fn rest(&self) -> Vec<T> {
        let mut keeper = self.keeper.lock();
        let Keeper { poller, rest } = &mut *keeper;
        let rest = rest.get_or_insert_with(|| {
            let mut all = Vec::new();
            while !poller.is_over() {
                // Values are on their way for as long as it takes to write them.
                poller.wait(Duration::from_secs(1));
                let _ = poller.poll(|slot, at| all.extend(copy(slot, at).transpose()));
            }
            // More, if some were published just before it was closed and are not accounted for yet.
            let more = all.len().saturating_sub(self.last);
            let copies = all.into_iter().skip(more);
            copies.map(|copy| copy.unwrap_or_else(|panic| resume_unwind(panic))).collect()
        });
        rest.clone()
    }
}

/// A subscriber's copy of a value, or the panic of its `clone`: under the station's care that would halt the ring,
/// for everybody.
type Copied<T> = thread::Result<Option<T>>;

#[allow(clippy::ref_option)] // A slot is lent as it is.
fn copy<T: Clone>(slot: &Slot<T>, _: At<'_>) -> Copied<T> {
    catch_unwind(AssertUnwindSafe(|| slot.clone()))
}

type CopyOf<T> = fn(&Slot<T>, At<'_>) -> Copied<T>;

struct Subscription<T> {
    events: Events<Slot<T>, CopyOf<T>>,
    _place: Place<T>,
}

impl<T: Clone> Subscription<T> {
    fn new(hub: Arc<Hub<T>>, poller: Poller<Slot<T>>) -> Self {
        let copy: CopyOf<T> = copy;
        Self { events: poller.into_stream(copy), _place: Place::take(hub) }
    }
}

impl<T> Stream for Subscription<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.events).poll_next(context)) {
                Some(Ok(Ok(Some(value)))) => Some(value),
                Some(Ok(Err(panic))) => resume_unwind(panic),
                // Nothing halts the ring; if something did, there would be no more values.
                Some(Err(_)) | None => None,
                // Every slot that is published has a value in it.
                Some(Ok(Ok(None))) => continue,
            });
        }
    }
}

/// One of those that are counted.
struct Place<T>(Arc<Hub<T>>);

impl<T> Place<T> {
    fn take(hub: Arc<Hub<T>>) -> Self {
        // Relaxed: as in `subscribers`.
        hub.subscribers.fetch_add(1, Ordering::Relaxed);
        Self(hub)
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        // Relaxed: as in `subscribers`.
        self.0.subscribers.fetch_sub(1, Ordering::Relaxed);
    }
}
