//! One run over a bus: what all of them share.

use std::{fmt, marker::PhantomData};

use slipring_bench::{
    Cell, Contestant, Fault, Load, Outcome,
    bus::RunsOn,
    event::Payload,
    load::pin,
    outcome::Board,
    witness::{InOrder, Lanes, Order, Witness},
};

use super::message::Message;

/// What a program publishes events with, so that several handlers see them.
pub trait Peer: Send + Sync + 'static {
    /// The contestant's name.
    const NAME: &'static str;
    /// Whose it is.
    const FAMILY: &'static str;

    /// Whether its handlers can be run by those.
    fn runs_on(runs_on: RunsOn) -> bool;

    /// One run.
    fn run<O: Order, const WORDS: usize>(job: &Job<'_>) -> Result<Outcome, Fault>;
}

/// A contestant in the scenarios of buses.
pub struct OnBus<P>(PhantomData<P>);

impl<P> OnBus<P> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<P: Peer> Contestant for OnBus<P> {
    fn name(&self) -> &str {
        P::NAME
    }

    fn family(&self) -> &str {
        P::FAMILY
    }

    fn fits(&self, cell: &Cell) -> bool {
        let able = cell.scenario.bus().is_some_and(|bus| P::runs_on(bus.runs_on));
        let sized = matches!(cell.bytes, 16 | 64) && cell.capacity.is_power_of_two();
        able && sized && cell.batch == 1
    }

    fn run(&self, cell: &Cell, load: &Load) -> Result<Outcome, Fault> {
        let job = Job { cell, load };
        match (cell.bytes, cell.scenario.producers()) {
            (16, 1) => P::run::<InOrder, 1>(&job),
            (16, _) => P::run::<Lanes, 1>(&job),
            (64, 1) => P::run::<InOrder, 7>(&job),
            (64, _) => P::run::<Lanes, 7>(&job),
            _ => unreachable!("`fits` keeps other sizes away"),
        }
    }
}

/// One run.
pub struct Job<'a> {
    pub cell: &'a Cell,
    pub load: &'a Load,
}

impl Job<'_> {
    /// What runs handlers and publishers.
    pub fn has_tasks(&self) -> bool {
        self.cell.scenario.has_tasks()
    }

    /// How many publish.
    pub fn publishers(&self) -> usize {
        self.cell.scenario.producers() as usize
    }

    /// What all handlers of a bus do.
    pub fn checkers<O: Order>(&self, board: &mut Board) -> Vec<Checker<O>> {
        // The runtime's threads have their places; which task they run is their business.
        let place = |index| if self.has_tasks() { None } else { self.load.core(index) };
        let first = self.publishers();
        (first..first + self.cell.scenario.consumers())
            .map(|index| Checker { witness: board.witness(), core: place(index) })
            .collect()
    }
}

/// What a handler does: it checks what it sees.
pub struct Checker<O: Order> {
    witness: Witness<O>,
    /// Where its thread belongs, until it is there. It is taken with the first event, because a bus starts
    /// threads of its own.
    core: Option<usize>,
}

impl<O: Order> Checker<O> {
    #[inline]
    pub fn see<const WORDS: usize>(&mut self, message: &Message<WORDS>) {
        if let Some(core) = self.core.take() {
            pin(core);
        }
        self.witness.see_all(message.read(), true);
    }
}

/// What a peer says has gone wrong.
pub fn fault(error: impl fmt::Display) -> Fault {
    Fault::Peer(error.to_string())
}
