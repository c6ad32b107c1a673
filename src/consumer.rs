//! A station at work: look how far it may go, handle the events up to there, move the cursor.
//!
//! The same [`Seat`] is driven by a thread of its own ([`drive`]) or by a poller.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use crate::{
    current::Who,
    distance::Distance,
    error::{Failure, Fault},
    guests::Start,
    lag::LagLimit,
    lent::Lent,
    membership::Tenancy,
    muster::Card,
    policy::{Policy, Verdict},
    post::{Place, Post},
    ring::Ring,
    skips::SkipView,
    sync::{
        Arc,
        time::{self, Instant},
    },
    wait::{Wait, Waiter},
    work::{Access, Run, Work},
};

/// How a station works; what its options say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) wait: Wait,
    pub(crate) policy: Policy,
    /// The most events between two moves of the cursor.
    pub(crate) max_batch: u64,
    pub(crate) idle_after: Option<Duration>,
    pub(crate) lag_limit: Option<LagLimit>,
}

/// What one step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The cursor has moved over this many sequences.
    Moved(u64),
    /// There is nothing to do yet.
    Idle,
    /// The stream has ended and everything is handled.
    Ended,
    /// The ring is halted.
    Halted,
}

/// A station's exclusive right to move its cursor.
#[derive(Debug)]
pub(crate) struct Seat<E> {
    pub(crate) ring: Arc<Ring<E>>,
    pub(crate) who: Who,
    pub(crate) name: Arc<str>,
    pub(crate) manner: Manner,
    /// Of a station that came later, and has a thread: how it comes.
    pub(crate) visit: Option<Visit<E>>,
    /// The next sequence; the shared cursor is never ahead of it. Of a worker that has nothing in hand,
    /// the next sequence to be claimed by anybody, as far as it knows.
    pub(crate) cursor: u64,
    skips: SkipView,
}

/// How a guest's thread takes its place.
#[derive(Debug)]
pub(crate) struct Visit<E> {
    pub(crate) start: Start,
    pub(crate) card: Arc<Card>,
    /// Let go of with the seat.
    #[allow(dead_code)]
    pub(crate) tenancy: Arc<Tenancy<E>>,
}

/// Why a batch was broken off.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The handler failed, and the policy is to halt the ring.
    Fault(Fault),
    /// Somebody else halted it.
    Halted,
}

impl<E> Seat<E> {
    pub(crate) fn new(ring: Arc<Ring<E>>, who: Who, manner: Manner) -> Self {
        let cursor = ring.circuit.first;
        let name = ring.circuit.name(who.station());
        Self { ring, who, name, manner, visit: None, cursor, skips: SkipView::default() }
    }

    #[inline]
    pub(crate) fn post(&self) -> &Post {
        self.ring.circuit.post(self.who.station())
    }

    /// A guest takes its place on the ring.
    pub(crate) fn arrive(&mut self, start: Start) {
        self.take_place(start);
        self.ring.clear_passed();
    }

    /// The same, and leaves it to the caller to have cleared what the others have passed: it stood behind its
    /// place for a moment, where they may have found it, and they do not look again.
    fn take_place(&mut self, start: Start) {
        self.cursor = self.ring.circuit.arrive(self.who.station(), start);
    }

    /// The station holds nobody back any more.
    pub(crate) fn leave(&self) {
        self.ring.circuit.detach(self.who.station(), self.cursor);
        self.ring.clear_passed();
    }

    /// Whether there is something to see to between two batches.
    fn has_cares(&self) -> bool {
        self.visit.is_some() || self.manner.lag_limit.is_some()
    }

    /// Sees to what has to be seen to between two batches; whether the station stays on the ring.
    #[cold]
    fn stays(&mut self) -> bool {
        let is_dismissed = self.ring.circuit.is_dismissed(self.who.station(), self.cursor);
        !is_dismissed && self.manner.lag_limit.is_none_or(|limit| self.keep_up(limit))
    }

    #[inline]
    pub(crate) fn place(&self) -> Place<'_> {
        self.ring.circuit.place(self.who)
    }

    /// The end of the batch that can be handled now, at most `limit` events.
    ///
    /// # Errors
    /// What it means if there are none.
    #[inline]
    pub(crate) fn available(&self, limit: u64) -> Result<u64, Step> {
        self.available_from(self.cursor, limit.min(self.manner.max_batch))
    }

    /// The end of what can be handled now from `from` on, at most `limit` events.
    #[inline(always)]
    pub(crate) fn available_from(&self, from: u64, limit: u64) -> Result<u64, Step> {
        let circuit = &self.ring.circuit;
        let furthest = from + limit;
        let mut to = circuit.ahead(self.who.station(), from, furthest).min(furthest);
        let flags = circuit.lifecycle.flags();
        if flags.are_halted() {
            return Err(Step::Halted);
        }
        if flags.are_closing() {
            to = to.min(circuit.lifecycle.settled_end());
        }
        if to > from {
            Ok(to)
        } else if circuit.end() == Some(from) {
            Err(Step::Ended)
        } else {
            Err(Step::Idle)
        }
    }

    /// Handles one batch of at most `limit` events, if there is one.
    #[inline]
    pub(crate) fn step<A: Access, W: Work<E, A>>(&mut self, work: &mut W, limit: u64) -> Step {
        if self.who.is_worker() {
            return self.step_in_team(work);
        }
        match self.available(limit) {
            Ok(to) => self.step_to(work, to),
            Err(nothing) => nothing,
        }
    }

    /// Handles everything before `to`, which is available.
    #[inline]
    pub(crate) fn step_to<A: Access, W: Work<E, A>>(&mut self, work: &mut W, to: u64) -> Step {
        let from = self.cursor;
        match self.handle(work, from, to) {
            Ok(()) => {
                self.move_to(to);
                Step::Moved(to - from)
            }
            Err(stop) => self.stopped(stop),
        }
    }

    #[cold]
    pub(crate) fn stopped(&self, stop: Stop) -> Step {
        if let Stop::Fault(fault) = stop {
            self.ring.circuit.halt(Some(fault));
        }
        Step::Halted
    }

    /// Everything before `to` is handled: the followers may have it.
    #[inline]
    pub(crate) fn move_to(&mut self, to: u64) {
        let post = self.ring.circuit.post(self.who.station());
        post.figures.batches.add(to - self.cursor);
        self.cursor = to;
        post.stand_at(to);
        self.ring.clear_passed();
    }

    #[inline]
    pub(crate) fn stand_at(&mut self, to: u64) {
        self.cursor = to;
        self.place().stand_at(to);
    }

    /// Whether `sequence` was abandoned. `to` is the end of what is available.
    pub(crate) fn is_abandoned(&mut self, sequence: u64, to: u64) -> bool {
        self.skips.first_in(&self.ring.circuit.skips, self.cursor, sequence, to) == Some(sequence)
    }

    #[inline(always)]
    pub(crate) fn handle<A: Access, W: Work<E, A>>(
        &mut self,
        work: &mut W,
        from: u64,
        to: u64,
    ) -> Result<(), Stop> {
        if W::WANTS_BACKLOG {
            let backlog = self.ring.circuit.claimed().max(to) - from;
            self.hook(|| work.batch_start((to - from) as usize, backlog)).map_err(Stop::Fault)?;
        }
        let Some(skipped) = self.skips.first_in(&self.ring.circuit.skips, from, from, to) else {
            return self.deliver(work, from, to, to);
        };
        self.handle_around(work, from, to, skipped)
    }

    /// Handles a batch with abandoned sequences in it, of which `skipped` is the first.
    #[cold]
    fn handle_around<A: Access, W: Work<E, A>>(
        &mut self,
        work: &mut W,
        from: u64,
        to: u64,
        mut skipped: u64,
    ) -> Result<(), Stop> {
        let batch_end = self.skips.last_kept(from, to);
        let mut at = from;
        while at < to {
            if at < skipped {
                self.deliver(work, at, skipped, batch_end)?;
            }
            at = skipped;
            if at < to {
                self.place().figures().newly_passed_over.add(1);
                at += 1;
            }
            skipped = self.skips.first_in(&self.ring.circuit.skips, from, at, to).unwrap_or(to);
        }
        Ok(())
    }

    /// Hands `from..to` to the work, in slices that do not wrap.
    #[inline]
    pub(crate) fn deliver<A: Access, W: Work<E, A>>(
        &mut self,
        work: &mut W,
        from: u64,
        to: u64,
        batch_end: u64,
    ) -> Result<(), Stop> {
        let mut at = from;
        while at < to {
            let end = at + self.ring.circuit.capacity.straight(at, to) as u64;
            self.deliver_slice(work, at, end, end == batch_end)?;
            at = end;
        }
        Ok(())
    }

    /// Hands a slice to the work; failures are dealt with by the policy.
    #[inline]
    fn deliver_slice<A: Access, W: Work<E, A>>(
        &mut self,
        work: &mut W,
        mut from: u64,
        to: u64,
        ends_batch: bool,
    ) -> Result<(), Stop> {
        let mut failures = 0_u32;
        loop {
            let post = self.ring.circuit.post(self.who.station());
            // SAFETY: the slice lies inside a lap and between this station's cursor and the
            // cursors that it follows, which `available` has acquired, and a worker has claimed it
            // and holds it in its hand; this thread owns the seat,
            // and the seat was given to work of the access that the station was declared with.
            let events = unsafe { Lent::new(&self.ring, from, (to - from) as usize) };
            let run = Run { events, first: from, ends_batch, post, worker: self.who.worker };
            let mut done = 0;
            let failure = match catch_unwind(AssertUnwindSafe(|| work.run(run, &mut done))) {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(failure)) => failure,
                Err(payload) => Failure::panic(payload),
            };
            if done > 0 {
                failures = 0;
            }
            failures = failures.saturating_add(1);
            let failed_at = from + done as u64;
            let unit = if W::WHOLE_SLICES { to - failed_at } else { 1 };
            match self.judge(failed_at, unit, failures, failure)? {
                Verdict::Skip => {
                    failures = 0;
                    from = failed_at + unit;
                    if from == to {
                        return Ok(());
                    }
                }
                Verdict::Again | Verdict::Halt => from = failed_at,
            }
        }
    }

    #[cold]
    fn judge(
        &mut self,
        at: u64,
        unit: u64,
        failures: u32,
        failure: Failure,
    ) -> Result<Verdict, Stop> {
        let is_final = failure.is_final;
        let verdict = if is_final { Verdict::Halt } else { self.manner.policy.verdict(failures) };
        self.place().figures().failed.add(1);
        match verdict {
            // Repeating may take for ever, and nobody waits for it any more.
            Verdict::Again if self.ring.circuit.lifecycle.is_halted() => {
                self.stand_at(at);
                return Err(Stop::Halted);
            }
            Verdict::Again => self.place().figures().retried.add(1),
            Verdict::Skip => self.place().figures().newly_skipped.add(unit),
            Verdict::Halt => {
                // What was handled before the failure counts as handled.
                self.stand_at(at);
                let fault = Fault::new(Arc::clone(&self.name), at, failure);
                return Err(Stop::Fault(fault));
            }
        }
        Ok(verdict)
    }

    /// Calls one of the handler's hooks; a panic there is a fault whatever the policy says,
    /// because there is no event to skip.
    fn hook(&self, call: impl FnOnce()) -> Result<(), Fault> {
        self.hook_along(self.cursor, |_| call())
    }

    /// The same for something that goes along events from `at` on, and says where it is.
    #[inline]
    pub(crate) fn hook_along(&self, mut at: u64, call: impl FnOnce(&mut u64)) -> Result<(), Fault> {
        catch_unwind(AssertUnwindSafe(|| call(&mut at)))
            .map_err(|payload| Fault::new(Arc::clone(&self.name), at, Failure::panic(payload)))
    }

    /// As `hook`, for hooks outside a batch: the fault halts the ring.
    fn hook_or_halt(&self, call: impl FnOnce()) {
        if let Err(fault) = self.hook(call) {
            self.ring.circuit.halt(Some(fault));
        }
    }
}

/// Runs a station until the stream ends or the ring is halted. The thread has entered it as
/// [`Running`](crate::current::Running).
// Called once in the life of a thread. A function of its own, because its name is where `guards`
// begins to count.
#[inline(never)]
pub(crate) fn drive<E, A: Access, W: Work<E, A>>(seat: &mut Seat<E>, work: &mut W) {
    let ring = Arc::clone(&seat.ring);
    if let Some(Visit { start, card, .. }) = &seat.visit {
        let (start, card) = (*start, Arc::clone(card));
        seat.take_place(start);
        // Before the reset hook gets its turn: a hook that attaches somebody waits for this.
        card.is_here(seat.cursor);
        ring.clear_passed();
    }
    let mut waiter = Waiter::new(seat.manner.wait);
    let mut dry = Dry::default();
    let mut distance =
        Distance::new(ring.circuit.capacity, seat.manner.max_batch, ring.circuit.posts.len());
    let has_cares = seat.has_cares();
    loop {
        if has_cares && !seat.stays() {
            seat.leave();
            break;
        }
        match seat.step(work, u64::MAX) {
            Step::Moved(run) => {
                // Others take what a worker leaves: it is no sign of closeness.
                if !seat.who.is_worker() {
                    distance.moved(run, &ring.circuit);
                }
                waiter.reset();
                dry.over();
            }
            Step::Idle => {
                // The producer has taken the slot's line to write it: it comes back while the cursor
                // is looked at, and not after that.
                ring.prefetch(seat.cursor);
                distance.paused();
                if dry.is_time_for_the_hook(seat.manner.idle_after) {
                    seat.hook_or_halt(|| work.idle());
                }
                let late =
                    ring.circuit.pause_station(&mut waiter, seat.who, seat.cursor, dry.deadline);
                dry.waited(late);
            }
            Step::Ended => break,
            Step::Halted => {
                seat.hook_or_halt(|| work.halt());
                break;
            }
        }
    }
    seat.hook_or_halt(|| work.stop());
}

/// A dry spell: when to call the idle hook.
#[derive(Debug, Default)]
struct Dry {
    is_dry: bool,
    deadline: Option<Instant>,
}

impl Dry {
    #[inline]
    fn over(&mut self) {
        self.is_dry = false;
    }

    /// Once when the spell begins, and again whenever `idle_after` has passed.
    #[inline]
    fn is_time_for_the_hook(&mut self, idle_after: Option<Duration>) -> bool {
        if self.is_dry {
            return false;
        }
        self.is_dry = true;
        self.deadline = idle_after.and_then(|time| time::now().checked_add(time));
        true
    }

    fn waited(&mut self, late: bool) {
        if late {
            self.is_dry = false;
        }
    }
}
