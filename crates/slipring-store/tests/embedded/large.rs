//! Much at once.

use std::ops::ControlFlow;

use fastrand::Rng;
use slipring_events::Time;
use slipring_store::{
    Batch, Durability, Embedded, Entry, EventStore, Memory, Query, Retention, StoreError,
};

use crate::common::{queried, scanned, streamed};

fn open() -> (tempfile::TempDir, Embedded, Memory) {
    let home = tempfile::tempdir().unwrap();
    let store = Embedded::open(home.path().join("store")).unwrap();
    let memory = Memory::of(store.source());
    (home, store, memory)
}

#[test]
fn a_large_batch_is_cut_into_blocks_and_is_one_commit() {
    let (_home, store, memory) = open();
    let mut batch = Batch::new();
    let mut rng = Rng::with_seed(1);
    for number in 0..9000_u64 {
        let payload = vec![number as u8; rng.usize(..30)];
        let entry = Entry::at(Time::from_nanos(rng.u64(..3 << 30)), "a", &payload);
        batch.append(if number % 50 == 0 { entry.stream("s") } else { entry }).unwrap();
    }
    // Two that are larger than a block is meant to be.
    batch.append(Entry::at(Time::EPOCH, "large", &vec![1; 3 << 20]).stream("s")).unwrap();
    batch.append(Entry::at(Time::EPOCH, "large", &vec![2; 2 << 20]).stream("s")).unwrap();
    batch.append(Entry::at(Time::EPOCH, "a", "last").stream("s")).unwrap();
    store.commit(&batch, Durability::Synced).unwrap();
    memory.commit(&batch, Durability::Synced).unwrap();
    let figures = store.figures().unwrap();
    assert_eq!((figures.events, figures.streams, figures.values), (9003, 1, 0));
    assert_eq!(figures.topics, [("a".into(), 9001), ("large".into(), 2)]);
    assert_eq!(figures.event_bytes, batch.bytes().len() as u64);
    assert!(figures.file_bytes > figures.event_bytes);
    // Of 4096 events at most, and each large one alone.
    assert!((5..=7).contains(&figures.blocks), "{figures:?}");

    let same = |from| assert_eq!(scanned(&store, from, 5), scanned(&memory, from, 5));
    [0, 1, 4094, 4095, 4096, 8191, 8192, 8999, 9000, 9002, 9003].into_iter().for_each(same);
    for from in [0, 81, 82, 83, 100, 180, 182] {
        assert_eq!(streamed(&store, "s", from, 99), streamed(&memory, "s", from, 99));
    }
    for query in [Query::topic("large"), Query::topic("a").limit(50), Query::all().limit(9000)] {
        let found = queried(&memory, &query, usize::MAX).unwrap();
        assert_eq!(queried(&store, &query, usize::MAX).unwrap(), found);
    }
    assert!(store.verify().unwrap().is_sound());

    // Retention removes its blocks one by one.
    let removed = store.retain(&Retention::everything().events(4000), Time::EPOCH).unwrap();
    assert_eq!((removed.first, removed.events), (4096, 4096));
    let mut versions = Vec::new();
    let stream = store.stream("s", 0, &mut |_| ControlFlow::Break(()));
    assert!(matches!(stream, Err(StoreError::Removed { asked: 0, first: 82 })), "{stream:?}");
    store
        .stream("s", 82, &mut |record| {
            versions.push(record.stream.unwrap().version);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(versions, (82..183).collect::<Vec<_>>());
    assert!(store.verify().unwrap().is_sound());
    let all = store.retain(&Retention::everything().events(0), Time::EPOCH).unwrap();
    assert_eq!((all.first, all.events), (9003, 9003 - 4096));
    let report = store.verify().unwrap();
    assert!(report.is_sound() && report.events == 0 && report.entries == 0, "{report}");
    assert_eq!(store.version("s").unwrap(), 183);
}

#[test]
fn retention_goes_on_over_many_transactions() {
    let (_home, store, _) = open();
    let mut batch = Batch::new();
    for number in 0..700_u64 {
        batch.clear();
        batch.append(Entry::at(Time::from_nanos(number), "a", "")).unwrap();
        store.commit(&batch, Durability::Visible).unwrap();
    }
    // What is not durable is kept.
    let keep = Retention::everything().events(5);
    let kept = store.retain(&keep, Time::EPOCH).unwrap();
    assert_eq!((kept.events, kept.first, kept.held_by), (0, 0, None));
    store.sync().unwrap();
    let removed = store.retain(&keep, Time::EPOCH).unwrap();
    assert_eq!((removed.events, removed.first), (695, 695));
    assert_eq!(store.bounds().unwrap().first, 695);
    assert!(store.verify().unwrap().is_sound());
}

#[test]
fn a_narrow_query_of_a_wide_second_finds_what_is_in_it() {
    let (_home, store, _) = open();
    let mut batch = Batch::new();
    let mut rng = Rng::with_seed(7);
    // All within a second, in no order, some at the same nanosecond.
    let mut times: Vec<u64> = (0..20_000).map(|_| (90 << 30) + rng.u64(..30_000)).collect();
    for times in times.chunks(3000) {
        batch.clear();
        for time in times {
            batch.append(Entry::at(Time::from_nanos(*time), "a", "")).unwrap();
        }
        store.commit(&batch, Durability::Visible).unwrap();
    }
    let (from, to) = ((90 << 30) + 500, (90 << 30) + 699);
    let query = Query::topic("a").between(Time::from_nanos(from)..=Time::from_nanos(to));
    let mut found = Vec::new();
    store
        .query(&query, &mut |record| {
            found.push((record.time.as_nanos(), record.position));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(found.is_sorted());
    times.retain(|time| (from..=to).contains(time));
    times.sort_unstable();
    assert_eq!(found.iter().map(|found| found.0).collect::<Vec<_>>(), times);
    // The first of them, by a limit.
    let mut first = Vec::new();
    store
        .query(&query.limit(17), &mut |record| {
            first.push((record.time.as_nanos(), record.position));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(first, found[..17]);
}

#[test]
fn many_topics_are_merged_in_order() {
    let (_home, store, memory) = open();
    let mut rng = Rng::with_seed(3);
    let mut batch = Batch::new();
    for _ in 0..8 {
        batch.clear();
        for _ in 0..200 {
            let topic = format!("t.{}.{}", rng.u8(..20), rng.u8(..20));
            let time = Time::from_nanos(rng.u64(..6 << 30));
            batch.append(Entry::at(time, &topic, "")).unwrap();
        }
        store.commit(&batch, Durability::Visible).unwrap();
        memory.commit(&batch, Durability::Visible).unwrap();
    }
    let pattern = |text| slipring_events::topic::Pattern::new(text).unwrap();
    for query in [
        Query::all(),
        Query::matching(pattern("t.7.*")),
        Query::matching(pattern("*.*.3")).limit(31),
        Query::all().between(Time::from_nanos(1 << 30)..Time::from_nanos(3 << 30)),
    ] {
        let found = queried(&memory, &query, usize::MAX).unwrap();
        assert!(!found.is_empty());
        assert_eq!(queried(&store, &query, usize::MAX).unwrap(), found);
    }
    assert_eq!(store.topics().unwrap(), memory.topics().unwrap());
}

#[test]
fn the_room_of_a_large_value_is_given_back() {
    let (_home, store, _) = open();
    let mut batch = Batch::new();
    batch.put("large", b"5 MiB", &vec![5; 5 << 20]);
    store.commit(&batch, Durability::Synced).unwrap();
    assert_eq!(store.value("large", b"5 MiB").unwrap().unwrap(), vec![5; 5 << 20]);
    batch.remove("large", b"5 MiB");
    store.commit(&batch, Durability::Synced).unwrap();
    assert_eq!(store.value("large", b"5 MiB").unwrap(), None);
    store.compact().unwrap();
    assert!(store.figures().unwrap().file_bytes < 5 << 20);
}
