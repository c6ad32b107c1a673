//! Guests: what was once wrong when they came and went.

mod common;

use std::{
    hint, panic,
    sync::{
        Arc, Barrier, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use common::{A_MINUTE, abandon, polled, turnstile, within_a_minute};
use slipring::{Builder, Detach, Doing, Membership, PublishError, Start, poller, read};

#[test]
fn the_events_are_gone_with_the_ring_whoever_has_stayed() {
    within_a_minute(|| {
        for _ in 0..1_000 {
            let token = Arc::new(());
            let event = Arc::clone(&token);
            let (producer, dispatcher) =
                Builder::new(1, move || Arc::clone(&event)).without_stations().start().unwrap();
            let guest = read("guest", |_: &Arc<()>, _| ());
            drop(dispatcher.membership().attach(guest, Start::Now).unwrap());
            drop(producer);
            dispatcher.join().unwrap();
            assert_eq!(Arc::strong_count(&token), 1);
        }
    });
}

#[test]
fn what_is_abandoned_after_a_guest_has_left_is_not_left_by_it() {
    within_a_minute(|| {
        let (mut producer, dispatcher) =
            Builder::new(2, || 0).then(read("here", |_: &u64, _| ())).start_multi().unwrap();
        let (turnstile, keeper) = turnstile();
        let guest = read("guest", move |_: &u64, at| turnstile.pass(at.sequence())).max_batch(1);
        let guest = dispatcher.membership().attach(guest, Start::Now).unwrap();
        producer.publish(|slot| *slot = 0).unwrap();
        assert_eq!(keeper.arrival(), 0);
        let still_there = guest.detach(Detach::AtOnce, Duration::ZERO).unwrap_err();
        keeper.let_through();
        for event in 1..=20 {
            abandon(&mut producer);
            producer.publish(|slot| *slot = event).unwrap();
        }
        let report = still_there.member.detach(Detach::AtOnce, A_MINUTE).unwrap();
        assert_eq!((report.handled, report.left), (1, 20), "although the list is forgotten");
    });
}

/// What is claimed may never be published.
#[test]
fn a_guest_leaves_nothing_that_is_still_written() {
    within_a_minute(|| {
        let (mut producer, dispatcher) =
            Builder::new(8, || 0_u64).then(read("here", |_: &u64, _| ())).start_multi().unwrap();
        let members = dispatcher.membership();
        let attach = |name: &str| {
            let guest = read(name, |_: &u64, _| ());
            members.attach_after::<&str>([], guest, Start::Now).unwrap()
        };
        let before = attach("before");
        let (turnstile, keeper) = turnstile();
        let mut other = producer.clone();
        let writing = thread::spawn(move || {
            let publish = || {
                other.publish(|_| {
                    turnstile.pass(0);
                    panic!("the write closure panics");
                })
            };
            panic::catch_unwind(panic::AssertUnwindSafe(publish)).unwrap_err();
        });
        keeper.arrival();
        let report = before.detach(Detach::AtOnce, A_MINUTE).unwrap();
        assert_eq!((report.due, report.handled, report.left), (0, 0, 0));
        // What it has handled itself was published for certain.
        let ahead = attach("ahead");
        assert_eq!(ahead.first_sequence(), 1);
        producer.publish_batch(3, |_, _| ()).unwrap();
        let report = ahead.detach(Detach::Drained, A_MINUTE).unwrap();
        assert_eq!((report.due, report.handled, report.left), (3, 3, 0));
        keeper.let_through();
        writing.join().unwrap();
        drop(producer);
        let report = dispatcher.join().unwrap();
        assert_eq!((report.published, report.abandoned), (3, 1));
    });
}

/// What it has not seen published it does not vouch for.
#[test]
fn a_guest_that_leaves_gives_nobody_a_slot_that_is_still_written() {
    within_a_minute(|| {
        let (mut producer, dispatcher) =
            Builder::new(2, || 0_u64).without_stations().start_multi().unwrap();
        let mut other = producer.clone();
        let (turnstile, keeper) = turnstile();
        let writing = thread::spawn(move || producer.publish(|_| turnstile.pass(0)));
        assert_eq!(keeper.arrival(), 0);
        // It begins behind what is being written, and leaves.
        let guest = dispatcher.membership().attach_poller(poller("guest"), Start::Now).unwrap();
        assert_eq!(guest.sequence(), 1);
        other.publish(|_| ()).unwrap();
        drop(guest);
        assert_eq!(other.try_publish(|_| ()), Err(PublishError::Full), "slot 0 is still written");
        keeper.let_through();
        assert_eq!(writing.join().unwrap(), Ok(0));
        assert_eq!(other.try_publish(|_| ()), Ok(2));
    });
}

#[test]
fn what_is_abandoned_before_a_guest_s_first_event_is_not_missing_from_its_account() {
    within_a_minute(|| {
        let (mut producer, dispatcher) =
            Builder::new(8, || 0_u64).without_stations().start_multi().unwrap();
        let mut other = producer.clone();
        let (writer, writers_keeper) = turnstile();
        let writing = thread::spawn(move || {
            let publish = || {
                producer.publish(|_| {
                    writer.pass(0);
                    panic!("the write closure panics");
                })
            };
            panic::catch_unwind(panic::AssertUnwindSafe(publish)).unwrap_err();
        });
        assert_eq!(writers_keeper.arrival(), 0);
        let (turnstile, keeper) = turnstile();
        let guest = read("guest", move |_: &u64, at| turnstile.pass(at.sequence())).max_batch(1);
        let guest = dispatcher.membership().attach(guest, Start::Now).unwrap();
        assert_eq!(guest.first_sequence(), 1);
        other.publish(|_| ()).unwrap();
        assert_eq!(keeper.arrival(), 1);
        let guest = guest.detach(Detach::AtOnce, Duration::ZERO).unwrap_err().member;
        keeper.let_through();
        while dispatcher.snapshot().station("guest").unwrap().doing != Doing::Stopped {
            thread::yield_now();
        }
        // It has left, and now what it has never seen is given up.
        writers_keeper.let_through();
        writing.join().unwrap();
        other.publish(|_| ()).unwrap();
        let report = guest.detach(Detach::AtOnce, A_MINUTE).unwrap();
        assert_eq!((report.due, report.handled, report.left), (2, 1, 1));
    });
}

#[test]
fn a_reset_hook_may_attach_a_guest() {
    within_a_minute(|| {
        let members: Arc<OnceLock<Membership<u64>>> = Arc::default();
        let attached = Arc::new(AtomicU64::new(0));
        let (mut producer, dispatcher) = Builder::new(2, || 0_u64)
            .reset({
                let (members, attached) = (Arc::clone(&members), Arc::clone(&attached));
                move |_| {
                    let number = attached.fetch_add(1, Ordering::SeqCst);
                    let guest = read(format!("guest {number}"), |_: &u64, _| ());
                    let members = members.get().expect("it was set before the first event");
                    // Refused when the ring has closed.
                    drop(members.attach(guest, Start::Oldest));
                }
            })
            .then(read("here", |_: &u64, _| ()))
            .start()
            .unwrap();
        members.set(dispatcher.membership()).unwrap();
        for event in 0..20 {
            producer.publish(|slot| *slot = event).unwrap();
        }
        drop(producer);
        dispatcher.join().unwrap();
        assert!(attached.load(Ordering::SeqCst) >= 18, "all but the last lap has been reset");
    });
}

/// While a guest comes it stands, for a moment, behind where it begins.
#[test]
fn the_reset_hook_is_not_kept_waiting_by_a_guest_that_comes() {
    within_a_minute(|| {
        for round in 0..4_000 {
            let reset = Arc::new(AtomicU64::new(0));
            let hook = {
                let reset = Arc::clone(&reset);
                move |_: &mut u64| {
                    reset.fetch_add(1, Ordering::Relaxed);
                }
            };
            let (mut producer, dispatcher) =
                Builder::new(4, || 0).reset(hook).without_stations().start().unwrap();
            let members = dispatcher.membership();
            let mut first = members.attach_poller(poller("first"), Start::Now).unwrap();
            producer.publish(|slot| *slot = 0).unwrap();
            let line = Barrier::new(2);
            let second = thread::scope(|scope| {
                scope.spawn(|| {
                    line.wait();
                    (0..round % 500).for_each(|_| hint::spin_loop());
                    assert_eq!(polled(&mut first), [0]);
                });
                line.wait();
                members.attach_poller(poller("second"), Start::Now).unwrap()
            });
            assert_eq!((first.sequence(), second.sequence()), (1, 1));
            assert_eq!(reset.load(Ordering::Relaxed), 1, "both have passed it");
        }
    });
}
