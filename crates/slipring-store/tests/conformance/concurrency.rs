//! Many at once.

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use slipring_events::Time;
use slipring_store::{
    Batch, Checkpoint, CommitError, Conflict, Durability, Expected, Query, Retention, StoreError,
};

use crate::{
    common::harness::{Event, Model, Stored, batch_of, commit, commit_at_last, read_stream, scan},
    stores::Subject,
};

pub fn one_writer_wins_each_version(subject: &dyn Subject) {
    const WRITERS: u8 = 4;
    const VERSIONS: u64 = 50;
    let store = subject.open();
    let wins = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let store = &store;
                scope.spawn(move || {
                    let mut wins = 0;
                    for version in 0..VERSIONS {
                        let event = Event::new("won", version, [writer]).stream("contested");
                        let mut batch = batch_of(&[event]);
                        batch.expect("contested", Expected::Events(version)).unwrap();
                        match store.commit(&batch, Durability::Visible) {
                            Ok(_) => wins += 1,
                            Err(CommitError::Conflict(Conflict::Stream { found, .. })) => {
                                assert!(found > version);
                            }
                            Err(error) => panic!("{error}"),
                        }
                    }
                    wins
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum::<u64>()
    });
    let events = read_stream(&*store, "contested", 0).unwrap();
    assert_eq!((wins, events.len() as u64), (VERSIONS, VERSIONS));
    let versions = events.iter().map(|stored| (stored.version, stored.event.time));
    assert!(versions.eq((0..VERSIONS).map(|version| (Some(version), version))));
    assert_eq!(scan(&*store, 0).unwrap(), events);
}

pub fn totals_add_up(subject: &dyn Subject) {
    const WRITERS: u64 = 4;
    const TIMES: u64 = 40;
    let store = subject.open();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || {
                for time in 0..TIMES {
                    commit_at_last(store, |store| {
                        let found = store.value("totals", b"all").unwrap();
                        let total = found
                            .as_deref()
                            .map_or(0, |total| u64::from_be_bytes(total.try_into().unwrap()));
                        let event = Event::new("added", writer, (total + 1).to_be_bytes());
                        let mut batch = batch_of(&[event.stream(&format!("writer-{writer}"))]);
                        batch.expect_value("totals", b"all", found.as_deref());
                        batch.expect(&format!("writer-{writer}"), Expected::Events(time)).unwrap();
                        batch.put("totals", b"all", &(total + 1).to_be_bytes());
                        batch
                    });
                }
            });
        }
    });
    let total = store.value("totals", b"all").unwrap().unwrap();
    assert_eq!(total, (WRITERS * TIMES).to_be_bytes());
    // Each sum came once, in order.
    let sums = scan(&*store, 0).unwrap().into_iter().map(|stored| stored.event.payload);
    assert!(sums.eq((1..=WRITERS * TIMES).map(|sum| sum.to_be_bytes().to_vec())));
    for writer in 0..WRITERS {
        assert_eq!(store.version(&format!("writer-{writer}")).unwrap(), TIMES);
    }
}

pub fn whole_batches_are_seen(subject: &dyn Subject) {
    const SIZE: u64 = 150;
    const BATCHES: u64 = 60;
    let store = subject.open();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|reader| {
                let (store, is_over) = (&store, &is_over);
                scope.spawn(move || {
                    let mut rounds = 0_u64;
                    loop {
                        let last = is_over.load(Ordering::Acquire);
                        let mut seen = 0;
                        let mut count = |record: slipring_store::Record<'_>| {
                            assert_eq!(record.position, seen);
                            seen += 1;
                            ControlFlow::Continue(())
                        };
                        match reader {
                            0 => drop(store.scan(0, &mut count).unwrap()),
                            _ => store.query(&Query::topic("whole"), &mut count).unwrap(),
                        }
                        assert_eq!(seen % SIZE, 0, "a part of a batch was seen");
                        assert_eq!(store.bounds().unwrap().end % SIZE, 0);
                        rounds += 1;
                        if last {
                            assert_eq!(seen, SIZE * BATCHES);
                            return rounds;
                        }
                    }
                })
            })
            .collect();
        for batch in 0..BATCHES {
            let events: Vec<_> =
                (0..SIZE).map(|_| Event::new("whole", batch, batch.to_le_bytes())).collect();
            commit(&*store, &events);
        }
        is_over.store(true, Ordering::Release);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
}

pub fn a_reader_may_read_meanwhile(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    let event = |number: u64| Event::new("n", number, number.to_le_bytes()).stream("s");
    model.commit(&*store, &(0..20).map(event).collect::<Vec<_>>());
    let mut batch = Batch::new();
    batch.put("space", b"key", b"value");
    store.commit(&batch, Durability::Synced).unwrap();
    let mut count = 0;
    let next = store.scan(0, &mut |record| {
        // Everything, from within.
        let mut found = None;
        store
            .query(&Query::topic("n").between(..=record.time), &mut |record| {
                found = Some(Stored::of(&record));
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(found.as_ref(), Some(&Stored::of(&record)));
        assert_eq!(
            read_stream(&*store, "s", record.position).unwrap()[0].position,
            record.position
        );
        assert_eq!(store.value("space", b"key").unwrap().as_deref(), Some(&b"value"[..]));
        assert_eq!(store.bounds().unwrap().end, 20);
        assert_eq!(scan(&*store, record.position).unwrap().len() as u64, 20 - record.position);
        count += 1;
        ControlFlow::Continue(())
    });
    assert_eq!((next.unwrap(), count), (20, 20));
}

pub fn who_reads_while_events_are_removed_has_what_is_there_or_is_told(subject: &dyn Subject) {
    const ROUNDS: u64 = 150;
    const SIZE: u64 = 10;
    let store = subject.open();
    let is_over = AtomicBool::new(false);
    let checkpoint = Checkpoint::named("reader");
    thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|reader| {
                let (store, is_over) = (&store, &is_over);
                scope.spawn(move || {
                    // Once more when all is over.
                    let mut is_last = false;
                    while !is_last {
                        is_last = is_over.load(Ordering::Acquire);
                        let mut positions = Vec::new();
                        let mut note = |record: slipring_store::Record<'_>| {
                            assert_eq!(record.payload, record.position.to_le_bytes());
                            let version = record.stream.map(|place| place.version);
                            assert_eq!(version, Some(record.position));
                            positions.push(record.position);
                            ControlFlow::Continue(())
                        };
                        // What is asked for by its place may be gone by then. What is there is found.
                        let read = match reader {
                            0 => store.query(&Query::all(), &mut note),
                            1 => store.query(&Query::topic("t"), &mut note),
                            2 => {
                                let first = store.bounds().unwrap().first;
                                store.scan(first, &mut note).map(drop)
                            }
                            _ => {
                                let first = store.bounds().unwrap().first;
                                store.stream("s", first, &mut note)
                            }
                        };
                        match read {
                            Ok(()) => {}
                            Err(StoreError::Removed { .. }) if reader >= 2 => {}
                            Err(error) => panic!("reader {reader}: {error}"),
                        }
                        // A query may leave out what was removed before it came to it.
                        let follows = |one: &u64, next: &u64| {
                            if reader < 2 { one < next } else { one + 1 == *next }
                        };
                        assert!(positions.is_sorted_by(follows), "{positions:?}");
                    }
                })
            })
            .collect();
        for round in 0..ROUNDS {
            let event = |number: u64| Event::new("t", number, number.to_le_bytes()).stream("s");
            let mut batch =
                batch_of(&(round * SIZE..(round + 1) * SIZE).map(event).collect::<Vec<_>>());
            let needed = (round * SIZE).saturating_sub(50);
            checkpoint.put(&mut batch, needed);
            store.commit(&batch, Durability::Synced).unwrap();
            let removed = store.retain(&Retention::everything().events(0), Time::EPOCH).unwrap();
            assert!(removed.first <= needed, "{removed:?}: event {needed} is needed");
        }
        is_over.store(true, Ordering::Release);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    assert!(store.bounds().unwrap().first > 0, "something was removed");
}
