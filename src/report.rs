//! What a ring has done, told when it ends.

use std::{fmt, ops::RangeInclusive};

use crate::{
    circuit::Circuit,
    error::Fault,
    figures::Sizes,
    reading::{Reach, Reading, Readings},
    sync::Arc,
};

/// The account of a ring's life.
///
/// For every station that was there from the beginning
/// `published = handled + skipped + conflated + left`: no event is unaccounted for. Made when
/// the threads have ended; what did not end (a poller, a handler that does not return, a handler's
/// own thread) is accounted for as it stands, and a producer that is still writing when the ring is
/// halted counts as one that has published.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Report {
    /// Events published.
    pub published: u64,
    /// Sequences claimed by one of many producers and abandoned by a panic; not counted above.
    pub abandoned: u64,
    /// One account for each station, in the order of declaration.
    pub stations: Vec<StationReport>,
}

/// The account of one station.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct StationReport {
    /// The station's name.
    pub name: String,
    /// The sequence of the first event that was its own: that of the ring, or from where it was attached.
    pub first: u64,
    /// Events published from that one on.
    pub due: u64,
    /// Events that the handler finished.
    pub handled: u64,
    /// Events that the handler failed on and the policy skipped.
    pub skipped: u64,
    /// Calls that were made by a policy of the owner's, as far as it has
    /// [noted](crate::Poller::note_calls) them; 0 of a station whose calls nobody notes.
    #[cfg_attr(feature = "serde", serde(default))]
    pub calls: u64,
    /// Calls that failed: those that were made again, those that were skipped, and the one that halted the
    /// ring.
    pub failed: u64,
    /// Further calls that the policy made after failures.
    pub retried: u64,
    /// Events that it passed unhandled to keep up, see
    /// [`LagPolicy::SkipAhead`](crate::LagPolicy::SkipAhead) and
    /// [`Poller::skip_ahead`](crate::Poller::skip_ahead).
    pub conflated: u64,
    /// Events published and not reached: because of a halt, a deadline, a poller that left, or a
    /// station that left by its lag limit.
    pub left: u64,
    /// Batches handled to their end; early releases are not counted, nor is a batch that a fault broke
    /// off.
    pub batches: u64,
    /// How large they were.
    pub batch_sizes: BatchSizes,
}

impl Report {
    /// The account of the station of this name.
    pub fn station(&self, name: &str) -> Option<&StationReport> {
        self.stations.iter().find(|station| station.name == name)
    }

    /// Whether every station has seen every event.
    pub fn is_complete(&self) -> bool {
        self.stations.iter().all(|station| station.left == 0)
    }

    /// Whether the account of every station [adds up](StationReport::adds_up).
    pub fn adds_up(&self) -> bool {
        self.stations.iter().all(StationReport::adds_up)
    }

    pub(crate) fn of(circuit: &Circuit) -> Self {
        let readings = Readings::of(circuit, Reach::in_the_end);
        let reach = readings.reach;
        let account = |reading: &Reading| reading.account(reach);
        Self {
            published: reach.events(),
            abandoned: reach.abandoned,
            stations: readings.stations.iter().map(account).collect(),
        }
    }
}

/// The account of a guest that has left, on a ring that may go on.
pub(crate) fn guest_report(circuit: &Circuit, index: usize, name: &Arc<str>) -> StationReport {
    let mut reading = Reading::of(circuit, index, Arc::clone(name));
    // What is claimed may never be published.
    let reach = Reach::now(circuit);
    reading.find_abandoned_before(circuit);
    reading.account_at_least(reach)
}

/// How many batches of each size a station has handled.
///
/// A size is a range: 1, 2 and 3, 4 to 7, and so on, by powers of two; the last one has no end.
///
/// # Examples
/// ```
/// use slipring::{Builder, poller};
///
/// let (mut producer, mut dispatcher) = Builder::new(8, || 0_u64).then(poller("p")).start()?;
/// let mut poller = dispatcher.poller("p")?;
/// for size in [1, 3, 2] {
///     producer.publish_batch(size, |_, _| ())?;
///     poller.poll(|_, _| ())?;
/// }
/// let sizes = dispatcher.snapshot().stations[0].account.batch_sizes;
/// assert_eq!(sizes.iter().collect::<Vec<_>>(), [(1..=1, 1), (2..=3, 2)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BatchSizes([u64; SIZES]);

/// The last size has no end.
const SIZES: usize = 17;

impl BatchSizes {
    pub(crate) fn sum<'a>(all: impl Iterator<Item = &'a Sizes>) -> Self {
        let mut sum = Self::default();
        for sizes in all {
            for (power, batches) in sizes.get().enumerate() {
                sum.0[power.min(SIZES - 1)] += batches;
            }
        }
        sum
    }

    /// Batches of every size.
    pub fn batches(&self) -> u64 {
        self.0.iter().fold(0, |sum, batches| sum.saturating_add(*batches))
    }

    /// The sizes that occurred, ascending, and how many batches of each there were.
    pub fn iter(&self) -> impl Iterator<Item = (RangeInclusive<u64>, u64)> {
        self.0.into_iter().enumerate().filter(|(_, batches)| *batches > 0).map(
            |(power, batches)| {
                let end = if power == SIZES - 1 { u64::MAX } else { (2 << power) - 1 };
                (1 << power..=end, batches)
            },
        )
    }

    /// What has come since an `earlier` look at the same station.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = *self;
        for (now, before) in since.0.iter_mut().zip(earlier.0) {
            *now = now.saturating_sub(before);
        }
        since
    }
}

impl StationReport {
    /// Whether no event is unaccounted for: `due = handled + skipped + conflated + left`.
    pub fn adds_up(&self) -> bool {
        // One that was sent from elsewhere may hold any numbers.
        let parts = [self.handled, self.skipped, self.conflated, self.left];
        u128::from(self.due) == parts.into_iter().map(u128::from).sum::<u128>()
    }

    /// Events a batch, on average; 0 if there was none.
    #[allow(clippy::cast_precision_loss)] // A figure for people.
    pub fn average_batch(&self) -> f64 {
        if self.batches == 0 {
            0.0
        } else {
            self.handled.saturating_add(self.skipped) as f64 / self.batches as f64
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "published {}, abandoned {}", self.published, self.abandoned)?;
        for station in &self.stations {
            let StationReport { name, handled, skipped, conflated, retried, left, .. } = station;
            write!(
                f,
                "; {name}: handled {handled}, skipped {skipped}, retried {retried}, left {left}"
            )?;
            if *conflated > 0 {
                write!(f, ", conflated {conflated}")?;
            }
        }
        Ok(())
    }
}

/// Why a shutdown did not end with everything handled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShutdownCause {
    /// A station failed and halted the ring.
    Fault(Fault),
    /// The time was up before everything was handled; the ring was halted.
    TimedOut {
        /// Stations whose thread is still in its handler; they end when it returns.
        running: Vec<String>,
    },
    /// The call was made by a handler of the same ring, which would have waited for itself. The
    /// ring is closed, and its threads end when they have drained it.
    OwnThread,
}

/// A shutdown that left something undone, and the account of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownError {
    /// What went wrong.
    pub cause: ShutdownCause,
    /// What was done and what was left.
    pub report: Report,
}

impl ShutdownError {
    /// The fault that halted the ring, if that is the cause.
    pub fn fault(&self) -> Option<&Fault> {
        match &self.cause {
            ShutdownCause::Fault(fault) => Some(fault),
            ShutdownCause::TimedOut { .. } | ShutdownCause::OwnThread => None,
        }
    }
}

impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            ShutdownCause::Fault(fault) => write!(f, "the ring was halted: {fault}"),
            ShutdownCause::TimedOut { running } if running.is_empty() => {
                f.write_str("the time was up before every event was handled")
            }
            ShutdownCause::OwnThread => {
                f.write_str("a handler cannot wait for its own ring: it is closed, not waited for")
            }
            ShutdownCause::TimedOut { running } => {
                write!(f, "the time was up; still in their handlers: {}", running.join(", "))
            }
        }
    }
}

impl std::error::Error for ShutdownError {}
