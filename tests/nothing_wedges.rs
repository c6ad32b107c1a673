//! Nothing wedges: one test for each row of the README's table of that name. Each of them hangs,
//! loses events or shows unwritten ones on a disruptor that is not prepared for it.

mod common;

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use common::{
    A_MINUTE, Log, assert_accounts, joined, past, polled, polled_to_the_end, turnstile,
    within_a_minute,
};
use slipring::{
    At, Builder, FaultKind, MultiProducer, Policy, Poll, PublishError, Wait, Warning, poller, read,
    update,
};

/// Publishes an event whose write closure panics after it has changed the slot.
fn publish_and_panic(producer: &mut MultiProducer<u64>) {
    let publish = || {
        producer.publish(|event| {
            *event = 666;
            panic!("on purpose, in a write closure");
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(publish)).is_err(), "the panic goes on to the caller");
}

#[test]
fn a_panicking_write_closure_of_many_producers_is_skipped_by_every_station() {
    within_a_minute(|| {
        let seen = Log::default();
        let log = |seen: &Log<(u64, u64, bool)>| {
            let seen = seen.clone();
            move |event: &u64, at: At<'_>| seen.push((at.sequence(), *event, at.end_of_batch()))
        };
        let (mut producer, dispatcher) = Builder::new(4, || 0)
            .then([read("a", log(&seen)), read("b", log(&seen))])
            .then(read("c", log(&seen)))
            .start_multi()
            .unwrap();
        let mut other = producer.clone();
        // More of them than slots, so that stations and producers must get past each lap.
        for round in 0..6 {
            assert_eq!(producer.publish(|event| *event = round), Ok(3 * round));
            publish_and_panic(&mut producer);
            assert_eq!(other.publish(|event| *event = 100 + round), Ok(3 * round + 2));
        }
        // A batch is abandoned as a whole.
        let batch = || other.publish_batch(3, |index, _| assert_ne!(index, 1, "on purpose"));
        assert!(catch_unwind(AssertUnwindSafe(batch)).is_err());
        assert_eq!(producer.publish(|event| *event = 7), Ok(21));
        drop((producer, other));
        let report = joined(dispatcher);
        assert_eq!((report.published, report.abandoned), (13, 9));
        assert!(report.stations.iter().all(|station| station.handled == 13));
        let seen = seen.take();
        for sequence in (0..18).step_by(3).chain((2..18).step_by(3)).chain([21]) {
            let times = seen.iter().filter(|(at, ..)| *at == sequence).count();
            assert_eq!(times, 3, "sequence {sequence}");
        }
        assert!(seen.iter().all(|(_, event, _)| *event != 666), "an unwritten event was shown");
    });
}

#[test]
fn a_batch_that_ends_with_an_abandoned_sequence_still_tells_its_end() {
    within_a_minute(|| {
        let (mut producer, mut dispatcher) =
            Builder::new(8, || 0).then(poller("mine").max_batch(8)).start_multi().unwrap();
        let mut poller = dispatcher.poller("mine").unwrap();
        producer.publish_batch(2, |_, _| ()).unwrap();
        publish_and_panic(&mut producer);
        publish_and_panic(&mut producer);
        let mut seen = Vec::new();
        let handle = |_: &u64, at: At<'_>| seen.push((at.sequence(), at.end_of_batch()));
        assert_eq!(poller.poll(handle), Ok(Poll::Events(4)));
        assert_eq!(seen, [(0, false), (1, true)]);
        publish_and_panic(&mut producer);
        let passed = poller.poll(|_, at| assert_eq!(at.sequence(), u64::MAX, "there is no event"));
        assert_eq!(passed, Ok(Poll::Events(1)));
    });
}

#[test]
fn a_panicking_write_closure_of_a_single_producer_is_never_seen_and_its_sequence_is_used_again() {
    within_a_minute(|| {
        let (mut producer, mut dispatcher) =
            Builder::new(2, || 0_u64).then(poller("mine")).start().unwrap();
        let mut poller = dispatcher.poller("mine").unwrap();
        for round in 0..5 {
            let publish = || {
                producer.publish(|event| {
                    *event = 666;
                    panic!("on purpose, in a write closure");
                })
            };
            assert!(catch_unwind(AssertUnwindSafe(publish)).is_err());
            assert_eq!(poller.poll(|_, _| ()), Ok(Poll::Idle));
            assert_eq!(producer.publish(|event| *event = round), Ok(round));
            assert_eq!(polled(&mut poller), [round]);
        }
        drop(producer);
        assert_eq!(poller.poll(|_, _| ()), Ok(Poll::Closed));
        assert_eq!(joined(dispatcher).abandoned, 0);
    });
}

/// A ring whose middle station does what `fail` does at sequence 5, while a producer publishes
/// until it is refused.
fn halt_by(fail: fn() -> Result<(), String>, kind: FaultKind, message: &str) {
    let stopped = Arc::new(AtomicUsize::new(0));
    let count = |name: &str| {
        let stopped = CountsItsEnd(Arc::clone(&stopped));
        read(name, move |_: &u64, _| {
            let _ = &stopped;
        })
        .wait(Wait::Block)
    };
    let middle = move |_: &u64, at: At<'_>| if at.sequence() == 5 { fail() } else { Ok(()) };
    let (mut producer, dispatcher) = Builder::new(4, || 0)
        .producer_wait(Wait::Block)
        .then(count("first"))
        .then(read("middle", middle))
        .then((count("last"), count("beside")))
        .start()
        .unwrap();
    // Far more than the ring holds: the producer is blocked on the full ring when the fault comes,
    // or finds the ring halted.
    let fault = loop {
        match producer.publish(|_| ()) {
            Ok(_) => {}
            Err(PublishError::Halted(fault)) => break fault,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!((fault.station(), fault.sequence(), fault.kind()), ("middle", 5, kind));
    assert_eq!(fault.message(), message);
    assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Halted(fault.clone())));
    assert_eq!(dispatcher.fault(), Some(fault.clone()));
    let error = dispatcher.shutdown(A_MINUTE).unwrap_err();
    assert_eq!(error.fault(), Some(&fault));
    assert_eq!(stopped.load(Ordering::SeqCst), 3, "every station has ended");
    assert_accounts(&error.report);
    assert_eq!(error.report.station("middle").unwrap().handled, 5);
    assert!(error.report.station("last").unwrap().handled <= 5);
}

/// Counts handlers that are gone, and with them the threads that ran them.
struct CountsItsEnd(Arc<AtomicUsize>);

impl Drop for CountsItsEnd {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_panicking_handler_halts_every_station_and_every_producer() {
    within_a_minute(|| halt_by(|| panic!("on purpose"), FaultKind::Panic, "on purpose"));
}

#[test]
fn a_failing_handler_halts_every_station_and_every_producer() {
    within_a_minute(|| halt_by(|| Err("no stock".into()), FaultKind::Error, "no stock"));
}

#[test]
fn a_panicking_handler_that_may_skip_costs_one_event() {
    within_a_minute(|| {
        let seen = Log::default();
        let log = seen.clone();
        let handle = |_: &u64, at: At<'_>| assert_ne!(at.sequence() % 3, 1, "on purpose");
        let (mut producer, dispatcher) = Builder::new(2, || 0)
            .then(read("flaky", handle).policy(Policy::Skip))
            .then(read("after", move |_: &u64, at: At<'_>| log.push(at.sequence())))
            .start()
            .unwrap();
        for _ in 0..30 {
            producer.publish(|_| ()).unwrap();
        }
        drop(producer);
        let report = joined(dispatcher);
        let flaky = report.station("flaky").unwrap();
        assert_eq!((flaky.handled, flaky.skipped), (20, 10));
        assert!(seen.take().into_iter().eq(0..30));
    });
}

#[test]
fn a_batch_larger_than_the_ring_is_refused_at_once() {
    within_a_minute(|| {
        let (mut single, _dispatcher) =
            Builder::new(4, || 0).then(read("r", |_: &u8, _| ())).start().unwrap();
        let (mut multi, _other) =
            Builder::new(4, || 0).then(read("r", |_: &u8, _| ())).start_multi().unwrap();
        for asked in [5, 1 << 40, usize::MAX - 4, usize::MAX] {
            let too_large = Err(PublishError::TooLarge { asked, capacity: 4 });
            assert_eq!(single.publish_batch(asked, |_, _| ()), too_large);
            assert_eq!(single.try_publish_batch(asked, |_, _| ()), too_large);
            assert_eq!(multi.publish_batch(asked, |_, _| ()), too_large);
            assert_eq!(multi.try_publish_batch(asked, |_, _| ()), too_large);
        }
        assert_eq!(single.publish_batch(4, |_, _| ()), Ok(0..4));
        assert_eq!(multi.publish_batch(4, |_, _| ()), Ok(0..4));
    });
}

#[test]
fn a_refused_try_publish_has_no_effect_at_all() {
    within_a_minute(|| {
        let (mut producer, mut dispatcher) =
            Builder::new(4, || 0_u64).then(poller("mine")).start().unwrap();
        let mut poller = dispatcher.poller("mine").unwrap();
        producer.publish_batch(3, |index, event| *event = index as u64).unwrap();
        for _ in 0..3 {
            let refused = producer.try_publish_batch(2, |_, _| panic!("it must not be written"));
            assert_eq!(refused, Err(PublishError::Full));
        }
        assert_eq!(producer.try_publish(|event| *event = 3), Ok(3));
        assert_eq!(
            producer.try_publish(|_| panic!("it must not be written")),
            Err(PublishError::Full)
        );
        let timed_out = producer.publish_deadline(past(), |_| panic!("it must not be written"));
        assert_eq!(timed_out, Err(PublishError::TimedOut));
        let mut seen = Vec::new();
        while seen.len() < 4 {
            seen.extend(polled(&mut poller));
        }
        assert_eq!(seen, [0, 1, 2, 3]);
        assert_eq!(poller.poll(|_, _| ()), Ok(Poll::Idle), "nothing unpublished was exposed");
    });
}

#[test]
fn events_published_before_a_shutdown_are_handled_however_early_it_comes() {
    within_a_minute(|| {
        for round in 0..300 {
            let (first, last) = (Log::default(), Log::default());
            let (log_first, log_last) = (first.clone(), last.clone());
            let (mut producer, dispatcher) = Builder::new(8, || 0)
                .then(update("first", move |event: &mut u64, _| log_first.push(*event)))
                .then(update("last", move |event: &mut u64, _| log_last.push(*event)))
                .start()
                .unwrap();
            for event in 0..round % 9 {
                producer.publish(|slot| *slot = event).unwrap();
            }
            // The threads may not have seen any event yet, and the producer still exists.
            let report = dispatcher.shutdown(A_MINUTE).unwrap();
            assert_eq!(report.published, round % 9);
            assert!(first.take().into_iter().eq(0..round % 9));
            assert!(last.take().into_iter().eq(0..round % 9));
            assert_eq!(producer.publish(|_| ()), Err(PublishError::Closed));
        }
    });
}

#[test]
fn producers_that_wait_for_room_are_released_by_a_shutdown() {
    within_a_minute(|| {
        for wait in [Wait::Block, Wait::Adaptive, Wait::Yield, Wait::Sleep(A_MINUTE)] {
            let (turnstile, keeper) = turnstile();
            let (producer, dispatcher) = Builder::new(2, || 0)
                .producer_wait(wait)
                .then(read("slow", move |_: &u64, at: At<'_>| turnstile.pass(at.sequence())))
                .start_multi()
                .unwrap();
            let feed = |mut producer: MultiProducer<u64>| {
                thread::spawn(move || {
                    (0..).map_while(|n| producer.publish(|event| *event = n).ok()).count()
                })
            };
            let producers = [feed(producer.clone()), feed(producer.clone()), feed(producer)];
            // The ring is full and the station stands at its first event.
            assert_eq!(keeper.arrival(), 0);
            dispatcher.close();
            let accepted: usize = producers.into_iter().map(|thread| thread.join().unwrap()).sum();
            drop(keeper);
            let report = joined(dispatcher);
            assert_eq!(report.published, accepted as u64);
            assert_eq!(report.station("slow").unwrap().handled, accepted as u64);
        }
    });
}

#[test]
fn a_handler_that_publishes_into_its_own_full_ring_is_told() {
    within_a_minute(|| {
        let (send, refusals) = mpsc::channel();
        let (hand_over, producer) = mpsc::channel::<MultiProducer<u64>>();
        let mut own: Option<MultiProducer<u64>> = None;
        let handle = move |event: &u64, _: At<'_>| {
            let producer = own.get_or_insert_with(|| producer.recv().expect("it is sent"));
            // Each event publishes two more: the ring of 4 is soon full.
            if *event < 50 {
                for _ in 0..2 {
                    if let Err(error) = producer.publish(|slot| *slot = event + 1) {
                        send.send(error).expect("the test listens");
                    }
                }
            }
        };
        let (mut producer, dispatcher) =
            Builder::new(4, || 0).then(read("echo", handle)).start_multi().unwrap();
        hand_over.send(producer.clone()).unwrap();
        producer.publish(|event| *event = 0).unwrap();
        let error = refusals.recv_timeout(A_MINUTE).expect("the full ring is reported");
        assert_eq!(error, PublishError::WouldDeadlock { station: "echo".into() });
        let report = dispatcher.shutdown(A_MINUTE).unwrap();
        assert_eq!(report.station("echo").unwrap().handled, report.published);
    });
}

#[test]
fn a_handler_that_spills_what_does_not_fit_loses_nothing() {
    within_a_minute(|| {
        let (hand_over, producer) = mpsc::channel::<MultiProducer<u64>>();
        let (done, finished) = mpsc::channel();
        let mut own: Option<MultiProducer<u64>> = None;
        let mut spill = std::collections::VecDeque::new();
        let mut handled = 0;
        // The documented way: what a try_ form refuses is kept for the next call.
        let handle = move |event: &u64, _: At<'_>| {
            let producer = own.get_or_insert_with(|| producer.recv().expect("it is sent"));
            handled += 1;
            if *event > 0 {
                spill.extend([event - 1, event - 1]);
            }
            while let Some(next) = spill.front() {
                if producer.try_publish(|slot| *slot = *next).is_err() {
                    break;
                }
                spill.pop_front();
            }
            if spill.is_empty() && handled == (1 << 11) - 1 {
                done.send(handled).expect("the test listens");
            }
        };
        let (mut producer, dispatcher) =
            Builder::new(4, || 0).then(read("tree", handle)).start_multi().unwrap();
        hand_over.send(producer.clone()).unwrap();
        // A tree of depth 10: 2^11 - 1 events.
        producer.publish(|event| *event = 10).unwrap();
        assert_eq!(finished.recv_timeout(A_MINUTE), Ok((1 << 11) - 1));
        let report = dispatcher.shutdown(A_MINUTE).unwrap();
        assert_eq!(report.published, (1 << 11) - 1);
    });
}

#[test]
fn more_spinning_threads_than_cores_still_finish_and_are_warned_of() {
    within_a_minute(|| {
        let cores = thread::available_parallelism().unwrap().get();
        let stations = cores + 6;
        for wait in [Wait::Spin, Wait::Hint] {
            let ring = (0..stations).fold(Builder::new(16, || 0).wait(wait), |ring, index| {
                ring.then(update(format!("s{index}"), |event: &mut u64, _| *event += 1))
            });
            let (mut producer, dispatcher) = ring.start().unwrap();
            let threads = stations + 1;
            let warning = Warning::Oversubscribed { spinning: stations, threads, cores };
            assert_eq!(dispatcher.warnings(), [warning]);
            for _ in 0..2_000 {
                producer.publish(|event| *event = 0).unwrap();
            }
            drop(producer);
            assert!(joined(dispatcher).stations.iter().all(|station| station.handled == 2_000));
        }
        let (_producer, dispatcher) =
            Builder::new(16, || 0).then(read("calm", |_: &u64, _| ())).start().unwrap();
        assert_eq!(dispatcher.warnings(), []);
    });
}

#[test]
fn a_slow_consumer_gates_visibly_and_nothing_is_lost() {
    within_a_minute(|| {
        let (turnstile, keeper) = turnstile();
        let fast = Log::default();
        let log = fast.clone();
        let slow = move |_: &u64, at: At<'_>| turnstile.pass(at.sequence());
        let (mut producer, dispatcher) = Builder::new(4, || 0)
            .then((
                read("slow", slow),
                read("fast", move |event: &u64, _: At<'_>| log.push(*event)),
            ))
            .start()
            .unwrap();
        for event in 0..4 {
            producer.publish(|slot| *slot = event).unwrap();
        }
        assert_eq!(keeper.arrival(), 0);
        assert_eq!(producer.room(), 0, "the slow station is seen in the room that is left");
        assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full));
        keeper.let_through();
        assert_eq!(producer.publish(|slot| *slot = 4), Ok(4), "one handled, one fits");
        drop(keeper);
        drop(producer);
        let report = joined(dispatcher);
        assert!(report.is_complete());
        assert!(fast.take().into_iter().eq(0..5));
    });
}

#[test]
fn every_value_is_dropped_exactly_once() {
    /// Counts drops, and panics in one of them if told to.
    struct Counted {
        drops: Arc<AtomicUsize>,
        is_loud: bool,
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.drops.fetch_add(1, Ordering::SeqCst);
            assert!(!self.is_loud, "on purpose, in a destructor");
        }
    }
    within_a_minute(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let value = |is_loud: bool| Some(Counted { drops: Arc::clone(&drops), is_loud });
        let (mut producer, mut dispatcher) =
            Builder::new(8, || None).then(poller("mine")).start_multi().unwrap();
        let mut poller = dispatcher.poller("mine").unwrap();
        // Two read, one of them half; one abandoned half-written; the others unread.
        for _ in 0..6 {
            producer.publish(|slot| *slot = value(false)).unwrap();
        }
        let half_written = || {
            producer.publish(|slot| {
                *slot = value(false);
                panic!("on purpose, in a write closure");
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(half_written)).is_err());
        let mut batch = poller.read().unwrap();
        assert!(batch.next().is_some() && batch.next().is_some());
        drop(batch);
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        drop((producer, dispatcher));
        assert_eq!(drops.load(Ordering::SeqCst), 0, "the poller still lends them");
        drop(poller);
        assert_eq!(drops.load(Ordering::SeqCst), 7);

        // A loud destructor: the panic reaches the publisher, the value is gone once, and the ring
        // goes on.
        let (mut producer, mut dispatcher) =
            Builder::new(1, || None).then(slipring::poller("mine")).start().unwrap();
        let mut poller = dispatcher.poller("mine").unwrap();
        producer.publish(|slot| *slot = value(true)).unwrap();
        assert_eq!(poller.poll(|_, _| ()), Ok(Poll::Events(1)));
        let overwrite = || producer.publish(|slot| *slot = value(false));
        assert!(catch_unwind(AssertUnwindSafe(overwrite)).is_err());
        assert_eq!(drops.load(Ordering::SeqCst), 8);
        assert_eq!(producer.publish(|slot| *slot = value(false)), Ok(1));
        drop((poller, producer, dispatcher));
        assert_eq!(drops.load(Ordering::SeqCst), 10);
    });
}

#[test]
fn a_destructor_that_panics_with_its_handler_does_not_leave_a_cursor_behind() {
    struct Loud(Cell<bool>);
    impl Drop for Loud {
        fn drop(&mut self) {
            assert!(!self.0.get(), "on purpose, in a handler's destructor");
        }
    }
    within_a_minute(|| {
        let handle = |loud: &mut Loud, _: &u64, _: At<'_>| loud.0.set(true);
        let (mut producer, dispatcher) = Builder::new(2, || 0)
            .then(slipring::read_with("loud", || Loud(Cell::new(false)), handle))
            .start()
            .unwrap();
        producer.publish(|_| ()).unwrap();
        drop(producer);
        let error = dispatcher.shutdown(A_MINUTE).unwrap_err();
        assert_eq!(error.fault().unwrap().message(), "on purpose, in a handler's destructor");
        assert_eq!(error.report.station("loud").unwrap().handled, 1);
    });
}

#[test]
fn sequences_are_checked_at_their_edge() {
    within_a_minute(|| {
        let first = 1 << 62;
        let (mut producer, mut dispatcher) =
            Builder::new(4, || 0_u64).first_sequence(first).then(poller("mine")).start().unwrap();
        let mut poller = dispatcher.poller("mine").unwrap();
        for lap in 0..5 {
            let range = first + 4 * lap..first + 4 * lap + 4;
            assert_eq!(producer.publish_batch(4, |_, event| *event = lap), Ok(range));
            for _ in 0..4 {
                assert_eq!(polled(&mut poller), [lap]);
            }
        }
        drop(producer);
        assert_eq!(polled_to_the_end(&mut poller), []);
        let too_far =
            Builder::new(4, || 0).first_sequence(first + 1).then(read("r", |_: &u8, _| ()));
        assert!(too_far.start().unwrap_err().to_string().contains("2^62"));
    });
}

#[test]
fn what_is_dropped_lets_go() {
    within_a_minute(|| {
        // A builder that was never started holds nothing but its own memory.
        let kept = Arc::new(());
        let held = Arc::clone(&kept);
        drop(Builder::new(4, || 0).then(read("never", move |_: &u8, _| {
            let _ = &held;
        })));
        assert_eq!(Arc::strong_count(&kept), 1);

        // A dropped poller, taken or not, no longer gates.
        let (mut producer, mut dispatcher) =
            Builder::new(4, || 0_u64).then((poller("goes"), poller("stays"))).start().unwrap();
        let goes = dispatcher.poller("goes").unwrap();
        let mut stays = dispatcher.poller("stays").unwrap();
        producer.publish_batch(4, |_, _| ()).unwrap();
        while stays.poll(|_, _| ()).unwrap() != Poll::Idle {}
        assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full));
        drop(goes);
        assert_eq!(producer.try_publish(|_| ()), Ok(4));

        // What a half-read batch did not hand out is read again.
        producer.publish_batch(3, |index, event| *event = 10 + index as u64).unwrap();
        while stays.sequence() < 5 {
            stays.poll_at_most(1, |_, _| ()).unwrap();
        }
        assert_eq!(stays.read().unwrap().next(), Some(&10));
        assert_eq!(stays.read().unwrap().next(), Some(&11));
        drop(producer);
        assert_eq!(polled_to_the_end(&mut stays), [12]);
        drop(stays);
        joined(dispatcher);
    });
}

#[test]
fn whoever_can_still_read_a_slot_gates_it_whatever_the_order_of_the_calls() {
    within_a_minute(|| {
        // The hole in the nearest peer: a stage joined right after another one replaced it as the
        // producers' gate. Here "slow" is nobody's predecessor and must gate.
        let (turnstile, keeper) = turnstile();
        let slow = move |event: &u64, at: At<'_>| {
            turnstile.pass(at.sequence());
            assert_eq!(*event, at.sequence(), "overwritten while it was read");
        };
        let (mut producer, dispatcher) = Builder::new(4, || 0)
            .then(read("slow", slow))
            .branch(read("branch", |_: &u64, _| ()))
            .after(["branch"], read("joined", |_: &u64, _| ()))
            .start()
            .unwrap();
        for sequence in 0..4 {
            producer.publish(|event| *event = sequence).unwrap();
        }
        assert_eq!(keeper.arrival(), 0);
        assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full));
        drop(keeper);
        for sequence in 4..200 {
            producer.publish(|event| *event = sequence).unwrap();
        }
        drop(producer);
        assert!(joined(dispatcher).is_complete());
    });
}
