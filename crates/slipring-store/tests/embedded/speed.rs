//! How quick it is: by hand, in release, on a quiet machine:
//! `cargo test --release -p slipring-store --test embedded -- --ignored --nocapture --test-threads 1 speed`

use std::{
    ops::ControlFlow,
    sync::OnceLock,
    time::{Duration, Instant},
};

use slipring_events::Time;
use slipring_store::{Batch, Durability, Embedded, Entry, EventStore, Query};

/// How long this thread has had a processor, so that others on the machine matter less; on other systems, the time.
fn now() -> Duration {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let begun = BEGUN.get_or_init(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|told| told.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| begun.elapsed(), Duration::from_nanos)
}

fn since(begun: Duration) -> Duration {
    now().saturating_sub(begun)
}

/// Commits events of 64 bytes in batches of one size, syncs at the end, reads them by a scan and by a query.
fn run(batch_events: u64, events: u64, topics: u64) {
    let home = tempfile::tempdir().unwrap();
    let store = Embedded::open(home.path().join("store")).unwrap();
    let names: Vec<String> = (0..topics).map(|number| format!("order.made.{number}")).collect();
    let payload = [7_u8; 64];
    let mut batch = Batch::new();
    let (mut spent, mut built) = (Duration::ZERO, Duration::ZERO);
    for first in (0..events).step_by(batch_events as usize) {
        let begun = now();
        batch.clear();
        for number in first..first + batch_events {
            // A million events in a second.
            let time = Time::from_nanos(1_700_000_000_000_000_000 + number * 1000);
            let topic = &names[(number % topics) as usize];
            batch.append(Entry::at(time, topic, &payload)).unwrap();
        }
        built += since(begun);
        let begun = now();
        store.commit(&batch, Durability::Visible).unwrap();
        spent += since(begun);
    }
    let begun = now();
    store.sync().unwrap();
    let synced = since(begun);
    let begun = now();
    let (mut count, mut sum) = (0_u64, 0_u64);
    store
        .scan(0, &mut |record| {
            count += 1;
            sum += u64::from(record.payload[0]);
            ControlFlow::Continue(())
        })
        .unwrap();
    let scanned = since(begun);
    assert_eq!((count, sum), (events, events * 7));
    let begun = now();
    let mut count = 0_u64;
    store
        .query(&Query::all(), &mut |_| {
            count += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    let queried = since(begun);
    assert_eq!(count, events);
    let rate = |spent: Duration| f64::from(events as u32) / spent.as_secs_f64() / 1e6;
    println!(
        "batches of {batch_events:4}, {topics:2} topics: built {:.1} M/s, committed {:.2} M/s, sync at the end {:.0} ms, scanned {:.1} M/s, queried {:.1} M/s, {} bytes an event",
        rate(built),
        rate(spent),
        synced.as_secs_f64() * 1e3,
        rate(scanned),
        rate(queried),
        store.figures().unwrap().file_bytes / events,
    );
}

#[test]
#[ignore = "it measures: to be run by hand, in release, on a quiet machine"]
fn speed() {
    let only = std::env::var("BATCH").ok().map(|batch| batch.parse::<u64>().unwrap());
    for topics in [1, 8] {
        for batch in [64, 256, 1024, 4096] {
            if only.is_some_and(|only| only != batch) {
                continue;
            }
            run(batch, 2_000_000 / batch * batch, topics);
        }
    }
}
