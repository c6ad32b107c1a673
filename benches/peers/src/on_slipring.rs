//! The five scenarios on `slipring`, with the cell's wait for stations and producers.
//!
//! The stages of the pipeline have each event to themselves (`update`). In the diamond C1 and C2
//! run side by side, so neither may have `&mut`: there the events are [`Shared`], as on
//! `disruptor`.

use std::fmt;
use std::time::Instant;

use slipring::{At, Builder, Claim, Dispatcher, Producer, read, update};

use crate::cell::{Cell, Scenario, Wait};
use crate::event::{Shared, Staged};
use crate::feed::{Feed, Lane, race};
use crate::outcome::{Board, Fault, Outcome};
use crate::witness::{InOrder, ThreeLanes};

/// Runs `total` events, a whole number of batches for every producer.
pub fn run(cell: &Cell, total: u64) -> Result<Outcome, Fault> {
    match cell.scenario {
        Scenario::Unicast => unicast(cell, total),
        Scenario::Mpsc3 => mpsc3(cell, total),
        Scenario::Multicast => multicast(cell, total),
        Scenario::Pipeline => pipeline(cell, total),
        Scenario::Diamond => diamond(cell, total),
    }
}

fn wait(cell: &Cell) -> slipring::Wait {
    match cell.wait {
        Wait::Hint => slipring::Wait::Hint,
        Wait::Yield => slipring::Wait::Yield,
        Wait::Block => slipring::Wait::Block,
    }
}

impl<E, C: Claim> Feed<E> for Producer<E, C> {
    #[inline]
    fn one(&mut self, value: u64, write: impl Fn(&mut E, u64)) {
        self.publish(|slot| write(slot, value)).expect("the ring is open");
    }

    #[inline]
    fn many(&mut self, first: u64, count: usize, write: impl Fn(&mut E, u64)) {
        self.publish_batch(count, |index, slot| write(slot, first + index as u64))
            .expect("the ring is open");
    }
}

fn unicast(cell: &Cell, total: u64) -> Result<Outcome, Fault> {
    let mut board = Board::new(total);
    let mut c1 = board.witness::<InOrder>();
    let ring = Builder::new(cell.capacity, u64::default)
        .wait(wait(cell))
        .then(read("c1", move |&value: &u64, at: At<'_>| c1.see(value, at.end_of_batch())))
        .start()
        .map_err(fault)?;
    feed(ring, cell, board, total, |slot, value| *slot = value)
}

fn multicast(cell: &Cell, total: u64) -> Result<Outcome, Fault> {
    let mut board = Board::new(total);
    let stations = ["c1", "c2", "c3"].map(|name| {
        let mut witness = board.witness::<InOrder>();
        read(name, move |&value: &u64, at: At<'_>| witness.see(value, at.end_of_batch()))
    });
    let ring = Builder::new(cell.capacity, u64::default)
        .wait(wait(cell))
        .then(stations)
        .start()
        .map_err(fault)?;
    feed(ring, cell, board, total, |slot, value| *slot = value)
}

fn mpsc3(cell: &Cell, total: u64) -> Result<Outcome, Fault> {
    let mut board = Board::new(total);
    let mut c1 = board.witness::<ThreeLanes>();
    let (producer, dispatcher) = Builder::new(cell.capacity, u64::default)
        .wait(wait(cell))
        .then(read("c1", move |&value: &u64, at: At<'_>| c1.see(value, at.end_of_batch())))
        .start_multi()
        .map_err(fault)?;
    let producers: Vec<_> = Lane::all(cell, total)
        .map(|lane| {
            let producer = producer.clone();
            move || lane.publish(producer, |slot: &mut u64, value| *slot = value)
        })
        .collect();
    drop(producer);
    let started = race(producers);
    dispatcher.join().map_err(fault)?;
    board.settle(started)
}

fn pipeline(cell: &Cell, total: u64) -> Result<Outcome, Fault> {
    let mut board = Board::new(total);
    let [mut c1, mut c2, mut c3] = [(); 3].map(|()| board.witness::<InOrder>());
    let ring = Builder::new(cell.capacity, Staged::default)
        .wait(wait(cell))
        .then(update("c1", move |event: &mut Staged, at: At<'_>| {
            c1.see(event.write_first(), at.end_of_batch());
        }))
        .then(update("c2", move |event: &mut Staged, at: At<'_>| {
            c2.see(event.write_second_from_first(), at.end_of_batch());
        }))
        .then(read("c3", move |event: &Staged, at: At<'_>| {
            c3.see_all(event.read_all(), at.end_of_batch());
        }))
        .start()
        .map_err(fault)?;
    feed(ring, cell, board, total, |slot, value| slot.input = value)
}

fn diamond(cell: &Cell, total: u64) -> Result<Outcome, Fault> {
    let mut board = Board::new(total);
    let [mut c1, mut c2, mut c3] = [(); 3].map(|()| board.witness::<InOrder>());
    let left = read("c1", move |event: &Shared, at: At<'_>| {
        c1.see(event.write_first(), at.end_of_batch());
    });
    let right = read("c2", move |event: &Shared, at: At<'_>| {
        c2.see(event.write_second(), at.end_of_batch());
    });
    let join = read("c3", move |event: &Shared, at: At<'_>| {
        c3.see_all(event.read_all(), at.end_of_batch());
    });
    let ring = Builder::new(cell.capacity, Shared::default)
        .wait(wait(cell))
        .then((left, right))
        .then(join)
        .start()
        .map_err(fault)?;
    feed(ring, cell, board, total, |slot, value| slot.input = value)
}

/// Publishes from this thread.
fn feed<E>(
    (producer, dispatcher): (Producer<E>, Dispatcher<E>),
    cell: &Cell,
    board: Board,
    total: u64,
    write: impl Fn(&mut E, u64),
) -> Result<Outcome, Fault> {
    let started = Instant::now();
    Lane::new(cell, total, 0).publish(producer, write);
    dispatcher.join().map_err(fault)?;
    board.settle(started)
}

fn fault(error: impl fmt::Display) -> Fault {
    Fault::Peer(error.to_string())
}
