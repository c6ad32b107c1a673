//! What is exported is what the documentation's table says, and has the snapshot's figures.
#![cfg(feature = "metrics")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use metrics_util::{
    MetricKind,
    debugging::{DebugValue, DebuggingRecorder},
};
use slipring::{Builder, Figure, Phase, Snapshot, poller};
use slipring_insight::metrics::{describe, export};

/// A row of the table: the kind, the unit, the labels and the description of a name.
type Row = (String, [String; 4]);

/// The table in the module's documentation.
fn documented() -> BTreeSet<Row> {
    let rows = include_str!("../src/metrics.rs").lines();
    rows.filter_map(|line| line.strip_prefix("//! | `"))
        .map(|row| {
            let cells: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
            let [name, rest @ ..] = &*cells else { panic!("a row without a name: {row}") };
            let rest: [&str; 4] = rest.try_into().expect("a row has five cells");
            (name.trim_end_matches('`').to_owned(), rest.map(str::to_owned))
        })
        .collect()
}

/// What a collector has: the rows, and values by the name and the labels.
fn collected(act: impl FnOnce()) -> (BTreeSet<Row>, BTreeMap<String, u64>) {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, act);
    let mut rows = BTreeSet::new();
    let mut values = BTreeMap::new();
    for (key, unit, about, value) in snapshotter.snapshot().into_vec() {
        let kind = match key.kind() {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        let name = key.key().name().to_owned();
        let labels: Vec<(&str, &str)> =
            key.key().labels().map(|label| (label.key(), label.value())).collect();
        let keys: Vec<&str> = labels.iter().map(|(key, _)| *key).collect();
        let unit = unit.map(|unit| unit.as_str()).unwrap_or_default();
        let cells = [kind, unit, &keys.join(", "), about.as_deref().unwrap_or_default()];
        rows.insert((name.clone(), cells.map(str::to_owned)));
        let words: Vec<&str> =
            [&*name].into_iter().chain(labels.iter().map(|(_, value)| *value)).collect();
        let value = match value {
            DebugValue::Counter(count) => count,
            DebugValue::Gauge(level) => level.to_string().parse().expect("a whole number"),
            DebugValue::Histogram(_) => unreachable!("there is none"),
        };
        values.insert(words.join(" "), value);
    }
    (rows, values)
}

/// A look at a ring in which every figure is another one.
fn look() -> Snapshot {
    let (producer, dispatcher) =
        Builder::new(128, || 0_u64).then(poller("risk")).start().expect("the ring is well formed");
    let mut snapshot = dispatcher.snapshot();
    drop(producer);
    (snapshot.published, snapshot.abandoned, snapshot.fill) = (101, 102, 103);
    let producers = &mut snapshot.producers;
    (producers.handles, producers.stalled, producers.stalls) = (104, 105, 106);
    producers.stall_time = Duration::from_nanos(107);
    let risk = &mut snapshot.stations[0];
    (risk.workers, risk.lag, risk.late, risk.waits, risk.sleeps) = (108, 109, 110, 111, 112);
    risk.wait_time = Duration::from_nanos(113);
    let account = &mut risk.account;
    (account.handled, account.skipped, account.conflated) = (114, 115, 116);
    (account.failed, account.retried, account.left, account.batches) = (117, 118, 119, 120);
    account.calls = 121;
    risk.told = vec![
        Figure::count("dead", 122),
        Figure::level("waiting", 123),
        Figure::time("age p99", Duration::from_nanos(124)),
    ];
    let account = &mut risk.account;
    let sizes: [u64; 17] = std::array::from_fn(|power| 1 << power);
    let sizes = serde_json::to_value(sizes).and_then(serde_json::from_value);
    account.batch_sizes = sizes.expect("a count for each size");
    snapshot
}

#[test]
fn what_is_exported_is_what_is_documented() {
    let (rows, _) = collected(|| {
        describe();
        export("orders", &look());
    });
    assert_eq!(rows, documented());
    assert_eq!(rows.len(), 27);
}

#[test]
fn every_figure_is_the_snapshots() {
    let (_, values) = collected(|| export("orders", &look()));
    let expected = [
        ("published_total orders", 101),
        ("abandoned_total orders", 102),
        ("stalls_total orders", 106),
        ("stall_nanoseconds_total orders", 107),
        ("open orders", 1),
        ("capacity orders", 128),
        ("fill orders", 103),
        ("producers orders", 104),
        ("stalled_producers orders", 105),
        ("handled_total orders risk", 114),
        ("skipped_total orders risk", 115),
        ("conflated_total orders risk", 116),
        ("failed_total orders risk", 117),
        ("retried_total orders risk", 118),
        ("late_total orders risk", 110),
        ("batches_total orders risk", 120),
        ("waits_total orders risk", 111),
        ("wait_nanoseconds_total orders risk", 113),
        ("sleeps_total orders risk", 112),
        ("lag orders risk", 109),
        ("left orders risk", 119),
        ("workers orders risk", 108),
        ("calls_total orders risk", 121),
        ("told_total orders risk dead", 122),
        ("told orders risk waiting", 123),
        ("told_nanoseconds orders risk age p99", 124),
    ];
    let mut expected: BTreeMap<String, u64> =
        expected.map(|(name, value)| (format!("slipring_{name}"), value)).into();
    // One batch of one event, two of two or three, four of up to seven: no larger ones are in a bucket.
    let mut buckets: Vec<(String, u64)> =
        (1..=16).map(|power| (((1 << power) - 1).to_string(), (1 << power) - 1)).collect();
    buckets.push(("+Inf".to_owned(), (1 << 17) - 1));
    for (le, batches) in buckets {
        expected.insert(format!("slipring_batch_size_bucket orders risk {le}"), batches);
    }
    assert_eq!(values, expected);
}

#[test]
fn counters_are_absolute_and_gauges_follow() {
    let mut snapshot = look();
    let (_, values) = collected(|| {
        export("orders", &snapshot);
        snapshot.published += 10;
        snapshot.fill -= 10;
        snapshot.phase = Phase::Closed;
        export("orders", &snapshot);
    });
    let value = |name: &str| values[&format!("slipring_{name} orders")];
    assert_eq!([value("published_total"), value("fill"), value("open")], [111, 93, 0]);
}

#[test]
fn rings_and_stations_are_told_apart() {
    let mut snapshot = look();
    let mut another = snapshot.stations[0].clone();
    another.account.name = "ledger".to_owned();
    another.lag = 7;
    snapshot.stations.push(another);
    let (_, values) =
        collected(|| ["orders", "prices"].iter().for_each(|it| export(it, &snapshot)));
    let lags: Vec<(&str, u64)> = values
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix("slipring_lag ")?, *value)))
        .collect();
    let expected =
        [("orders ledger", 7), ("orders risk", 109), ("prices ledger", 7), ("prices risk", 109)];
    assert_eq!(lags, expected);
}
