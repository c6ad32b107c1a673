//! The end of a ring: what is drained and what is left, the account of it, and that every value is
//! dropped once.

#![forbid(unsafe_code)]

mod common;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use common::{
    A_MINUTE, Keeper, Log, abandon, assert_accounts, joined, polled, polled_to_the_end, turnstile,
    within_a_minute,
};
use slipring::{
    Builder, Claim, Dispatcher, Policy, Poll, Producer, PublishError, Report, ShutdownCause,
    ShutdownError, Wait, poller, read, update,
};

/// How each station fared: handled, skipped, left.
fn figures(report: &Report) -> Vec<(u64, u64, u64)> {
    assert_accounts(report);
    report.stations.iter().map(|it| (it.handled, it.skipped, it.left)).collect()
}

/// A pipeline of two stations whose first one stops at a turnstile for each event.
fn stopping(max_batch: usize) -> (Builder<u64>, Keeper) {
    let (gate, keeper) = turnstile();
    let ring = Builder::new(4, || 0_u64)
        .then(read("gated", move |_: &u64, at| gate.pass(at.sequence())).max_batch(max_batch))
        .then(read("behind", |_: &u64, _| ()));
    (ring, keeper)
}

// ---- draining ----

#[test]
fn the_last_producer_ends_the_ring_with_everything_handled() {
    within_a_minute(|| {
        for capacity in [1, 2, 4] {
            for events in 0..10 {
                let log = Log::default();
                let seen = log.clone();
                let ring = Builder::new(capacity, || 0)
                    .then(update("first", |event: &mut u64, _| *event += 1))
                    .then(read("last", move |event: &u64, _| seen.push(*event)));
                let (producer, dispatcher) = ring.start_multi().expect("a good graph");
                let mut last = producer.clone();
                drop(producer);
                for value in 0..events {
                    last.publish(|event| *event = value).expect("it is not closed yet");
                }
                drop(last);
                let report = joined(dispatcher);
                assert_eq!(figures(&report), [(events, 0, 0); 2]);
                assert_eq!(log.take(), (1..=events).collect::<Vec<_>>());
            }
        }
    });
}

#[test]
fn join_waits_for_as_long_as_there_is_a_producer() {
    within_a_minute(|| {
        let (mut producer, dispatcher) = Builder::new(2, || 0_u64)
            .then(read("s", |_: &u64, _| ()))
            .start()
            .expect("a good graph");
        let (joining, began) = mpsc::channel();
        let join = thread::spawn(move || {
            joining.send(()).expect("the test listens");
            dispatcher.join()
        });
        began.recv().expect("the thread runs");
        for _ in 0..20 {
            producer.publish(|_| ()).expect("joining does not close");
        }
        drop(producer);
        let report = join.join().expect("no panic").expect("nothing went wrong");
        assert_eq!(figures(&report), [(20, 0, 0)]);
    });
}

#[test]
fn closing_drains_although_producers_live() {
    within_a_minute(|| {
        let (ring, keeper) = stopping(1);
        let (mut producer, dispatcher) = ring.start().expect("a good graph");
        producer.publish_slice(&[1, 2, 3, 4]).expect("there is room");
        assert_eq!(keeper.arrival(), 0);
        dispatcher.close();
        assert_eq!(producer.publish(|_| ()), Err(PublishError::Closed));
        drop(keeper);
        assert_eq!(figures(&joined(dispatcher)), [(4, 0, 0); 2]);
        assert_eq!(producer.publish(|_| ()), Err(PublishError::Closed));
    });
}

#[test]
fn a_shutdown_drains_what_was_published() {
    for timeout in [A_MINUTE, Duration::MAX] {
        within_a_minute(move || {
            let (ring, keeper) = stopping(1);
            let (mut producer, dispatcher) = ring.start().expect("a good graph");
            producer.publish_slice(&[1, 2, 3, 4]).expect("there is room");
            assert_eq!(keeper.arrival(), 0);
            let ending = thread::spawn(move || dispatcher.shutdown(timeout));
            while !producer.is_closed() {
                thread::yield_now();
            }
            for sequence in 1..4 {
                keeper.let_through();
                assert_eq!(keeper.arrival(), sequence);
            }
            drop(keeper);
            let report = ending.join().expect("no panic").expect("everything is handled");
            assert_eq!(figures(&report), [(4, 0, 0); 2]);
            assert!(report.is_complete());
        });
    }
}

#[test]
fn a_dropped_dispatcher_drains_what_was_published() {
    within_a_minute(|| {
        let log = Log::default();
        let seen = log.clone();
        let ring = Builder::new(4, || 0)
            .then(read("first", |_: &u64, _| thread::yield_now()))
            .then(read("last", move |event: &u64, _| seen.push(*event)));
        let (mut producer, dispatcher) = ring.start().expect("a good graph");
        producer.publish_slice(&[1, 2, 3, 4]).expect("there is room");
        drop(dispatcher);
        assert_eq!(log.take(), [1, 2, 3, 4]);
        assert_eq!(producer.publish(|_| ()), Err(PublishError::Closed));
    });
}

#[test]
fn a_dispatcher_may_be_dropped_by_its_own_handler() {
    within_a_minute(|| {
        let (hand_over, own) = mpsc::channel::<Dispatcher<u64>>();
        let log = Log::default();
        let seen = log.clone();
        let ring = Builder::new(4, || 0_u64).then(read("s", move |event: &u64, at| {
            if at.sequence() == 0 {
                drop(own.recv().expect("it is sent"));
            }
            seen.push(*event);
        }));
        let (mut producer, dispatcher) = ring.start().expect("a good graph");
        producer.publish_slice(&[1, 2, 3]).expect("there is room");
        hand_over.send(dispatcher).expect("the handler waits for it");
        while !producer.is_closed() {
            thread::yield_now();
        }
        let mut handled = Vec::new();
        while handled.len() < 3 {
            handled.extend(log.take());
            thread::yield_now();
        }
        assert_eq!(handled, [1, 2, 3]);
    });
}

// ---- leaving ----

#[test]
fn a_halt_leaves_what_is_behind_the_batch_in_hand() {
    for (max_batch, handled) in [(1, 2), (2, 2), (4, 4)] {
        within_a_minute(move || {
            let (ring, keeper) = stopping(max_batch);
            let (mut producer, dispatcher) = ring.start().expect("a good graph");
            producer.publish_slice(&[1, 2, 3, 4]).expect("there is room");
            assert_eq!(keeper.arrival(), 0);
            keeper.let_through();
            assert_eq!(keeper.arrival(), 1);
            dispatcher.halt();
            drop(keeper);
            let report = dispatcher.join().expect("its owner halted it: that is no fault");
            let [first, second] = figures(&report)[..] else { panic!("two stations") };
            assert_eq!(report.published, 4);
            assert_eq!(first, (handled, 0, 4 - handled));
            assert!(second.0 <= handled);
            assert_eq!(report.is_complete(), second.2 == 0);
        });
    }
}

#[test]
fn a_shutdown_that_runs_out_of_time_says_what_is_left() {
    within_a_minute(|| {
        let ring = Builder::new(4, || 0)
            .then(poller("hand").max_batch(4))
            .then(read("behind", |_: &u64, _| ()));
        let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
        let mut hand = dispatcher.poller("hand").expect("it was declared");
        producer.publish_slice(&[1, 2, 3]).expect("there is room");
        // The poller keeps the thread behind it from its end.
        let error = dispatcher.shutdown(Duration::ZERO).expect_err("nothing is handled");
        assert_eq!(error.cause, ShutdownCause::TimedOut { running: Vec::new() });
        assert_eq!(figures(&error.report), [(0, 0, 3); 2]);
        assert_eq!(error.to_string(), "the time was up before every event was handled");
        assert_eq!(
            error.report.to_string(),
            "published 3, abandoned 0; hand: handled 0, skipped 0, retried 0, left 3; \
             behind: handled 0, skipped 0, retried 0, left 3"
        );
        assert_eq!(error.fault(), None);
        assert_eq!(polled(&mut hand), [], "the ring is halted");
    });
}

#[test]
fn pollers_are_not_waited_for_and_go_on() {
    for (end, drains) in ENDS {
        within_a_minute(move || {
            let ring = Builder::new(4, || 0)
                .then(read("before", |_: &u64, _| ()))
                .then(poller("hand").max_batch(4));
            let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
            let mut hand = dispatcher.poller("hand").expect("it was declared");
            producer.publish_slice(&[1, 2, 3]).expect("there is room");
            assert!(hand.wait(A_MINUTE));
            assert_eq!(hand.poll_at_most(1, |_, _| ()), Ok(Poll::Events(1)));
            let report = end(dispatcher).expect("nobody fails");
            assert_eq!(figures(&report)[1], (1, 0, 2));
            assert!(!report.is_complete());
            let rest: &[u64] = if drains { &[2, 3] } else { &[] };
            assert_eq!(polled_to_the_end(&mut hand), rest);
        });
    }
}

#[test]
fn a_handler_that_does_not_return_is_named_and_left_alone() {
    within_a_minute(|| {
        let (gate, keeper) = turnstile();
        let (held, gone) = mpsc::channel::<()>();
        let ring = Builder::new(4, || 0_u64).then([
            read("fine", |_: &u64, _| ()),
            read("stuck", move |_: &u64, at| {
                let _ = &held;
                gate.pass(at.sequence());
            })
            .max_batch(1),
        ]);
        let (mut producer, dispatcher) = ring.start().expect("a good graph");
        producer.publish_slice(&[1, 2, 3]).expect("there is room");
        assert_eq!(keeper.arrival(), 0);
        let error = dispatcher.shutdown(Duration::ZERO).expect_err("a handler is stuck");
        let running = vec!["stuck".to_owned()];
        assert_eq!(error.cause, ShutdownCause::TimedOut { running });
        assert_eq!(figures(&error.report)[1], (0, 0, 3));
        assert_eq!(error.to_string(), "the time was up; still in their handlers: stuck");
        // It still has its event, and ends when the handler returns.
        assert_eq!(gone.try_recv(), Err(mpsc::TryRecvError::Empty));
        drop(keeper);
        assert_eq!(gone.recv_timeout(A_MINUTE), Err(RecvTimeoutError::Disconnected));
    });
}

// ---- the account ----

#[test]
fn abandoned_sequences_are_no_events() {
    within_a_minute(|| {
        for halts in [false, true] {
            let (ring, keeper) = stopping(1);
            let (mut producer, dispatcher) = ring.start_multi().expect("a good graph");
            abandon(&mut producer);
            producer.publish(|_| ()).expect("there is room");
            abandon(&mut producer);
            producer.publish(|_| ()).expect("there is room");
            assert_eq!(keeper.arrival(), 1);
            if halts {
                dispatcher.halt();
            }
            drop((keeper, producer));
            let report = joined(dispatcher);
            assert_eq!((report.published, report.abandoned), (2, 2));
            let first = if halts { (1, 0, 1) } else { (2, 0, 0) };
            assert_eq!(figures(&report)[0], first);
        }
    });
}

#[test]
fn the_account_is_right_after_faults_between_abandoned_sequences() {
    let fail = |event: &u64| if *event == 13 { Err("thirteen") } else { Ok(()) };
    for (policy, expected) in
        [(Policy::Halt, (1, 0, 1)), (Policy::Skip, (1, 1, 0)), (Policy::retry(2), (1, 0, 1))]
    {
        within_a_minute(move || {
            let ring = Builder::new(8, || 0)
                .then(poller("hand").max_batch(8).policy(policy))
                .then(read("behind", |_: &u64, _| ()));
            let (mut producer, mut dispatcher) = ring.start_multi().expect("a good graph");
            let mut hand = dispatcher.poller("hand").expect("it was declared");
            abandon(&mut producer);
            producer.publish(|event| *event = 1).expect("there is room");
            abandon(&mut producer);
            producer.publish(|event| *event = 13).expect("there is room");
            abandon(&mut producer);
            let result = hand.poll(|event, _| fail(event));
            assert_eq!(result.is_err(), expected.1 == 0);
            drop((producer, hand));
            let result = dispatcher.join();
            assert_eq!(result.is_err(), expected.1 == 0);
            let report = result.unwrap_or_else(|error| error.report);
            assert_eq!((report.published, report.abandoned), (2, 3));
            assert_eq!(figures(&report)[0], expected);
        });
    }
}

#[test]
fn a_report_can_be_read() {
    within_a_minute(|| {
        let ring = Builder::new(4, || 0)
            .then(poller("hand").max_batch(4).policy(Policy::retry(2).or_skip()))
            .then(read("behind", |_: &u64, _| ()).max_batch(1));
        let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
        let mut hand = dispatcher.poller("hand").expect("it was declared");
        producer.publish_slice(&[1, 2, 3]).expect("there is room");
        hand.poll(|event, _| if *event == 2 { Err("two") } else { Ok(()) }).expect("it skips");
        producer.publish_slice(&[4]).expect("there is room");
        hand.poll(|_, _| ()).expect("nothing fails");
        drop((producer, hand));
        let report = joined(dispatcher);
        assert_eq!(
            report.to_string(),
            "published 4, abandoned 0; hand: handled 3, skipped 1, retried 2, left 0; \
             behind: handled 4, skipped 0, retried 0, left 0"
        );
        let hand = report.station("hand").expect("it was declared");
        assert_eq!((hand.name.as_str(), hand.batches), ("hand", 2));
        assert!((hand.average_batch() - 2.0).abs() < f64::EPSILON);
        assert_eq!(report.station("behind").map(|behind| behind.batches), Some(4));
        assert_eq!(report.station("nobody"), None);
    });
    within_a_minute(|| {
        let ring = Builder::new(4, || 0_u64).then(read("idle", |_: &u64, _| ()));
        let (producer, dispatcher) = ring.start().expect("a good graph");
        drop(producer);
        let report = joined(dispatcher);
        assert!(report.is_complete() && report.published == 0);
        assert_eq!((report.stations[0].batches, report.stations[0].average_batch()), (0, 0.0));
    });
}

// ---- closing while producers publish ----

/// How a ring is ended while its producers publish.
type End = fn(Dispatcher<u64>) -> Result<Report, ShutdownError>;

const ENDS: [(End, bool); 3] = [
    (
        |dispatcher| {
            dispatcher.close();
            dispatcher.join()
        },
        true,
    ),
    (|dispatcher| dispatcher.shutdown(A_MINUTE), true),
    (
        |dispatcher| {
            dispatcher.halt();
            dispatcher.join()
        },
        false,
    ),
];

/// Publishes single events and batches until the ring refuses; returns the accepted sequences.
fn publish_until_refused<C: Claim>(producer: &mut Producer<u64, C>) -> Vec<u64> {
    let mut accepted = Vec::new();
    loop {
        let range = match accepted.len() % 3 {
            0 => producer.publish(|event| *event = 1).map(|at| at..at + 1),
            1 => producer.publish_batch(2, |_, event| *event = 1),
            _ => producer.try_publish(|event| *event = 1).map(|at| at..at + 1),
        };
        match range {
            Ok(range) => accepted.extend(range),
            Err(PublishError::Full) => thread::yield_now(),
            Err(PublishError::Closed) => return accepted,
            Err(refusal) => panic!("{refusal}"),
        }
    }
}

/// Ends a ring at some moment while `producers` publish into it, and checks the account: what was
/// accepted was handled, and nothing else was.
fn end_while_publishing<C: Claim + Send + 'static>(
    producers: Vec<Producer<u64, C>>,
    dispatcher: Dispatcher<u64>,
    handled: &Log<u64>,
    (end, drains): (End, bool),
) {
    let threads: Vec<_> = producers
        .into_iter()
        .map(|mut producer| thread::spawn(move || publish_until_refused(&mut producer)))
        .collect();
    // Any moment will do, and each round should have another one.
    for _ in 0..fastrand::u32(0..200) {
        thread::yield_now();
    }
    let report = end(dispatcher).expect("nobody fails");
    let mut accepted: Vec<u64> = threads
        .into_iter()
        .flat_map(|thread| thread.join().expect("the producer does not panic"))
        .collect();
    accepted.sort_unstable();
    assert_eq!(report.published, accepted.len() as u64);
    assert!(accepted.iter().copied().eq(0..report.published), "no sequence is missing");
    assert_accounts(&report);
    assert_eq!(report.is_complete(), report.stations.iter().all(|it| it.left == 0));
    assert!(report.is_complete() || !drains, "{report}");
    let handled = handled.take();
    let last = report.station("last").expect("it was declared");
    assert_eq!(last.handled, handled.len() as u64);
    assert!(handled.iter().copied().eq(0..last.handled), "each once and in order");
}

#[test]
fn what_is_published_while_the_ring_closes_is_handled_or_refused() {
    const ROUNDS: u32 = if cfg!(miri) { 2 } else { 60 };
    within_a_minute(|| {
        for round in 0..ROUNDS {
            let wait = if round % 2 == 0 { Wait::Yield } else { Wait::Block };
            for end in ENDS {
                for producers in [0, 1, 3] {
                    let log = Log::default();
                    let seen = log.clone();
                    let ring = Builder::new(1 << (1 + round % 3), || 0)
                        .wait(wait)
                        .then(update("first", |event: &mut u64, _| *event += 1))
                        .then(read("last", move |event: &u64, at| {
                            assert_eq!(*event, 2, "written once, and changed once");
                            seen.push(at.sequence());
                        }));
                    if producers == 0 {
                        let (only, dispatcher) = ring.start().expect("a good graph");
                        end_while_publishing(vec![only], dispatcher, &log, end);
                    } else {
                        let (one, dispatcher) = ring.start_multi().expect("a good graph");
                        let all = std::iter::repeat_n(one, producers).collect();
                        end_while_publishing(all, dispatcher, &log, end);
                    }
                }
            }
        }
    });
}

/// Ends the ring in the middle of a write closure, while the station is at the event before.
fn end_while_writing<C: Claim>(
    (mut producer, dispatcher): (Producer<u64, C>, Dispatcher<u64>),
    keeper: Keeper,
    handled: &Log<u64>,
    halts: bool,
) {
    producer.publish(|_| ()).expect("it is open");
    assert_eq!(keeper.arrival(), 0);
    let accepted = producer.publish(|_| {
        if halts {
            dispatcher.halt();
        } else {
            dispatcher.close();
        }
    });
    assert!(matches!(accepted, Ok(1) | Err(PublishError::Closed)), "{accepted:?}");
    assert_eq!(producer.publish(|_| ()), Err(PublishError::Closed));
    drop(keeper);
    let report = joined(dispatcher);
    assert_eq!(report.published, 1 + u64::from(accepted.is_ok()));
    let expected = if halts { 1 } else { report.published };
    assert_eq!(handled.take(), (0..expected).collect::<Vec<_>>(), "nothing that was refused");
    assert_eq!(report.stations[0].handled, expected);
}

#[test]
fn an_event_that_is_being_written_when_the_ring_ends_is_handled_or_refused() {
    within_a_minute(|| {
        for halts in [false, true] {
            for wait in [Wait::Yield, Wait::Block] {
                let handled = Log::default();
                let ring = || {
                    let (gate, keeper) = turnstile();
                    let log = handled.clone();
                    let station = read("s", move |_: &u64, at| {
                        gate.pass(at.sequence());
                        log.push(at.sequence());
                    });
                    (Builder::new(2, || 0).wait(wait).then(station.max_batch(1)), keeper)
                };
                let (only, keeper) = ring();
                end_while_writing(only.start().expect("a good graph"), keeper, &handled, halts);
                let (many, keeper) = ring();
                let started = many.start_multi().expect("a good graph");
                end_while_writing(started, keeper, &handled, halts);
            }
        }
    });
}

// ---- values ----

/// A value that says when it is dropped.
struct Value(u64, Log<u64>);

impl Drop for Value {
    fn drop(&mut self) {
        self.1.push(self.0);
    }
}

/// What happens to the values on the ring before it goes.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Unread,
    HalfRead,
    Read,
    Halted,
}

fn live_and_die<C: Claim>(
    mut producer: Producer<Option<Value>, C>,
    mut dispatcher: Dispatcher<Option<Value>>,
    drops: &Log<u64>,
    fate: Fate,
) {
    let mut hand = dispatcher.poller("hand").expect("it was declared");
    let value = |number| Some(Value(number, drops.clone()));
    let write = |index: usize, slot: &mut Option<Value>| *slot = value(index as u64);
    producer.publish_batch(3, write).expect("there is room");
    // The value of a closure that panics after it was written stays in its slot.
    let panicking = catch_unwind(AssertUnwindSafe(|| {
        producer.publish(|slot| {
            *slot = value(3);
            panic!("after it was written");
        })
    }));
    assert!(panicking.is_err());
    hand.poll(|_, _| ()).expect("nothing fails");
    assert_eq!(drops.take(), [], "handling drops nothing");
    // The next lap takes the place of values 0 and 1, or of 3 and 0 where 3 may be overwritten.
    producer.publish_batch(2, |index, slot| *slot = value(4 + index as u64)).expect("room");
    let overwritten = drops.take();
    assert_eq!(overwritten.len(), 2, "{overwritten:?}");
    match fate {
        Fate::Unread => {}
        Fate::HalfRead => {
            let mut batch = hand.read().expect("two are there");
            assert_eq!(batch.next().and_then(Option::as_ref).map(|value| value.0), Some(4));
        }
        Fate::Read => {
            hand.poll(|_, _| ()).expect("nothing fails");
        }
        Fate::Halted => dispatcher.halt(),
    }
    // Whoever is last takes the ring along.
    drop(hand);
    dispatcher.close();
    joined(dispatcher);
    assert_eq!(drops.take(), [], "the producer still holds the ring");
    drop(producer);
    let mut all = [overwritten, drops.take()].concat();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3, 4, 5], "{fate:?}");
}

#[test]
fn every_value_is_dropped_once() {
    within_a_minute(|| {
        for fate in [Fate::Unread, Fate::HalfRead, Fate::Read, Fate::Halted] {
            let ring = || Builder::new(4, || None).then(poller("hand").max_batch(4));
            let (only, dispatcher) = ring().start().expect("a good graph");
            live_and_die(only, dispatcher, &Log::default(), fate);
            let (one, dispatcher) = ring().start_multi().expect("a good graph");
            live_and_die(one, dispatcher, &Log::default(), fate);
        }
    });
}

#[test]
fn handlers_are_dropped_when_the_ring_ends() {
    within_a_minute(|| {
        let held = Arc::new(());
        for halts in [false, true] {
            let [one, other, third] = [(); 3].map(|()| Arc::clone(&held));
            let ring = Builder::new(2, move || Arc::strong_count(&third) as u64)
                .then(read("one", move |_: &u64, _| assert!(Arc::strong_count(&one) > 1)))
                .then(update("other", move |_: &mut u64, _| {
                    assert!(Arc::strong_count(&other) > 1);
                }));
            let (mut producer, dispatcher) = ring.start().expect("a good graph");
            producer.publish(|_| ()).expect("there is room");
            if halts {
                dispatcher.halt();
            }
            drop(producer);
            joined(dispatcher);
            assert_eq!(Arc::strong_count(&held), 1);
        }
    });
}
