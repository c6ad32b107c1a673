//! The producers' side: the loop that publishes, and the start of several producers at once.

use std::{ops::Range, sync::Barrier, thread, time::Instant};

use crate::{
    cell::Cell,
    load::{Load, Timetable},
    outcome::Board,
    witness::LANE_SHIFT,
};

/// What a contestant's producer must do; `E` is what `write` fills in place.
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
    paced: bool,
    /// Whether there are more threads than cores.
    crowded: bool,
    timetable: Timetable,
}

impl Lane {
    /// The share of producer `index`.
    #[must_use]
    pub fn new(cell: &Cell, load: &Load, board: &Board, index: u64) -> Self {
        let first = index << LANE_SHIFT;
        let share = load.events / cell.scenario.producers();
        Self {
            values: first..first + share,
            batch: cell.batch,
            paced: load.rate.is_some(),
            crowded: cell.threads() > thread::available_parallelism().map_or(1, usize::from),
            timetable: board.timetable(),
        }
    }

    /// The shares of all producers.
    pub fn all(cell: &Cell, load: &Load, board: &Board) -> impl Iterator<Item = Self> {
        (0..cell.scenario.producers()).map(move |index| Self::new(cell, load, board, index))
    }

    /// Publishes the share and drops the producer. Gives the time just before the first publication.
    pub fn publish<E>(self, mut producer: impl Feed<E>, write: impl Fn(&mut E, u64)) -> Instant {
        let started = self.timetable.begin();
        if self.paced {
            self.publish_on_time(&mut producer, write);
        } else if self.batch == 1 {
            for value in self.values {
                producer.one(value, &write);
            }
        } else {
            for first in self.values.step_by(self.batch) {
                producer.many(first, self.batch, &write);
            }
        }
        started
    }

    /// Publishes each batch when its first event is due, and never waits for anything else.
    fn publish_on_time<E>(self, producer: &mut impl Feed<E>, write: impl Fn(&mut E, u64)) {
        let first_value = self.values.start;
        for first in self.values.step_by(self.batch) {
            self.timetable.await_turn(first - first_value, self.crowded);
            if self.batch == 1 {
                producer.one(first, &write);
            } else {
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
pub fn race<F: FnOnce() -> Instant + Send>(load: &Load, producers: Vec<F>) -> Instant {
    let line = Barrier::new(producers.len());
    let line = &line;
    let run = |index: usize, producer: F| {
        load.take_place(index);
        line.wait();
        producer()
    };
    let run = &run;
    thread::scope(|scope| {
        let runners: Vec<_> = producers
            .into_iter()
            .enumerate()
            .map(|(index, producer)| scope.spawn(move || run(index, producer)))
            .collect();
        let starts = runners.into_iter().map(|runner| runner.join().expect("a producer panicked"));
        starts.min().expect("there is a producer")
    })
}
