//! Snapshots for whatever collects by the `metrics` facade.
//!
//! Nothing is measured for it: what the ring counts anyway is handed on, each time that [`export`] is called.
//!
//! | name | kind | unit | labels | what |
//! |---|---|---|---|---|
//! | `slipring_published_total` | counter | count | ring | Events published. |
//! | `slipring_abandoned_total` | counter | count | ring | Sequences that a panicking producer abandoned. |
//! | `slipring_stalls_total` | counter | count | ring | Waits of producers for room. |
//! | `slipring_stall_nanoseconds_total` | counter | nanoseconds | ring | Time that producers waited for room, all of them together. |
//! | `slipring_open` | gauge | count | ring | 1 while the ring takes events, then 0. |
//! | `slipring_capacity` | gauge | count | ring | Slots. |
//! | `slipring_fill` | gauge | count | ring | Slots in use. |
//! | `slipring_producers` | gauge | count | ring | Handles of producers. |
//! | `slipring_stalled_producers` | gauge | count | ring | Producers that wait for room now. |
//! | `slipring_handled_total` | counter | count | ring, station | Events handled. |
//! | `slipring_skipped_total` | counter | count | ring, station | Events that the policy skipped after a failure. |
//! | `slipring_conflated_total` | counter | count | ring, station | Events passed unhandled to keep up. |
//! | `slipring_failed_total` | counter | count | ring, station | Calls that failed. |
//! | `slipring_retried_total` | counter | count | ring, station | Calls made again after a failure. |
//! | `slipring_late_total` | counter | count | ring, station | How often it was found beyond its lag limit. |
//! | `slipring_batches_total` | counter | count | ring, station | Batches. |
//! | `slipring_batch_size_bucket` | counter | count | ring, station, le | Batches of at most so many events. |
//! | `slipring_waits_total` | counter | count | ring, station | Waits for events. |
//! | `slipring_wait_nanoseconds_total` | counter | nanoseconds | ring, station | Time waited for events, all workers together. |
//! | `slipring_sleeps_total` | counter | count | ring, station | How often it fell asleep while it waited. |
//! | `slipring_lag` | gauge | count | ring, station | Sequences that it could have handled and has not. |
//! | `slipring_left` | gauge | count | ring, station | Events published and not yet reached. |
//! | `slipring_calls_total` | counter | count | ring, station | Calls, if the station's owner notes them. |
//! | `slipring_told_total` | counter | count | ring, station, figure | Counts that the station's owner tells. |
//! | `slipring_told` | gauge | count | ring, station, figure | Levels that the station's owner tells. |
//! | `slipring_told_nanoseconds` | gauge | nanoseconds | ring, station, figure | Times that the station's owner tells. |
//! | `slipring_workers` | gauge | count | ring, station | Threads that share it. |
//!
//! `le` is a number of events, or `+Inf`: with the sizes below it, each bucket counts those of the smaller
//! ones, as in a histogram of Prometheus, whose `histogram_quantile` understands them.
//!
//! `figure` is the name that the station's owner has given it.
//!
//! Counters are absolute, and collectors take a smaller value for an old one: a ring that takes another one's
//! place needs another name, or its counts are not seen before they exceed what was there. The gauges of a
//! station that has left stay at their last value, until the collector forgets them.

use std::time::Duration;

use ::metrics::{
    Label, Unit,
    Unit::{Count, Nanoseconds},
    counter, describe_counter, describe_gauge, gauge,
};
use slipring::{BatchSizes, FigureKind, Phase, Snapshot, StationSnapshot};

use Source::{BatchSizeBucket, RingCounter, RingGauge, StationCounter, StationGauge, Told};

/// A name, and where its value comes from.
struct Metric {
    name: &'static str,
    unit: Unit,
    about: &'static str,
    source: Source,
}

enum Source {
    RingCounter(fn(&Snapshot) -> u64),
    RingGauge(fn(&Snapshot) -> u64),
    StationCounter(fn(&StationSnapshot) -> u64),
    StationGauge(fn(&StationSnapshot) -> u64),
    /// One value for each size.
    BatchSizeBucket,
    /// One value for each figure of the kind.
    Told(FigureKind),
}

const fn metric(name: &'static str, unit: Unit, about: &'static str, source: Source) -> Metric {
    Metric { name, unit, about, source }
}

/// Everything that is exported, as in the table above.
#[rustfmt::skip] // A row each.
const METRICS: [Metric; 27] = [
    metric("slipring_published_total", Count, "Events published.", RingCounter(|it| it.published)),
    metric("slipring_abandoned_total", Count, "Sequences that a panicking producer abandoned.", RingCounter(|it| it.abandoned)),
    metric("slipring_stalls_total", Count, "Waits of producers for room.", RingCounter(|it| it.producers.stalls)),
    metric("slipring_stall_nanoseconds_total", Nanoseconds, "Time that producers waited for room, all of them together.", RingCounter(|it| nanos(it.producers.stall_time))),
    metric("slipring_open", Count, "1 while the ring takes events, then 0.", RingGauge(|it| u64::from(it.phase == Phase::Open))),
    metric("slipring_capacity", Count, "Slots.", RingGauge(|it| it.capacity)),
    metric("slipring_fill", Count, "Slots in use.", RingGauge(|it| it.fill)),
    metric("slipring_producers", Count, "Handles of producers.", RingGauge(|it| it.producers.handles as u64)),
    metric("slipring_stalled_producers", Count, "Producers that wait for room now.", RingGauge(|it| it.producers.stalled)),
    metric("slipring_handled_total", Count, "Events handled.", StationCounter(|it| it.account.handled)),
    metric("slipring_skipped_total", Count, "Events that the policy skipped after a failure.", StationCounter(|it| it.account.skipped)),
    metric("slipring_conflated_total", Count, "Events passed unhandled to keep up.", StationCounter(|it| it.account.conflated)),
    metric("slipring_failed_total", Count, "Calls that failed.", StationCounter(|it| it.account.failed)),
    metric("slipring_retried_total", Count, "Calls made again after a failure.", StationCounter(|it| it.account.retried)),
    metric("slipring_late_total", Count, "How often it was found beyond its lag limit.", StationCounter(|it| it.late)),
    metric("slipring_batches_total", Count, "Batches.", StationCounter(|it| it.account.batches)),
    metric("slipring_batch_size_bucket", Count, "Batches of at most so many events.", BatchSizeBucket),
    metric("slipring_waits_total", Count, "Waits for events.", StationCounter(|it| it.waits)),
    metric("slipring_wait_nanoseconds_total", Nanoseconds, "Time waited for events, all workers together.", StationCounter(|it| nanos(it.wait_time))),
    metric("slipring_sleeps_total", Count, "How often it fell asleep while it waited.", StationCounter(|it| it.sleeps)),
    metric("slipring_lag", Count, "Sequences that it could have handled and has not.", StationGauge(|it| it.lag)),
    metric("slipring_left", Count, "Events published and not yet reached.", StationGauge(|it| it.account.left)),
    metric("slipring_calls_total", Count, "Calls, if the station's owner notes them.", StationCounter(|it| it.account.calls)),
    metric("slipring_told_total", Count, "Counts that the station's owner tells.", Told(FigureKind::Count)),
    metric("slipring_told", Count, "Levels that the station's owner tells.", Told(FigureKind::Level)),
    metric("slipring_told_nanoseconds", Nanoseconds, "Times that the station's owner tells.", Told(FigureKind::Time)),
    metric("slipring_workers", Count, "Threads that share it.", StationGauge(|it| it.workers as u64)),
];

/// Tells the collector the unit and the meaning of every name. Once is enough.
pub fn describe() {
    for Metric { name, unit, about, source } in METRICS {
        match source {
            RingCounter(_) | StationCounter(_) | BatchSizeBucket | Told(FigureKind::Count) => {
                describe_counter!(name, unit, about);
            }
            RingGauge(_) | StationGauge(_) | Told(_) => describe_gauge!(name, unit, about),
        }
    }
}

/// Hands a snapshot to the collector, as that of the ring of this name.
///
/// # Examples
/// As often as a [`Watch`](crate::Watch) looks:
/// ```
/// use slipring::{Builder, read};
/// use slipring_insight::{Rounds, Rules, metrics};
///
/// let (producer, dispatcher) =
///     Builder::new(8, || 0_u64).then(read("risk", |_: &u64, _| ())).start()?;
/// metrics::describe();
/// let mut rounds =
///     Rounds::new().ring(dispatcher.monitor(), Rules::new("orders")).on_look(metrics::export);
/// rounds.look();
/// # drop(producer);
/// # Ok::<(), slipring::BuildError>(())
/// ```
pub fn export(ring: &str, snapshot: &Snapshot) {
    let of_ring = vec![Label::new("ring", ring.to_owned())];
    for Metric { name, source, .. } in METRICS {
        match source {
            RingCounter(read) => counter!(name, of_ring.clone()).absolute(read(snapshot)),
            RingGauge(read) => gauge!(name, of_ring.clone()).set(level(read(snapshot))),
            StationCounter(_) | StationGauge(_) | BatchSizeBucket | Told(_) => {}
        }
    }
    for station in &snapshot.stations {
        let mut labels = of_ring.clone();
        labels.push(Label::new("station", station.account.name.clone()));
        export_station(&labels, station);
    }
}

fn export_station(of_station: &[Label], station: &StationSnapshot) {
    for Metric { name, source, .. } in METRICS {
        let labels = of_station.to_vec();
        match source {
            StationCounter(read) => counter!(name, labels).absolute(read(station)),
            StationGauge(read) => gauge!(name, labels).set(level(read(station))),
            BatchSizeBucket => {
                for (le, batches) in buckets(&station.account.batch_sizes) {
                    let mut labels = labels.clone();
                    labels.push(Label::new("le", le));
                    counter!(name, labels).absolute(batches);
                }
            }
            Told(kind) => export_told(name, &labels, kind, station),
            RingCounter(_) | RingGauge(_) => {}
        }
    }
}

fn export_told(
    name: &'static str,
    of_station: &[Label],
    kind: FigureKind,
    station: &StationSnapshot,
) {
    for figure in station.told.iter().filter(|figure| figure.kind == kind) {
        let mut labels = of_station.to_vec();
        labels.push(Label::new("figure", figure.name.to_string()));
        match kind {
            FigureKind::Count => counter!(name, labels).absolute(figure.value),
            FigureKind::Level | FigureKind::Time => gauge!(name, labels).set(level(figure.value)),
        }
    }
}

/// The largest sizes of batches that have a bucket: 1, 3, 7, and so on to 65,535. Whatever is larger is in the last one.
const BUCKETS: u32 = 16;

/// The upper end of each bucket, and how many batches are no larger.
fn buckets(sizes: &BatchSizes) -> impl Iterator<Item = (String, u64)> {
    let ends = (1..=BUCKETS).map(|power| (1 << power) - 1);
    let up_to = |end: u64| {
        let smaller = sizes.iter().filter(|(size, _)| *size.end() <= end);
        smaller.fold(0, |sum: u64, (_, batches)| sum.saturating_add(batches))
    };
    let bounded = ends.map(move |end| (end.to_string(), up_to(end)));
    bounded.chain([("+Inf".to_owned(), sizes.batches())])
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[allow(clippy::cast_precision_loss)] // As gauges are.
fn level(figure: u64) -> f64 {
    figure as f64
}
