//! Looks at a running ring: exact where everybody stands still, and true while everybody moves.

mod common;

use std::{
    panic,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use common::{abandon, joined, polled, turnstile, within_a_minute};
use slipring::{
    At, Builder, Detach, Dispatcher, Doing, LagPolicy, Membership, Monitor, MultiProducer, Phase,
    Policy, Poll, Snapshot, Start, StationSnapshot, Wait, poller, read, share, update,
};

// ---- standing still ----

#[test]
fn a_look_tells_where_everybody_is() {
    let (mut producer, mut dispatcher) = Builder::new(16, || 0_u64)
        .then(poller("first"))
        .then((poller("left"), poller("right")))
        .start()
        .unwrap();
    let monitor = dispatcher.monitor();
    let mut first = dispatcher.poller("first").unwrap();
    let mut left = dispatcher.poller("left").unwrap();
    let right = dispatcher.poller("right").unwrap();
    producer.publish_batch(10, |_, _| ()).unwrap();
    for _ in 0..2 {
        polled(&mut first);
    }
    left.poll_at_most(3, |_, _| ()).unwrap();
    let snapshot = monitor.snapshot();
    assert_eq!((snapshot.published, snapshot.fill, snapshot.capacity), (10, 10, 16));
    assert_eq!((snapshot.phase, snapshot.producers.handles), (Phase::Open, 1));
    let told = |station: &StationSnapshot| {
        (station.position, station.lag, station.account.left, station.doing)
    };
    let all: Vec<_> = snapshot.stations.iter().map(told).collect();
    let expected =
        [(8, 2, 2, Doing::Working), (3, 5, 7, Doing::Working), (0, 8, 10, Doing::Working)];
    assert_eq!(all, expected);
    let follows: Vec<_> = snapshot.stations.iter().map(|station| &*station.follows).collect();
    assert_eq!(follows, [&[][..], &[0], &[0]]);

    // Who follows one that has left follows what that one followed.
    drop(first);
    drop(right);
    let snapshot = monitor.snapshot();
    let all: Vec<_> = snapshot.stations.iter().map(told).collect();
    let expected =
        [(8, 0, 2, Doing::Stopped), (3, 7, 7, Doing::Working), (0, 0, 10, Doing::Stopped)];
    assert_eq!((all, snapshot.fill), (expected.to_vec(), 7));
    while left.poll(|_, _| ()).unwrap() != Poll::Idle {}
    assert_eq!(monitor.snapshot().station("left").unwrap().doing, Doing::Waiting);
    drop(producer);
    let snapshot = monitor.snapshot();
    assert_eq!((snapshot.phase, snapshot.producers.handles), (Phase::Closed, 0));
    assert_eq!(snapshot.station("left").unwrap().doing, Doing::Finished);
    assert!(snapshot.adds_up());
}

#[test]
fn failures_are_told_apart() {
    within_a_minute(|| {
        let (mut producer, dispatcher) = Builder::new(8, || 0_u64)
            .then(
                read("flaky", |event: &u64, _| if *event == 0 { Ok(()) } else { Err("no") })
                    .policy(Policy::retry(2).or_skip()),
            )
            .start()
            .unwrap();
        producer.publish_slice(&[0, 1, 0, 2]).unwrap();
        drop(producer);
        let report = joined(dispatcher);
        let flaky = report.station("flaky").unwrap();
        assert_eq!((flaky.handled, flaky.skipped), (2, 2));
        assert_eq!(
            (flaky.failed, flaky.retried),
            (6, 4),
            "each event three times, two of them again"
        );
    });
}

#[test]
fn the_failure_that_halts_a_ring_is_counted() {
    within_a_minute(|| {
        let (mut producer, dispatcher) = Builder::new(8, || 0_u64)
            .then(read("fails", |event: &u64, _| if *event < 2 { Ok(()) } else { Err("no") }))
            .start()
            .unwrap();
        let monitor = dispatcher.monitor();
        producer.publish_slice(&[0, 1, 2, 3]).unwrap();
        let error = dispatcher.join().unwrap_err();
        let fails = error.report.station("fails").unwrap();
        assert_eq!((fails.failed, fails.retried, fails.handled, fails.left), (1, 0, 2, 2));
        let snapshot = monitor.snapshot();
        assert_eq!(snapshot.phase, Phase::Halted);
        assert_eq!(snapshot.station("fails").unwrap().doing, Doing::Stopped);
    });
}

#[test]
fn batches_are_counted_by_their_size() {
    let (mut producer, mut dispatcher) =
        Builder::new(64, || 0_u64).then(poller("p").max_batch(64)).start().unwrap();
    let mut poller = dispatcher.poller("p").unwrap();
    for size in [1, 1, 2, 3, 4, 7, 8, 63, 64] {
        producer.publish_batch(size, |_, _| ()).unwrap();
        assert_eq!(polled(&mut poller).len(), size);
    }
    let account = dispatcher.snapshot().stations[0].account.clone();
    let sizes: Vec<_> = account.batch_sizes.iter().collect();
    let expected = [(1..=1, 2), (2..=3, 2), (4..=7, 2), (8..=15, 1), (32..=63, 1), (64..=127, 1)];
    assert_eq!(sizes, expected);
    assert_eq!((account.batches, account.batch_sizes.batches()), (9, 9));
}

/// What is claimed and not written is not published, and may never be, whoever begins behind it.
#[test]
fn what_is_being_written_is_not_published_although_a_guest_has_begun_behind_it() {
    within_a_minute(|| {
        let (mut producer, dispatcher) =
            Builder::new(4, || 0_u64).then(read("here", |_: &u64, _| ())).start_multi().unwrap();
        let (turnstile, keeper) = turnstile();
        let mut other = producer.clone();
        other.publish(|_| ()).unwrap();
        let writing = thread::spawn(move || {
            let publish = || {
                producer.publish(|_| {
                    turnstile.pass(1);
                    panic!("the write closure panics");
                })
            };
            panic::catch_unwind(panic::AssertUnwindSafe(publish)).unwrap_err();
        });
        keeper.arrival();
        let guest = dispatcher.membership().attach_poller(poller("guest"), Start::Now).unwrap();
        assert_eq!(guest.sequence(), 2);
        let before = dispatcher.snapshot();
        assert_eq!((before.published, before.abandoned), (1, 0));
        keeper.let_through();
        writing.join().unwrap();
        let after = dispatcher.snapshot();
        assert_eq!((after.published, after.abandoned), (1, 1));
        assert!(before.adds_up() && after.adds_up());
        let account = &after.station("guest").unwrap().account;
        assert_eq!((account.first, account.due, account.left), (2, 0, 0));
    });
}

#[test]
fn many_ways_through_those_that_have_left_cost_no_more_than_one() {
    within_a_minute(|| {
        let layer = |layer: usize| [0, 1].map(|side| poller(format!("{layer}.{side}")));
        let mut ring = Builder::new(8, || 0_u64).then(layer(0));
        for number in 1..100 {
            ring = ring.then(layer(number));
        }
        let (mut producer, mut dispatcher) = ring.start().unwrap();
        for number in 0..99 {
            for side in 0..2 {
                drop(dispatcher.poller(&format!("{number}.{side}")).unwrap());
            }
        }
        producer.publish_batch(3, |_, _| ()).unwrap();
        let snapshot = dispatcher.snapshot();
        let lags = ["99.0", "99.1"].map(|name| snapshot.station(name).unwrap().lag);
        assert_eq!((lags, snapshot.fill), ([3, 3], 3));
    });
}

// ---- waiting ----

#[test]
fn a_producer_that_waits_for_room_is_seen_and_counted() {
    within_a_minute(|| {
        let (mut producer, mut dispatcher) = Builder::new(4, || 0_u64)
            .wait(Wait::Block)
            .then(poller("p").max_batch(4))
            .start()
            .unwrap();
        let mut poller = dispatcher.poller("p").unwrap();
        let stalls = || {
            let producers = dispatcher.snapshot().producers;
            (producers.stalls, producers.stalled)
        };
        producer.publish_batch(4, |_, _| ()).unwrap();
        assert_eq!(stalls(), (0, 0));
        let publishing = thread::spawn(move || {
            producer.publish(|_| ()).unwrap();
            producer
        });
        while stalls() != (1, 1) {
            thread::yield_now();
        }
        assert_eq!(polled(&mut poller).len(), 4);
        let mut producer = publishing.join().unwrap();
        assert_eq!(stalls(), (1, 0));
        // A refusal is no wait.
        producer.publish_batch(3, |_, _| ()).unwrap();
        producer.try_publish(|_| ()).unwrap_err();
        assert_eq!(stalls(), (1, 0));
    });
}

#[test]
fn a_sleeping_station_is_seen_to_wait_for_longer_and_longer() {
    within_a_minute(|| {
        let (mut producer, dispatcher) = Builder::new(4, || 0_u64)
            .wait(Wait::Block)
            .then(read("sleeper", |_: &u64, _| ()))
            .start()
            .unwrap();
        let sleeper = || dispatcher.snapshot().station("sleeper").unwrap().clone();
        while sleeper().sleeps == 0 {
            thread::yield_now();
        }
        let asleep = sleeper();
        assert_eq!((asleep.doing, asleep.waits), (Doing::Waiting, 1));
        while sleeper().wait_time <= asleep.wait_time {
            thread::yield_now();
        }
        producer.publish(|_| ()).unwrap();
        while sleeper().waits < 2 {
            thread::yield_now();
        }
        assert!(sleeper().wait_time > asleep.wait_time, "it is not forgotten when it wakes");
        drop(producer);
        assert_eq!(joined(dispatcher).station("sleeper").unwrap().handled, 1);
    });
}

// ---- moving ----

/// What must not go back from one look to the next, of a station that stays.
fn counts(station: &StationSnapshot) -> [u64; 11] {
    let account = &station.account;
    [
        station.position,
        account.due,
        account.handled,
        account.skipped,
        account.conflated,
        account.failed,
        account.retried,
        account.batches,
        station.waits,
        station.sleeps,
        station.late,
    ]
}

#[track_caller]
fn assert_is_consistent(now: &Snapshot, before: Option<&Snapshot>) {
    assert!(now.adds_up(), "{now:#?}");
    assert!(now.fill <= now.capacity);
    let end = now.published + now.abandoned;
    for station in &now.stations {
        let followed = station.follows.iter().map(|index| &now.stations[*index]);
        let present = followed.filter(|followed| followed.doing != Doing::Stopped);
        for followed in present {
            assert!(station.position <= followed.position, "{now:#?}");
        }
        assert!(station.position <= end, "{now:#?}");
        assert_eq!(station.account.batches, station.account.batch_sizes.batches());
    }
    let Some(before) = before else { return };
    assert!(now.published >= before.published && now.abandoned >= before.abandoned);
    assert!(now.at >= before.at && now.producers.stalls >= before.producers.stalls);
    for station in &now.stations {
        let before = before.station(&station.account.name);
        let same = before.filter(|before| before.account.first == station.account.first);
        if let Some(before) = same {
            let (now, before) = (counts(station), counts(before));
            let name = &station.account.name;
            assert!(
                now.iter().zip(before).all(|(now, before)| *now >= before),
                "{name}: {before:?}, {now:?}"
            );
        }
    }
}

/// Counts its own calls, apart from all that the ring counts.
#[derive(Clone, Default)]
struct Tally(Arc<AtomicU64>);

impl Tally {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

const BATCH: usize = 8;

/// A ring with a station of every kind, three of which count their calls.
fn ring_of_all_kinds(tallies: &[Tally; 3]) -> (MultiProducer<u64>, Dispatcher<u64>) {
    let [price, work, flaky] = tallies.clone();
    Builder::new(64, || 0_u64)
        .wait(Wait::Yield)
        .then(
            update("price", move |event: &mut u64, _| {
                *event += 1;
                price.count();
            })
            .max_batch(BATCH),
        )
        .then((
            share("work", 2, |_| {
                let work = work.clone();
                move |_: &u64, _: At<'_>| work.count()
            })
            .max_batch(BATCH),
            read("screen", |_: &u64, _| thread::yield_now())
                .lag_limit(3, LagPolicy::SkipAhead)
                .max_batch(2),
        ))
        .then((
            read("flaky", move |event: &u64, _| {
                flaky.count();
                if event.is_multiple_of(7) { Err("a seventh fails") } else { Ok(()) }
            })
            .policy(Policy::Skip)
            .max_batch(BATCH),
            poller("polled"),
        ))
        .start_multi()
        .unwrap()
}

/// Looks again and again, until everybody has ended; returns the last look.
fn looked_at_to_the_end(monitor: &Monitor, tallies: &[Tally; 3]) -> Snapshot {
    let mut last: Option<Snapshot> = None;
    loop {
        let before = tallies.each_ref().map(Tally::get);
        let now = monitor.snapshot();
        let after = tallies.each_ref().map(Tally::get);
        assert_is_consistent(&now, last.as_ref());
        for (index, name) in ["price", "work", "flaky"].into_iter().enumerate() {
            let station = now.station(name).unwrap();
            let called = station.account.handled + station.account.skipped;
            assert!(called <= after[index], "{name} has not handled so many: {station:#?}");
            // In hand, and not passed: at most a batch for each worker.
            let in_hand = (station.workers * BATCH) as u64;
            assert!(before[index] <= called + in_hand, "{name} has handled more: {station:#?}");
        }
        let is_over = |doing| matches!(doing, Doing::Finished | Doing::Stopped);
        if now.stations.iter().all(|station| is_over(station.doing)) {
            return now;
        }
        last = Some(now);
    }
}

/// Guests come one after the other, as long as the ring is open.
fn guests_come_and_go(members: &Membership<u64>) {
    for number in 0.. {
        let guest = read(format!("guest {number}"), |_: &u64, _| ());
        let Ok(guest) = members.attach(guest, Start::Oldest) else { break };
        let report = guest.detach(Detach::Drained, common::A_MINUTE).unwrap();
        assert!(report.adds_up(), "{report:?}");
    }
}

#[test]
fn every_look_at_a_ring_under_load_adds_up() {
    const EVENTS: u64 = 20_000;
    within_a_minute(|| {
        let tallies: [Tally; 3] = Default::default();
        let (producer, mut dispatcher) = ring_of_all_kinds(&tallies);
        let mut polled = dispatcher.poller("polled").unwrap();
        let (monitor, members) = (dispatcher.monitor(), dispatcher.membership());
        let end = thread::scope(|scope| {
            let feed = |lane: u64| {
                let mut producer = producer.clone();
                move || {
                    for event in 0..EVENTS / 2 {
                        if event % 100 == lane {
                            abandon(&mut producer);
                        }
                        producer.publish(|slot| *slot = event).unwrap();
                    }
                }
            };
            scope.spawn(feed(0));
            scope.spawn(feed(1));
            drop(producer);
            scope.spawn(move || while polled.poll(|_, _| ()).unwrap() != Poll::Closed {});
            scope.spawn(move || guests_come_and_go(&members));
            looked_at_to_the_end(&monitor, &tallies)
        });
        let report = joined(dispatcher);
        let declared = end.stations.into_iter().filter(|station| !station.is_guest);
        let accounts: Vec<_> = declared.map(|station| station.account).collect();
        let (published, abandoned) = (end.published, end.abandoned);
        assert_eq!((published, abandoned, accounts), (EVENTS, 200, report.stations));
        assert_eq!((report.published, report.abandoned), (published, abandoned));
    });
}
