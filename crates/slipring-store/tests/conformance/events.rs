//! Events, one after the other.

use slipring_store::{Batch, CommitError, Conflict, Durability, Entry, Expected, StoreError};

use crate::{
    common::harness::{Event, Model, batch_of, commit, read_stream, same, scan, until, values},
    stores::Subject,
};

fn some_events(seed: u64, count: usize) -> Vec<Event> {
    let mut random = fastrand::Rng::with_seed(seed);
    let topics = ["order.created", "order.paid", "user", "a.b.c.d"];
    (0..count)
        .map(|number| {
            let length = random.usize(..200);
            let payload: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
            let event = Event::new(topics[random.usize(..topics.len())], random.u64(..), payload);
            match number % 3 {
                0 => event.stream(&format!("stream-{}", random.u8(..5))),
                1 => event.dressed(),
                _ => event,
            }
        })
        .collect()
}

pub fn positions_are_dense_and_nothing_is_changed(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    for (round, size) in [1, 7, 1, 300, 64, 65, 1_000, 2].into_iter().enumerate() {
        model.commit(&*store, &some_events(round as u64, size));
    }
    model.check(&*store, 0);
    let bounds = store.bounds().unwrap();
    assert_eq!((bounds.durable, store.sync().unwrap()), (bounds.end, bounds.end));

    // And it goes on where it was when it is opened again.
    let source = store.source();
    let store = subject.reopen(store);
    assert_eq!(store.source(), source);
    model.check(&*store, 0);
    model.commit(&*store, &some_events(99, 150));
    model.check(&*store, 0);
}

pub fn a_batch_is_taken_as_a_whole_or_not_at_all(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    model.commit(&*store, &some_events(1, 10));

    // What the batch refuses is not in it, and all the rest is.
    let mut batch = Batch::new();
    let good = Event::new("good", 1, "first").stream("s");
    batch.append(good.entry()).unwrap();
    batch.append(Entry::new("", "no topic")).unwrap_err();
    batch.append(Entry::new("good", "no stream").stream("")).unwrap_err();
    batch.append(Entry::new("good", &vec![0; Entry::LARGEST])).unwrap_err();
    let last = Event::new("good", 2, "last").stream("s");
    batch.append(last.entry()).unwrap();
    store.commit(&batch, Durability::Synced).unwrap();
    model.append(&[good, last]);
    model.check(&*store, 0);

    // A batch that was cleared has nothing of what was in it.
    batch.clear();
    let next = Event::new("next", 3, "");
    batch.append(next.entry()).unwrap();
    store.commit(&batch, Durability::Visible).unwrap();
    model.append(&[next]);
    model.check(&*store, 0);
}

pub fn what_conflicts_leaves_nothing_behind(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    let mut first = batch_of(&[Event::new("a", 1, "1").stream("s")]);
    first.put("space", b"key", b"value");
    store.commit(&first, Durability::Synced).unwrap();
    model.append(&[Event::new("a", 1, "1").stream("s")]);

    let doomed = |spoil: &dyn Fn(&mut Batch)| {
        let mut batch = batch_of(&[
            Event::new("new.topic", 5, "doomed").stream("s"),
            Event::new("a", 6, "doomed").stream("other"),
        ]);
        batch.put("space", b"key", b"spoilt");
        batch.put("space", b"other", b"spoilt");
        batch.remove("space", b"key");
        spoil(&mut batch);
        match store.commit(&batch, Durability::Synced) {
            Err(CommitError::Conflict(conflict)) => conflict,
            other => panic!("{other:?}"),
        }
    };
    let stream =
        |stream: &str, expected, found| Conflict::Stream { stream: stream.into(), expected, found };
    let value = |space: &str, key: &[u8], found: Option<&[u8]>| Conflict::Value {
        space: space.into(),
        key: key.into(),
        found: found.map(Into::into),
    };
    let expect = |name, expected| move |batch: &mut Batch| batch.expect(name, expected).unwrap();
    let cases: Vec<(Conflict, Conflict)> = vec![
        (doomed(&expect("s", Expected::Empty)), stream("s", Expected::Empty, 1)),
        (doomed(&expect("s", Expected::Events(2))), stream("s", Expected::Events(2), 1)),
        (doomed(&expect("x", Expected::Events(1))), stream("x", Expected::Events(1), 0)),
        (
            doomed(&expect("s", Expected::Events(u64::MAX))),
            stream("s", Expected::Events(u64::MAX), 1),
        ),
        (
            doomed(&|batch| batch.expect_value("space", b"key", None)),
            value("space", b"key", Some(b"value")),
        ),
        (
            doomed(&|batch| batch.expect_value("space", b"key", Some(b"value "))),
            value("space", b"key", Some(b"value")),
        ),
        (
            doomed(&|batch| batch.expect_value("space", b"no", Some(b""))),
            value("space", b"no", None),
        ),
        (
            // The first is as expected, and the second is not.
            doomed(&|batch| {
                batch.expect("s", Expected::Events(1)).unwrap();
                batch.expect_value("space", b"key", Some(b"value"));
                batch.expect("x", Expected::Empty).unwrap();
                batch.expect_value("nowhere", b"key", Some(b"value"));
            }),
            value("nowhere", b"key", None),
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
    model.check(&*store, 0);
    assert_eq!(values(&*store, "space", b""), [(b"key".to_vec(), b"value".to_vec())]);
    assert_eq!(store.version("other").unwrap(), 0);
    let store = subject.reopen(store);
    model.check(&*store, 0);
}

pub fn expectations_see_what_was_there_before_the_batch(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    let events = [Event::new("a", 1, "1").stream("s"), Event::new("a", 1, "2").stream("s")];
    let mut batch = batch_of(&events);
    batch.put("space", b"key", b"1");
    // Of the events and the values of this batch none is there yet.
    batch.expect("s", Expected::Empty).unwrap();
    batch.expect_value("space", b"key", None);
    store.commit(&batch, Durability::Synced).unwrap();
    model.append(&events);

    let mut batch = batch_of(&events);
    batch.expect("s", Expected::Events(2)).unwrap();
    batch.expect_value("space", b"key", Some(b"1"));
    batch.remove("space", b"key");
    store.commit(&batch, Durability::Synced).unwrap();
    model.append(&events);
    model.check(&*store, 0);
    assert_eq!(store.value("space", b"key").unwrap(), None);

    // Only expected, nothing done.
    let mut batch = Batch::new();
    batch.expect("s", Expected::Events(4)).unwrap();
    let committed = store.commit(&batch, Durability::Synced).unwrap();
    assert_eq!((committed.first, committed.end), (4, 4));
    model.check(&*store, 0);
}

pub fn payloads_of_any_size_and_any_bytes(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    let all_bytes: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = (0..1 << 20).map(|at: u32| (at * 7 + at / 253) as u8).collect();
    let events = [
        Event::new("empty", 1, ""),
        Event::new("binary", 2, &all_bytes).stream("\0\r\n \u{fffd}"),
        Event::new("large", 3, &large).stream("large").dressed(),
        Event::new("empty", 4, "").stream("large"),
        Event::new("large", 5, &large),
    ];
    model.commit(&*store, &events);
    for event in events {
        model.commit(&*store, &[event]);
    }
    model.check(&*store, 0);
    let store = subject.reopen(store);
    model.check(&*store, 0);
}

pub fn topics_of_any_length(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    let events: Vec<_> = (1..=255)
        .map(|length| Event::new(&"x".repeat(length), 1_000 - length as u64, [length as u8]))
        .collect();
    model.commit(&*store, &events);
    model.commit(&*store, &[Event::new("\0.ü.\u{10ffff}", 7, "")]);
    model.check(&*store, 0);
    for length in [1, 2, 254, 255] {
        let query = slipring_store::Query::topic("x".repeat(length));
        same(&crate::common::harness::query(&*store, &query), &model.query(&query, 0));
    }
}

pub fn a_scan_begins_anywhere_and_ends_where_the_reader_says(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    for (round, size) in [1, 3, 130, 5, 64].into_iter().enumerate() {
        model.commit(&*store, &some_events(round as u64, size));
    }
    let end = model.events.len() as u64;
    for from in 0..=end {
        same(&scan(&*store, from).unwrap(), &model.events[from as usize..]);
        // The reader breaks off: what it has seen counts.
        let mut seen = 0;
        let next = store.scan(from, &mut |_| {
            seen += 1;
            until(seen == 3)
        });
        assert_eq!(next.unwrap(), end.min(from + 3));
    }
    for beyond in [end + 1, u64::MAX] {
        let error = scan(&*store, beyond).unwrap_err();
        let StoreError::Beyond { asked, end: found } = error else { panic!("{error}") };
        assert_eq!((asked, found), (beyond, end));
    }
}

pub fn streams_count_their_events(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..30 {
        let events: Vec<_> = (0..random.usize(1..60))
            .map(|number| {
                let event = Event::new("counted", random.u64(..9), [number as u8]);
                match random.u8(..4) {
                    3 => event,
                    stream => event.stream(&format!("stream-{stream}")),
                }
            })
            .collect();
        model.commit(&*store, &events);
    }
    model.check(&*store, 0);
    for stream in ["stream-0", "stream-1", "stream-2"] {
        let all = model.stream(stream, 0);
        for from in [0, 1, all.len() as u64 / 2, all.len() as u64 - 1, all.len() as u64] {
            same(&read_stream(&*store, stream, from).unwrap(), &model.stream(stream, from));
        }
        same(&read_stream(&*store, stream, u64::MAX).unwrap(), &[]);
        let mut seen = Vec::new();
        let read = store.stream(stream, 1, &mut |record| {
            seen.push(record.stream.unwrap().version);
            until(seen.len() == 2)
        });
        read.unwrap();
        assert_eq!(seen, [1, 2]);
    }
    assert_eq!(store.version("nobody").unwrap(), 0);
    same(&read_stream(&*store, "nobody", 0).unwrap(), &[]);
}

pub fn names_of_streams_are_apart(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    // Those are easily taken for one another where names are put together.
    let long = "s".repeat(Entry::LONGEST_STREAM);
    let names = ["a", "a:b", "a:", "a\0", "a\0\0", "A", "ab", "{a}", "*", " ", &long, &long[1..]];
    for round in 0..3_u8 {
        let events: Vec<_> =
            names.iter().map(|name| Event::new("t", u64::from(round), name).stream(name)).collect();
        model.commit(&*store, &events);
    }
    model.check(&*store, 0);
}

pub fn an_empty_batch_changes_nothing(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    for durability in [Durability::Visible, Durability::Synced] {
        let committed = store.commit(&Batch::new(), durability).unwrap();
        assert_eq!((committed.first, committed.end), (0, 0));
    }
    model.check(&*store, 0);
    model.commit(&*store, &some_events(4, 5));
    let committed = commit(&*store, &[]);
    assert_eq!((committed.first, committed.end), (5, 5));
    assert_eq!(store.bounds().unwrap().durable, 5);
    model.check(&*store, 0);
}
