//! The five scenarios on `disruptor` 4.4.
//!
//! Its handlers see `&E` only, so the stages of pipeline and diamond write through relaxed
//! atomics ([`Shared`]): the cheapest thing it allows, and a plain `mov`. Dropping the last
//! producer waits for the consumers.

use std::marker::PhantomData;
use std::time::Instant;

use disruptor::{Producer, build_multi_producer, build_single_producer};

use crate::cell::{Cell, Scenario};
use crate::event::Shared;
use crate::feed::{Feed, Lane, race};
use crate::outcome::{Board, Fault, Outcome};
use crate::pause::Pause;
use crate::witness::{InOrder, ThreeLanes};

/// Runs `total` events, a whole number of batches for every producer.
pub fn run<W: Pause, S: Style>(cell: &Cell, total: u64) -> Result<Outcome, Fault> {
    match cell.scenario {
        Scenario::Unicast => unicast::<W, S>(cell, total),
        Scenario::Mpsc3 => mpsc3::<W, S>(cell, total),
        Scenario::Multicast => multicast::<W, S>(cell, total),
        Scenario::Pipeline => pipeline::<W, S>(cell, total),
        Scenario::Diamond => diamond::<W, S>(cell, total),
    }
}

/// How a producer waits for room.
pub trait Style: Send {
    /// Publishes one event.
    fn one<E>(producer: &mut impl Producer<E>, write: impl Fn(&mut E));

    /// Publishes `count` values from `first` on at once.
    fn many<E>(
        producer: &mut impl Producer<E>,
        first: u64,
        count: usize,
        write: impl Fn(&mut E, u64),
    );
}

/// As in its documentation: `publish` and `batch_publish`, which spin without a hint while there is no room.
#[derive(Debug)]
pub struct Plain;

/// `try_publish` and `try_batch_publish` in a loop, with `W` while there is no room.
#[derive(Debug)]
pub struct Trying<W>(PhantomData<W>);

impl Style for Plain {
    #[inline]
    fn one<E>(producer: &mut impl Producer<E>, write: impl Fn(&mut E)) {
        producer.publish(write);
    }

    #[inline]
    fn many<E>(
        producer: &mut impl Producer<E>,
        first: u64,
        count: usize,
        write: impl Fn(&mut E, u64),
    ) {
        producer.batch_publish(count, |slots| {
            slots.zip(first..).for_each(|(slot, value)| write(slot, value));
        });
    }
}

impl<W: Pause> Style for Trying<W> {
    #[inline]
    fn one<E>(producer: &mut impl Producer<E>, write: impl Fn(&mut E)) {
        while producer.try_publish(&write).is_err() {
            W::pause();
        }
    }

    #[inline]
    fn many<E>(
        producer: &mut impl Producer<E>,
        first: u64,
        count: usize,
        write: impl Fn(&mut E, u64),
    ) {
        while producer
            .try_batch_publish(count, |slots| {
                slots.zip(first..).for_each(|(slot, value)| write(slot, value));
            })
            .is_err()
        {
            W::pause();
        }
    }
}

/// A producer with its style.
struct Styled<P, S>(P, PhantomData<S>);

impl<E, P: Producer<E>, S: Style> Feed<E> for Styled<P, S> {
    #[inline]
    fn one(&mut self, value: u64, write: impl Fn(&mut E, u64)) {
        S::one(&mut self.0, |slot| write(slot, value));
    }

    #[inline]
    fn many(&mut self, first: u64, count: usize, write: impl Fn(&mut E, u64)) {
        S::many(&mut self.0, first, count, write);
    }
}

fn unicast<W: Pause, S: Style>(cell: &Cell, total: u64) -> Result<Outcome, Fault> {
    let mut board = Board::new(total);
    let mut c1 = board.witness::<InOrder>();
    let producer = build_single_producer(cell.capacity, u64::default, W::default())
        .handle_events_with(move |&value: &u64, _, end| c1.see(value, end))
        .build();
    feed_value::<S>(producer, cell, board, total)
}

fn multicast<W: Pause, S: Style>(cell: &Cell, total: u64) -> Result<Outcome, Fault> {
    let mut board = Board::new(total);
    let [mut c1, mut c2, mut c3] = [(); 3].map(|()| board.witness::<InOrder>());
    let producer = build_single_producer(cell.capacity, u64::default, W::default())
        .handle_events_with(move |&value: &u64, _, end| c1.see(value, end))
        .handle_events_with(move |&value: &u64, _, end| c2.see(value, end))
        .handle_events_with(move |&value: &u64, _, end| c3.see(value, end))
        .build();
    feed_value::<S>(producer, cell, board, total)
}

fn mpsc3<W: Pause, S: Style>(cell: &Cell, total: u64) -> Result<Outcome, Fault> {
    let mut board = Board::new(total);
    let mut c1 = board.witness::<ThreeLanes>();
    let producer = build_multi_producer(cell.capacity, u64::default, W::default())
        .handle_events_with(move |&value: &u64, _, end| c1.see(value, end))
        .build();
    let producers: Vec<_> = Lane::all(cell, total)
        .map(|lane| {
            let producer = Styled(producer.clone(), PhantomData::<S>);
            move || lane.publish(producer, |slot: &mut u64, value| *slot = value)
        })
        .collect();
    drop(producer);
    board.settle(race(producers))
}

fn pipeline<W: Pause, S: Style>(cell: &Cell, total: u64) -> Result<Outcome, Fault> {
    let mut board = Board::new(total);
    let [mut c1, mut c2, mut c3] = [(); 3].map(|()| board.witness::<InOrder>());
    let producer = build_single_producer(cell.capacity, Shared::default, W::default())
        .handle_events_with(move |event: &Shared, _, end| c1.see(event.write_first(), end))
        .and_then()
        .handle_events_with(move |event: &Shared, _, end| {
            c2.see(event.write_second_from_first(), end);
        })
        .and_then()
        .handle_events_with(move |event: &Shared, _, end| c3.see_all(event.read_all(), end))
        .build();
    feed_shared::<S>(producer, cell, board, total)
}

fn diamond<W: Pause, S: Style>(cell: &Cell, total: u64) -> Result<Outcome, Fault> {
    let mut board = Board::new(total);
    let [mut c1, mut c2, mut c3] = [(); 3].map(|()| board.witness::<InOrder>());
    let producer = build_single_producer(cell.capacity, Shared::default, W::default())
        .handle_events_with(move |event: &Shared, _, end| c1.see(event.write_first(), end))
        .handle_events_with(move |event: &Shared, _, end| c2.see(event.write_second(), end))
        .and_then()
        .handle_events_with(move |event: &Shared, _, end| c3.see_all(event.read_all(), end))
        .build();
    feed_shared::<S>(producer, cell, board, total)
}

/// Publishes 8-byte events from this thread.
fn feed_value<S: Style>(
    producer: impl Producer<u64>,
    cell: &Cell,
    board: Board,
    total: u64,
) -> Result<Outcome, Fault> {
    feed::<u64, S>(producer, cell, board, total, |slot, value| *slot = value)
}

/// Publishes 24-byte events from this thread.
fn feed_shared<S: Style>(
    producer: impl Producer<Shared>,
    cell: &Cell,
    board: Board,
    total: u64,
) -> Result<Outcome, Fault> {
    feed::<Shared, S>(producer, cell, board, total, |slot, value| slot.input = value)
}

fn feed<E, S: Style>(
    producer: impl Producer<E>,
    cell: &Cell,
    board: Board,
    total: u64,
    write: impl Fn(&mut E, u64),
) -> Result<Outcome, Fault> {
    let started = Instant::now();
    Lane::new(cell, total, 0).publish(Styled(producer, PhantomData::<S>), write);
    board.settle(started)
}
