//! What a handler does with what is on the ring: a turn at a time, whoever drives it.
//!
//! A turn waits for nobody but the handler itself; it says what is to be waited for before the next one. So it is
//! the same in a thread, in a task, in the publisher's own thread, and by hand.

use std::{future::poll_fn, marker::PhantomData, pin::pin, sync::Arc, thread, time::Duration};

use slipring::{AttachError, Batch, Poller};

use crate::{
    card::{Card, Orders},
    delivery::letters::Owner,
    event::Event,
    handler::Handle,
    registration::RegisterError,
    settings::Settings,
    slot::Slot,
    told,
    trials::{RunEnd, Trials},
    view::View,
};

/// How many events that are due are tried again in one turn.
const TRIES_A_TURN: usize = 64;

/// What a turn has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Something was done; there may be more.
    Moved,
    /// There is nothing on the ring; something that was put aside is due then, by the clock that never goes back.
    Idle(Option<Duration>),
    /// It is not to go on before then, or before something else changes.
    Hold(Option<Duration>),
    /// Follow-ups wait for room on the ring.
    Full,
    /// It is over.
    Over,
}

/// A handler at work.
pub(crate) struct Worker<E: Event, V: View<E>, H> {
    /// None when it has left.
    poller: Option<Poller<Slot<E>>>,
    /// How many sequences its last turn went on.
    run: u64,
    trials: Trials<E, V>,
    handler: H,
    /// Told to drain, it goes on to here.
    last: Option<u64>,
    view: PhantomData<fn() -> V>,
}

impl<E: Event, V: View<E>, H: Handle<E, V::Seen>> Worker<E, V, H> {
    pub(crate) fn new(
        poller: Poller<Slot<E>>,
        owner: Arc<Owner<E>>,
        settings: Settings<E, V::Seen>,
        handler: H,
    ) -> Result<Self, RegisterError> {
        let trials = Trials::new(owner, settings).ok_or(AttachError::Closed)?;
        let poller = Some(poller);
        let mut worker = Self { poller, run: 0, trials, handler, last: None, view: PhantomData };
        // If that fails it has left the ring.
        worker.trials.open_standing()?;
        Ok(worker)
    }

    /// Does what can be done now.
    pub(crate) async fn turn(&mut self) -> Turn {
        self.turn_of_at_most(usize::MAX).await
    }

    /// As `turn`, with so many events from the ring at most.
    pub(crate) async fn turn_of_at_most(&mut self, events: usize) -> Turn {
        // The ring takes what is in hand then for what the panic is about, and keeps it.
        if thread::panicking() {
            return Turn::Idle(None);
        }
        let before = self.trials.account;
        let place = self.trials.owner.hub.place();
        let mut turn = {
            let mut work = pin!(self.work(events));
            // The thread is known to run a handler as long as it does.
            poll_fn(|task| {
                let _inside = place.enter();
                work.as_mut().poll(task)
            })
            .await
        };
        self.trials.step_back();
        if self.trials.is_durable() {
            turn = self.trials.note_standing(turn);
        }
        self.card().note_held(matches!(turn, Turn::Hold(_)));
        if self.trials.account != before {
            // After it has left, nobody sees its station.
            if let Some(poller) = &mut self.poller {
                poller.note_calls(told::calls(&before, &self.trials.account));
            }
            self.trials.post();
        }
        turn
    }

    async fn work(&mut self, events: usize) -> Turn {
        self.run = 0;
        self.trials.flush();
        self.trials.take_returned();
        let orders = self.trials.card().orders();
        if orders == Orders::Quit {
            return Turn::Over;
        }
        if orders == Orders::Leave {
            return self.leave();
        }
        let Some(poller) = &mut self.poller else { return self.leave() };
        let trials = &mut self.trials;
        if orders == Orders::Drain {
            self.last = self.last.or_else(|| trials.end_of_published(poller));
        }
        // Whoever waits for room goes on, a step at a time, if nobody else can make some.
        let is_pressed = trials.has_follow_ups();
        if is_pressed && !trials.is_in_the_way(poller) {
            return Turn::Full;
        }
        let retried =
            trials.try_due(&mut self.handler, if is_pressed { 1 } else { TRIES_A_TURN }).await;
        if trials.mind_the_lag(poller) {
            return Turn::Over;
        }
        if let Some(hold) = trials.hold() {
            let waits_for_others = trials.has_follow_ups() && !trials.is_in_the_way(poller);
            return if waits_for_others { Turn::Full } else { hold };
        }
        if trials.is_durable()
            && let Some(turn) = Box::pin(trials.catch_up(&mut self.handler, poller)).await
        {
            return turn;
        }
        let limit =
            if trials.has_follow_ups() { 1 } else { events.min(trials.settings.page) } as u64;
        let first = poller.sequence();
        let last = self.last.unwrap_or(u64::MAX);
        let Taken { taken, is_past_last } =
            take(trials, &mut self.handler, poller, limit, last).await;
        let next = poller.sequence();
        let is_past_last = is_past_last || next >= last;
        trials.account.next = next;
        self.run = next - first;
        // Abandoned ones are passed over on the way.
        trials.account.empty += next - first - taken;
        // Whoever sees that it has come so far sees what came back before.
        trials.take_returned();
        match () {
            () if next > first || retried => Turn::Moved,
            () if poller.is_over() => Turn::Over,
            () if is_past_last && !trials.has_waiting() => self.leave(),
            () if trials.has_follow_ups() => Turn::Full,
            // What is on the ring is not for it any more.
            () if is_past_last => Turn::Hold(trials.due()),
            () => Turn::Idle(trials.due()),
        }
    }

    pub(crate) fn card(&self) -> &Arc<Card<E>> {
        self.trials.card()
    }

    /// How much time of the bus's clock there is until then.
    pub(crate) fn until(&self, due: Duration) -> Duration {
        due.saturating_sub(self.trials.owner.hub.clock.monotonic())
    }

    /// How long to sleep until then.
    pub(crate) fn nap(&self, until: Option<Duration>) -> Duration {
        self.trials.nap(until)
    }

    /// For a thread of its own, after each turn: one that is too close upon the publishers slows them down.
    pub(crate) fn keep_distance(&mut self) {
        if let Some(poller) = &mut self.poller
            && self.run > 0
        {
            poller.keep_distance(self.run);
        }
    }

    /// Waits until something is on the ring.
    pub(crate) fn wait(&mut self, time: Duration) {
        if let Some(poller) = &mut self.poller {
            poller.keep_distance(0);
            poller.wait(time);
        }
    }

    pub(crate) async fn ready(&mut self) {
        if let Some(poller) = &mut self.poller {
            poller.ready().await;
        }
    }

    /// Waits until there is room for a follow-up, and publishes it.
    pub(crate) fn wait_for_room(&mut self, time: Duration) {
        self.trials.wait_for_room(time);
    }

    /// Awaits room for a follow-up, and publishes it.
    pub(crate) async fn room(&mut self) {
        self.trials.room().await;
    }
}

impl<E: Event, V: View<E>, H> Worker<E, V, H> {
    /// Passes over what is on the ring, and is in nobody's way any more.
    fn leave_ring(&mut self) {
        self.trials.freeze_standing();
        // Whoever publishes from now on does not count on it; what was published before is on the ring below.
        self.trials.owner.hub.remove(self.trials.card().number);
        if let Some(mut poller) = self.poller.take() {
            self.trials.pass_over_to(&mut poller, u64::MAX);
        }
    }

    /// Leaves the ring, where it might be in the way of its own follow-ups; it is over when they are published.
    fn leave(&mut self) -> Turn {
        if !self.trials.has_follow_ups() {
            return Turn::Over;
        }
        self.leave_ring();
        Turn::Full
    }
}

impl<E: Event, V: View<E>, H> Drop for Worker<E, V, H> {
    /// Leaves, however that came about: what nobody handles any more is accounted for.
    fn drop(&mut self) {
        self.leave_ring();
        let trials = &mut self.trials;
        trials.take_dropped();
        trials.give_up();
        trials.post();
        trials.card().end();
    }
}

/// What was taken off the ring.
#[derive(Default)]
struct Taken {
    taken: u64,
    /// What is left is not for this handler any more.
    is_past_last: bool,
}

/// Takes what is on the ring, so many events at most and none from `last` on, until something else comes first.
async fn take<E: Event, V: View<E>, H: Handle<E, V::Seen>>(
    trials: &mut Trials<E, V>,
    handler: &mut H,
    poller: &mut Poller<Slot<E>>,
    limit: u64,
    last: u64,
) -> Taken {
    let Some(mut batch) = poller.read() else { return Taken::default() };
    let mut taken = 0;
    while taken < limit {
        let run = trials.run(handler, &mut batch, limit - taken, last);
        taken += run.taken;
        match run.end {
            RunEnd::Stop => break,
            RunEnd::Waiting => {
                let Some((sequence, _)) = batch.peek().filter(|(next, _)| *next < last) else {
                    break;
                };
                // It is off the ring before it is handled: if whoever awaits this is dropped, it was in hand.
                let Some(slot) = batch.next() else { break };
                taken += 1;
                if !trials.take_waiting(handler, sequence, slot).await {
                    break;
                }
            }
            RunEnd::LongWay(failed) => {
                let (sequence, Some(slot)) = (batch.sequence(), batch.next()) else { break };
                taken += 1;
                trials.take(handler, sequence, slot, failed).await;
                if !trials.goes_on() || trials.hold().is_some() {
                    break;
                }
            }
        }
    }
    // All that is left before it was abandoned.
    let is_past_last = batch.remaining() > 0 && batch.sequence() >= last;
    finish(batch);
    Taken { taken, is_past_last }
}

/// Ends a batch behind the event that was handed out last: also in a thread that panics elsewhere, in which a batch
/// takes its last event for the one that has brought the panic about.
pub(crate) fn finish<E>(mut batch: Batch<'_, E>) {
    if thread::panicking() {
        batch.next();
    }
}
