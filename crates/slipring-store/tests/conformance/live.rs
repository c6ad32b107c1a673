//! Events as they come.

use std::{
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

use slipring_store::{
    Batch, Checkpoint, Durability, Reach, Record, Replay, ReplayCause, StoreError, Subscription,
};

use crate::{
    common::harness::{Event, LONG, Model, Stored, batch_of, commit, same, scan, until},
    stores::{Shared, Subject},
};

pub fn waiting_ends_with_the_event_or_the_time(subject: &dyn Subject) {
    let store = subject.open();
    // Nothing comes: it takes its time, and not more than it must.
    for reach in [Reach::Visible, Reach::Durable] {
        let begin = Instant::now();
        let bounds = store.wait(0, reach, Duration::from_millis(30)).unwrap();
        assert_eq!(bounds.end, 0);
        assert!(begin.elapsed() >= Duration::from_millis(30));
    }
    // What is there already is not waited for, and what comes ends the waiting of all.
    commit(&*store, &[Event::new("a", 1, "")]);
    assert_eq!(store.wait(0, Reach::Durable, Duration::MAX).unwrap().end, 1);
    assert_eq!(store.wait(1, Reach::Visible, Duration::ZERO).unwrap().end, 1);
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..6)
            .map(|number| {
                let reach = [Reach::Visible, Reach::Durable][number % 2];
                let timeout = [LONG, Duration::MAX][number / 3];
                let store = &store;
                scope.spawn(move || store.wait(1, reach, timeout).unwrap().end_of(reach))
            })
            .collect();
        // They may wait already or not: either way they must see it.
        thread::sleep(Duration::from_millis(20));
        commit(&*store, &[Event::new("a", 2, "")]);
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), 2);
        }
    });
    // A value is no event.
    let mut batch = Batch::new();
    batch.put("space", b"key", b"");
    store.commit(&batch, Durability::Synced).unwrap();
    assert_eq!(store.wait(2, Reach::Visible, Duration::from_millis(5)).unwrap().end, 2);
}

pub fn an_event_at_which_a_reader_panics_is_not_passed(subject: &dyn Subject) {
    let store = subject.open();
    commit(&*store, &[Event::new("a", 1, ""), Event::new("a", 2, ""), Event::new("a", 3, "")]);
    let mut subscription = Subscription::new(store, 0, Reach::Visible);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        subscription.next_now(&mut |record| {
            assert_eq!(record.position, 0, "it panics at the next one");
            ControlFlow::Continue(())
        })
    }));
    panicked.unwrap_err();
    assert_eq!(subscription.position(), 1);
    let left = read_until(&mut subscription, 3);
    assert_eq!(left.iter().map(|stored| stored.position).collect::<Vec<_>>(), [1, 2]);
}

pub fn who_is_behind_the_end_is_told_so_and_does_not_wait(subject: &dyn Subject) {
    let store = subject.open();
    commit(&*store, &[Event::new("a", 1, ""), Event::new("a", 2, "")]);
    let beyond = |error| {
        let expected = matches!(error, StoreError::Beyond { asked: 3, end: 2 });
        assert!(expected, "{error}");
    };
    for reach in [Reach::Visible, Reach::Durable] {
        let mut subscription = Subscription::new(store.clone(), 3, reach);
        let mut nobody = |_: Record<'_>| panic!("there is no such event");
        beyond(subscription.next_now(&mut nobody).unwrap_err());
        beyond(subscription.next_within(LONG, &mut nobody).unwrap_err());
        let replay = Replay::new(store.clone()).from(3).follow(reach);
        let error = replay.run(|_| panic!("there is no such event")).unwrap_err();
        match error.cause {
            ReplayCause::Store(error) => beyond(error),
            other => panic!("{other}"),
        }
        // At the end there is no event either, but one may come.
        subscription.seek(2);
        assert_eq!(subscription.next_now(&mut nobody).unwrap(), 0);
    }
}

/// Reads until it has so many.
fn read_until(subscription: &mut Subscription, end: u64) -> Vec<Stored> {
    let mut seen = Vec::new();
    while subscription.position() < end {
        let before = subscription.position();
        let count = subscription.next_within(LONG, &mut |record| {
            seen.push(Stored::of(&record));
            ControlFlow::Continue(())
        });
        let count = count.unwrap();
        assert!(count > 0, "nothing came after event {before}");
        assert_eq!(subscription.position(), before + count);
    }
    seen
}

pub fn a_subscription_joins_without_gap_or_duplicate(subject: &dyn Subject) {
    const WRITERS: u64 = 4;
    const BATCHES: u64 = 40;
    let store = subject.open();
    let event = |writer: u64, number: u64| {
        Event::new("joined", writer, number.to_le_bytes()).stream(&format!("w{writer}"))
    };
    commit(&*store, &(0..100).map(|number| event(9, number)).collect::<Vec<_>>());
    let sizes = |writer: u64| (0..BATCHES).map(move |batch| 1 + (batch * 7 + writer) % 11);
    let end = 100 + (0..WRITERS).flat_map(sizes).sum::<u64>();
    let seen = thread::scope(|scope| {
        // From the beginning, from the midst, from the end: all join while the writers write.
        let readers: Vec<_> = [(0, Reach::Durable), (50, Reach::Visible), (100, Reach::Durable)]
            .map(|(from, reach)| {
                let mut subscription = Subscription::new(store.clone(), from, reach);
                scope.spawn(move || (from, read_until(&mut subscription, end)))
            })
            .into();
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || {
                let mut number = 0;
                for size in sizes(writer) {
                    let events: Vec<_> =
                        (number..number + size).map(|at| event(writer, at)).collect();
                    number += size;
                    commit(&**store, &events);
                }
            });
        }
        readers.into_iter().map(|reader| reader.join().unwrap()).collect::<Vec<_>>()
    });
    let all = scan(&*store, 0).unwrap();
    assert_eq!(all.len() as u64, end);
    for (from, seen) in seen {
        same(&seen, &all[from as usize..]);
    }
    // And what is there is what was written: that of each writer in its order.
    for writer in [0, 1, 2, 3, 9] {
        let stream = format!("w{writer}");
        let numbers = all.iter().filter(|stored| stored.event.stream.as_deref() == Some(&stream));
        let count = if writer == 9 { 100 } else { sizes(writer).sum() };
        assert!(
            numbers.map(|stored| &stored.event.payload[..]).eq((0..count).map(u64::to_le_bytes))
        );
    }
}

pub fn a_subscription_goes_on_where_its_reader_broke_off(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    for size in [1, 200, 30] {
        let events: Vec<_> = (0..size).map(|at| Event::new("n", at, at.to_le_bytes())).collect();
        model.commit(&*store, &events);
    }
    let mut subscription = Subscription::new(store.clone(), 0, Reach::Durable);
    let mut seen = Vec::new();
    for round in 1_u64.. {
        let before = seen.len();
        let count = subscription.next_now(&mut |record| {
            seen.push(Stored::of(&record));
            until((seen.len() - before) as u64 == round)
        });
        assert_eq!(count.unwrap(), (seen.len() - before) as u64);
        if seen.len() == before {
            break;
        }
    }
    same(&seen, &model.events);
    subscription.seek(200);
    same(&read_until(&mut subscription, 231), &model.events[200..]);
}

/// Goes on from the checkpoint, over as many events as it is told, and commits each with what was made of it.
fn go_on(store: &Shared, checkpoint: &Checkpoint, most: u64) {
    let from = checkpoint.get(&**store).unwrap().unwrap_or(0);
    let mut subscription = Subscription::new(store.clone(), from, Reach::Durable);
    for _ in 0..most {
        let mut made = None;
        let read = subscription.next_now(&mut |record| {
            made = Some((record.position, record.payload.to_vec()));
            ControlFlow::Break(())
        });
        read.unwrap();
        let Some((position, payload)) = made else { return };
        let mut batch = Batch::new();
        batch.put("made", &position.to_be_bytes(), &payload);
        checkpoint.put(&mut batch, position + 1);
        store.commit(&batch, Durability::Visible).unwrap();
    }
}

pub fn a_checkpoint_is_true_with_what_was_made_of_the_events(subject: &dyn Subject) {
    let mut store = subject.open();
    let checkpoint = Checkpoint::named("maker");
    let mut batch = batch_of(&[]);
    for number in 0..60_u64 {
        batch.append(Event::new("n", number, number.to_le_bytes()).entry()).unwrap();
    }
    store.commit(&batch, Durability::Synced).unwrap();
    for round in 0..8 {
        go_on(&store, &checkpoint, round * 3);
        store.sync().unwrap();
        store = subject.reopen(store);
        let made = crate::common::harness::values(&*store, "made", b"");
        let position = checkpoint.get(&*store).unwrap().unwrap_or(0);
        let expected =
            (0..position).map(|at| (at.to_be_bytes().to_vec(), at.to_le_bytes().to_vec()));
        assert!(made.into_iter().eq(expected), "round {round}");
    }
    assert_eq!(checkpoint.get(&*store).unwrap(), Some(60));
    let all = Checkpoint::all(&*store).unwrap();
    assert_eq!((all.len(), &*all[0].name, all[0].position), (1, "maker", 60));
}
