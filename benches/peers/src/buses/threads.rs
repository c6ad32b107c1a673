//! Publishers, and where the bus does not start them handlers, on threads of their own.

use std::{thread, time::Instant};

use slipring_bench::{
    Fault, Outcome,
    event::Payload,
    feed::{Feed, Lane, race},
    outcome::Board,
};

use super::{job::Job, message::Message};

/// Publishes one event, waiting while there is no room.
pub trait Publish<const WORDS: usize>: Send {
    fn publish(&mut self, message: Message<WORDS>);
}

/// A publisher, as the harness wants it.
struct Feeding<P>(P);

impl<const WORDS: usize, P: Publish<WORDS>> Feed<Message<WORDS>> for Feeding<P> {
    #[inline]
    fn one(&mut self, value: u64, write: impl Fn(&mut Message<WORDS>, u64)) {
        let mut message = Message::default();
        write(&mut message, value);
        self.0.publish(message);
    }

    fn many(&mut self, _first: u64, _count: usize, _write: impl Fn(&mut Message<WORDS>, u64)) {
        unreachable!("`fits` keeps batches away")
    }
}

/// Everybody publishes their share; gives the earliest start.
pub fn publish<const WORDS: usize, P: Publish<WORDS>>(
    job: &Job<'_>,
    board: &Board,
    publishers: Vec<P>,
) -> Instant {
    let lanes = Lane::all(job.cell, job.load, board);
    let producers = lanes.zip(publishers);
    let producers =
        producers.map(|(lane, publisher)| move || lane.publish(Feeding(publisher), Message::write));
    race(job.load, producers.collect())
}

/// The same, with handlers that end when the publishers are gone and all is handled.
pub fn run<const WORDS: usize, P: Publish<WORDS>>(
    job: &Job<'_>,
    board: Board,
    publishers: Vec<P>,
    handlers: Vec<impl FnOnce() + Send>,
) -> Result<Outcome, Fault> {
    let started = thread::scope(|scope| {
        for handler in handlers {
            scope.spawn(handler);
        }
        publish(job, &board, publishers)
    });
    board.settle(started)
}
