//! The scenarios on `slipring`, with the cell's wait for stations and producers.
//!
//! Two configurations: handlers that are called for each event, as most programs have them, and
//! handlers that get slices. Both publish by closure, one event or a batch at a time.
//!
//! The stages of the pipeline have each event to themselves (`update`). In the diamond C1 and C2
//! run side by side, so neither may have `&mut`: there the events are [`Shared`].

use std::{fmt, time::Duration};

use slipring::{
    At, Builder, Claim, Dispatcher, Exclusive, Poll, Producer, Shared as Reads, Station, keyed,
    poller, read, read_batch, share, update, update_batch,
};

use crate::{
    by_scenario,
    cell::{Cell, Scenario, Wait},
    contestant::{Contestant, is_classic_size},
    event::{Payload, Shared, Staged, Words},
    feed::{Echoed, Feed, Lane, race},
    keys::Keys,
    load::Load,
    outcome::{Board, Fault, Outcome},
    with_words,
    witness::{InOrder, Lanes, Order, Witness},
};

/// `slipring` with one form of handlers.
#[derive(Clone, Copy, Debug)]
pub struct Slipring {
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Events,
    Slices,
}

impl Slipring {
    /// Handlers that are called for each event.
    pub const PER_EVENT: Self = Self { form: Form::Events };
    /// Handlers that get slices.
    pub const IN_SLICES: Self = Self { form: Form::Slices };
}

/// The family's name.
pub const SLIPRING: &str = "slipring";

impl Contestant for Slipring {
    fn name(&self) -> &str {
        match self.form {
            Form::Events => SLIPRING,
            Form::Slices => "slipring-slices",
        }
    }

    fn family(&self) -> &str {
        SLIPRING
    }

    fn fits(&self, cell: &Cell) -> bool {
        let sized = match cell.scenario {
            Scenario::Pipeline(_) | Scenario::Diamond => matches!(cell.bytes, 24 | 64),
            // There is more to a bus than its ring.
            Scenario::Bus(_) => false,
            Scenario::Unicast => cell.bytes.is_power_of_two() && (8..=1024).contains(&cell.bytes),
            _ => matches!(cell.bytes, 8 | 64),
        };
        // A slice of one is an event, an echo takes one event at a time, and so do those who share.
        let one_by_one = cell.scenario == Scenario::PingPong || cell.scenario.is_shared();
        let formed = self.form == Form::Events || (cell.batch > 1 && !one_by_one);
        sized && formed
    }

    fn fits_paced(&self, cell: &Cell) -> bool {
        // Other sizes are there for the cost of an event along its bytes.
        self.fits(cell) && is_classic_size(cell) && cell.scenario.has_timetable()
    }

    fn run(&self, cell: &Cell, load: &Load) -> Result<Outcome, Fault> {
        let job = Job { form: self.form, cell, load };
        match (cell.scenario, cell.scenario.keys()) {
            (_, Some(keys)) => return with_words!(cell, P => job.keyed::<P>(keys)),
            (Scenario::Share(_), _) => return with_words!(cell, P => job.share::<P>()),
            _ => {}
        }
        match cell.bytes {
            16 => job.multicast::<Words<2>, InOrder>(),
            32 => job.multicast::<Words<4>, InOrder>(),
            128 => job.multicast::<Words<16>, InOrder>(),
            256 => job.multicast::<Words<32>, InOrder>(),
            512 => job.multicast::<Words<64>, InOrder>(),
            1024 => job.multicast::<Words<128>, InOrder>(),
            _ => by_scenario!(job),
        }
    }
}

/// One run.
struct Job<'a> {
    form: Form,
    cell: &'a Cell,
    load: &'a Load,
}

impl Job<'_> {
    /// One consumer or several side by side.
    fn multicast<P: Payload, O: Order>(&self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let consumers = 0..self.cell.scenario.consumers();
        let stations: Vec<_> = consumers
            .map(|index| self.reader(index, board.witness::<O>(), |event: &P| event.read()))
            .collect();
        let ring = self.builder(P::default).then(stations).start().map_err(fault)?;
        self.feed(ring, board, P::write)
    }

    /// Workers that share one station.
    fn share<P: Payload>(&self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let workers = self.cell.scenario.consumers();
        let mut witnesses = board.workers(workers).into_iter();
        self.feed_team::<P>(board, share("workers", workers, |_| worker(witnesses.next())))
    }

    /// The same, where an event's key says whose it is.
    fn keyed<P: Payload>(&self, keys: Keys) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let workers = self.cell.scenario.consumers();
        let mut witnesses = board.workers_by_key(workers, keys).into_iter();
        let key = move |event: &P| keys.of(event.read().0);
        self.feed_team::<P>(board, keyed("workers", workers, key, |_| worker(witnesses.next())))
    }

    fn feed_team<P: Payload>(
        &self,
        board: Board,
        station: Station<P, Reads>,
    ) -> Result<Outcome, Fault> {
        let first = self.cell.scenario.producers() as usize;
        let workers = self.cell.scenario.consumers();
        let cores = (first..first + workers).filter_map(|index| self.load.core(index));
        let ring = self.builder(P::default).then(station.pin_each(cores)).start().map_err(fault)?;
        self.feed(ring, board, P::write)
    }

    fn mpsc<P: Payload>(&self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let station = self.reader(0, board.witness::<Lanes>(), |event: &P| event.read());
        let (producer, dispatcher) =
            self.builder(P::default).then(station).start_multi().map_err(fault)?;
        let producers: Vec<_> = Lane::all(self.cell, self.load, &board)
            .map(|lane| {
                let producer = producer.clone();
                move || lane.publish(producer, P::write)
            })
            .collect();
        drop(producer);
        let started = race(self.load, producers);
        dispatcher.join().map_err(fault)?;
        board.settle(started)
    }

    fn pipeline<const REST: usize, O: Order>(&self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let last = self.cell.scenario.consumers() - 1;
        let mut builder = self.builder(Staged::<REST>::default);
        for index in 0..last {
            let witness = board.witness::<InOrder>();
            let before = index as u64;
            builder = builder.then(match index {
                0 => self.updater(index, witness, Staged::write_first),
                1 => self.updater(index, witness, Staged::write_second_from_first),
                _ => self.updater(index, witness, move |event: &mut Staged<REST>| {
                    event.count_on(before)
                }),
            });
        }
        let (witness, before) = (board.witness::<O>(), last as u64);
        let station = match last {
            0 => self.reader(last, witness, Staged::read_input),
            1 => self.reader(last, witness, Staged::read_first),
            2 => self.reader(last, witness, Staged::read_all),
            _ => self.reader(last, witness, move |event: &Staged<REST>| event.read_count(before)),
        };
        let ring = builder.then(station).start().map_err(fault)?;
        self.feed(ring, board, Staged::write_input)
    }

    fn diamond<const REST: usize, O: Order>(&self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let left = self.reader(0, board.witness::<InOrder>(), |event: &Shared<REST>| {
            (event.write_first(), true)
        });
        let right = self.reader(1, board.witness::<InOrder>(), |event: &Shared<REST>| {
            (event.write_second(), true)
        });
        let join = self.reader(2, board.witness::<O>(), Shared::read_all);
        let ring = self
            .builder(Shared::<REST>::default)
            .then((left, right))
            .then(join)
            .start()
            .map_err(fault)?;
        self.feed(ring, board, Shared::write_input)
    }

    /// The echo comes back through a poller on the producer's own thread.
    fn ping_pong<P: Payload, O: Order>(&self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let mut pong = board.witness::<InOrder>();
        let mut reply = board.witness::<O>();
        let (mut echo, mut echo_dispatcher) = self
            .builder(P::default)
            .then(poller("ping").wait(wait(self.cell)))
            .start()
            .map_err(fault)?;
        let mut echoes = echo_dispatcher.poller("ping").map_err(fault)?;
        // What comes as a batch goes back as one.
        let station = self.placed(
            0,
            read_batch("pong", move |events: &[P], at: At<'_>| {
                pong.see_run(events.iter().map(P::read), at.end_of_batch());
                echo.publish_slice(events).map(drop)
            }),
        );
        let (producer, dispatcher) =
            self.builder(P::default).then(station).start().map_err(fault)?;
        let mut until = 0;
        let mut await_echoes = move |count: usize| {
            until += count as u64;
            while echoes.sequence() < until {
                let see = |events: &[P], at: At<'_>| {
                    reply.see_run(events.iter().map(P::read), at.end_of_batch());
                };
                match echoes.poll_batch(see).expect("no handler fails") {
                    Poll::Events(_) => {}
                    Poll::Idle | Poll::Gated => drop(echoes.wait(Duration::from_secs(1))),
                    Poll::Closed => return,
                }
            }
        };
        let lane = Lane::new(self.cell, self.load, &board, 0);
        let player = Echoed { producer, await_echoes: &mut await_echoes };
        let started = race(self.load, vec![move || lane.publish(player, P::write)]);
        drop(await_echoes);
        dispatcher.join().map_err(fault)?;
        echo_dispatcher.join().map_err(fault)?;
        board.settle(started)
    }

    fn builder<E: Send + 'static>(&self, factory: fn() -> E) -> Builder<E> {
        Builder::new(self.cell.capacity, factory).wait(wait(self.cell))
    }

    fn placed<E, A: slipring::Access>(
        &self,
        index: usize,
        station: Station<E, A>,
    ) -> Station<E, A> {
        match self.load.core(self.cell.scenario.producers() as usize + index) {
            Some(core) => station.pin(core),
            None => station,
        }
    }

    /// A station that reads.
    fn reader<E: Send + Sync + 'static, O: Order>(
        &self,
        index: usize,
        mut witness: Witness<O>,
        look: impl Fn(&E) -> (u64, bool) + Send + 'static,
    ) -> Station<E, Reads> {
        let name = format!("c{}", index + 1);
        self.placed(
            index,
            match self.form {
                Form::Events => read(name, move |event: &E, at: At<'_>| {
                    witness.see_all(look(event), at.end_of_batch());
                }),
                Form::Slices => read_batch(name, move |events: &[E], at: At<'_>| {
                    witness.see_run(events.iter().map(&look), at.end_of_batch());
                }),
            },
        )
    }

    /// A station that writes its field.
    fn updater<E: Send + 'static>(
        &self,
        index: usize,
        mut witness: Witness<InOrder>,
        work: impl Fn(&mut E) -> u64 + Send + 'static,
    ) -> Station<E, Exclusive> {
        let name = format!("c{}", index + 1);
        self.placed(
            index,
            match self.form {
                Form::Events => update(name, move |event: &mut E, at: At<'_>| {
                    witness.see(work(event), at.end_of_batch());
                }),
                Form::Slices => update_batch(name, move |events: &mut [E], at: At<'_>| {
                    let values = events.iter_mut().map(|event| (work(event), true));
                    witness.see_run(values, at.end_of_batch());
                }),
            },
        )
    }

    /// Publishes from one thread.
    fn feed<E: Send>(
        &self,
        (producer, dispatcher): (Producer<E>, Dispatcher<E>),
        board: Board,
        write: impl Fn(&mut E, u64) + Send,
    ) -> Result<Outcome, Fault> {
        let lane = Lane::new(self.cell, self.load, &board, 0);
        let started = race(self.load, vec![move || lane.publish(producer, write)]);
        dispatcher.join().map_err(fault)?;
        board.settle(started)
    }
}

/// The handler of a worker.
fn worker<P: Payload, O: Order>(witness: Option<Witness<O>>) -> impl FnMut(&P, At<'_>) + Send {
    let mut witness = witness.expect("there is one for each");
    move |event, at| witness.see_all(event.read(), at.end_of_batch())
}

fn wait(cell: &Cell) -> slipring::Wait {
    match cell.wait {
        Wait::Spin => slipring::Wait::Spin,
        Wait::Hint => slipring::Wait::Hint,
        Wait::Yield => slipring::Wait::Yield,
        Wait::Block => slipring::Wait::Block,
    }
}

impl<E, C: Claim> Feed<E> for Producer<E, C> {
    #[inline(always)]
    fn one(&mut self, value: u64, write: impl Fn(&mut E, u64)) {
        self.publish(|slot| write(slot, value)).expect("the ring is open");
    }

    #[inline(always)]
    fn many(&mut self, first: u64, count: usize, write: impl Fn(&mut E, u64)) {
        self.publish_batch(count, |index, slot| write(slot, first + index as u64))
            .expect("the ring is open");
    }
}

fn fault(error: impl fmt::Display) -> Fault {
    Fault::Peer(error.to_string())
}
