//! The five scenarios on queues: one per edge of the flow, each of the ring's capacity.
//!
//! Stages are chained, and a value that several consumers need is sent to each. Every consumer
//! knows how many values to expect, and each value is a run of its own.

use std::thread;
use std::time::Instant;

use crate::cell::{Cell, Scenario};
use crate::event::Staged;
use crate::feed::{Feed, Lane, race};
use crate::link::{Link, Rx, Tx};
use crate::outcome::{Board, Fault, Outcome};
use crate::witness::{InOrder, Order, ThreeLanes, Witness};

/// Runs `total` events, a whole number for every producer.
pub fn run<L: Link>(cell: &Cell, total: u64) -> Result<Outcome, Fault> {
    match cell.scenario {
        Scenario::Unicast => unicast::<L>(cell, total),
        Scenario::Mpsc3 => mpsc3::<L>(cell, total),
        Scenario::Multicast => multicast::<L>(cell, total),
        Scenario::Pipeline => pipeline::<L>(cell, total),
        Scenario::Diamond => diamond::<L>(cell, total),
    }
}

/// A producer that sends every event to all of its queues.
struct Fan<X, const N: usize>([X; N]);

impl<E: Copy + Default, X: Tx<E>, const N: usize> Feed<E> for Fan<X, N> {
    #[inline]
    fn one(&mut self, value: u64, write: impl Fn(&mut E, u64)) {
        let mut event = E::default();
        write(&mut event, value);
        for queue in &self.0 {
            queue.push(event);
        }
    }

    /// Queues have no batch form; [`crate::Peer::fits`] keeps such cells away.
    fn many(&mut self, first: u64, count: usize, write: impl Fn(&mut E, u64)) {
        (first..).take(count).for_each(|value| self.one(value, &write));
    }
}

/// Takes `total` plain values.
fn consume<O: Order>(total: u64, values: &impl Rx<u64>, mut witness: Witness<O>) {
    for _ in 0..total {
        witness.see(values.pop(), true);
    }
}

/// A stage between two queues: `work` writes its field and gives the value seen.
fn stage<X: Rx<Staged>, Y: Tx<Staged>>(
    total: u64,
    (from, to): (X, Y),
    mut witness: Witness<InOrder>,
    work: impl Fn(&mut Staged) -> u64,
) {
    for _ in 0..total {
        let mut event = from.pop();
        witness.see(work(&mut event), true);
        to.push(event);
    }
}

fn unicast<L: Link>(cell: &Cell, total: u64) -> Result<Outcome, Fault> {
    let mut board = Board::new(total);
    let c1 = board.witness::<InOrder>();
    let (tx, rx) = L::link::<u64>(cell.capacity);
    let started = thread::scope(|scope| {
        scope.spawn(move || consume(total, &rx, c1));
        feed(Fan([tx]), cell, total, |event: &mut u64, value| *event = value)
    });
    board.settle(started)
}

fn mpsc3<L: Link>(cell: &Cell, total: u64) -> Result<Outcome, Fault> {
    let mut board = Board::new(total);
    let c1 = board.witness::<ThreeLanes>();
    let (tx, rx) = L::link::<u64>(cell.capacity);
    let started = thread::scope(|scope| {
        scope.spawn(move || consume(total, &rx, c1));
        let producers: Vec<_> = Lane::all(cell, total)
            .map(|lane| {
                let producer = Fan([tx.clone()]);
                move || lane.publish(producer, |event: &mut u64, value| *event = value)
            })
            .collect();
        race(producers)
    });
    board.settle(started)
}

fn multicast<L: Link>(cell: &Cell, total: u64) -> Result<Outcome, Fault> {
    let mut board = Board::new(total);
    let consumers = [(); 3].map(|()| (board.witness::<InOrder>(), L::link::<u64>(cell.capacity)));
    let started = thread::scope(|scope| {
        let queues = consumers.map(|(witness, (tx, rx))| {
            scope.spawn(move || consume(total, &rx, witness));
            tx
        });
        feed(Fan(queues), cell, total, |event: &mut u64, value| *event = value)
    });
    board.settle(started)
}

fn pipeline<L: Link>(cell: &Cell, total: u64) -> Result<Outcome, Fault> {
    let mut board = Board::new(total);
    let [c1, c2, mut c3] = [(); 3].map(|()| board.witness::<InOrder>());
    let [(tx, rx1), (tx1, rx2), (tx2, rx3)] = [(); 3].map(|()| L::link::<Staged>(cell.capacity));
    let started = thread::scope(|scope| {
        scope.spawn(move || stage(total, (rx1, tx1), c1, Staged::write_first));
        scope.spawn(move || stage(total, (rx2, tx2), c2, Staged::write_second_from_first));
        scope.spawn(move || {
            for _ in 0..total {
                c3.see_all(rx3.pop().read_all(), true);
            }
        });
        feed(Fan([tx]), cell, total, |event: &mut Staged, value| *event = Staged::new(value))
    });
    board.settle(started)
}

fn diamond<L: Link>(cell: &Cell, total: u64) -> Result<Outcome, Fault> {
    let mut board = Board::new(total);
    let [c1, c2, mut c3] = [(); 3].map(|()| board.witness::<InOrder>());
    let [(tx1, rx1), (tx2, rx2)] = [(); 2].map(|()| L::link::<Staged>(cell.capacity));
    let [(left_tx, left), (right_tx, right)] = [(); 2].map(|()| L::link::<Staged>(cell.capacity));
    let started = thread::scope(|scope| {
        scope.spawn(move || stage(total, (rx1, left_tx), c1, Staged::write_first));
        scope.spawn(move || stage(total, (rx2, right_tx), c2, Staged::write_second));
        scope.spawn(move || {
            for _ in 0..total {
                c3.see_all(Staged::join(left.pop(), right.pop()), true);
            }
        });
        let write = |event: &mut Staged, value| *event = Staged::new(value);
        feed(Fan([tx1, tx2]), cell, total, write)
    });
    board.settle(started)
}

/// Publishes from this thread; gives the time just before the first publication.
fn feed<E, F: Feed<E>>(
    producer: F,
    cell: &Cell,
    total: u64,
    write: impl Fn(&mut E, u64),
) -> Instant {
    let started = Instant::now();
    Lane::new(cell, total, 0).publish(producer, write);
    started
}
