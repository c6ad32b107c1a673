//! One look at a running ring: where everybody is, what they have done, and what they wait for.

use std::{fmt, time::Duration};

use crate::{
    circuit::Circuit,
    reading::{Reach, Reading, Readings},
    report::StationReport,
    ring::Ring,
    seen::Seen,
    sync::Arc,
    told::{Figure, Teller},
};

/// Looks at a running ring, from any thread, for as long as one likes. It can be cloned.
///
/// A look costs the ring the cache lines that it reads, and for a moment a lock that only those take who
/// come or leave, and once an event was abandoned another one, which who abandons events takes too: stations and producers are not stopped, and write for it what they write anyway. A monitor keeps the ring's memory alive.
///
/// # Examples
/// ```
/// use slipring::{Builder, Phase, read};
///
/// let (mut producer, dispatcher) =
///     Builder::new(8, || 0_u64).then(read("count", |_: &u64, _| ())).start()?;
/// let monitor = dispatcher.monitor();
/// producer.publish_batch(5, |_, _| ())?;
/// let snapshot = monitor.snapshot();
/// assert_eq!((snapshot.published, snapshot.phase), (5, Phase::Open));
/// assert!(snapshot.adds_up());
///
/// drop(producer);
/// dispatcher.join()?;
/// let snapshot = monitor.snapshot();
/// assert_eq!(snapshot.station("count").map(|count| count.account.handled), Some(5));
/// assert_eq!(snapshot.phase, Phase::Closed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Monitor {
    ring: Arc<dyn Watched + Send + Sync>,
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}

/// A ring, whatever its events are.
trait Watched {
    fn circuit(&self) -> &Circuit;
}

impl<E> Watched for Ring<E> {
    fn circuit(&self) -> &Circuit {
        &self.circuit
    }
}

impl Monitor {
    pub(crate) fn new<E: Send + 'static>(ring: Arc<Ring<E>>) -> Self {
        Self { ring }
    }

    #[cfg(all(test, feature = "tracing"))]
    pub(crate) fn circuit(&self) -> &Circuit {
        self.ring.circuit()
    }

    /// What can be seen now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(self.ring.circuit())
    }
}

/// Whether a ring takes events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Phase {
    /// It does.
    Open,
    /// It does not any more; stations handle what was published.
    Closed,
    /// It was stopped, by its owner or by a fault.
    Halted,
}

/// What a station is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Doing {
    /// There is something for it to handle.
    Working,
    /// It has handled everything that those have passed whom it follows.
    Waiting,
    /// It has handled everything that there will ever be.
    Finished,
    /// It has left the ring, or the ring was halted.
    Stopped,
}

/// One look at a ring.
///
/// Stations are read before those that they follow, and the producers last: no station is ever ahead of one that it
/// follows (unless that one has left; and a guest that began at "now" may be ahead of what is still being written), no event counts as handled that was not, and every account
/// [adds up](Self::adds_up), whatever moves meanwhile. Two looks can be compared: no count ever goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// The time since the ring was built.
    pub at: Duration,
    /// Slots.
    pub capacity: u64,
    /// Whether it takes events.
    pub phase: Phase,
    /// Events published.
    pub published: u64,
    /// Sequences claimed by one of many producers and abandoned by a panic; not counted above.
    pub abandoned: u64,
    /// Slots in use: published, and not passed by all stations. As the producers are read last, one
    /// that is a lap further by then is counted as having filled the ring, and no more than that.
    pub fill: u64,
    /// The producers.
    pub producers: ProducersSnapshot,
    /// The stations that the ring was built with in the order of declaration, and those that were
    /// attached since.
    pub stations: Vec<StationSnapshot>,
}

/// The producers of a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ProducersSnapshot {
    /// Handles that exist.
    pub handles: usize,
    /// Those that wait for room now.
    pub stalled: u64,
    /// How often one had to wait for room: back-pressure. Tasks that await it are not counted.
    pub stalls: u64,
    /// For how long, all of them together; too little by some microseconds each.
    pub stall_time: Duration,
}

/// One station.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct StationSnapshot {
    /// What it has done. What is `left` is still to do.
    pub account: StationReport,
    /// The stations that it follows, as places in [`Snapshot::stations`]; none: the producers.
    pub follows: Vec<usize>,
    /// How many workers share it; 1 if it is not shared.
    pub workers: usize,
    /// Whether it may change events.
    pub mutates: bool,
    /// Whether it was attached to the running ring.
    pub is_guest: bool,
    /// What it is doing.
    pub doing: Doing,
    /// The sequence of its next event.
    pub position: u64,
    /// How many sequences it could have handled and has not, because all whom it follows have
    /// passed them.
    pub lag: u64,
    /// How often it was found to lag by more than its [limit](crate::Station::lag_limit).
    pub late: u64,
    /// How often it had to wait for events; the workers' waits are added up.
    pub waits: u64,
    /// For how long, all workers together: too little by some microseconds each time. Of a station that
    /// wakes up just then, a look may tell a little more than the next one.
    pub wait_time: Duration,
    /// How often it fell asleep, and had to be woken or took a nap.
    pub sleeps: u64,
    /// What its owner [tells](crate::Station::tell) of it besides.
    #[cfg_attr(feature = "serde", serde(default))]
    pub told: Vec<Figure>,
}

impl Snapshot {
    /// The station of this name.
    pub fn station(&self, name: &str) -> Option<&StationSnapshot> {
        self.stations.iter().find(|station| station.account.name == name)
    }

    /// Whether no event is unaccounted for: `published = handled + skipped + conflated + left` for every
    /// station that was there from the beginning, and the same from its first event on for the others.
    pub fn adds_up(&self) -> bool {
        let is_fine = |station: &StationSnapshot| {
            let due = station.account.due;
            let knows_all = station.is_guest || due == self.published;
            station.account.adds_up() && due <= self.published && knows_all
        };
        self.stations.iter().all(is_fine)
    }

    /// How full the ring is, from 0 to 1.
    #[allow(clippy::cast_precision_loss)] // A figure for people.
    pub fn fullness(&self) -> f64 {
        // One that was sent from elsewhere may say that there are no slots.
        if self.capacity == 0 { 0.0 } else { (self.fill as f64 / self.capacity as f64).min(1.0) }
    }

    pub(crate) fn of(circuit: &Circuit) -> Self {
        let readings = Readings::of(circuit, Reach::now);
        let reach = readings.reach;
        let phase = if circuit.lifecycle.is_halted() {
            Phase::Halted
        } else if circuit.lifecycle.is_refusing() {
            Phase::Closed
        } else {
            Phase::Open
        };
        let end = circuit.end();
        let station = |reading: &Reading| {
            let lag = if reading.has_left {
                0
            } else {
                let follows = &circuit.post(reading.index).follows;
                let ahead = ahead(&readings, reach, follows, circuit, &mut Seen::default());
                ahead.saturating_sub(reading.position)
            };
            let doing = if reading.has_left {
                Doing::Stopped
            } else if end == Some(reading.position) {
                Doing::Finished
            } else if phase == Phase::Halted {
                Doing::Stopped
            } else if lag > 0 {
                Doing::Working
            } else {
                Doing::Waiting
            };
            let post = circuit.post(reading.index);
            StationSnapshot {
                account: reading.account(reach),
                follows: post.follows.to_vec(),
                workers: post.team.as_ref().map_or(1, |team| team.hands.len()),
                mutates: post.mutates,
                is_guest: reading.is_guest,
                doing,
                position: reading.position,
                lag,
                late: reading.late,
                waits: reading.waits,
                wait_time: reading.wait_time,
                sleeps: reading.sleeps,
                told: Vec::new(),
            }
        };
        let gate = readings.cleared.unwrap_or_else(|| {
            let present = readings.stations.iter().filter(|reading| !reading.has_left);
            present.map(|reading| reading.position).min().unwrap_or(reach.end)
        });
        let (stalls, stall_time, stalled) = circuit.stalls.get();
        let mut snapshot = Self {
            at: circuit.age(),
            capacity: circuit.capacity.lap_len(),
            phase,
            published: reach.events(),
            abandoned: reach.abandoned,
            fill: reach.end.saturating_sub(gate).min(circuit.capacity.lap_len()),
            producers: ProducersSnapshot {
                handles: circuit.producers(),
                stalled,
                stalls,
                stall_time,
            },
            stations: readings.stations.iter().map(station).collect(),
        };
        // At last: they may take their time, and the rest belongs together.
        for (station, reading) in snapshot.stations.iter_mut().zip(&readings.stations) {
            station.told = reading.teller.as_ref().map(Teller::ask).unwrap_or_default();
        }
        snapshot
    }
}

/// How far those have come that are followed, or whom they followed if they have left.
fn ahead(
    readings: &Readings,
    reach: Reach,
    follows: &[usize],
    circuit: &Circuit,
    seen: &mut Seen,
) -> u64 {
    if follows.is_empty() {
        return reach.end;
    }
    let passed = |index: &usize| {
        let reading = &readings.stations[*index];
        if !reading.has_left {
            reading.position
        } else if seen.is_first_time(*index) {
            ahead(readings, reach, &circuit.posts[*index].follows, circuit, seen)
        } else {
            // Its share is in the result already.
            u64::MAX
        }
    };
    follows.iter().map(passed).min().unwrap_or(reach.end)
}
