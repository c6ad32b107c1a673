//! Polls and reads, beside what the model says of them.

use std::{
    error::Error,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
};

use slipring::{
    At, Batch, Fault, FaultKind, Handler, HandlerError, HandlerMut, Poll, Poller, PollerMut,
};

use crate::{
    model::{Foretold, Look, Verdict},
    ops::{After, End, How, Payload as PanicPayload, Polling, Reaction, Reading},
    payload::{Content, Payload},
    world::{Kind, Seat, World, message, throw},
};

/// What a handler complains of.
#[derive(Debug)]
pub enum Complaint {
    Plain,
    /// It panics while it is shown.
    Unspeakable,
}

const COMPLAINT: &str = "a complaint";
const NOT_SHOWN: PanicPayload = PanicPayload::String;

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => f.write_str(COMPLAINT),
            Self::Unspeakable => throw(NOT_SHOWN),
        }
    }
}

impl Error for Complaint {}

/// A poll on its way.
pub struct Run<'a> {
    index: usize,
    from: u64,
    to: u64,
    how: How,
    /// Everything before is handled, skipped or abandoned.
    next: u64,
    /// Failures in a row at the same place.
    failures: u32,
    reactions: slice::Iter<'a, Reaction>,
    /// `on_batch_start` was called.
    has_started: bool,
    /// The batch was broken off: no more calls.
    is_broken_off: bool,
}

impl Run<'_> {
    fn succeed(&mut self, to: u64) {
        (self.next, self.failures) = (to, 0);
    }
}

/// The events that a handler gets.
enum Events<'a, E> {
    Shared(&'a [E]),
    Exclusive(&'a mut [E]),
}

impl<E: Payload> Events<'_, E> {
    fn contents(&self) -> Vec<Content> {
        match self {
            Self::Shared(events) => events.iter().map(Payload::content).collect(),
            Self::Exclusive(events) => events.iter().map(Payload::content).collect(),
        }
    }
}

/// The machine as a handler with hooks.
struct Pilot<'w, 'a, E: Payload, C: Kind> {
    world: &'w mut World<E, C>,
    run: &'w mut Run<'a>,
}

impl<E: Payload, C: Kind> Handler<E> for Pilot<'_, '_, E, C> {
    fn on_batch_start(&mut self, size: usize, backlog: u64) {
        self.world.batch_starts(self.run, size, backlog);
    }

    fn on_event(&mut self, event: &E, at: At<'_>) -> Result<(), HandlerError> {
        Ok(self.world.meet(self.run, Events::Shared(slice::from_ref(event)), at)?)
    }
}

impl<E: Payload, C: Kind> HandlerMut<E> for Pilot<'_, '_, E, C> {
    fn on_batch_start(&mut self, size: usize, backlog: u64) {
        self.world.batch_starts(self.run, size, backlog);
    }

    fn on_event(&mut self, event: &mut E, at: At<'_>) -> Result<(), HandlerError> {
        Ok(self.world.meet(self.run, Events::Exclusive(slice::from_mut(event)), at)?)
    }
}

impl<E: Payload, C: Kind> World<E, C> {
    /// The seat of the first poller from `who` on that is here.
    fn take_seat(&mut self, who: u8, must_read: bool) -> Option<(usize, Seat<E>)> {
        let count = self.seats.len();
        let index = (0..count).map(|step| (usize::from(who) + step) % count).find(|index| {
            match self.seats[*index] {
                Seat::Reads(_) => true,
                Seat::Mutates(_) => !must_read,
                Seat::Untaken | Seat::Away => false,
            }
        })?;
        Some((index, std::mem::replace(&mut self.seats[index], Seat::Away)))
    }

    pub fn poll(&mut self, plan: &Polling) {
        let Some((index, mut seat)) = self.take_seat(plan.who, false) else { return };
        let limit = if let How::AtMost(limit) = plan.how { limit as u64 } else { u64::MAX };
        let look = self.model.look(index, limit);
        let from = self.model.posts[index].cursor;
        let to = if let Look::To(to) = look { to } else { from };
        let mut run = Run {
            index,
            from,
            to,
            how: plan.how,
            next: from,
            failures: 0,
            reactions: plan.reactions.iter(),
            has_started: false,
            is_broken_off: false,
        };
        self.model.running.push(index);
        let result = match &mut seat {
            Seat::Reads(poller) => self.poll_shared(poller, &mut run),
            Seat::Mutates(poller) => self.poll_exclusive(poller, &mut run),
            Seat::Untaken | Seat::Away => unreachable!("only pollers are taken"),
        };
        self.model.running.pop();
        let expected = if run.is_broken_off {
            self.model.poll_result(Look::Halted)
        } else if to > from {
            self.end_batch(&run);
            Ok(Poll::Events(to - from))
        } else {
            self.model.poll_result(look)
        };
        let is_handler = matches!(plan.how, How::Handler { .. });
        self.expect("on_batch_start was called", &run.has_started, &(is_handler && to > from));
        let found = result.as_ref().copied().map_err(Foretold::from);
        self.expect("a poll", &found, &expected);
        self.seats[index] = seat;
    }

    fn end_batch(&mut self, run: &Run<'_>) {
        let unhandled = self.model.next_unit(run.next, run.to, false);
        self.expect("not handed out", &unhandled, &None);
        self.model.end_batch(run.index, run.to);
        self.sync_hook();
        self.check_cleared();
    }

    fn poll_shared(&mut self, poller: &mut Poller<E>, run: &mut Run<'_>) -> Result<Poll, Fault> {
        let how = run.how;
        let one =
            |event: &E, at: At<'_>| self.meet(run, Events::Shared(slice::from_ref(event)), at);
        match how {
            How::Each => poller.poll(one),
            How::AtMost(limit) => poller.poll_at_most(limit, one),
            How::Slices => poller
                .poll_batch(|events: &[E], at: At<'_>| self.meet(run, Events::Shared(events), at)),
            How::Handler { .. } => poller.poll_handler(&mut Pilot { world: self, run }),
        }
    }

    fn poll_exclusive(
        &mut self,
        poller: &mut PollerMut<E>,
        run: &mut Run<'_>,
    ) -> Result<Poll, Fault> {
        let how = run.how;
        let one = |event: &mut E, at: At<'_>| {
            self.meet(run, Events::Exclusive(slice::from_mut(event)), at)
        };
        match how {
            How::Each => poller.poll(one),
            How::AtMost(limit) => poller.poll_at_most(limit, one),
            How::Slices => poller.poll_batch(|events: &mut [E], at: At<'_>| {
                self.meet(run, Events::Exclusive(events), at)
            }),
            How::Handler { .. } => poller.poll_handler(&mut Pilot { world: self, run }),
        }
    }

    fn batch_starts(&mut self, run: &mut Run<'_>, size: usize, backlog: u64) {
        self.expect(
            "on_batch_start comes once and first",
            &(run.has_started, run.next),
            &(false, run.from),
        );
        run.has_started = true;
        let expected = (run.to - run.from, self.model.backlog(run.index));
        self.expect("size and backlog", &(size as u64, backlog), &expected);
        if matches!(run.how, How::Handler { start_panics: true }) {
            // There is no event to skip: a fault, whatever the policy says.
            let name = self.model.posts[run.index].name.clone();
            self.model.fail(&name, run.from, FaultKind::Panic, message(PanicPayload::Str));
            run.is_broken_off = true;
            throw(PanicPayload::Str);
        }
    }

    /// The handler, in any of its forms.
    fn meet(
        &mut self,
        run: &mut Run<'_>,
        events: Events<'_, E>,
        at: At<'_>,
    ) -> Result<(), Complaint> {
        let whole_slices = matches!(run.how, How::Slices);
        let unit = self.model.next_unit(run.next, run.to, whole_slices);
        let Some(unit) = unit.filter(|_| !run.is_broken_off) else {
            self.note(format!("a handler was called once more, {at:?}"));
            return Ok(());
        };
        let ends_batch = self.model.next_unit(unit.end, run.to, false).is_none();
        let found = (at.sequence(), at.end_of_batch());
        self.expect("sequence and end of batch", &found, &(unit.start, ends_batch));
        let expected: Vec<Content> =
            unit.clone().map(|sequence| *self.model.slot(sequence)).collect();
        self.expect("the events", &events.contents(), &expected);
        if let Events::Exclusive(events) = events {
            // Also where the handler fails later: what it wrote stays.
            for (event, sequence) in events.iter_mut().zip(unit.clone()) {
                event.pass(run.index);
                self.model.slot(sequence).pass(run.index);
            }
        }
        let Some(reaction) = run.reactions.next() else {
            run.succeed(unit.end);
            return Ok(());
        };
        if reaction.releases {
            at.release();
            self.model.posts[run.index].released = unit.start;
        }
        for op in &reaction.inside {
            self.apply(op);
        }
        match reaction.end {
            End::Fine => {
                run.succeed(unit.end);
                Ok(())
            }
            End::Error => {
                self.fail(run, unit, FaultKind::Error, COMPLAINT);
                Err(Complaint::Plain)
            }
            End::Unspeakable => {
                self.fail(run, unit, FaultKind::Panic, message(NOT_SHOWN));
                Err(Complaint::Unspeakable)
            }
            End::Panic(payload) => {
                self.fail(run, unit, FaultKind::Panic, message(payload));
                throw(payload)
            }
        }
    }

    /// The handler is about to fail.
    fn fail(&mut self, run: &mut Run<'_>, unit: std::ops::Range<u64>, kind: FaultKind, text: &str) {
        run.failures += 1;
        let verdict = self.model.verdict(run.index, run.failures);
        let post = &mut self.model.posts[run.index];
        match verdict {
            Verdict::Again => post.retried += 1,
            Verdict::Skip => {
                post.skipped.extend(unit.clone());
                run.succeed(unit.end);
            }
            Verdict::Halt | Verdict::Left => {
                let name = post.name.clone();
                self.model.stand_at(run.index, unit.start);
                run.is_broken_off = true;
                if verdict == Verdict::Halt {
                    self.model.fail(&name, unit.start, kind, text);
                }
            }
        }
    }

    // ---- reading ----

    pub fn read(&mut self, plan: &Reading) {
        let Some((index, mut seat)) = self.take_seat(plan.who, true) else { return };
        let Seat::Reads(poller) = &mut seat else { unreachable!("a reading seat was asked for") };
        let look = self.model.look(index, u64::MAX);
        match poller.read() {
            Some(batch) => self.read_batch(plan, index, look, batch),
            None => self.expect("something to read", &false, &matches!(look, Look::To(_))),
        }
        self.seats[index] = seat;
    }

    fn read_batch(&mut self, plan: &Reading, index: usize, look: Look, mut batch: Batch<'_, E>) {
        let Look::To(to) = look else {
            return self.note(format!("read {} events, but {look:?}", batch.remaining()));
        };
        let from = self.model.posts[index].cursor;
        // Where the batch stands, and where it stood before the event in hand was asked for.
        let (mut at, mut before) = (from, from);
        for take in 0..plan.takes {
            self.expect("remaining", &batch.remaining(), &(to - at));
            let next = self.model.kept(at, to).next();
            if let Some(next) = next {
                self.expect("the next sequence", &batch.sequence(), &next);
            }
            let expected = next.map(|sequence| *self.model.slot(sequence));
            let found = batch.next().map(Payload::content);
            self.expect("the next event", &found, &expected);
            before = at;
            at = next.map_or(to, |sequence| sequence + 1);
            if next.is_none() {
                before = to;
            }
            if take == 0 {
                for op in &plan.inside {
                    self.apply(op);
                }
            }
        }
        let done = match plan.after {
            After::Drop => {
                drop(batch);
                at
            }
            After::Forget => {
                std::mem::forget(batch);
                from
            }
            After::Panic => {
                let panics = move || {
                    let _batch = batch;
                    throw(PanicPayload::Str)
                };
                let _: Result<(), _> = catch_unwind(AssertUnwindSafe(panics));
                before
            }
        };
        if done > from {
            self.model.end_batch(index, done);
            self.sync_hook();
            self.check_cleared();
        }
    }
}
