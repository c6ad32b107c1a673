//! The scenarios on `ansa` 0.0.1: handles on threads of ours, with the cell's wait as its wait strategy.
//!
//! Consumers take all that is there (`wait_range`); producers wait for just the room they need. The
//! stages of the pipeline are trailing producers, which have each event to themselves ([`Staged`]); in
//! the diamond C1 and C2 run side by side as consumers, which see `&E` only ([`Shared`]). Handles do
//! not know of an end: each consumer stops when it has seen all. It cannot block: nobody wakes its
//! sleepers.

use std::thread::{self, Scope};

use ansa::{
    DisruptorBuilder, DisruptorHandles, Follows, Handle, MultiProducer, Producer, wait::Waiting,
};
use slipring_bench::{
    Cell, Contestant, Fault, Load, Outcome, Scenario, Wait, by_scenario,
    contestant::{is_classic, pause},
    event::{Payload, Shared, Staged},
    feed::{Echoed, Feed, Lane, race},
    outcome::Board,
    witness::{InOrder, Lanes, Order, Witness},
};

/// `ansa` with padded cursors.
#[derive(Clone, Copy, Debug)]
pub struct Ansa;

impl Contestant for Ansa {
    fn name(&self) -> &'static str {
        "ansa"
    }

    fn fits(&self, cell: &Cell) -> bool {
        // With debug assertions no run may be as long as the ring.
        let sized = cell.capacity.is_power_of_two() && cell.batch < cell.capacity;
        is_classic(cell) && sized && cell.wait != Wait::Block && !is_crowded(cell)
    }

    fn run(&self, cell: &Cell, load: &Load) -> Result<Outcome, Fault> {
        let job = Job { cell, load };
        by_scenario!(job)
    }
}

/// Whether several producers lack cores. They publish in the order in which they claimed, and spin for
/// their turn whatever the wait strategy is: where the one whose turn it is has no core, each event takes
/// a time slice, and a run takes minutes.
fn is_crowded(cell: &Cell) -> bool {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    matches!(cell.scenario, Scenario::Mpsc(2..)) && cell.threads() > cores
}

/// One run.
#[derive(Clone, Copy)]
struct Job<'a> {
    cell: &'a Cell,
    load: &'a Load,
}

impl<'a> Job<'a> {
    /// One consumer or several side by side.
    fn multicast<P: Payload, O: Order>(self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let ids = 0..self.cell.scenario.consumers() as u64;
        let mut ring = self.ring(
            P::default,
            ids.map(|id| (id, Handle::Consumer, Follows::LeadProducer)).collect(),
        );
        let started = thread::scope(|scope| {
            for id in 0..self.cell.scenario.consumers() {
                self.consume(scope, &mut ring, id, board.witness::<O>(), P::read);
            }
            self.feed(lead(&mut ring), &board, P::write)
        });
        board.settle(started)
    }

    fn mpsc<P: Payload>(self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let mut ring = self.ring(P::default, vec![(0, Handle::Consumer, Follows::LeadProducer)]);
        let started = thread::scope(|scope| {
            self.consume(scope, &mut ring, 0, board.witness::<Lanes>(), P::read);
            let producer = lead(&mut ring).0.into_multi();
            let producers = Lane::all(self.cell, self.load, &board).map(|lane| {
                let producer = Several(producer.clone());
                move || lane.publish(producer, P::write)
            });
            race(self.load, producers.collect())
        });
        board.settle(started)
    }

    fn pipeline<const REST: usize, O: Order>(self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let mut ring = self.ring(
            Staged::<REST>::default,
            vec![
                (0, Handle::Producer, Follows::LeadProducer),
                (1, Handle::Producer, Follows::Handles(vec![0])),
                (2, Handle::Consumer, Follows::Handles(vec![1])),
            ],
        );
        let started = thread::scope(|scope| {
            self.update(scope, &mut ring, 0, board.witness(), Staged::write_first);
            self.update(scope, &mut ring, 1, board.witness(), Staged::write_second_from_first);
            self.consume(scope, &mut ring, 2, board.witness::<O>(), Staged::read_all);
            self.feed(lead(&mut ring), &board, Staged::write_input)
        });
        board.settle(started)
    }

    fn diamond<const REST: usize, O: Order>(self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let mut ring = self.ring(
            Shared::<REST>::default,
            vec![
                (0, Handle::Consumer, Follows::LeadProducer),
                (1, Handle::Consumer, Follows::LeadProducer),
                (2, Handle::Consumer, Follows::Handles(vec![0, 1])),
            ],
        );
        let [left, right] = [(); 2].map(|()| board.witness::<InOrder>());
        let started = thread::scope(|scope| {
            self.consume(scope, &mut ring, 0, left, |event| (event.write_first(), true));
            self.consume(scope, &mut ring, 1, right, |event| (event.write_second(), true));
            self.consume(scope, &mut ring, 2, board.witness::<O>(), Shared::read_all);
            self.feed(lead(&mut ring), &board, Shared::write_input)
        });
        board.settle(started)
    }

    /// The producer's own thread consumes the echo.
    fn ping_pong<P: Payload, O: Order>(self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let answerer = board.witness::<InOrder>();
        let mut ping = board.witness::<O>();
        let one = || vec![(0, Handle::Consumer, Follows::LeadProducer)];
        let (mut there, mut back) = (self.ring(P::default, one()), self.ring(P::default, one()));
        let (producer, mut echo) = (lead(&mut there), lead(&mut back).0);
        let mut echoes = back.take_consumer(0).expect("there is one");
        let await_echoes = move |count| {
            let mut missing = count;
            while missing > 0 {
                let events = echoes.wait_range(1..=missing);
                missing -= events.size();
                events.for_each(|event, _, end| ping.see_all(event.read(), end));
            }
        };
        let started = thread::scope(|scope| {
            self.consume(scope, &mut there, 0, answerer, move |event| {
                echo.wait(1).for_each(|slot, _, _| *slot = *event);
                event.read()
            });
            self.feed(Echoed { producer, await_echoes }, &board, P::write)
        });
        board.settle(started)
    }

    fn ring<E: Sync>(
        self,
        factory: fn() -> E,
        handles: Vec<(u64, Handle, Follows)>,
    ) -> DisruptorHandles<E, Paused> {
        DisruptorBuilder::new(self.cell.capacity, factory)
            .wait_strategy(Paused(self.cell.wait))
            .extend_handles(handles)
            .build()
            .expect("the graphs are right")
    }

    /// Starts consumer `index`, which reads.
    fn consume<'scope, E: Send + Sync + 'scope, O: Order>(
        self,
        scope: &'scope Scope<'scope, '_>,
        ring: &mut DisruptorHandles<E, Paused>,
        index: usize,
        mut witness: Witness<O>,
        mut look: impl FnMut(&E) -> (u64, bool) + Send + 'scope,
    ) where
        'a: 'scope,
    {
        let mut consumer = ring.take_consumer(index as u64).expect("it was added");
        scope.spawn(move || {
            self.take_place(index);
            while !witness.is_done() {
                consumer
                    .wait_range(1..self.cell.capacity)
                    .for_each(|event, _, end| witness.see_all(look(event), end));
            }
        });
    }

    /// Starts consumer `index`, which writes its field.
    fn update<'scope, E: Send + Sync + 'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        ring: &mut DisruptorHandles<E, Paused>,
        index: usize,
        mut witness: Witness<InOrder>,
        work: impl Fn(&mut E) -> u64 + Send + 'scope,
    ) where
        'a: 'scope,
    {
        let mut producer = ring.take_producer(index as u64).expect("it was added");
        scope.spawn(move || {
            self.take_place(index);
            while !witness.is_done() {
                producer
                    .wait_range(1..self.cell.capacity)
                    .for_each(|event, _, end| witness.see(work(event), end));
            }
        });
    }

    /// Puts the calling thread, consumer `index`, where it belongs.
    fn take_place(self, index: usize) {
        self.load.take_place(self.cell.scenario.producers() as usize + index);
    }

    /// Publishes from one thread.
    fn feed<E>(
        self,
        producer: impl Feed<E> + Send,
        board: &Board,
        write: impl Fn(&mut E, u64) + Send,
    ) -> std::time::Instant {
        let lane = Lane::new(self.cell, self.load, board, 0);
        race(self.load, vec![move || lane.publish(producer, write)])
    }
}

/// The cell's wait.
#[derive(Clone, Copy, Debug)]
struct Paused(Wait);

impl Waiting for Paused {
    #[inline]
    fn waiting(&self) {
        pause(self.0);
    }
}

/// The only producer.
struct Single<E>(Producer<E, Paused, true>);

fn lead<E>(ring: &mut DisruptorHandles<E, Paused>) -> Single<E> {
    Single(ring.take_lead().expect("there is one"))
}

impl<E> Feed<E> for Single<E> {
    #[inline]
    fn one(&mut self, value: u64, write: impl Fn(&mut E, u64)) {
        self.0.wait(1).for_each(|slot, _, _| write(slot, value));
    }

    #[inline]
    fn many(&mut self, first: u64, count: usize, write: impl Fn(&mut E, u64)) {
        let mut value = first;
        self.0.wait(count).for_each(|slot, _, _| {
            write(slot, value);
            value += 1;
        });
    }
}

/// One of several producers.
struct Several<E>(MultiProducer<E, Paused, true>);

impl<E> Feed<E> for Several<E> {
    #[inline]
    fn one(&mut self, value: u64, write: impl Fn(&mut E, u64)) {
        self.0.wait_for_each(1, |slot, _, _| write(slot, value));
    }

    #[inline]
    fn many(&mut self, first: u64, count: usize, write: impl Fn(&mut E, u64)) {
        let mut value = first;
        self.0.wait_for_each(count, |slot, _, _| {
            write(slot, value);
            value += 1;
        });
    }
}
