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
    keys::Keys,
    load::{Load, Timetable},
    witness::{Ascending, ByKey, Order, Sight, Witness},
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
    /// Several workers had events of the same key.
    Split {
        /// How many keys that happened to.
        keys: u32,
    },
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
            Self::Split { keys } => write!(out, "{keys} keys went to several workers"),
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
    /// What the values that each witness sees must add up to; nothing for a worker, which sees a part.
    checksums: Vec<Option<u64>>,
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
        let order = O::new(&self.timetable, &self.load);
        self.number(order, Some(O::checksum(&self.load, self.producers)))
    }

    /// Witnesses for workers that share the events: what they saw is judged together.
    pub fn workers(&mut self, count: usize) -> Vec<Witness<Ascending>> {
        Ascending::team(count, &self.load).map(|order| self.number(order, None)).collect()
    }

    /// The same for workers that share them by key.
    pub fn workers_by_key(&mut self, count: usize, keys: Keys) -> Vec<Witness<ByKey>> {
        ByKey::team(count, &self.load, keys).map(|order| self.number(order, None)).collect()
    }

    fn number<O: Order>(&mut self, order: O, checksum: Option<u64>) -> Witness<O> {
        let number = self.checksums.len();
        self.checksums.push(checksum);
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
        let mut team: Option<Sight> = None;
        for _ in 0..self.checksums.len() {
            let (number, sight) =
                self.sights.recv_timeout(STOP_LIMIT).map_err(|_| Fault::Missing)?;
            seen += sight.seen;
            runs += sight.runs;
            let Some(checksum) = self.checksums[number] else {
                team = Some(match team {
                    Some(others) => others.and(&sight),
                    None => sight,
                });
                continue;
            };
            finished = finished.max(self.judge(&sight, checksum)?);
            latency = match (latency, sight.latency) {
                (Some(mut all), Some(one)) => {
                    all.add(&one).expect("the same bounds");
                    Some(all)
                }
                (all, one) => all.or(one),
            };
        }
        if let Some(team) = team {
            let checksum = Ascending::checksum(&self.load, self.producers);
            finished = finished.max(self.judge(&team, checksum)?);
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

    /// What comes of it when each worker sees these values, each value the end of a run.
    fn shared(total: u64, values: [&[u64]; 2]) -> Result<Outcome, Fault> {
        let (board, started) = (board(Scenario::Share(2), total), Instant::now());
        settled(board, started, |board| board.workers(2), values)
    }

    /// The same for workers that share them by key.
    fn keyed(total: u64, values: [&[u64]; 2]) -> Result<Outcome, Fault> {
        let (board, started) = (board(Scenario::Keyed(2), total), Instant::now());
        settled(board, started, |board| board.workers_by_key(2, Keys::EVEN), values)
    }

    fn board(scenario: Scenario, total: u64) -> Board {
        let cell = Cell::new(scenario, Wait::Yield, 1, 64, 8);
        Board::new(&cell, &Load::full(&cell, total))
    }

    fn settled<O: Order>(
        mut board: Board,
        started: Instant,
        workers: impl FnOnce(&mut Board) -> Vec<Witness<O>>,
        values: [&[u64]; 2],
    ) -> Result<Outcome, Fault> {
        for (mut witness, values) in workers(&mut board).into_iter().zip(values) {
            for &value in values {
                witness.see(value, true);
            }
        }
        board.settle(started)
    }

    #[test]
    fn workers_are_judged_together() {
        let outcome = shared(5, [&[0, 3, 4], &[1, 2]]).expect("each has gone to one");
        assert_eq!(outcome.events, 5);
        assert!((outcome.average_batch - 1.0).abs() < f64::EPSILON);
        assert!(shared(2, [&[], &[0, 1]]).is_ok(), "one may be late for everything");
        let count = |seen, published| Fault::Count { seen, published };
        assert_eq!(shared(3, [&[0], &[2]]).unwrap_err(), count(2, 3));
        assert_eq!(shared(3, [&[0, 1, 2], &[1]]).unwrap_err(), count(4, 3));
        assert_eq!(shared(3, [&[0, 2], &[0]]).unwrap_err(), Fault::Checksum);
        assert_eq!(shared(3, [&[1, 0], &[2]]).unwrap_err(), Fault::Order { broken: 1 });
        assert_eq!(shared(2, [&[0, 0], &[1]]).unwrap_err(), Fault::Order { broken: 1 });
    }

    #[test]
    fn a_key_has_one_worker() {
        let of = |worker| -> Vec<u64> {
            (0..100).filter(|&value| Keys::EVEN.worker(value, 2) == worker).collect()
        };
        let (mut left, mut right) = (of(0), of(1));
        assert_eq!(keyed(100, [&left, &right]).expect("all is right").events, 100);
        assert_eq!(keyed(100, [&right, &left]).expect("whichever it is").events, 100);
        let all: Vec<_> = (0..100).collect();
        assert!(keyed(100, [&[], &all]).is_ok(), "one may have all keys");
        let strayed = left.pop().expect("it has some");
        right.push(strayed);
        right.sort_unstable();
        let split = shared(100, [&left, &right]).and(keyed(100, [&left, &right]));
        assert_eq!(split.unwrap_err(), Fault::Split { keys: 1 });
        right.swap(0, 1);
        assert_eq!(keyed(100, [&left, &right]).unwrap_err(), Fault::Order { broken: 1 });
    }

    #[test]
    fn the_slowest_worker_is_the_end() {
        let cell = Cell::new(Scenario::Share(2), Wait::Yield, 1, 64, 8);
        let mut board = Board::new(&cell, &Load::full(&cell, 2));
        let [mut slow, mut quick] = <[_; 2]>::try_from(board.workers(2)).expect("two");
        let started = Instant::now();
        quick.see(1, true);
        let pause = Duration::from_millis(5);
        std::thread::sleep(pause);
        slow.see(0, true);
        drop((quick, slow));
        assert!(board.settle(started).expect("each has gone to one").elapsed >= pause);
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
        let cell = Cell::new(Scenario::Share(1), Wait::Yield, 1, 64, 8);
        let mut board = Board::new(&cell, &Load::full(&cell, 2));
        let mut witnesses = board.workers(1);
        witnesses[0].see(0, true);
        witnesses[0].see(1, false);
        drop(witnesses);
        assert_eq!(board.settle(Instant::now()).unwrap_err(), Fault::Unflagged);
    }
}
