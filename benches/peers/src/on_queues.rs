//! The scenarios on queues: one per edge of the flow, each of the ring's capacity.
//!
//! Stages are chained, and a value that several consumers need is sent to each. Every consumer
//! knows how many values to expect. What it takes at once is a run; for most queues that is one
//! value. Workers share one queue, until it is empty and the producer is gone; by key, each has a queue of
//! its own, and the producer knows whose the key is.

use std::{ops::RangeInclusive, thread, time::Instant};

use slipring_bench::{
    Cell, Contestant, Fault, Load, Outcome, Scenario, Wait,
    contestant::{is_classic, is_classic_size},
    event::{Payload, Staged, Words},
    feed::{Echoed, Feed, Lane, race},
    keys::Keys,
    outcome::Board,
    with_rest, with_words,
    witness::{Ascending, InOrder, Lanes, Order, Timed, Witness},
};

use crate::link::{Event, Link, Rx, Shared, Tx};

/// One run of a cell.
pub type Run = fn(&Cell, &Load) -> Result<Outcome, Fault>;

/// A crate's queues.
#[derive(Clone, Debug)]
pub struct Queues {
    /// The contestant's name.
    pub name: &'static str,
    /// Whose it is.
    pub family: &'static str,
    /// Whether it can put a waiting thread to sleep.
    pub blocks: bool,
    /// Whether it ever ends where spinning threads outnumber the cores.
    pub ends_crowded: bool,
    /// The batches it can publish at once.
    pub batches: RangeInclusive<usize>,
    /// Flows whose edges have one producer each.
    pub single: Run,
    /// Several producers on one edge, where the crate has that.
    pub several: Option<Run>,
    /// Several consumers on one edge that share the values, where the crate has that.
    pub shared: Option<Run>,
}

impl Queues {
    /// As most are: they block, take any number of producers but one consumer, and have no batches.
    #[must_use]
    pub fn new(name: &'static str, single: Run, several: Run) -> Self {
        Self {
            name,
            family: name,
            blocks: true,
            ends_crowded: true,
            batches: 1..=1,
            single,
            several: Some(several),
            shared: None,
        }
    }
}

impl Contestant for Queues {
    fn name(&self) -> &str {
        self.name
    }

    fn family(&self) -> &str {
        self.family
    }

    fn fits(&self, cell: &Cell) -> bool {
        let shaped = match cell.scenario {
            // The events of a batch belong to several workers.
            scenario if scenario.keys().is_some() => cell.batch == 1 && is_classic_size(cell),
            Scenario::Share(_) => self.shared.is_some() && is_classic_size(cell),
            Scenario::Mpsc(_) => self.several.is_some() && is_classic(cell),
            _ => is_classic(cell),
        };
        shaped
            && (self.blocks || cell.wait != Wait::Block)
            && (self.ends_crowded || !spins_crowded(cell))
            && self.batches.contains(&cell.batch)
            && cell.batch <= cell.capacity
    }

    fn run(&self, cell: &Cell, load: &Load) -> Result<Outcome, Fault> {
        let run = match cell.scenario {
            Scenario::Mpsc(_) => self.several.expect("`fits` keeps others away"),
            Scenario::Share(_) => self.shared.expect("`fits` keeps others away"),
            _ => self.single,
        };
        run(cell, load)
    }
}

/// Whether spinning threads share cores.
fn spins_crowded(cell: &Cell) -> bool {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    matches!(cell.wait, Wait::Spin | Wait::Hint) && cell.threads() > cores
}

/// All scenarios whose edges have one producer each.
///
/// # Errors
///
/// As [`Contestant::run`].
pub fn single<L: Link>(cell: &Cell, load: &Load) -> Result<Outcome, Fault> {
    if let Some(keys) = cell.scenario.keys() {
        let job = Job { cell, load };
        return with_words!(cell, P => job.keyed::<L, P>(keys));
    }
    match load.rate {
        None => ordered::<L, InOrder>(cell, load),
        Some(_) => ordered::<L, Timed>(cell, load),
    }
}

fn ordered<L: Link, O: Order>(cell: &Cell, load: &Load) -> Result<Outcome, Fault> {
    let job = Job { cell, load };
    match cell.scenario {
        Scenario::Unicast => with_words!(cell, P => job.multicast::<L, P, O, 1>()),
        Scenario::Multicast(_) => with_words!(cell, P => job.multicast::<L, P, O, 3>()),
        Scenario::PingPong => with_words!(cell, P => job.ping_pong::<L, P, O>()),
        Scenario::Pipeline(_) => with_rest!(cell, REST => job.pipeline::<L, REST, O>()),
        Scenario::Diamond => with_rest!(cell, REST => job.diamond::<L, REST, O>()),
        Scenario::Mpsc(_) | Scenario::Share(_) | Scenario::Keyed(_) | Scenario::Skewed(_) => {
            unreachable!("they go another way")
        }
        Scenario::Bus(_) => unreachable!("`fits` keeps buses away"),
    }
}

/// Several producers on one edge.
///
/// # Errors
///
/// As [`Contestant::run`].
pub fn several<L: Link>(cell: &Cell, load: &Load) -> Result<Outcome, Fault>
where
    L::Tx<Words<1>>: Clone,
    L::Tx<Words<8>>: Clone,
{
    let job = Job { cell, load };
    with_words!(cell, P => job.mpsc::<L, P>())
}

/// One producer, and workers that share one edge.
///
/// # Errors
///
/// As [`Contestant::run`].
pub fn shared<L: Link>(cell: &Cell, load: &Load) -> Result<Outcome, Fault>
where
    L::Rx<Words<1>>: Shared<Words<1>>,
    L::Rx<Words<8>>: Shared<Words<8>>,
{
    let job = Job { cell, load };
    with_words!(cell, P => job.share::<L, P>())
}

/// A consumer's thread, from the number of events it has to expect if it sees all. Boxed, as a producer's is: what
/// starts a thread is compiled once, and not once for each queue and scenario.
type Consumer = Box<dyn FnOnce(u64) + Send>;

/// A producer's thread; gives the time just before the first publication.
type Producer = Box<dyn FnOnce() -> Instant + Send>;

/// One run.
struct Job<'a> {
    cell: &'a Cell,
    load: &'a Load,
}

impl Job<'_> {
    fn link<L: Link, T: Event>(&self) -> (L::Tx<T>, L::Rx<T>) {
        L::link(self.cell.capacity, self.cell.wait)
    }

    /// One consumer or several side by side.
    fn multicast<L: Link, P: Payload, O: Order, const N: usize>(&self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let mut consumers = Vec::<Consumer>::new();
        let queues = [(); N].map(|()| {
            let (witness, (tx, rx)) = (board.witness::<O>(), self.link::<L, P>());
            consumers.push(Box::new(|total| consume(total, rx, witness, P::read)));
            tx
        });
        let producer = self.producer(&board, 0, Fan(queues), P::write);
        self.run(board, consumers, vec![producer])
    }

    fn mpsc<L: Link, P: Payload>(&self) -> Result<Outcome, Fault>
    where
        L::Tx<P>: Clone,
    {
        let mut board = Board::new(self.cell, self.load);
        let witness = board.witness::<Lanes>();
        let (tx, rx) = self.link::<L, P>();
        let producers = (0..self.cell.scenario.producers())
            .map(|index| self.producer(&board, index, Fan([tx.clone()]), P::write))
            .collect();
        drop(tx);
        let c1: Consumer = Box::new(|total| consume(total, rx, witness, P::read));
        self.run(board, vec![c1], producers)
    }

    fn share<L: Link, P: Payload>(&self) -> Result<Outcome, Fault>
    where
        L::Rx<P>: Shared<P>,
    {
        let mut board = Board::new(self.cell, self.load);
        let (tx, rx) = self.link::<L, P>();
        let worker = |witness| -> Consumer {
            let rx = rx.clone();
            Box::new(|_| work(rx, witness))
        };
        let workers = board.workers(self.cell.scenario.consumers()).into_iter();
        let workers = workers.map(worker).collect();
        let producer = self.producer(&board, 0, Fan([tx]), P::write);
        self.run(board, workers, vec![producer])
    }

    /// The queues have the ring's capacity together.
    fn keyed<L: Link, P: Payload>(&self, keys: Keys) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let workers = self.cell.scenario.consumers();
        let capacity = (self.cell.capacity / workers).max(1);
        let mut consumers = Vec::<Consumer>::new();
        let mut queues = Vec::new();
        let parts = keys.parts(self.load.events, workers);
        for (part, witness) in parts.into_iter().zip(board.workers_by_key(workers, keys)) {
            let (tx, rx) = L::link::<P>(capacity, self.cell.wait);
            consumers.push(Box::new(move |_| consume(part, rx, witness, P::read)));
            queues.push(tx);
        }
        let producer = self.producer(&board, 0, Routed { queues, keys }, P::write);
        self.run(board, consumers, vec![producer])
    }

    fn pipeline<L: Link, const REST: usize, O: Order>(&self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let [see1, see2] = [(); 2].map(|()| board.witness::<InOrder>());
        let see3 = board.witness::<O>();
        let [(tx, rx1), (tx1, rx2), (tx2, rx3)] = [(); 3].map(|()| self.link::<L, Staged<REST>>());
        let second = |event: &mut Staged<REST>| (event.write_second_from_first(), true);
        let consumers: Vec<Consumer> = vec![
            Box::new(|total| stage(total, (rx1, tx1), see1, first)),
            Box::new(move |total| stage(total, (rx2, tx2), see2, second)),
            Box::new(|total| consume(total, rx3, see3, Staged::read_all)),
        ];
        let producer = self.producer(&board, 0, Fan([tx]), Staged::write_input);
        self.run(board, consumers, vec![producer])
    }

    fn diamond<L: Link, const REST: usize, O: Order>(&self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let [see1, see2] = [(); 2].map(|()| board.witness::<InOrder>());
        let see3 = board.witness::<O>();
        let [(tx1, rx1), (tx2, rx2), (left_tx, left), (right_tx, right)] =
            [(); 4].map(|()| self.link::<L, Staged<REST>>());
        let second = |event: &mut Staged<REST>| (event.write_second(), true);
        let consumers: Vec<Consumer> = vec![
            Box::new(|total| stage(total, (rx1, left_tx), see1, first)),
            Box::new(move |total| stage(total, (rx2, right_tx), see2, second)),
            Box::new(|total| join(total, left, right, see3)),
        ];
        let producer = self.producer(&board, 0, Fan([tx1, tx2]), Staged::write_input);
        self.run(board, consumers, vec![producer])
    }

    fn ping_pong<L: Link, P: Payload, O: Order>(&self) -> Result<Outcome, Fault> {
        let mut board = Board::new(self.cell, self.load);
        let (there, mut back) = (board.witness::<InOrder>(), board.witness::<O>());
        let (tx, rx) = self.link::<L, P>();
        let (echo, mut echoes) = self.link::<L, P>();
        let c1: Consumer =
            Box::new(|total| stage(total, (rx, echo), there, |event: &mut P| event.read()));
        let await_echoes = move |count| {
            let mut left = count as u64;
            while left > 0 {
                left -= see_run(left, &mut echoes, &mut back, P::read);
            }
        };
        let player = Echoed { producer: Fan([tx]), await_echoes };
        let producer = self.producer(&board, 0, player, P::write);
        self.run(board, vec![c1], vec![producer])
    }

    fn producer<E: Event>(
        &self,
        board: &Board,
        index: u64,
        feed: impl Feed<E> + Send + 'static,
        write: impl Fn(&mut E, u64) + Send + 'static,
    ) -> Producer {
        let lane = Lane::new(self.cell, self.load, board, index);
        Box::new(move || lane.publish(feed, write))
    }

    /// Starts everybody, and waits for all.
    fn run(
        &self,
        board: Board,
        consumers: Vec<Consumer>,
        producers: Vec<Producer>,
    ) -> Result<Outcome, Fault> {
        let first = producers.len();
        let started = thread::scope(|scope| {
            for (place, consumer) in (first..).zip(consumers) {
                scope.spawn(move || {
                    self.load.take_place(place);
                    consumer(self.load.events);
                });
            }
            race(self.load, producers)
        });
        board.settle(started)
    }
}

/// C1's work.
fn first<const REST: usize>(event: &mut Staged<REST>) -> (u64, bool) {
    (event.write_first(), true)
}

/// Shows the next run, of `most` values or fewer, to the witness; gives its length.
#[inline]
fn see_run<T: Event, O: Order>(
    most: u64,
    from: &mut impl Rx<T>,
    witness: &mut Witness<O>,
    look: impl Fn(&T) -> (u64, bool),
) -> u64 {
    let count = clamp(from.ready(), most);
    from.take(count, |head, tail| witness.see_run(head.iter().chain(tail).map(look), true));
    count as u64
}

/// Takes `total` values.
fn consume<T: Event, O: Order>(
    total: u64,
    mut from: impl Rx<T>,
    mut witness: Witness<O>,
    look: impl Fn(&T) -> (u64, bool),
) {
    let mut left = total;
    while left > 0 {
        left -= see_run(left, &mut from, &mut witness, &look);
    }
}

/// A worker: takes values as long as there will be any.
fn work<P: Payload>(mut from: impl Shared<P>, mut witness: Witness<Ascending>) {
    while let Some(event) = from.next() {
        witness.see_all(event.read(), true);
    }
}

/// A stage between two queues: `work` may write a field, and gives what a witness must see.
fn stage<T: Event>(
    total: u64,
    (mut from, mut to): (impl Rx<T>, impl Tx<T>),
    mut witness: Witness<InOrder>,
    work: impl Fn(&mut T) -> (u64, bool),
) {
    let mut left = total;
    while left > 0 {
        let count = clamp(from.ready().min(to.room()), left);
        from.take(count, |head, tail| {
            let mut behind = count;
            let worked = head.iter().chain(tail).map(|&event| {
                let mut event = event;
                behind -= 1;
                witness.see_all(work(&mut event), behind == 0);
                event
            });
            to.push_run(count, worked);
        });
        left -= count as u64;
    }
}

/// C3 of the diamond: takes from both sides in step.
fn join<const REST: usize, O: Order>(
    total: u64,
    mut left: impl Rx<Staged<REST>>,
    mut right: impl Rx<Staged<REST>>,
    mut witness: Witness<O>,
) {
    let mut behind = total;
    while behind > 0 {
        let count = clamp(left.ready().min(right.ready()), behind);
        left.take(count, |head, tail| {
            let lefts = head.iter().chain(tail);
            right.take(count, |head, tail| {
                let pairs = lefts.zip(head.iter().chain(tail));
                witness.see_run(pairs.map(|(&left, &right)| Staged::join(left, right)), true);
            });
        });
        behind -= count as u64;
    }
}

/// `count`, but not more than is left.
#[inline]
fn clamp(count: usize, left: u64) -> usize {
    usize::try_from(left).map_or(count, |left| count.min(left))
}

/// A producer that sends every event to all of its queues.
struct Fan<X, const N: usize>([X; N]);

impl<E: Event, X: Tx<E>, const N: usize> Feed<E> for Fan<X, N> {
    #[inline]
    fn one(&mut self, value: u64, write: impl Fn(&mut E, u64)) {
        let event = written(value, write);
        for queue in &mut self.0 {
            queue.push(event);
        }
    }

    #[inline]
    fn many(&mut self, first: u64, count: usize, write: impl Fn(&mut E, u64)) {
        for queue in &mut self.0 {
            let values = first..first + count as u64;
            queue.push_run(count, values.map(|value| written(value, &write)));
        }
    }
}

/// A producer that sends every event to the worker whose key it has.
struct Routed<X> {
    queues: Vec<X>,
    keys: Keys,
}

impl<E: Event, X: Tx<E>> Feed<E> for Routed<X> {
    #[inline]
    fn one(&mut self, value: u64, write: impl Fn(&mut E, u64)) {
        let worker = self.keys.worker(value, self.queues.len());
        self.queues[worker].push(written(value, write));
    }

    fn many(&mut self, first: u64, count: usize, write: impl Fn(&mut E, u64)) {
        (first..first + count as u64).for_each(|value| self.one(value, &write));
    }
}

#[inline]
fn written<E: Event>(value: u64, write: impl Fn(&mut E, u64)) -> E {
    let mut event = E::default();
    write(&mut event, value);
    event
}
