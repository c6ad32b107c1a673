//! Stations that may not lag, and what becomes of those that do.

mod common;

use std::{thread, time::Duration};

use common::{A_MINUTE, Log, abandon, joined, turnstile, within_a_minute};
use slipring::{BuildError, Builder, Detach, Doing, LagPolicy, Start, poller, read, share, update};

#[test]
fn a_station_that_skips_ahead_handles_the_newest_events_and_counts_the_others() {
    within_a_minute(|| {
        let seen = Log::default();
        let (turnstile, keeper) = turnstile();
        let (mut producer, dispatcher) = Builder::new(16, || 0_u64)
            .then(
                read("screen", {
                    let seen = seen.clone();
                    move |event: &u64, at| {
                        seen.push((at.sequence(), *event));
                        turnstile.pass(at.sequence());
                    }
                })
                .lag_limit(2, LagPolicy::SkipAhead)
                .max_batch(4),
            )
            .then(read("after", |_: &u64, _| ()))
            .start()
            .unwrap();
        producer.publish(|event| *event = 100).unwrap();
        assert_eq!(keeper.arrival(), 0);
        // While it is at the first one, eight more come; of those it handles the newest two.
        for event in 101..109 {
            producer.publish(|slot| *slot = event).unwrap();
        }
        (0..3).for_each(|_| keeper.let_through());
        assert_eq!((keeper.arrival(), keeper.arrival()), (7, 8));
        drop(producer);
        let report = joined(dispatcher);
        assert_eq!(seen.take(), [(0, 100), (7, 107), (8, 108)]);
        let screen = report.station("screen").unwrap();
        assert_eq!((screen.handled, screen.conflated, screen.left), (3, 6, 0));
        let after = report.station("after").unwrap();
        assert_eq!((after.handled, after.conflated), (9, 0), "who follows sees everything");
        assert!(report.to_string().contains("conflated 6"), "{report}");
    });
}

#[test]
fn abandoned_sequences_are_not_events_that_were_passed_unhandled() {
    within_a_minute(|| {
        let (mut producer, mut dispatcher) =
            Builder::new(8, || 0_u64).then(poller("p")).start_multi().unwrap();
        let mut poller = dispatcher.poller("p").unwrap();
        for event in 0..3 {
            producer.publish(|slot| *slot = event).unwrap();
            abandon(&mut producer);
        }
        assert_eq!((poller.lag(), poller.skip_ahead(2)), (6, 2), "sequences, and events");
        assert_eq!((poller.lag(), poller.skip_ahead(2)), (2, 0));
        poller.poll(|event, _| assert_eq!(*event, 2)).unwrap();
        let snapshot = dispatcher.snapshot();
        let account = &snapshot.station("p").unwrap().account;
        assert_eq!((account.due, account.handled, account.conflated), (3, 1, 2));
        assert!(snapshot.adds_up());
    });
}

#[test]
fn a_station_that_detaches_lets_go_of_the_producers_and_of_who_follows() {
    within_a_minute(|| {
        let seen = Log::default();
        let (turnstile, keeper) = turnstile();
        let (mut producer, dispatcher) = Builder::new(4, || 0_u64)
            .then(
                update("slow", move |event: &mut u64, at| {
                    *event += 1_000;
                    turnstile.pass(at.sequence());
                })
                .lag_limit(1, LagPolicy::Detach)
                .max_batch(1),
            )
            .then(read("after", {
                let seen = seen.clone();
                move |event: &u64, _| seen.push(*event)
            }))
            .start()
            .unwrap();
        producer.publish(|event| *event = 0).unwrap();
        assert_eq!(keeper.arrival(), 0);
        producer.publish(|event| *event = 1).unwrap();
        keeper.let_through();
        // One may wait, two may not.
        assert_eq!(keeper.arrival(), 1);
        producer.publish_slice(&[2, 3]).unwrap();
        keeper.let_through();
        for event in 10..20 {
            producer.publish(|slot| *slot = event).unwrap();
        }
        drop(producer);
        let report = joined(dispatcher);
        let slow = report.station("slow").unwrap();
        assert_eq!((slow.handled, slow.left), (2, 12));
        let mut expected = vec![1_000, 1_001, 2, 3];
        expected.extend(10..20);
        assert_eq!(seen.take(), expected);
    });
}

#[test]
fn who_has_detached_is_seen_to_have_stopped_and_why() {
    within_a_minute(|| {
        let (turnstile, keeper) = turnstile();
        let (mut producer, dispatcher) = Builder::new(8, || 0_u64)
            .then(
                read("slow", move |_: &u64, at| turnstile.pass(at.sequence()))
                    .lag_limit(2, LagPolicy::Detach)
                    .max_batch(1),
            )
            .then(read("after", |_: &u64, _| ()))
            .start()
            .unwrap();
        let station = || dispatcher.snapshot().station("slow").unwrap().clone();
        producer.publish(|_| ()).unwrap();
        assert_eq!(keeper.arrival(), 0);
        producer.publish_batch(3, |_, _| ()).unwrap();
        assert_eq!((station().lag, station().late, station().doing), (4, 0, Doing::Working));
        keeper.let_through();
        // Nobody lets it through again: when it has gone, the ring has room for two laps.
        producer.publish_batch(8, |_, _| ()).unwrap();
        producer.publish_batch(8, |_, _| ()).unwrap();
        let gone = station();
        assert_eq!((gone.late, gone.doing, gone.position, gone.lag), (1, Doing::Stopped, 1, 0));
        drop(producer);
        assert_eq!(joined(dispatcher).station("slow").unwrap().left, 19);
    });
}

#[test]
fn a_station_that_only_alerts_handles_everything_and_is_counted_as_late() {
    within_a_minute(|| {
        let (turnstile, keeper) = turnstile();
        let (mut producer, dispatcher) = Builder::new(8, || 0_u64)
            .then(
                read("slow", move |_: &u64, at| turnstile.pass(at.sequence()))
                    .lag_limit(2, LagPolicy::Alert)
                    .max_batch(1),
            )
            .start()
            .unwrap();
        let monitor = dispatcher.monitor();
        producer.publish(|_| ()).unwrap();
        assert_eq!(keeper.arrival(), 0);
        producer.publish_batch(5, |_, _| ()).unwrap();
        for sequence in 1..6 {
            keeper.let_through();
            assert_eq!(keeper.arrival(), sequence);
        }
        keeper.let_through();
        drop(producer);
        assert_eq!(joined(dispatcher).station("slow").unwrap().handled, 6);
        // With 5, 4 and 3 behind it.
        assert_eq!(monitor.snapshot().station("slow").unwrap().late, 3);
    });
}

#[test]
fn a_guest_may_have_a_limit_too() {
    within_a_minute(|| {
        let (mut producer, dispatcher) =
            Builder::new(4, || 0_u64).then(read("here", |_: &u64, _| ())).start().unwrap();
        let (turnstile, keeper) = turnstile();
        let guest = read("guest", move |_: &u64, at| turnstile.pass(at.sequence()))
            .lag_limit(1, LagPolicy::Detach)
            .max_batch(1);
        let guest = dispatcher.membership().attach(guest, Start::Now).unwrap();
        producer.publish(|_| ()).unwrap();
        assert_eq!(keeper.arrival(), 0);
        producer.publish_batch(3, |_, _| ()).unwrap();
        keeper.let_through();
        producer.publish_batch(4, |_, _| ()).unwrap();
        let report = guest.detach(Detach::Drained, A_MINUTE).unwrap();
        assert_eq!((report.handled, report.left), (1, 7));
        assert!(report.adds_up());
        drop(producer);
        joined(dispatcher);
    });
}

/// Nobody will ever ask for its report.
#[test]
fn a_guest_that_leaves_unattended_gives_its_seat_and_its_name_back() {
    within_a_minute(|| {
        let (mut producer, dispatcher) =
            Builder::new(4, || 0_u64).then(read("here", |_: &u64, _| ())).start().unwrap();
        let members = dispatcher.membership();
        let is_there = || dispatcher.snapshot().station("guest").is_some();
        let has_left = || {
            let snapshot = dispatcher.snapshot();
            snapshot.station("guest").is_some_and(|guest| guest.doing == Doing::Stopped)
        };
        for is_dropped_first in [true, false] {
            let (turnstile, keeper) = turnstile();
            let guest = read("guest", move |_: &u64, at| turnstile.pass(at.sequence()))
                .lag_limit(1, LagPolicy::Detach)
                .max_batch(1);
            let guest = members.attach_after::<&str>([], guest, Start::Now).unwrap();
            producer.publish(|_| ()).unwrap();
            keeper.arrival();
            producer.publish_batch(3, |_, _| ()).unwrap();
            let guest = (!is_dropped_first).then_some(guest);
            assert!(is_there());
            keeper.let_through();
            while guest.is_some() && !has_left() {
                thread::yield_now();
            }
            drop(guest);
            while is_there() {
                thread::yield_now();
            }
        }
        // One that was told to leave, and is waited for by nobody.
        let (turnstile, keeper) = turnstile();
        let guest = read("guest", move |_: &u64, at| turnstile.pass(at.sequence()));
        let guest = members.attach(guest, Start::Now).unwrap();
        producer.publish(|_| ()).unwrap();
        keeper.arrival();
        drop(guest.detach(Detach::AtOnce, Duration::ZERO).unwrap_err());
        keeper.let_through();
        while is_there() {
            thread::yield_now();
        }
        drop(members.attach(read("guest", |_: &u64, _| ()), Start::Now).unwrap());
        drop(producer);
        assert!(dispatcher.join().unwrap().adds_up());
    });
}

#[test]
fn limits_that_cannot_be_kept_are_refused() {
    let limited = |station: slipring::Station<u64, slipring::Shared>, events| {
        let ring =
            Builder::new(8, || 0_u64).then(station.lag_limit(events, LagPolicy::SkipAhead)).start();
        match ring.unwrap_err() {
            error @ BuildError::LagLimit { .. } => error.to_string(),
            error => panic!("{error}"),
        }
    };
    assert!(limited(read("zero", |_: &u64, _| ()), 0).contains("at least 1"));
    assert!(limited(read("all", |_: &u64, _| ()), 8).contains("capacity"));
    assert!(limited(poller("polled"), 1).contains("skip_ahead"));
    let team = share("team", 2, |_| |_: &u64, _: slipring::At<'_>| ());
    assert!(limited(team, 1).contains("more workers"));
}
