//! The store in memory, with which the others are compared, beside what is plain enough to be seen by eye.

use std::{ops::ControlFlow, time::Duration};

use slipring_events::Time;
use slipring_store::{
    Batch, Checkpoint, CommitError, Conflict, Durability, Entry, EventStore, Expected, Memory,
    Query, Reach, Retention, StoreError,
};

fn commit(store: &Memory, events: &[(&str, u64, Option<&str>)]) {
    let mut batch = Batch::new();
    for (topic, time, stream) in events {
        let mut entry = Entry::at(Time::from_nanos(*time), topic, topic);
        entry.stream = *stream;
        batch.append(entry).expect("it is an event");
    }
    store.commit(&batch, Durability::Synced).expect("it is taken");
}

fn scanned(store: &Memory, from: u64) -> Result<Vec<u64>, StoreError> {
    let mut positions = Vec::new();
    let next = store.scan(from, &mut |record| {
        positions.push(record.position);
        ControlFlow::Continue(())
    })?;
    assert_eq!(next, positions.last().map_or(from, |last| last + 1));
    Ok(positions)
}

fn queried(store: &Memory, query: &Query) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let reader = &mut |record: slipring_store::Record<'_>| {
        found.push((record.time.as_nanos(), record.position));
        ControlFlow::Continue(())
    };
    store.query(query, reader).expect("it can be read");
    found
}

fn versions(store: &Memory, stream: &str, from: u64) -> Result<Vec<(u64, u64)>, StoreError> {
    let mut found = Vec::new();
    store.stream(stream, from, &mut |record| {
        let place = record.stream.expect("it is in a stream");
        assert_eq!(place.name, stream);
        found.push((place.version, record.position));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

#[test]
fn queries_go_by_time_and_then_by_position() {
    let store = Memory::new();
    commit(&store, &[("a", 30, None), ("b", 10, None), ("a", 10, None)]);
    commit(&store, &[("a", 10, None), ("a.b", 20, None), ("a", 31, None)]);
    let between = |query: Query| query.between(Time::from_nanos(10)..=Time::from_nanos(30));
    assert_eq!(queried(&store, &between(Query::topic("a"))), [(10, 2), (10, 3), (30, 0)]);
    assert_eq!(queried(&store, &between(Query::all()).limit(3)), [(10, 1), (10, 2), (10, 3)]);
    let pattern = Query::matching("a.#".parse().expect("it is a pattern"));
    assert_eq!(queried(&store, &pattern), [(10, 2), (10, 3), (20, 4), (30, 0), (31, 5)]);
    assert_eq!(store.topics().expect("it can be read"), ["a", "a.b", "b"]);
}

#[test]
fn a_refused_batch_leaves_nothing_behind() {
    let store = Memory::new();
    commit(&store, &[("a", 1, Some("s")), ("a", 2, Some("t")), ("a", 3, Some("s"))]);
    let mut batch = Batch::new();
    batch.append(Entry::new("b", "").stream("s")).expect("it is an event");
    batch.put("space", b"key", b"value");
    batch.expect("s", Expected::Events(2)).expect("it is a stream");
    batch.expect("t", Expected::Empty).expect("it is a stream");
    let refused = store.commit(&batch, Durability::Synced).expect_err("t has an event");
    let expected = Conflict::Stream { stream: "t".into(), expected: Expected::Empty, found: 1 };
    assert!(matches!(refused, CommitError::Conflict(found) if found == expected));
    assert_eq!(scanned(&store, 0).expect("all is there"), [0, 1, 2]);
    assert_eq!(store.version("s").expect("it can be read"), 2);
    assert_eq!(store.value("space", b"key").expect("it can be read"), None);
    assert_eq!(versions(&store, "s", 1).expect("all is there"), [(1, 2)]);
}

#[test]
fn values_are_expected_put_and_removed_with_the_batch() {
    let store = Memory::new();
    let mut batch = Batch::new();
    batch.expect_value("space", b"b", None);
    for key in [b"b", b"a", b"c"] {
        batch.put("space", key, b"1");
    }
    batch.put("other", b"d", b"1");
    batch.put("space", b"a", b"2");
    batch.remove("space", b"c");
    store.commit(&batch, Durability::Visible).expect("it is taken");
    let mut found = Vec::new();
    let reader = &mut |key: &[u8], value: &[u8]| {
        found.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    store.values("space", b"", reader).expect("it can be read");
    assert_eq!(found, [(b"a".to_vec(), b"2".to_vec()), (b"b".to_vec(), b"1".to_vec())]);

    let refused = store.commit(&batch, Durability::Visible).expect_err("b is there now");
    let found = Some(b"1"[..].into());
    let expected = Conflict::Value { space: "space".into(), key: b"b"[..].into(), found };
    assert!(matches!(refused, CommitError::Conflict(found) if found == expected));
}

#[test]
fn what_a_checkpoint_waits_for_is_kept_and_streams_go_on_counting() {
    let store = Memory::new();
    for time in 0..5 {
        commit(&store, &[("a", time, Some("s")), ("a", time, None)]);
    }
    let mut batch = Batch::new();
    Checkpoint::named("totals").put(&mut batch, 5);
    store.commit(&batch, Durability::Synced).expect("it is taken");

    let keep = Retention::everything().age(Duration::from_nanos(1));
    let removed = store.retain(&keep, Time::from_nanos(100)).expect("it can be done");
    // A block goes as a whole, and the third has event 5 in it.
    assert_eq!((removed.events, removed.first, removed.held_by.as_deref()), (4, 4, Some("totals")));
    assert_eq!(scanned(&store, 4).expect("they are there"), [4, 5, 6, 7, 8, 9]);
    let gone = scanned(&store, 3).expect_err("it is not there");
    assert!(matches!(gone, StoreError::Removed { asked: 3, first: 4 }));
    let gone = versions(&store, "s", 1).expect_err("it is not there");
    assert!(matches!(gone, StoreError::Removed { asked: 1, first: 2 }));
    assert_eq!(versions(&store, "s", 2).expect("they are there"), [(2, 4), (3, 6), (4, 8)]);

    let mut batch = Batch::new();
    Checkpoint::named("totals").remove(&mut batch);
    store.commit(&batch, Durability::Synced).expect("it is taken");
    let removed = store.retain(&keep.events(2), Time::from_nanos(0)).expect("it can be done");
    assert_eq!((removed.events, removed.first, removed.held_by), (4, 8, None));
    assert_eq!(store.version("s").expect("it can be read"), 5);
}

#[test]
fn what_is_not_durable_is_not_removed_and_not_waited_for() {
    let store = Memory::new();
    let mut batch = Batch::new();
    batch.append(Entry::at(Time::EPOCH, "a", "")).expect("it is an event");
    store.commit(&batch, Durability::Visible).expect("it is taken");
    let bounds = store.wait(0, Reach::Visible, Duration::from_mins(1)).expect("it is there");
    assert_eq!((bounds.first, bounds.end, bounds.durable), (0, 1, 0));
    let bounds = store.wait(0, Reach::Durable, Duration::ZERO).expect("it can be read");
    assert_eq!(bounds.durable, 0);
    let keep = Retention::everything().events(0);
    assert_eq!(store.retain(&keep, Time::EPOCH).expect("it can be done").events, 0);
    assert_eq!(store.sync().expect("it can be done"), 1);
    assert_eq!(store.retain(&keep, Time::EPOCH).expect("it can be done").events, 1);
    let beyond = scanned(&store, 2).expect_err("there is no such event");
    assert!(matches!(beyond, StoreError::Beyond { asked: 2, end: 1 }));
}
