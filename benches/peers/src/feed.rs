//! The producers' side: the loop that publishes, and the start of several producers at once.

use std::ops::Range;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use crate::cell::Cell;
use crate::witness::LANE_SHIFT;

/// What a peer's producer must do; `E` is what `write` fills in place.
pub trait Feed<E> {
    /// Publishes `value`, waiting while there is no room.
    fn one(&mut self, value: u64, write: impl Fn(&mut E, u64));

    /// Publishes `count` values from `first` on at once, waiting while there is no room.
    fn many(&mut self, first: u64, count: usize, write: impl Fn(&mut E, u64));
}

/// The share of one producer.
#[derive(Clone, Debug)]
pub struct Lane {
    values: Range<u64>,
    batch: usize,
}

impl Lane {
    /// The share of producer `index` in a run of `total` events.
    #[must_use]
    pub fn new(cell: &Cell, total: u64, index: u64) -> Self {
        let first = index << LANE_SHIFT;
        let share = total / cell.scenario.producers();
        Self { values: first..first + share, batch: cell.batch }
    }

    /// The shares of all producers.
    pub fn all(cell: &Cell, total: u64) -> impl Iterator<Item = Self> {
        (0..cell.scenario.producers()).map(move |index| Self::new(cell, total, index))
    }

    /// Publishes the share and drops the producer.
    pub fn publish<E>(self, mut producer: impl Feed<E>, write: impl Fn(&mut E, u64)) {
        if self.batch == 1 {
            for value in self.values {
                producer.one(value, &write);
            }
        } else {
            for first in self.values.step_by(self.batch) {
                producer.many(first, self.batch, &write);
            }
        }
    }
}

/// Runs all producers, each on a thread of its own, from a common start; gives the time just
/// before the first publication. Returns when all are done.
///
/// # Panics
///
/// When a producer does.
#[must_use]
pub fn race<F: FnOnce() + Send>(producers: Vec<F>) -> Instant {
    let line = Barrier::new(producers.len());
    let run = |producer: F| {
        line.wait();
        let started = Instant::now();
        producer();
        started
    };
    thread::scope(|scope| {
        let runners: Vec<_> =
            producers.into_iter().map(|producer| scope.spawn(|| run(producer))).collect();
        let starts = runners.into_iter().map(|runner| runner.join().expect("a producer panicked"));
        starts.min().expect("there is a producer")
    })
}
