//! What has happened between two looks at a ring.

use std::time::Duration;

use slipring::{BatchSizes, Figure, FigureKind, Snapshot, StationReport, StationSnapshot};

use crate::told;

/// What has happened between two looks at the same ring.
///
/// # Examples
/// ```
/// use slipring::{Builder, poller};
/// use slipring_insight::Change;
///
/// let (mut producer, mut dispatcher) = Builder::new(8, || 0_u64).then(poller("p")).start()?;
/// let mut poller = dispatcher.poller("p")?;
/// let before = dispatcher.snapshot();
/// producer.publish_batch(6, |_, _| ())?;
/// poller.poll(|_, _| ())?; // A quarter of the ring at a time.
/// poller.poll(|_, _| ())?;
/// let change = Change::between(&before, &dispatcher.snapshot());
/// assert_eq!((change.published, change.stations[0].handled), (6, 4));
/// assert_eq!(change.stations[0].average_batch(), 2.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// The time between the two looks.
    pub time: Duration,
    /// Events published.
    pub published: u64,
    /// How often a producer had to wait for room.
    pub stalls: u64,
    /// For how long, all producers together.
    pub stall_time: Duration,
    /// One for each station of the later look, in its order.
    pub stations: Vec<StationChange>,
}

/// What has happened at one station.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StationChange {
    /// The station.
    pub name: String,
    /// Events handled.
    pub handled: u64,
    /// Events skipped by policy.
    pub skipped: u64,
    /// Calls of its handler, if its owner [notes](slipring::Poller::note_calls) them; else one for each event that was
    /// handled, and each failure.
    pub calls: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls made again.
    pub retried: u64,
    /// Batches, by their size.
    pub batch_sizes: BatchSizes,
    /// How often it waited for events.
    pub waits: u64,
    /// How often it fell asleep.
    pub sleeps: u64,
    /// The share of the time in which it did not wait, from 0 to 1: of a poller, also while nobody
    /// polled. `None` if no time has passed.
    pub busy: Option<f64>,
    /// By how much each of the counts has grown that its owner tells.
    pub told: Vec<Figure>,
}

impl Change {
    /// What has happened from one look to the next. A station that was not there at the first look
    /// counts from its beginning.
    #[allow(clippy::cast_precision_loss)] // A figure for people.
    pub fn between(earlier: &Snapshot, later: &Snapshot) -> Self {
        let time = later.at.saturating_sub(earlier.at);
        let (before, after) = (&earlier.producers, &later.producers);
        let station = |station: &StationSnapshot| {
            let before = earlier.station(&station.account.name).filter(|before| {
                // Not somebody else of the same name.
                before.account.first == station.account.first && before.position <= station.position
            });
            StationChange::of(before, station, time)
        };
        Self {
            time,
            published: later.published.saturating_sub(earlier.published),
            stalls: after.stalls.saturating_sub(before.stalls),
            stall_time: after.stall_time.saturating_sub(before.stall_time),
            stations: later.stations.iter().map(station).collect(),
        }
    }

    /// Events published in a second.
    pub fn publish_rate(&self) -> f64 {
        rate(self.published, self.time)
    }

    /// Events handled in a second by the station at this place.
    pub fn handle_rate(&self, station: usize) -> f64 {
        self.stations.get(station).map_or(0.0, |station| rate(station.handled, self.time))
    }
}

#[allow(clippy::cast_precision_loss)] // A figure for people.
fn rate(events: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { events as f64 / time.as_secs_f64() }
}

/// By how much a count has grown that a station tells.
fn grown(before: Option<&StationSnapshot>, now: &Figure) -> Option<Figure> {
    if now.kind != FigureKind::Count {
        return None;
    }
    let before = before.and_then(|before| told::find(&before.told, &now.name));
    let before = before.map_or(0, |before| before.value);
    Some(Figure::count(now.name.clone(), now.value.saturating_sub(before)))
}

impl StationChange {
    #[allow(clippy::cast_precision_loss)] // A figure for people.
    fn of(before: Option<&StationSnapshot>, after: &StationSnapshot, time: Duration) -> Self {
        let since = |figure: fn(&StationSnapshot) -> u64| {
            figure(after).saturating_sub(before.map_or(0, figure))
        };
        let waited = after.wait_time.saturating_sub(before.map_or(Duration::ZERO, |b| b.wait_time));
        let in_all = time.as_secs_f64() * after.workers as f64;
        Self {
            name: after.account.name.clone(),
            handled: since(|station| station.account.handled),
            skipped: since(|station| station.account.skipped),
            calls: since(|station| match &station.account {
                StationReport { calls: 0, handled, failed, .. } => handled.saturating_add(*failed),
                StationReport { calls, .. } => *calls,
            }),
            failed: since(|station| station.account.failed),
            retried: since(|station| station.account.retried),
            batch_sizes: before.map_or(after.account.batch_sizes, |before| {
                after.account.batch_sizes.since(&before.account.batch_sizes)
            }),
            waits: since(|station| station.waits),
            sleeps: since(|station| station.sleeps),
            busy: (in_all > 0.0).then(|| (1.0 - waited.as_secs_f64() / in_all).clamp(0.0, 1.0)),
            told: after.told.iter().filter_map(|count| grown(before, count)).collect(),
        }
    }

    /// Events a batch, on average; 0 if there was none.
    #[allow(clippy::cast_precision_loss)] // A figure for people.
    pub fn average_batch(&self) -> f64 {
        match self.batch_sizes.batches() {
            0 => 0.0,
            batches => self.handled.saturating_add(self.skipped) as f64 / batches as f64,
        }
    }
}
