//! The verdict on a run: [`Outcome`] when every consumer saw what it should, else a [`Fault`].

use std::{
    error::Error,
    fmt,
    sync::mpsc::{self, Receiver, Sender},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::{
    cell::Cell,
    load::{Load, Timetable},
    witness::{Order, Sight, Witness},
};

/// How long a consumer may take to stop after the producers did.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A run that was right.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Events published.
    pub events: u64,
    /// From just before the first publication until the last consumer saw the last event; to a
    /// timetable, from its beginning.
    pub elapsed: Duration,
    /// Events per run found, over all consumers.
    pub average_batch: f64,
    /// In ns, over all consumers at the end of the flow, if the run was paced.
    pub latency: Option<Histogram<u64>>,
}

impl Outcome {
    /// Events per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.events as f64 / self.elapsed.as_secs_f64()
    }
}

/// Why a run does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A consumer never stopped, or vanished.
    Missing,
    /// A consumer saw too few or too many events.
    Count {
        /// What it saw.
        seen: u64,
        /// What was published.
        published: u64,
    },
    /// Events came out of order or with fields that do not fit.
    Order {
        /// How many.
        broken: u64,
    },
    /// The sum of the values is wrong.
    Checksum,
    /// The last event was not flagged as the end of a run.
    Unflagged,
    /// The peer reported an error of its own.
    Peer(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(out, "a consumer did not report within {STOP_LIMIT:?}"),
            Self::Count { seen, published } => {
                write!(out, "a consumer saw {seen} of {published} events")
            }
            Self::Order { broken } => write!(out, "{broken} events were out of order or torn"),
            Self::Checksum => write!(out, "the sum of the values is wrong"),
            Self::Unflagged => write!(out, "the last event did not end a run"),
            Self::Peer(error) => write!(out, "the peer reported: {error}"),
        }
    }
}

impl Error for Fault {}

/// Hands out the witnesses of a run and gathers what they saw.
#[derive(Debug)]
pub struct Board {
    load: Load,
    producers: u64,
    timetable: Timetable,
    /// What the values that each witness sees must add up to.
    checksums: Vec<u64>,
    out: Sender<(usize, Sight)>,
    sights: Receiver<(usize, Sight)>,
}

impl Board {
    /// A board for a run of `load` through `cell`.
    #[must_use]
    pub fn new(cell: &Cell, load: &Load) -> Self {
        let (out, sights) = mpsc::channel();
        Self {
            load: load.clone(),
            producers: cell.scenario.producers(),
            timetable: Timetable::new(load),
            checksums: Vec::new(),
            out,
            sights,
        }
    }

    /// What producers go by.
    #[must_use]
    pub fn timetable(&self) -> Timetable {
        self.timetable.clone()
    }

    /// A witness for one consumer.
    pub fn witness<O: Order>(&mut self) -> Witness<O> {
        let number = self.checksums.len();
        self.checksums.push(O::checksum(&self.load, self.producers));
        let order = O::new(&self.timetable, &self.load);
        Witness::new(order, self.load.events, number, self.out.clone())
    }

    /// The verdict; `started` is what [`race`](crate::feed::race) gave. Call it when the producers
    /// are done: it waits until every witness was dropped.
    ///
    /// # Errors
    ///
    /// The first [`Fault`] found.
    ///
    /// # Panics
    ///
    /// Never: all histograms have the same bounds.
    pub fn settle(self, started: Instant) -> Result<Outcome, Fault> {
        let (mut seen, mut runs, mut finished) = (0, 0, started);
        let mut latency: Option<Histogram<u64>> = None;
        for _ in 0..self.checksums.len() {
            let (number, sight) =
                self.sights.recv_timeout(STOP_LIMIT).map_err(|_| Fault::Missing)?;
            finished = finished.max(self.judge(&sight, self.checksums[number])?);
            seen += sight.seen;
            runs += sight.runs;
            latency = match (latency, sight.latency) {
                (Some(mut all), Some(one)) => {
                    all.add(&one).expect("the same bounds");
                    Some(all)
                }
                (all, one) => all.or(one),
            };
        }
        Ok(Outcome {
            events: self.load.events,
            elapsed: finished - started,
            average_batch: seen as f64 / runs as f64,
            latency,
        })
    }

    /// When this consumer saw the last event.
    fn judge(&self, sight: &Sight, checksum: u64) -> Result<Instant, Fault> {
        sight.check(self.load.events, checksum)?;
        sight.finished.ok_or(Fault::Unflagged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scenario, Wait, witness::InOrder};

    fn verdict(total: u64, values: &[(u64, bool)]) -> Result<Outcome, Fault> {
        let cell = Cell::new(Scenario::Unicast, Wait::Yield, 1, 64, 8);
        let mut board = Board::new(&cell, &Load::full(&cell, total));
        let mut witness = board.witness::<InOrder>();
        for &(value, end) in values {
            witness.see(value, end);
        }
        drop(witness);
        board.settle(Instant::now())
    }

    #[test]
    fn a_right_run_has_its_average_batch() {
        let outcome = verdict(4, &[(0, false), (1, true), (2, false), (3, true)]);
        assert!((outcome.expect("all is right").average_batch - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn each_fault_has_its_name() {
        assert_eq!(verdict(2, &[(1, true), (0, true)]).unwrap_err(), Fault::Order { broken: 2 });
        let short = verdict(2, &[(0, true)]).unwrap_err();
        assert_eq!(short, Fault::Count { seen: 1, published: 2 });
        assert_eq!(verdict(1, &[(0, false)]).unwrap_err(), Fault::Unflagged);
    }
}
