//! Handlers that run in the publisher's own thread.

use std::{
    fmt,
    future::poll_fn,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use self::{
    handover::Handover,
    sync::{AtomicUsize, Mutex, Ordering},
};
use crate::{
    drive,
    event::Event,
    gate::Way,
    handler::Handle,
    hub::{self, Hub},
    reactive::{SystemTimer, Timer as _},
    view::View,
    worker::{Turn, Worker},
};

mod handover;

/// What threads share here. A model of the hand-over has its own.
mod sync {
    pub use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

    pub use parking_lot::Mutex;
}

/// How long to wait for room before the others are looked after.
const A_MOMENT: Duration = Duration::from_millis(1);

/// How often they are looked after by somebody who waits.
const LOOK_AFTER: Duration = Duration::from_millis(5);
/// How often somebody who waits looks whether there are any.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// The handlers of a bus that run in the publishers' threads, in the order in which they were registered.
pub(crate) struct Inline<E: Event> {
    count: AtomicUsize,
    /// Wanted by whoever has published or made room.
    workers: Handover<Vec<Box<dyn Inlined>>>,
    /// Those that have come while others run, which may wait for room that the new ones have to make.
    newcomers: Mutex<Vec<Box<dyn Inlined>>>,
    /// Tasks that wait for room, and look after the first one that comes.
    onlookers: Mutex<Vec<Waker>>,
    event: std::marker::PhantomData<fn() -> E>,
}

impl<E: Event> fmt::Debug for Inline<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inline").field("count", &self.count).finish_non_exhaustive()
    }
}

/// A task that waits for the first one to come, or for the end.
struct Onlooker<'a, E: Event> {
    inline: &'a Inline<E>,
    hub: &'a Hub<E>,
    waker: Option<Waker>,
}

impl<E: Event> Onlooker<'_, E> {
    fn poll(&mut self, task: &Context<'_>) -> Poll<()> {
        // Anew each time: it may have been woken for one that has left again.
        self.step_back();
        let (waker, same) = (task.waker().clone(), task.waker().clone());
        self.inline.onlookers.lock().push(waker);
        self.waker = Some(same);
        // Pairs with `call_onlookers` by the lock.
        let is_closed = self.hub.gate.way() == Way::Closed;
        if self.inline.is_empty() && !is_closed { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Wakers are somebody else's code: none is dropped under the lock.
    fn step_back(&mut self) {
        let Some(waker) = self.waker.take() else { return };
        let mut onlookers = self.inline.onlookers.lock();
        let place = onlookers.iter().position(|other| other.will_wake(&waker));
        let found = place.map(|place| onlookers.swap_remove(place));
        drop(onlookers);
        drop(found);
    }
}

impl<E: Event> Drop for Onlooker<'_, E> {
    fn drop(&mut self) {
        self.step_back();
    }
}

/// A worker of whatever type.
trait Inlined: Send {
    fn step(&mut self) -> Turn;
    fn wait_for_room(&mut self);
}

impl<E: Event, V: View<E>, H: Handle<E, V::Seen> + Send> Inlined for Worker<E, V, H>
where
    V::Seen: 'static,
{
    fn step(&mut self) -> Turn {
        // One event at a time, so that each goes through all handlers before the next one does.
        drive::now(self.turn_of_at_most(1))
    }

    fn wait_for_room(&mut self) {
        Self::wait_for_room(self, A_MOMENT);
    }
}

impl<E: Event> Inline<E> {
    pub(crate) fn new() -> Self {
        Self {
            count: AtomicUsize::new(0),
            workers: Handover::new(Vec::new()),
            newcomers: Mutex::default(),
            onlookers: Mutex::default(),
            event: std::marker::PhantomData,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        // Relaxed: pairs with `expect_one` by the fences of the ring, the light one behind what was published, and
        // the heavy one of whoever comes: either this sees that somebody comes, or that one finds what was published.
        self.count.load(Ordering::Relaxed) == 0
    }

    /// Somebody is about to come: before it has its place on the ring.
    pub(crate) fn expect_one(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// It does not come.
    pub(crate) fn expect_one_less(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    /// One that was expected has come.
    pub(crate) fn add<V: View<E>, H>(&self, worker: Worker<E, V, H>)
    where
        H: Handle<E, V::Seen> + Send + 'static,
    {
        self.newcomers.lock().push(Box::new(worker));
        self.call_onlookers();
    }

    /// One has come, or the bus is closed. Whoever looks after this under the lock sees it; whoever looked before is
    /// in the list.
    pub(crate) fn call_onlookers(&self) {
        let onlookers = std::mem::take(&mut *self.onlookers.lock());
        onlookers.into_iter().for_each(Waker::wake);
    }

    /// Until a task that waits for room is to look around: when the first one has come or the bus is closed; and
    /// now and then from there on.
    pub(crate) async fn turn_up(&self, hub: &Hub<E>) {
        let mut looking = Onlooker { inline: self, hub, waker: None };
        poll_fn(|task| looking.poll(task)).await;
        drop(looking);
        SystemTimer.after(LOOK_AFTER).await;
    }

    /// How long somebody may wait before they are looked after. Also if there are none: one may come, and have come
    /// before the last events.
    pub(crate) fn slice(&self, deadline: Option<Instant>) -> Instant {
        let slice = Instant::now() + self.patience();
        deadline.map_or(slice, |deadline| deadline.min(slice))
    }

    pub(crate) fn patience(&self) -> Duration {
        if self.is_empty() { LOOK_AROUND } else { LOOK_AFTER }
    }

    /// Runs them until they have seen everything that is published, and all that follows is on the ring.
    #[inline]
    pub(crate) fn drive(&self, hub: &Hub<E>) {
        if hub::is_inside_any() {
            // A handler of another bus publishes here. Somebody may run those of this one who publishes there.
            self.tend(hub);
        } else if !self.is_empty() {
            self.workers.drive(|all| self.run(all, true), |all| self.run(all, false));
        }
    }

    /// As `drive`, after having published: what they stand behind has to pass it first.
    #[inline]
    pub(crate) fn drive_to(&self, hub: &Hub<E>, sequence: u64) {
        if !self.is_empty() {
            await_journal(hub, sequence);
            self.drive(hub);
        }
    }

    /// Runs them as far as there is room and nobody else does: for those who do not wait, and for handlers that run
    /// elsewhere, which publish what follows and make room.
    #[inline]
    pub(crate) fn tend(&self, hub: &Hub<E>) {
        if !self.is_empty() && !hub.is_inside() {
            self.workers.tend(|all| self.run(all, false));
        }
    }

    #[cold]
    fn run(&self, workers: &mut Vec<Box<dyn Inlined>>, waits: bool) {
        loop {
            workers.append(&mut self.newcomers.lock());
            let (mut moved, before) = (false, workers.len());
            workers.retain_mut(|worker| {
                let turn = worker.step();
                let waits = waits && turn == Turn::Full;
                if waits {
                    worker.wait_for_room();
                }
                moved |= waits || turn == Turn::Moved;
                turn != Turn::Over
            });
            self.count.fetch_sub(before - workers.len(), Ordering::Relaxed);
            if !moved {
                return;
            }
        }
    }

    /// Has all of them leave, unless somebody is still at it then.
    pub(crate) fn clear(&self, deadline: Instant) {
        let Some(mut workers) = self.workers.inner().try_lock_until(deadline) else { return };
        let mut all = std::mem::take(&mut *workers);
        all.append(&mut self.newcomers.lock());
        self.count.fetch_sub(all.len(), Ordering::Relaxed);
        drop(workers);
        drop(all);
    }
}

/// Waits until handlers can see what was published.
#[cold]
fn await_journal<E: Event>(hub: &Hub<E>, sequence: u64) {
    // Of a handler nobody waits for a journal: that may wait for this very handler.
    if let Some(journal) = &hub.journal
        && !hub::is_inside_any()
    {
        // Only whoever was refused does not know where it is; and it does not come here with that.
        if sequence != u64::MAX {
            journal.wait(sequence, None);
        }
    }
}
