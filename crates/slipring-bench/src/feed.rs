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

/// A producer that waits for the echo of what it has published.
#[derive(Debug)]
pub struct Echoed<F, W> {
    /// Publishes.
    pub producer: F,
    /// Takes so many echoes, waiting while there are none.
    pub await_echoes: W,
}

impl<E, F: Feed<E>, W: FnMut(usize)> Feed<E> for Echoed<F, W> {
    #[inline(always)]
    fn one(&mut self, value: u64, write: impl Fn(&mut E, u64)) {
        self.producer.one(value, write);
        (self.await_echoes)(1);
    }

    #[inline(always)]
    fn many(&mut self, first: u64, count: usize, write: impl Fn(&mut E, u64)) {
        self.producer.many(first, count, write);
        (self.await_echoes)(count);
    }
}

/// The share of one producer.
#[derive(Clone, Debug)]
pub struct Lane {
    values: Range<u64>,
    batch: usize,
    paced: bool,
    /// Whether there are more threads than cores for them.
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
            crowded: load.is_crowded(cell),
            timetable: board.timetable(),
        }
    }

    /// The shares of all producers.
    pub fn all(cell: &Cell, load: &Load, board: &Board) -> impl Iterator<Item = Self> {
        (0..cell.scenario.producers()).map(move |index| Self::new(cell, load, board, index))
    }

    /// Publishes the share and drops the producer. Gives the time just before the first publication,
    /// or the beginning of the timetable.
    pub fn publish<E>(self, mut producer: impl Feed<E>, write: impl Fn(&mut E, u64)) -> Instant {
        let started = self.timetable.await_begin();
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

    /// For those that publish by themselves, as fast as it goes: the start, and the values, one by one.
    #[must_use]
    pub fn begin(self) -> (Instant, Range<u64>) {
        (self.timetable.begin(), self.values)
    }

    /// Publishes each batch when its last event is due, since none can be sent before its time, and
    /// never waits for anything else.
    fn publish_on_time<E>(self, producer: &mut impl Feed<E>, write: impl Fn(&mut E, u64)) {
        let first_value = self.values.start;
        let last_of_batch = self.batch as u64 - 1;
        for first in self.values.step_by(self.batch) {
            self.timetable.await_turn(first - first_value + last_of_batch, self.crowded);
            if self.batch == 1 {
                producer.one(first, &write);
            } else {
                producer.many(first, self.batch, &write);
            }
        }
    }
}

/// Runs all producers, each on a thread of its own, from a common start; gives the earliest of the
/// times that they give. Returns when all are done.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scenario, Wait};

    /// Fails when an event comes before its time.
    struct Punctual {
        timetable: Timetable,
        next: u64,
    }

    impl Feed<()> for Punctual {
        fn one(&mut self, value: u64, write: impl Fn(&mut (), u64)) {
            self.many(value, 1, write);
        }

        fn many(&mut self, first: u64, count: usize, _write: impl Fn(&mut (), u64)) {
            assert_eq!(first, self.next);
            self.next += count as u64;
            assert!(Instant::now() >= self.timetable.due(self.next - 1), "{first}..{}", self.next);
        }
    }

    #[test]
    fn no_event_is_sent_before_its_time() {
        for batch in [1, 10] {
            let cell = Cell::new(Scenario::Unicast, Wait::Yield, batch, 64, 8);
            let load = Load::paced(&cell, 50, 100_000);
            let board = Board::new(&cell, &load);
            let timetable = board.timetable();
            let punctual = Punctual { timetable: timetable.clone(), next: 0 };
            let lane = Lane::new(&cell, &load, &board, 0);
            let started = race(&load, vec![move || lane.publish(punctual, |(), _| ())]);
            assert_eq!(started, timetable.begin());
            assert!(started.elapsed() >= timetable.due(49) - started);
        }
    }
}
