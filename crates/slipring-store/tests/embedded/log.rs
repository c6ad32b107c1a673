//! Batches that can be told from each other when they are found again, and what must be true of what is found.

use std::ops::ControlFlow;

use fastrand::Rng;
use slipring_store::{Batch, Embedded, Entry, EventStore, Query};

use crate::common::{TOPICS, time};

/// What a batch was, as far as it was told: where it stood, and what it was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub first: u64,
    pub end: u64,
    pub name: u64,
}

/// Fills a batch with events that know the name of the batch, how many it has, and which of them they are. With them
/// goes a value: the name.
pub fn fill(batch: &mut Batch, rng: &mut Rng, name: u64, events: u32) {
    batch.clear();
    for index in 0..events {
        let mut payload = name.to_le_bytes().to_vec();
        payload.extend(index.to_le_bytes());
        payload.extend(events.to_le_bytes());
        payload.resize(16 + rng.usize(..40), 7);
        let time = time(rng);
        let topic = TOPICS[rng.usize(..4)];
        let entry = Entry::at(time, topic, &payload);
        let entry = if rng.u8(..3) == 0 { entry.stream("some") } else { entry };
        batch.append(entry).unwrap();
    }
    batch.put("log", b"last", &name.to_le_bytes());
}

/// What is found in a store: the batches in order. That they are whole, and follow each other, is checked here.
pub fn found(store: &Embedded) -> Vec<Told> {
    let bounds = store.bounds().unwrap();
    let mut batches: Vec<Told> = Vec::new();
    let mut left = 0;
    let mut next = bounds.first;
    let end = store
        .scan(bounds.first, &mut |record| {
            let number = |at: usize| {
                u64::from(u32::from_le_bytes(record.payload[at..at + 4].try_into().unwrap()))
            };
            let name = u64::from_le_bytes(record.payload[..8].try_into().unwrap());
            let (index, events) = (number(8), number(12));
            assert_eq!(record.position, next);
            next += 1;
            if left == 0 {
                // Retention may have taken the first blocks of a large batch.
                assert!(index == 0 || batches.is_empty() && index % 4096 == 0, "batch {name}");
                left = events - index;
                let first = record.position;
                batches.push(Told { first, end: first + left, name });
            }
            let batch = batches.last().unwrap();
            assert_eq!(name, batch.name);
            assert_eq!(index, events - left, "batch {name}");
            left -= 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((end, next), (bounds.end, bounds.end));
    assert_eq!(left, 0, "the last batch is not whole");
    assert!(batches.is_sorted_by(|a, b| a.name < b.name), "in order, none twice: {batches:?}");
    let last = store.value("log", b"last").unwrap();
    let last = last.map(|last| u64::from_le_bytes(last.try_into().unwrap()));
    if let Some(batch) = batches.last() {
        assert_eq!(last, Some(batch.name), "the value of a batch is there with its events");
    }
    let mut count = 0;
    let count_all = &mut |_: slipring_store::Record<'_>| {
        count += 1;
        ControlFlow::Continue(())
    };
    store.query(&Query::all(), count_all).unwrap();
    assert_eq!(count, bounds.end - bounds.first);
    let report = store.verify().unwrap();
    assert!(report.is_sound(), "{report}");
    batches
}

/// Whether all is found that was confirmed to be durable, and nothing that was never committed.
pub fn compare(store: &Embedded, told: &[Told], durable: u64, last_begun: u64) {
    let bounds = store.bounds().unwrap();
    assert!(bounds.end >= durable, "{durable} was confirmed, and it ends before {}", bounds.end);
    assert_eq!(bounds.durable, bounds.end);
    let batches = found(store);
    for batch in told.iter().filter(|batch| batch.end <= durable && batch.first >= bounds.first) {
        assert!(batches.contains(batch), "{batch:?} was confirmed");
    }
    for batch in &batches {
        let same = told.iter().find(|told| told.name == batch.name);
        match same {
            Some(same) => assert_eq!(batch.end, same.end),
            None => assert!(batch.name <= last_begun, "{batch:?} was never committed"),
        }
    }
}
