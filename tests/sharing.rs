//! Stations that several threads share: each event is handled by one of them.

mod common;

use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use common::{
    A_MINUTE, Log, WAITS, abandon, assert_accounts, joined, polled, turnstile, within_a_minute,
};
use slipring::{
    At, Builder, FaultKind, Policy, PublishError, ShutdownCause, keyed, keyed_mut, poller, read,
    share, share_mut,
};

#[test]
fn each_event_is_handled_once_and_the_next_station_sees_what_was_done() {
    within_a_minute(|| {
        for (turn, wait) in WAITS.into_iter().enumerate() {
            for workers in 1..=4 {
                let (seen, checked) = (Log::default(), Log::default());
                let slots = 1 << (turn % 6);
                let (producer, dispatcher) = Builder::new(slots, || (0_u64, 0_u64))
                    .wait(wait)
                    .then(share_mut("work", workers, |worker| {
                        let seen = seen.clone();
                        move |event: &mut (u64, u64), at: At<'_>| {
                            event.1 = event.0 + 1;
                            seen.push((at.sequence(), worker, event.0));
                        }
                    }))
                    .then(read("check", {
                        let checked = checked.clone();
                        move |event: &(u64, u64), _: At<'_>| checked.push(*event)
                    }))
                    .start_multi()
                    .unwrap();
                thread::scope(|scope| {
                    for lane in 0..2 {
                        let mut producer = producer.clone();
                        scope.spawn(move || {
                            for number in 0..150 {
                                producer.publish(|event| *event = (2 * number + lane, 0)).unwrap();
                            }
                        });
                    }
                });
                drop(producer);
                let report = joined(dispatcher);
                let handled = report.station("work").map(|work| (work.handled, work.left));
                assert_eq!(handled, Some((300, 0)));
                let mut seen = seen.take();
                for worker in 0..workers {
                    let own = seen.iter().filter(|(_, by, _)| *by == worker);
                    assert!(own.map(|(at, ..)| at).is_sorted(), "a worker keeps the order");
                }
                seen.sort_unstable();
                assert!(seen.iter().map(|(at, ..)| *at).eq(0..300), "{wait} {workers}");
                let checked = checked.take();
                assert!(checked.iter().all(|(value, done)| *done == value + 1));
                assert!(checked.iter().map(|(value, _)| value).eq(seen.iter().map(|(.., v)| v)));
            }
        }
    });
}

#[test]
fn what_follows_waits_for_the_slowest_and_the_other_workers_do_not() {
    within_a_minute(|| {
        let (gate, keeper) = turnstile();
        let gate = Arc::new(Mutex::new(gate));
        let (done, handled) = mpsc::channel();
        let (mut producer, mut dispatcher) = Builder::new(8, || 0_u64)
            .then(
                share("work", 2, |_| {
                    let (gate, done) = (Arc::clone(&gate), done.clone());
                    move |event: &u64, _: At<'_>| {
                        if *event == 0 {
                            gate.lock().unwrap().pass(0);
                        }
                        done.send(*event).unwrap();
                    }
                })
                .max_batch(1),
            )
            .then(poller("behind"))
            .start()
            .unwrap();
        let mut behind = dispatcher.poller("behind").unwrap();
        for number in 0..8 {
            producer.publish(|event| *event = number).unwrap();
        }
        assert_eq!(keeper.arrival(), 0);
        let others: Vec<u64> = (1..8).map(|_| handled.recv_timeout(A_MINUTE).unwrap()).collect();
        assert_eq!(others, (1..8).collect::<Vec<_>>());
        assert!(polled(&mut behind).is_empty());
        assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full));
        keeper.let_through();
        assert_eq!(handled.recv_timeout(A_MINUTE), Ok(0));
        let mut seen = Vec::new();
        while seen.len() < 8 {
            assert!(behind.wait(A_MINUTE));
            seen.extend(polled(&mut behind));
        }
        assert_eq!(seen, (0..8).collect::<Vec<_>>());
        assert!(producer.try_publish(|event| *event = 8).is_ok());
        drop((producer, behind));
        joined(dispatcher);
    });
}

#[test]
fn an_early_release_lets_go_of_what_the_worker_has_done() {
    within_a_minute(|| {
        let (gate, keeper) = turnstile();
        let mut gate = Some(gate);
        let (mut producer, mut dispatcher) = Builder::new(8, || 0_u64)
            .then(share("work", 1, |_| {
                let gate = gate.take().unwrap();
                move |_: &u64, at: At<'_>| {
                    at.release();
                    gate.pass(at.sequence());
                }
            }))
            .then(poller("behind"))
            .start()
            .unwrap();
        let mut behind = dispatcher.poller("behind").unwrap();
        producer.publish_batch(4, |index, event| *event = index as u64).unwrap();
        for sequence in 0..4 {
            assert_eq!(keeper.arrival(), sequence);
            // One claim of two events, then two of one: each is released when the next one begins.
            let expected: Vec<u64> = sequence.checked_sub(1).into_iter().collect();
            assert_eq!(polled(&mut behind), expected);
            keeper.let_through();
        }
        drop(producer);
        assert!(behind.wait(A_MINUTE));
        assert_eq!(polled(&mut behind), [3]);
        drop(behind);
        let report = joined(dispatcher);
        assert_eq!(report.station("work").map(|work| work.handled), Some(4));
    });
}

#[test]
fn a_fault_is_told_and_every_event_is_accounted_for() {
    within_a_minute(|| {
        for workers in 1..=3 {
            let seen = Log::default();
            let (mut producer, dispatcher) = Builder::new(16, || 0_u64)
                .then(share("work", workers, |_| {
                    let seen = seen.clone();
                    move |event: &u64, _: At<'_>| {
                        if *event == 50 {
                            return Err("on purpose");
                        }
                        seen.push(*event);
                        Ok(())
                    }
                }))
                .start()
                .unwrap();
            let mut published = 0;
            while producer.publish(|event| *event = published).is_ok() {
                published += 1;
            }
            let error = dispatcher.join().unwrap_err();
            let fault = error.fault().expect("it was halted by one");
            assert_eq!((fault.station(), fault.sequence()), ("work", 50));
            assert_accounts(&error.report);
            assert_eq!(error.report.stations[0].handled, seen.take().len() as u64);
        }
    });
}

#[test]
fn policies_hold_for_each_worker() {
    within_a_minute(|| {
        let attempts = Log::default();
        let (mut producer, dispatcher) = Builder::new(8, || 0_u64)
            .then(
                share("work", 3, |_| {
                    let attempts = attempts.clone();
                    move |event: &u64, _: At<'_>| {
                        attempts.push(*event);
                        if event % 10 == 3 { Err("on purpose") } else { Ok(()) }
                    }
                })
                .policy(Policy::retry(2).or_skip()),
            )
            .start()
            .unwrap();
        for number in 0..100 {
            producer.publish(|event| *event = number).unwrap();
        }
        drop(producer);
        let report = joined(dispatcher);
        let work = report.station("work").unwrap();
        assert_eq!((work.handled, work.skipped, work.retried), (90, 10, 20));
        let mut attempts = attempts.take();
        attempts.sort_unstable();
        let times = |number| if number % 10 == 3 { 3 } else { 1 };
        let expected: Vec<u64> =
            (0..100).flat_map(|number| std::iter::repeat_n(number, times(number))).collect();
        assert_eq!(attempts, expected);
    });
}

#[test]
fn abandoned_sequences_are_passed_over_once() {
    within_a_minute(|| {
        let seen = Log::default();
        let (mut producer, dispatcher) = Builder::new(4, || 0_u64)
            .then(share("work", 3, |_| {
                let seen = seen.clone();
                move |event: &u64, _: At<'_>| seen.push(*event)
            }))
            .start_multi()
            .unwrap();
        for number in 0..50 {
            producer.publish(|event| *event = number).unwrap();
            abandon(&mut producer);
        }
        drop(producer);
        let report = joined(dispatcher);
        assert_eq!((report.published, report.abandoned), (50, 50));
        assert_eq!(report.station("work").map(|work| work.handled), Some(50));
        let mut seen = seen.take();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..50));
    });
}

#[test]
fn a_worker_that_would_wait_for_itself_is_told_and_one_that_waits_for_another_waits() {
    within_a_minute(|| {
        let (gate, keeper) = turnstile();
        let gate = Arc::new(Mutex::new(gate));
        let (told, results) = mpsc::channel();
        // Makes the producer that the handlers publish with known to them.
        let own = Arc::new(Mutex::new(None));
        let (producer, dispatcher) = Builder::new(2, || 0_u64)
            .then(
                share("work", 2, |_| {
                    let (gate, told, own) = (Arc::clone(&gate), told.clone(), Arc::clone(&own));
                    move |event: &u64, _: At<'_>| match *event {
                        0 => gate.lock().unwrap().pass(0),
                        1 => {
                            let mut producer: slipring::MultiProducer<u64> =
                                own.lock().unwrap().take().expect("it was put there");
                            // Waits for event 0, which the other worker has in hand.
                            told.send(producer.publish(|event| *event = 2)).unwrap();
                            // Two more: the second one needs the slot of event 1, in this hand.
                            let filled = producer.publish(|event| *event = 3);
                            told.send(filled).unwrap();
                        }
                        _ => {}
                    }
                })
                .max_batch(1),
            )
            .start_multi()
            .unwrap();
        let mut first = producer.clone();
        *own.lock().unwrap() = Some(producer);
        first.publish(|event| *event = 0).unwrap();
        assert_eq!(keeper.arrival(), 0);
        first.publish(|event| *event = 1).unwrap();
        drop(first);
        assert!(results.recv_timeout(Duration::from_millis(1)).is_err(), "it waits");
        keeper.let_through();
        assert_eq!(results.recv_timeout(A_MINUTE), Ok(Ok(2)));
        let refused = results.recv_timeout(A_MINUTE).unwrap();
        assert!(
            matches!(&refused, Err(PublishError::WouldDeadlock { station }) if **station == *"work"),
            "{refused:?}"
        );
        let report = joined(dispatcher);
        assert_eq!(report.station("work").map(|work| work.handled), Some(3));
    });
}

#[test]
fn the_reset_hook_clears_what_all_workers_have_done() {
    within_a_minute(|| {
        let cleared = Arc::new(Mutex::new(0));
        let count = Arc::clone(&cleared);
        let (mut producer, dispatcher) = Builder::new(4, || 0_u64)
            .reset(move |event: &mut u64| {
                assert_ne!(*event, 0, "published, and not cleared before");
                *event = 0;
                *count.lock().unwrap() += 1;
            })
            .then(share("work", 3, |_| |event: &u64, _: At<'_>| assert_ne!(*event, 0)))
            .start()
            .unwrap();
        for number in 1..=500 {
            producer.publish(|event| *event = number).unwrap();
        }
        drop(producer);
        joined(dispatcher);
        assert_eq!(*cleared.lock().unwrap(), 500);
    });
}

#[test]
fn a_shutdown_names_a_team_once_and_workers_have_names() {
    within_a_minute(|| {
        let (tell, names) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let (mut producer, dispatcher) = Builder::new(4, || 0_u64)
            .then(
                share("ship", 2, |_| {
                    let (tell, held) = (tell.clone(), Arc::clone(&held));
                    move |_: &u64, _: At<'_>| {
                        tell.send(thread::current().name().map(str::to_owned)).unwrap();
                        // Until the test lets go, one behind the other.
                        let _ = held.lock().unwrap().recv();
                    }
                })
                .max_batch(1),
            )
            .start()
            .unwrap();
        for _ in 0..2 {
            producer.publish(|_| ()).unwrap();
        }
        let mut both = [(); 2].map(|()| names.recv_timeout(A_MINUTE).unwrap().unwrap());
        both.sort_unstable();
        assert_eq!(both, ["ship-0", "ship-1"]);
        let error = dispatcher.shutdown(Duration::ZERO).unwrap_err();
        assert_eq!(error.cause, ShutdownCause::TimedOut { running: vec!["ship".to_owned()] });
        assert_accounts(&error.report);
        drop((producer, release));
    });
}

#[test]
fn what_cannot_work_is_refused() {
    let none =
        Builder::new(4, || 0_u64).then(share("work", 0, |_| |_: &u64, _: At<'_>| ())).start();
    assert!(none.unwrap_err().to_string().contains("`work` is shared by 0 workers"));
    let many =
        Builder::new(4, || 0_u64).then(share("work", 257, |_| |_: &u64, _: At<'_>| ())).start();
    assert!(many.unwrap_err().to_string().contains("257 stations"));
    let pinned = share("work", 2, |_| |_: &u64, _: At<'_>| ()).pin_each([0, 99_999]);
    let nowhere = Builder::new(4, || 0_u64).then(pinned).start();
    assert!(nowhere.unwrap_err().to_string().contains("99999"));
    let beside = Builder::new(4, || 0_u64)
        .branch(share_mut("work", 2, |_| |_: &mut u64, _: At<'_>| ()))
        .branch(read("other", |_: &u64, _| ()))
        .start();
    assert!(beside.unwrap_err().to_string().contains("`work` mutates"));
    let polled =
        Builder::new(4, || 0_u64).then(share("work", 2, |_| |_: &u64, _: At<'_>| ())).start();
    let (_producer, mut dispatcher) = polled.unwrap();
    assert!(dispatcher.poller("work").is_err());
}

#[test]
fn each_key_stays_with_one_worker_and_keeps_its_order() {
    within_a_minute(|| {
        for (turn, wait) in WAITS.into_iter().enumerate() {
            for workers in 1..=4 {
                let (seen, checked) = (Log::default(), Log::default());
                let (mut producer, dispatcher) = Builder::new(1 << (turn % 6), || (0_u64, 0_u64))
                    .wait(wait)
                    .then(keyed_mut(
                        "work",
                        workers,
                        |event: &(u64, u64)| event.0 % 7,
                        |worker| {
                            let seen = seen.clone();
                            move |event: &mut (u64, u64), at: At<'_>| {
                                event.1 = event.0 + 1;
                                seen.push((event.0 % 7, worker, at.sequence()));
                            }
                        },
                    ))
                    .then(read("check", {
                        let checked = checked.clone();
                        move |event: &(u64, u64), _: At<'_>| checked.push(*event)
                    }))
                    .start()
                    .unwrap();
                for number in 0..300 {
                    producer.publish(|event| *event = (number, 0)).unwrap();
                }
                drop(producer);
                let report = joined(dispatcher);
                assert_eq!(
                    report.station("work").map(|work| (work.handled, work.left)),
                    Some((300, 0))
                );
                let mut seen = seen.take();
                for key in 0..7 {
                    let own: Vec<_> = seen.iter().filter(|(of, ..)| *of == key).collect();
                    assert!(own.iter().all(|(_, worker, _)| *worker == own[0].1), "{workers}");
                    assert!(own.iter().map(|(.., at)| at).is_sorted());
                }
                seen.sort_unstable_by_key(|(.., at)| *at);
                assert!(seen.iter().map(|(.., at)| *at).eq(0..300));
                let expected: Vec<_> = (0..300).map(|number| (number, number + 1)).collect();
                assert_eq!(checked.take(), expected);
            }
        }
    });
}

#[test]
fn a_key_is_asked_for_once_and_never_of_an_abandoned_event() {
    within_a_minute(|| {
        let asked = Log::default();
        let key = {
            let asked = asked.clone();
            move |event: &u64| {
                asked.push(*event);
                *event
            }
        };
        let seen = Log::default();
        let (mut producer, dispatcher) = Builder::new(8, || 0_u64)
            .then(keyed("work", 3, key, |_| {
                let seen = seen.clone();
                move |event: &u64, _: At<'_>| seen.push(*event)
            }))
            .start_multi()
            .unwrap();
        for number in 0..100 {
            producer.publish(|event| *event = number).unwrap();
            abandon(&mut producer);
        }
        drop(producer);
        let report = joined(dispatcher);
        assert_eq!((report.published, report.abandoned), (100, 100));
        let work = report.station("work").unwrap();
        assert_eq!((work.handled, work.left), (100, 0));
        assert_eq!(asked.take(), (0..100).collect::<Vec<_>>());
        let mut seen = seen.take();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..100));
    });
}

#[test]
fn a_worker_whose_key_is_slow_does_not_hold_up_the_others() {
    within_a_minute(|| {
        let (gate, keeper) = turnstile();
        let gate = Arc::new(Mutex::new(gate));
        let (done, handled) = mpsc::channel();
        let mut of_worker = Vec::new();
        for key in 0_u64..64 {
            // Which keys the two workers have, found out with a ring of its own.
            let (told, owner) = mpsc::channel();
            let (mut producer, dispatcher) = Builder::new(1, || 0_u64)
                .then(keyed(
                    "work",
                    2,
                    |key: &u64| *key,
                    |worker| {
                        let told = told.clone();
                        move |_: &u64, _: At<'_>| told.send(worker).unwrap()
                    },
                ))
                .start()
                .unwrap();
            producer.publish(|event| *event = key).unwrap();
            drop(producer);
            joined(dispatcher);
            of_worker.push(owner.recv().unwrap());
        }
        let slow = 0;
        let others: Vec<u64> =
            (1..64).filter(|key| of_worker[*key as usize] != of_worker[slow]).take(7).collect();
        let (mut producer, mut dispatcher) = Builder::new(8, || 0_u64)
            .then(keyed(
                "work",
                2,
                |key: &u64| *key,
                |_| {
                    let (gate, done) = (Arc::clone(&gate), done.clone());
                    move |event: &u64, at: At<'_>| {
                        if *event == slow as u64 {
                            gate.lock().unwrap().pass(at.sequence());
                        }
                        done.send(*event).unwrap();
                    }
                },
            ))
            .then(poller("behind"))
            .start()
            .unwrap();
        let mut behind = dispatcher.poller("behind").unwrap();
        let events: Vec<u64> = std::iter::once(slow as u64).chain(others.iter().copied()).collect();
        producer.publish_slice(&events).unwrap();
        assert_eq!(keeper.arrival(), 0);
        for other in &others {
            assert_eq!(handled.recv_timeout(A_MINUTE).as_ref(), Ok(other));
        }
        assert!(polled(&mut behind).is_empty());
        assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full));
        keeper.let_through();
        let mut seen = Vec::new();
        while seen.len() < 8 {
            assert!(behind.wait(A_MINUTE));
            seen.extend(polled(&mut behind));
        }
        assert_eq!(seen, events);
        drop((producer, behind));
        joined(dispatcher);
    });
}

#[test]
fn a_key_that_panics_halts_the_ring_at_its_event() {
    within_a_minute(|| {
        let key = |event: &u64| {
            assert_ne!(*event, 30, "on purpose");
            *event
        };
        let seen = Log::default();
        let (mut producer, dispatcher) = Builder::new(8, || 0_u64)
            .then(keyed("work", 3, key, |_| {
                let seen = seen.clone();
                move |event: &u64, _: At<'_>| seen.push(*event)
            }))
            .start()
            .unwrap();
        let mut published = 0;
        while producer.publish(|event| *event = published).is_ok() {
            published += 1;
        }
        let error = dispatcher.join().unwrap_err();
        let fault = error.fault().expect("it was halted by one");
        assert_eq!(
            (fault.station(), fault.sequence(), fault.kind()),
            ("work", 30, FaultKind::Panic)
        );
        assert_accounts(&error.report);
        assert_eq!(error.report.stations[0].handled, seen.take().len() as u64);
    });
}

#[test]
fn the_end_of_a_workers_batch_is_told_with_its_last_own_event() {
    within_a_minute(|| {
        let log = Log::default();
        let (mut producer, dispatcher) = Builder::new(64, || 0_u64)
            .then(keyed(
                "work",
                2,
                |event: &u64| *event,
                |worker| {
                    let log = log.clone();
                    move |_: &u64, at: At<'_>| log.push((worker, at.end_of_batch()))
                },
            ))
            .start()
            .unwrap();
        for round in 0..20 {
            producer.publish_batch(16, |index, event| *event = round * 16 + index as u64).unwrap();
        }
        drop(producer);
        joined(dispatcher);
        let log = log.take();
        assert_eq!(log.len(), 320);
        for worker in 0..2 {
            let own: Vec<bool> =
                log.iter().filter(|(by, _)| *by == worker).map(|(_, end)| *end).collect();
            assert_eq!(own.last(), Some(&true), "whoever flushes then has flushed everything");
        }
    });
}
