//! The scenarios on `disruptor` 4.4: its own threads, and the cell's wait as its wait strategy.
//!
//! Two configurations of producers. *Trying* has the cell's wait while there is no room; *plain* is
//! `publish` as in its documentation, which then spins without a hint.
//!
//! Its handlers see `&E` only, so the stages of pipeline and diamond write through relaxed atomics
//! ([`Shared`]): the cheapest thing it allows, and a plain `mov`. Dropping the last producer waits for
//! the consumers. It cannot block.

use disruptor::{
    ProcessorSettings, Producer, build_multi_producer, build_single_producer,
    wait_strategies::WaitStrategy,
};
use slipring_bench::{
    Cell, Contestant, Fault, Load, Outcome, Scenario, Wait, by_scenario,
    contestant::{is_classic, pause},
    event::{Payload, Shared},
    feed::{Echoed, Feed, Lane, race},
    outcome::Board,
    witness::{InOrder, Lanes, Order, Witness},
};

/// `disruptor` with one kind of producers.
#[derive(Clone, Copy, Debug)]
pub struct Disruptor {
    trying: bool,
}

impl Disruptor {
    /// `try_publish` and `try_batch_publish` in a loop with the cell's wait.
    pub const TRYING: Self = Self { trying: true };
    /// `publish` and `batch_publish`.
    pub const PLAIN: Self = Self { trying: false };
}

/// The family's name.
const DISRUPTOR: &str = "disruptor";

/// What its multi-producer ring must have.
const LEAST_SHARED_RING: usize = 64;

impl Contestant for Disruptor {
    fn name(&self) -> &str {
        if self.trying { DISRUPTOR } else { "disruptor-publish" }
    }

    fn family(&self) -> &str {
        DISRUPTOR
    }

    fn fits(&self, cell: &Cell) -> bool {
        let shared = matches!(cell.scenario, Scenario::Mpsc(_));
        let sized = cell.capacity.is_power_of_two()
            && cell.batch <= cell.capacity
            && (!shared || cell.capacity >= LEAST_SHARED_RING);
        // Who waits for echoes always finds room: both kinds are the same then.
        let told_apart = self.trying || cell.scenario != Scenario::PingPong;
        is_classic(cell) && sized && told_apart && cell.wait != Wait::Block
    }

    fn run(&self, cell: &Cell, load: &Load) -> Result<Outcome, Fault> {
        let job = Job { trying: self.trying, cell, load };
        by_scenario!(job)
    }
}

/// One run.
struct Job<'a> {
    trying: bool,
    cell: &'a Cell,
    load: &'a Load,
}

impl Job<'_> {
    fn unicast<P: Payload, O: Order>(&self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let ring = build_single_producer(self.cell.capacity, P::default, self.strategy());
        let producer =
            self.placed(ring, 0).handle_events_with(reader(board.witness::<O>(), P::read)).build();
        self.feed(producer, board, P::write)
    }

    fn multicast<P: Payload, O: Order>(&self) -> Result<Outcome, Fault> {
        if self.cell.scenario == Scenario::Unicast {
            return self.unicast::<P, O>();
        }
        let mut board = Board::new(self.cell, self.load);
        let ring = build_single_producer(self.cell.capacity, P::default, self.strategy());
        let mut ring = ring.with_multi_consumer();
        for index in 0..self.cell.scenario.consumers() {
            let witness = board.witness::<O>();
            ring = self.placed(ring, index).handle_events_with(reader(witness, P::read));
        }
        self.feed(ring.build(), board, P::write)
    }

    fn mpsc<P: Payload>(&self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let ring = build_multi_producer(self.cell.capacity, P::default, self.strategy());
        let witness = board.witness::<Lanes>();
        let producer = self.placed(ring, 0).handle_events_with(reader(witness, P::read)).build();
        let producers: Vec<_> = Lane::all(self.cell, self.load, &board)
            .map(|lane| {
                let producer = producer.clone();
                move || self.publish(lane, producer, P::write)
            })
            .collect();
        drop(producer);
        board.settle(race(self.load, producers))
    }

    fn pipeline<const REST: usize, O: Order>(&self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let [first, second] = [(); 2].map(|()| board.witness::<InOrder>());
        let ring =
            build_single_producer(self.cell.capacity, Shared::<REST>::default, self.strategy());
        let ring = self
            .placed(ring, 0)
            .handle_events_with(reader(first, |event: &Shared<REST>| (event.write_first(), true)))
            .and_then();
        let ring = self
            .placed(ring, 1)
            .handle_events_with(reader(second, |event: &Shared<REST>| {
                (event.write_second_from_first(), true)
            }))
            .and_then();
        let producer = self
            .placed(ring, 2)
            .handle_events_with(reader(board.witness::<O>(), Shared::read_all))
            .build();
        self.feed(producer, board, Shared::write_input)
    }

    fn diamond<const REST: usize, O: Order>(&self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let [left, right] = [(); 2].map(|()| board.witness::<InOrder>());
        let ring =
            build_single_producer(self.cell.capacity, Shared::<REST>::default, self.strategy());
        let ring = self
            .placed(ring, 0)
            .handle_events_with(reader(left, |event: &Shared<REST>| (event.write_first(), true)));
        let ring = self
            .placed(ring, 1)
            .handle_events_with(reader(right, |event: &Shared<REST>| (event.write_second(), true)))
            .and_then();
        let producer = self
            .placed(ring, 2)
            .handle_events_with(reader(board.witness::<O>(), Shared::read_all))
            .build();
        self.feed(producer, board, Shared::write_input)
    }

    /// The echo comes back through a poller on the producer's own thread.
    fn ping_pong<P: Payload, O: Order>(&self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let mut answerer = board.witness::<InOrder>();
        let mut ping = board.witness::<O>();
        let (mut echoes, back) =
            build_single_producer(self.cell.capacity, P::default, self.strategy())
                .new_event_poller();
        let mut back = Styled::<_, true> { producer: back.build(), wait: self.cell.wait };
        let there = build_single_producer(self.cell.capacity, P::default, self.strategy());
        let producer = self
            .placed(there, 0)
            .handle_events_with(move |event: &P, _, end| {
                let (value, intact) = event.read();
                answerer.see_all((value, intact), end);
                back.one(value, |slot: &mut P, _| *slot = *event);
            })
            .build();
        let lane = Lane::new(self.cell, self.load, &board, 0);
        let wait = self.cell.wait;
        let await_echoes = move |count| {
            let mut missing = count;
            while missing > 0 {
                let Ok(mut events) = echoes.poll() else {
                    pause(wait);
                    continue;
                };
                let mut events = &mut events;
                missing -= events.len();
                while let Some(event) = events.next() {
                    ping.see_all(event.read(), events.len() == 0);
                }
            }
        };
        // There is always room.
        let player = Echoed { producer: Styled::<_, false> { producer, wait }, await_echoes };
        let started = race(self.load, vec![move || lane.publish(player, P::write)]);
        board.settle(started)
    }

    fn strategy(&self) -> Paused {
        Paused(self.cell.wait)
    }

    /// Puts the next handler, consumer `index`, where it belongs.
    fn placed<E, B: ProcessorSettings<E, Paused>>(&self, ring: B, index: usize) -> B {
        match self.load.core(self.cell.scenario.producers() as usize + index) {
            Some(core) => ring.pin_at_core(core),
            None => ring,
        }
    }

    /// Publishes from one thread.
    fn feed<E>(
        &self,
        producer: impl Producer<E> + Send,
        board: Board,
        write: impl Fn(&mut E, u64) + Send,
    ) -> Result<Outcome, Fault> {
        let lane = Lane::new(self.cell, self.load, &board, 0);
        board.settle(race(self.load, vec![move || self.publish(lane, producer, write)]))
    }

    fn publish<E>(
        &self,
        lane: Lane,
        producer: impl Producer<E>,
        write: impl Fn(&mut E, u64),
    ) -> std::time::Instant {
        let wait = self.cell.wait;
        if self.trying {
            lane.publish(Styled::<_, true> { producer, wait }, write)
        } else {
            lane.publish(Styled::<_, false> { producer, wait }, write)
        }
    }
}

/// A handler: it checks what `look` gives.
fn reader<E, O: Order>(
    mut witness: Witness<O>,
    look: impl Fn(&E) -> (u64, bool) + Send + 'static,
) -> impl FnMut(&E, i64, bool) + Send + 'static {
    move |event, _, end_of_batch| witness.see_all(look(event), end_of_batch)
}

/// The cell's wait.
#[derive(Clone, Copy, Debug)]
struct Paused(Wait);

impl WaitStrategy for Paused {
    #[inline]
    fn wait_for(&self, _sequence: i64) {
        pause(self.0);
    }
}

/// A producer with its way to wait for room.
struct Styled<P, const TRYING: bool> {
    producer: P,
    wait: Wait,
}

impl<E, P: Producer<E>, const TRYING: bool> Feed<E> for Styled<P, TRYING> {
    #[inline]
    fn one(&mut self, value: u64, write: impl Fn(&mut E, u64)) {
        if !TRYING {
            return self.producer.publish(|slot| write(slot, value));
        }
        while self.producer.try_publish(|slot| write(slot, value)).is_err() {
            pause(self.wait);
        }
    }

    #[inline]
    fn many(&mut self, first: u64, count: usize, write: impl Fn(&mut E, u64)) {
        if !TRYING {
            return self.producer.batch_publish(count, |slots| {
                slots.zip(first..).for_each(|(slot, value)| write(slot, value));
            });
        }
        while self
            .producer
            .try_batch_publish(count, |slots| {
                slots.zip(first..).for_each(|(slot, value)| write(slot, value));
            })
            .is_err()
        {
            pause(self.wait);
        }
    }
}
