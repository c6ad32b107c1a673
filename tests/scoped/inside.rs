//! What can be done inside: producers and pollers on scoped threads, guests, halts, rings in rings.

use std::{
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use slipring::{
    AttachError, BuildError, Builder, Detach, MultiProducer, Poll, PublishError, ScopeError, Start,
    poller, poller_mut, read,
};

use crate::{
    common::{
        A_MINUTE, Log, abandon, assert_accounts, polled_to_the_end, turnstile, within_a_minute,
    },
    complete, publish,
};

#[test]
fn producers_on_threads_of_the_scope_share_the_ring() {
    within_a_minute(|| {
        let units = [1, 1_000, 1_000_000];
        let mut sum = 0;
        let outcome = Builder::new(8, || 0)
            .then(read("sum", |event: &u64, _| sum += *event))
            .scope_multi(|producer, _| {
                thread::scope(|threads| {
                    for unit in &units {
                        let mut producer = producer.clone();
                        threads.spawn(move || {
                            for _ in 0..500 {
                                producer.publish(|slot| *slot = *unit).expect("the ring is open");
                            }
                        });
                    }
                });
            });
        let ((), report) = complete(outcome);
        assert_eq!((sum, report.published), (500_500_500, 1_500));
    });
}

#[test]
fn pollers_work_inside_and_those_that_are_not_taken_leave() {
    within_a_minute(|| {
        let (mut followed, mut behind) = (Vec::new(), Vec::new());
        let outcome = Builder::new(4, || 0)
            .then((poller("mine"), poller("untaken")))
            .after(["mine"], read("follows", |event: &u64, _| followed.push(*event)))
            .after(["untaken"], read("behind", |event: &u64, _| behind.push(*event)))
            .after(["follows", "behind"], poller_mut("last"))
            .scope(|mut producer, dispatcher| {
                let mut mine = dispatcher.poller("mine").expect("it was declared");
                let mut last = dispatcher.poller_mut("last").expect("it was declared");
                assert!(dispatcher.poller("mine").is_err(), "it is taken once");
                publish(&mut producer, 0..4);
                assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full));
                assert_eq!(last.poll(|_, _| ()), Ok(Poll::Gated));
                drop(producer);
                polled_to_the_end(&mut mine)
            });
        let (polled, report) = outcome.expect("no station has failed");
        assert_accounts(&report);
        let all = vec![0, 1, 2, 3];
        assert_eq!((&polled, &followed, &behind), (&all, &all, &all));
        let left = |name| report.station(name).map(|station| station.left);
        assert_eq!((left("mine"), left("untaken"), left("last")), (Some(0), Some(4), Some(4)));
    });
}

#[test]
fn a_poller_may_read_the_rest_after_the_scope() {
    within_a_minute(|| {
        let ring = Builder::new(4, || 0).then(poller("rest"));
        let outcome = ring.scope(|mut producer, dispatcher| {
            publish(&mut producer, 0..3);
            dispatcher.poller("rest").expect("it was declared")
        });
        let (mut rest, report) = outcome.expect("no station has failed");
        assert_eq!(report.stations[0].left, 3);
        assert_eq!(polled_to_the_end(&mut rest), [0, 1, 2]);
    });
}

#[test]
fn a_poller_on_a_thread_of_the_scope_borrows() {
    within_a_minute(|| {
        let (mut sum, mut log) = (0, Vec::new());
        let outcome = Builder::new(4, || 0)
            .then(poller("sum"))
            .then(read("log", |event: &u64, _| log.push(*event)))
            .scope(|mut producer, dispatcher| {
                let poller = dispatcher.poller("sum").expect("it was declared");
                thread::scope(|threads| {
                    threads.spawn(|| {
                        let mut poller = poller;
                        while poller.poll(|event, _| sum += event) != Ok(Poll::Closed) {
                            poller.wait(A_MINUTE);
                        }
                    });
                    publish(&mut producer, 0..100);
                    drop(producer);
                });
            });
        complete(outcome);
        assert_eq!((sum, log), (4_950, (0..100).collect()));
    });
}

#[test]
fn guests_come_and_go_inside_and_those_that_stay_are_awaited() {
    within_a_minute(|| {
        let (log, mut here) = (Log::default(), 0);
        let guest = |name| {
            let log = log.clone();
            read(name, move |event: &u64, _| log.push((name, *event)))
        };
        let ring = Builder::new(4, || 0).then(read("here", |_: &u64, _| here += 1));
        let outcome = ring.scope(|mut producer, dispatcher| {
            let members = dispatcher.membership();
            let leaves = members.attach(guest("leaves"), Start::Now).expect("the ring is open");
            publish(&mut producer, 0..2);
            let report = leaves.detach(Detach::Drained, A_MINUTE).expect("it leaves");
            assert_eq!(report.handled, 2);
            drop(members.attach(guest("stays"), Start::Now).expect("the ring is open"));
            publish(&mut producer, 2..5);
            members
        });
        let (members, report) = outcome.expect("no station has failed");
        assert!(report.is_complete(), "{report}");
        assert_eq!(report.station("stays").map(|stays| (stays.first, stays.handled)), Some((2, 3)));
        let mut log = log.take();
        log.sort_unstable();
        let expected = [("leaves", 0), ("leaves", 1), ("stays", 2), ("stays", 3), ("stays", 4)];
        assert_eq!((log, here), (expected.to_vec(), 5));
        let late = members.attach(guest("late"), Start::Now);
        assert_eq!(late.map(|_| ()), Err(AttachError::Closed));
    });
}

#[test]
fn closing_and_halting_work_inside() {
    within_a_minute(|| {
        let (mut seen, mut others) = (0, 0);
        let ring = Builder::new(4, || 0).then(read("seen", |_: &u64, _| seen += 1));
        let outcome = ring.scope(|mut producer, dispatcher| {
            publish(&mut producer, 0..6);
            dispatcher.close();
            producer.publish(|_| ())
        });
        assert_eq!(complete(outcome).0, Err(PublishError::Closed));
        let (turnstile, keeper) = turnstile();
        let turnstile = Mutex::new(turnstile);
        let ring = Builder::new(4, || 0).then(
            read("others", |_: &u64, at| {
                turnstile.lock().unwrap().pass(at.sequence());
                others += 1;
            })
            .max_batch(1),
        );
        let outcome = ring.scope(|mut producer, dispatcher| {
            publish(&mut producer, 0..4);
            keeper.arrival();
            dispatcher.halt();
            keeper.let_through();
        });
        let ((), report) = outcome.expect("the owner has halted it, no station has failed");
        assert_accounts(&report);
        assert_eq!((report.stations[0].handled, report.stations[0].left), (1, 3));
        assert_eq!((seen, others), (6, 1));
    });
}

#[test]
fn a_scope_ends_its_own_ring_whatever_becomes_of_the_dispatcher() {
    within_a_minute(|| {
        let (mut outer, mut inner) = (0, 0);
        let ring = Builder::new(4, || 0).then(read("outer", |_: &u64, _| outer += 1));
        let (other, report) = complete(ring.scope(|mut producer, dispatcher| {
            let (mut producer_of_other, mut other) =
                Builder::new(8, || 0).then(read("other", |_: &u64, _| ())).start().unwrap();
            publish(&mut producer_of_other, 0..3);
            let ring = Builder::new(2, || 0).then(read("inner", |_: &u64, _| inner += 1));
            complete(ring.scope(|mut producer, dispatcher| {
                publish(&mut producer, 0..5);
                mem::swap(dispatcher, &mut other);
                assert_eq!(dispatcher.capacity(), 8);
            }));
            publish(&mut producer, 0..7);
            assert_eq!(producer_of_other.publish(|_| ()), Err(PublishError::Closed));
            mem::swap(dispatcher, &mut other);
            other
        }));
        assert_eq!((outer, inner, report.published), (7, 5, 7));
        assert_eq!(other.join().map(|report| report.published), Ok(7));
    });
}

#[test]
fn what_is_abandoned_in_a_scope_is_counted() {
    within_a_minute(|| {
        let mut seen = Vec::new();
        let ring = Builder::new(4, || 0).then(read("seen", |event: &u64, _| seen.push(*event)));
        let outcome = ring.scope_multi(|mut producer: MultiProducer<u64>, _| {
            producer.publish(|slot| *slot = 1).expect("the ring is open");
            abandon(&mut producer);
            producer.publish(|slot| *slot = 2).expect("the ring is open");
        });
        let ((), report) = complete(outcome);
        assert_eq!((report.published, report.abandoned, seen), (2, 1, vec![1, 2]));
    });
}

#[test]
fn pinning_and_the_reset_hook_work_in_a_scope() {
    within_a_minute(|| {
        let resets = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&resets);
        let core =
            core_affinity::get_core_ids().and_then(|cores| cores.first().map(|core| core.id));
        let (mut name, mut seen) = (None, 0);
        let station = read("pinned", |_: &u64, _| {
            name = thread::current().name().map(str::to_owned);
            seen += 1;
        });
        let station = match core {
            Some(core) => station.pin(core),
            None => station,
        };
        let ring = Builder::new(4, || 0)
            .reset(move |_| {
                counter.fetch_add(1, Ordering::Relaxed);
            })
            .then(station);
        complete(ring.scope(|mut producer, _| publish(&mut producer, 0..10)));
        assert_eq!(
            (name.as_deref(), seen, resets.load(Ordering::Relaxed)),
            (Some("pinned"), 10, 10)
        );

        let ring = Builder::new(4, || 0_u64).then(read("nowhere", |_: &u64, _| ()).pin(usize::MAX));
        let error = ring.scope(|_, _| ()).map(|((), _)| ());
        assert!(matches!(error, Err(ScopeError::NotStarted(BuildError::NoSuchCore { .. }))));
    });
}
