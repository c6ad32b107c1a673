//! A real ring and its model side by side, and what is done to both.
//!
//! A handle that is in use is taken out of the world, and the world goes along into the handler or
//! the write closure: so an operation inside another one is an operation like any other.
//!
//! Nothing is asserted in a closure, where a policy would swallow it: what is wrong is noted.

use std::{panic::resume_unwind, sync::Arc, time::Duration};

use slipring::{
    Access, Builder, Claim, Dispatcher, Multi, Poller, PollerError, PollerMut, Producer, Report,
    ShutdownCause, ShutdownError, Single, Stage, Station, poller, poller_mut,
};

use crate::{
    common::{A_MINUTE, Log},
    model::{Foretold, Look, Model, Post},
    ops::{Case, Hook, Op, Payload as PanicPayload, Plan},
    payload::{CLEARED, Content, EXPLOSION, Ledger, MADE, Payload},
};

/// One producer or many.
pub trait Kind: Claim + Sized + 'static {
    fn start<E: Send + 'static>(ring: Builder<E>) -> (Producer<E, Self>, Dispatcher<E>);
    fn try_clone<E>(producer: &Producer<E, Self>) -> Option<Producer<E, Self>>;
}

impl Kind for Single {
    fn start<E: Send + 'static>(ring: Builder<E>) -> (Producer<E>, Dispatcher<E>) {
        ring.start().expect("the graph is sound")
    }

    fn try_clone<E>(_: &Producer<E>) -> Option<Producer<E>> {
        None
    }
}

impl Kind for Multi {
    fn start<E: Send + 'static>(ring: Builder<E>) -> (Producer<E, Self>, Dispatcher<E>) {
        ring.start_multi().expect("the graph is sound")
    }

    fn try_clone<E>(producer: &Producer<E, Self>) -> Option<Producer<E, Self>> {
        Some(producer.clone())
    }
}

/// A payload that panics whenever it is dropped, without end.
struct Loud;

impl Drop for Loud {
    fn drop(&mut self) {
        resume_unwind(Box::new(Self));
    }
}

/// Panics without a word on the console.
pub fn throw(payload: PanicPayload) -> ! {
    resume_unwind(match payload {
        PanicPayload::Str => Box::new("on purpose"),
        PanicPayload::String => Box::new("on purpose, at length".to_owned()),
        PanicPayload::Loud => Box::new(Loud),
    })
}

/// What a fault says about it.
pub fn message(payload: PanicPayload) -> &'static str {
    match payload {
        PanicPayload::Str => "on purpose",
        PanicPayload::String => "on purpose, at length",
        PanicPayload::Loud => "a panic without a text",
    }
}

/// A station's poller.
pub enum Seat<E> {
    /// The dispatcher has it.
    Untaken,
    Reads(Poller<E>),
    Mutates(PollerMut<E>),
    /// In use, further out, or gone.
    Away,
}

/// A call of the reset hook: what it found, and what it panicked with.
type Clearing = (Content, Option<&'static str>);

pub struct World<E: Payload, C: Kind> {
    pub model: Model,
    pub producers: Vec<Option<Producer<E, C>>>,
    pub seats: Vec<Seat<E>>,
    dispatcher: Option<Dispatcher<E>>,
    clearings: Log<Clearing>,
    pub ledger: Arc<Ledger>,
    /// Of the event written last.
    pub stamp: u64,
    errors: Vec<String>,
}

fn hook<E: Payload>(
    plan: Hook,
    ledger: &Arc<Ledger>,
    clearings: &Log<Clearing>,
) -> impl FnMut(&mut E) + Send + 'static {
    let (ledger, clearings, mut calls) = (Arc::clone(ledger), clearings.clone(), 0);
    move |event| {
        let panic = plan.panics_at.filter(|(call, _)| *call == calls).map(|(_, payload)| payload);
        calls += 1;
        let found = event.content();
        let explodes = E::IS_COUNTED && found.is_bomb && ledger.is_armed();
        let text = panic.map(message).or(explodes.then_some(EXPLOSION));
        clearings.push((found, text));
        if let Some(payload) = panic {
            throw(payload);
        }
        *event = E::make(&ledger, CLEARED);
    }
}

fn place<E, A: Access>(ring: Builder<E>, plan: &Plan, station: Station<E, A>) -> Builder<E>
where
    E: Send + 'static,
    Station<E, A>: Stage<E>,
{
    let mut station = station.policy(plan.policy);
    if let Some(events) = plan.max_batch {
        station = station.max_batch(events);
    }
    if let Some(wait) = plan.wait {
        station = station.wait(wait);
    }
    ring.after(plan.follows.iter().map(|followed| name(*followed)), station)
}

fn name(index: usize) -> String {
    format!("s{index}")
}

fn post(index: usize, plan: &Plan, case: &Case) -> Post {
    let default_batch = (case.capacity / 4).max(1);
    Post {
        name: name(index),
        follows: plan.follows.clone(),
        mutates: plan.mutates,
        policy: plan.policy,
        max_batch: plan.max_batch.unwrap_or(default_batch).min(case.capacity) as u64,
        cursor: case.first,
        released: case.first,
        has_left: false,
        skipped: std::collections::BTreeSet::new(),
        retried: 0,
        batches: 0,
    }
}

/// Puts a case through a real ring beside its model; panics where they differ.
pub fn run<E: Payload, C: Kind>(case: &Case) {
    let mut world = World::<E, C>::new(case);
    if case.takes_all {
        (0..case.stations.len()).for_each(|index| world.take(index, true));
    }
    world.check("at the start", 0);
    for (turn, op) in case.ops.iter().enumerate() {
        world.apply(op);
        world.check(op, turn);
    }
    world.end();
}

impl<E: Payload, C: Kind> World<E, C> {
    fn new(case: &Case) -> Self {
        let (ledger, clearings) = (Arc::<Ledger>::default(), Log::default());
        let made = Arc::clone(&ledger);
        let mut ring =
            Builder::new(case.capacity, move || E::make(&made, MADE)).first_sequence(case.first);
        if let Some(plan) = case.hook {
            ring = ring.reset(hook(plan, &ledger, &clearings));
        }
        if let Some(wait) = case.producer_wait {
            ring = ring.producer_wait(wait);
        }
        for (index, plan) in case.stations.iter().enumerate() {
            ring = if plan.mutates {
                place(ring, plan, poller_mut(name(index)))
            } else {
                place(ring, plan, poller(name(index)))
            };
        }
        let (producer, dispatcher) = C::start(ring);
        let posts = case.stations.iter().enumerate().map(|(index, plan)| post(index, plan, case));
        let has_hook = case.hook.is_some();
        Self {
            model: Model::new(case.capacity, case.first, case.is_multi, has_hook, posts.collect()),
            producers: vec![Some(producer)],
            seats: case.stations.iter().map(|_| Seat::Untaken).collect(),
            dispatcher: Some(dispatcher),
            clearings,
            ledger,
            stamp: 0,
            errors: Vec::new(),
        }
    }

    pub fn note(&mut self, what: impl Into<String>) {
        self.errors.push(what.into());
    }

    /// Notes it if something is not as foretold.
    pub fn expect<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: &T, expected: &T) {
        if found != expected {
            self.note(format!("{what}: {found:?}, not {expected:?}"));
        }
    }

    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Publish(plan) => self.publish(plan),
            Op::Poll(plan) => self.poll(plan),
            Op::Read(plan) => self.read(plan),
            Op::Wait(who) => self.wait(usize::from(*who) % self.seats.len()),
            Op::Leave(who) => self.leave(usize::from(*who) % self.seats.len()),
            Op::Take { who, is_right } => {
                self.take(usize::from(*who) % self.seats.len(), *is_right);
            }
            Op::TakeUnknown => self.take_unknown("nobody"),
            Op::Clone(who) => self.clone_producer(usize::from(*who) % self.producers.len()),
            Op::DropProducer(who) => self.drop_producer(usize::from(*who) % self.producers.len()),
            Op::Close => {
                if let Some(dispatcher) = &self.dispatcher {
                    dispatcher.close();
                    self.model.close();
                }
            }
            Op::Halt => {
                if let Some(dispatcher) = &self.dispatcher {
                    dispatcher.halt();
                    self.model.halt();
                }
            }
            Op::Shutdown { has_time } => {
                let timeout = if *has_time { A_MINUTE } else { Duration::ZERO };
                self.end_with(|dispatcher| dispatcher.shutdown(timeout));
            }
            Op::Join => {
                // Otherwise it would wait for a producer of this thread.
                if self.model.end.is_some() || !self.model.running.is_empty() {
                    self.end_with(Dispatcher::join);
                }
            }
            Op::DropDispatcher => self.drop_dispatcher(),
        }
        self.sync_hook();
        self.check_handles();
    }

    // ---- pollers ----

    pub fn take(&mut self, index: usize, is_right: bool) {
        let name = self.model.posts[index].name.clone();
        let Some(dispatcher) = &mut self.dispatcher else { return };
        if !matches!(self.seats[index], Seat::Untaken) {
            return self.take_unknown(&name);
        }
        let error = match (self.model.posts[index].mutates, is_right) {
            (false, true) => match dispatcher.poller(&name) {
                Ok(poller) => return self.seats[index] = Seat::Reads(poller),
                Err(error) => Some(error),
            },
            (true, true) => match dispatcher.poller_mut(&name) {
                Ok(poller) => return self.seats[index] = Seat::Mutates(poller),
                Err(error) => Some(error),
            },
            (false, false) => dispatcher.poller_mut(&name).err(),
            (true, false) => dispatcher.poller(&name).err(),
        };
        let expected = match (self.model.posts[index].mutates, is_right) {
            (_, true) => None,
            (false, false) => Some(PollerError::Reads(name)),
            (true, false) => Some(PollerError::Mutates(name)),
        };
        self.expect("taking a poller", &error, &expected);
    }

    fn take_unknown(&mut self, name: &str) {
        let Some(dispatcher) = &mut self.dispatcher else { return };
        let errors = [dispatcher.poller(name).err(), dispatcher.poller_mut(name).err()];
        let is_untaken = |index: &usize| matches!(self.seats[*index], Seat::Untaken);
        let untaken: Vec<usize> = (0..self.seats.len()).filter(is_untaken).collect();
        let names: Vec<String> =
            untaken.iter().map(|index| self.model.posts[*index].name.clone()).collect();
        for error in errors {
            let Some(PollerError::UnknownName { name: asked, mut available }) = error else {
                self.note(format!("taking {name} came to {error:?}"));
                continue;
            };
            // Their order is nobody's business.
            available.sort_unstable();
            self.expect("still to be had", &(asked.as_str(), available), &(name, names.clone()));
        }
    }

    fn wait(&mut self, index: usize) {
        let look = self.model.look(index, 1);
        let found = match &mut self.seats[index] {
            Seat::Reads(poller) => poller.wait(Duration::ZERO),
            Seat::Mutates(poller) => poller.wait(Duration::ZERO),
            Seat::Untaken | Seat::Away => return,
        };
        let is_idle = matches!(look, Look::Idle | Look::Gated);
        self.expect("wait", &found, &!is_idle);
    }

    fn leave(&mut self, index: usize) {
        if matches!(self.seats[index], Seat::Reads(_) | Seat::Mutates(_)) {
            self.disarm_for_the_last();
            self.model.leave(index);
            drop(std::mem::replace(&mut self.seats[index], Seat::Away));
            self.sync_hook();
            self.check_cleared();
        }
    }

    // ---- producers ----

    fn clone_producer(&mut self, index: usize) {
        let Some(producer) = &self.producers[index] else { return };
        if self.model.producers < 3
            && let Some(clone) = C::try_clone(producer)
        {
            self.producers.push(Some(clone));
            self.model.producers += 1;
        }
    }

    fn drop_producer(&mut self, index: usize) {
        if self.producers[index].is_none() {
            return;
        }
        self.disarm_for_the_last();
        self.producers[index] = None;
        self.model.producers -= 1;
        if self.model.producers == 0 {
            self.model.close();
        }
    }

    // ---- the end ----

    /// The dispatcher's pollers leave with it.
    fn forget_untaken(&mut self) {
        for index in 0..self.seats.len() {
            if matches!(self.seats[index], Seat::Untaken) {
                self.seats[index] = Seat::Away;
                self.model.leave(index);
            }
        }
    }

    fn end_with(&mut self, end: impl FnOnce(Dispatcher<E>) -> Result<Report, ShutdownError>) {
        let Some(dispatcher) = self.dispatcher.take() else { return };
        self.disarm_for_the_last();
        let result = end(dispatcher);
        self.model.close();
        self.forget_untaken();
        self.sync_hook();
        let expected = if !self.model.running.is_empty() {
            Err(None)
        } else if let Some(fault) = self.model.fault.clone() {
            Err(Some(fault))
        } else {
            Ok(())
        };
        let (found, report) = match result {
            Ok(report) => (Ok(()), report),
            Err(error) => {
                let cause = match &error.cause {
                    ShutdownCause::OwnThread => None,
                    ShutdownCause::Fault(fault) => Some(Foretold::from(fault)),
                    other => return self.note(format!("a shutdown ended with {other:?}")),
                };
                self.expect("the error's fault", &error.fault().map(Into::into), &cause);
                (Err(cause), error.report)
            }
        };
        self.expect("shutdown", &found, &expected);
        self.check_report(&report);
    }

    fn drop_dispatcher(&mut self) {
        let Some(dispatcher) = self.dispatcher.take() else { return };
        self.disarm_for_the_last();
        drop(dispatcher);
        self.model.close();
        self.forget_untaken();
        self.sync_hook();
    }

    fn check_report(&mut self, report: &Report) {
        let totals = (report.published, report.abandoned);
        let expected = (self.model.total(), self.model.abandoned.len() as u64);
        self.expect("published and abandoned", &totals, &expected);
        let accounts: Vec<[u64; 5]> = report
            .stations
            .iter()
            .map(|own| [own.handled, own.skipped, own.retried, own.left, own.batches])
            .collect();
        let expected: Vec<[u64; 5]> =
            (0..self.seats.len()).map(|index| self.model.account(index)).collect();
        self.expect("handled, skipped, retried, left, batches", &accounts, &expected);
        let is_complete = expected.iter().all(|[_, _, _, left, _]| *left == 0);
        self.expect("is_complete", &report.is_complete(), &is_complete);
        for (index, own) in report.stations.iter().enumerate() {
            self.expect("a name", &own.name, &self.model.posts[index].name.clone());
            let found = report.station(&own.name);
            self.expect("found by name", &found, &Some(own));
        }
    }

    fn handles(&self) -> usize {
        let is_here = |seat: &&Seat<E>| matches!(seat, Seat::Reads(_) | Seat::Mutates(_));
        self.producers.iter().flatten().count()
            + self.seats.iter().filter(is_here).count()
            + usize::from(self.dispatcher.is_some())
    }

    /// The last handle takes the ring with it, and all that is on it.
    fn disarm_for_the_last(&mut self) {
        if self.handles() <= 1 {
            self.ledger.disarm();
        }
    }

    /// Drops what is left, and sees that all events are gone.
    fn end(mut self) {
        self.apply(&Op::Shutdown { has_time: true });
        self.check("the shutdown", usize::MAX);
        self.ledger.disarm();
        self.producers.clear();
        self.seats.clear();
        let (alive, made) = (self.ledger.alive(), self.ledger.made());
        self.expect("alive after the end", &alive, &0);
        self.expect("events with destructors", &(made > 0), &E::IS_COUNTED);
        self.expect("dropped twice", &self.ledger.dropped_twice(), &0);
        self.report_errors("the end");
    }

    // ---- what always holds ----

    /// Tells the model what the reset hook has done.
    pub fn sync_hook(&mut self) {
        for (found, panic) in self.clearings.take() {
            if let Err(wrong) = self.model.clear_one(found, panic) {
                self.note(wrong);
            }
        }
    }

    /// A station that moved or left has cleared what it was the last to pass.
    pub fn check_cleared(&mut self) {
        if let Some(cleared) = self.model.cleared {
            self.expect("cleared", &cleared, &self.model.passed_by_all());
        }
    }

    fn check_handles(&mut self) {
        let model = self.model.clone();
        for producer in std::mem::take(&mut self.producers) {
            if let Some(producer) = &producer {
                let room = producer.room() as u64;
                self.expect("room", &room, &model.room());
                self.expect("is_closed", &producer.is_closed(), &model.end.is_some());
                self.expect("capacity", &(producer.capacity() as u64), &model.capacity);
            }
            self.producers.push(producer);
        }
        for (index, post) in model.posts.iter().enumerate() {
            let look = match &self.seats[index] {
                Seat::Reads(poller) => (poller.name(), poller.sequence(), poller.is_over()),
                Seat::Mutates(poller) => (poller.name(), poller.sequence(), poller.is_over()),
                Seat::Untaken | Seat::Away => continue,
            };
            let is_over = matches!(model.look(index, 1), Look::Ended | Look::Halted);
            let expected = (post.name.as_str(), post.cursor, is_over);
            if look != expected {
                let wrong = format!("name, sequence, is_over: {look:?}, not {expected:?}");
                self.errors.push(wrong);
            }
        }
        if let Some(dispatcher) = &self.dispatcher {
            let found = dispatcher.fault().as_ref().map(Into::into);
            let rest = (dispatcher.capacity() as u64, dispatcher.warnings().len());
            self.expect("the fault", &found, &model.fault);
            // Pollers do not spin.
            self.expect("capacity and warnings", &rest, &(model.capacity, 0));
        }
    }

    fn check(&mut self, op: impl std::fmt::Debug, turn: usize) {
        self.check_handles();
        if E::IS_COUNTED && self.handles() > 0 {
            let alive = self.ledger.alive() as u64;
            self.expect("events alive", &alive, &self.model.capacity.clone());
        }
        self.report_errors(format!("turn {turn}, {op:?}"));
    }

    fn report_errors(&self, at: impl std::fmt::Display) {
        assert!(self.errors.is_empty(), "{at}: {:#?}\nthe model: {:#?}", self.errors, self.model);
    }
}
