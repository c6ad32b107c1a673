//! Snapshots that are made up, by way of the form in which they are sent.

#![allow(dead_code, reason = "each test uses a part")]

pub mod hostile;

use serde_json::{Value, json};
use slipring::Snapshot;

/// A station that has handled 970 of 1,000 events.
pub fn station(name: &str, follows: &[usize]) -> Value {
    let mut sizes = [0; 17];
    sizes[3] = 97;
    json!({
        "account": {
            "name": name, "first": 0, "due": 1000, "handled": 970, "skipped": 0, "failed": 0,
            "retried": 0, "conflated": 0, "left": 30, "batches": 97, "batch_sizes": sizes,
        },
        "follows": follows, "workers": 1, "mutates": false, "is_guest": false,
        "doing": "Working", "position": 970, "lag": 30, "waits": 5,
        "wait_time": {"secs": 0, "nanos": 500_000_000}, "sleeps": 2, "late": 0,
    })
}

/// A station that has handled so many of the events, `lag` behind those that it follows.
pub fn at(name: &str, follows: &[usize], handled: u64, lag: u64) -> Value {
    let mut station = station(name, follows);
    station["account"]["handled"] = json!(handled);
    station["account"]["left"] = json!(1000 - handled);
    station["position"] = json!(handled);
    station["lag"] = json!(lag);
    if lag == 0 {
        station["doing"] = json!("Waiting");
    }
    station
}

/// The same with figures that its owner tells.
pub fn telling(mut station: Value, figures: &[(&str, &str, u64)]) -> Value {
    let figure = |(name, kind, value): &(&str, &str, u64)| json!({"name": name, "kind": kind, "value": value});
    station["told"] = figures.iter().map(figure).collect();
    station
}

/// Changed in one place.
pub fn with(mut station: Value, key: &str, value: impl Into<Value>) -> Value {
    station[key] = value.into();
    station
}

/// A ring of 1,024 slots to which 1,000 events were published within a second.
pub fn ring(stations: &[Value]) -> Value {
    json!({
        "at": {"secs": 1, "nanos": 0}, "capacity": 1024, "phase": "Open", "published": 1000,
        "abandoned": 0, "fill": 30,
        "producers": {"handles": 2, "stalled": 0, "stalls": 3, "stall_time": {"secs": 0, "nanos": 1_500_000}},
        "stations": stations,
    })
}

/// A value as the snapshot that it describes.
pub fn snapshot(value: Value) -> Snapshot {
    serde_json::from_value(value).expect("it is a snapshot")
}

/// The same ring before anything was published.
pub fn before(later: &Snapshot) -> Snapshot {
    let mut earlier = later.clone();
    earlier.at = std::time::Duration::ZERO;
    earlier.published = 0;
    for station in &mut earlier.stations {
        station.account.handled = 0;
        station.account.batch_sizes = slipring::BatchSizes::default();
        station.account.batches = 0;
        station.position = 0;
        station.wait_time = std::time::Duration::ZERO;
        station.sleeps = 0;
    }
    earlier
}
