//! What handlers are told and when: slices and batches, state and hooks, early release, waiting,
//! and the reset hook.

#![forbid(unsafe_code)]

mod common;

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, Sender, TryRecvError},
    },
    thread,
    time::Duration,
};

use common::{A_MINUTE, Log, Turnstile, WAITS, joined, turnstile, within_a_minute};
use slipring::{
    At, Builder, FaultKind, Handler, HandlerError, HandlerMut, PublishError, Wait, poller, read,
    read_batch, read_handler, read_with, update, update_batch, update_handler, update_with,
};

// ---- slices and batches ----

/// What a batch handler was called with: the first sequence, the events, `end_of_batch`.
type Slice = (u64, Vec<u64>, bool);

/// The calls of one batch.
#[track_caller]
fn next_batch<T>(sight: &Receiver<T>, ends: impl Fn(&T) -> bool) -> Vec<T> {
    let mut calls = Vec::new();
    while calls.last().is_none_or(|call| !ends(call)) {
        calls.push(sight.recv_timeout(A_MINUTE).expect("the batch has an end"));
    }
    calls
}

/// A batch handler that tells what it is called with.
fn telling(seen: Sender<Slice>) -> impl FnMut(&[u64], At<'_>) {
    move |events, at| {
        let slice = (at.sequence(), events.to_vec(), at.end_of_batch());
        seen.send(slice).expect("the test listens");
    }
}

/// Publishes batches one after another and returns the calls that each of them led to.
fn calls_for(
    batches: &[&[u64]],
    ring: impl FnOnce(Sender<Slice>) -> Builder<u64>,
) -> Vec<Vec<Slice>> {
    let (seen, sight) = mpsc::channel();
    let (mut producer, dispatcher) = ring(seen).start().expect("a good graph");
    let mut calls = Vec::new();
    for batch in batches {
        // A batch of the only producer becomes visible as a whole.
        producer.publish_slice(batch).expect("nothing halts the ring");
        let mut seen = 0;
        while seen < batch.len() {
            calls.push(next_batch(&sight, |call| call.2));
            seen += calls.last().into_iter().flatten().map(|call| call.1.len()).sum::<usize>();
        }
    }
    drop(producer);
    let report = joined(dispatcher);
    assert_eq!(report.stations[0].batches, calls.len() as u64);
    calls
}

#[test]
fn a_batch_that_wraps_comes_in_two_slices() {
    let batches: [&[u64]; 4] = [&[1, 2, 3], &[4, 5, 6], &[7, 8, 9, 10], &[11]];
    let expected: [Vec<Slice>; 4] = [
        vec![(0, vec![1, 2, 3], true)],
        vec![(3, vec![4], false), (4, vec![5, 6], true)],
        vec![(6, vec![7, 8], false), (8, vec![9, 10], true)],
        vec![(10, vec![11], true)],
    ];
    within_a_minute(move || {
        let reading = calls_for(&batches, |seen| {
            Builder::new(4, || 0_u64).then(read_batch("look", telling(seen)).max_batch(4))
        });
        assert_eq!(reading, expected);
        let changing = calls_for(&batches, |seen| {
            let mut tell = telling(seen);
            let station = update_batch("look", move |events: &mut [u64], at| tell(events, at));
            Builder::new(4, || 0_u64).then(station.max_batch(4))
        });
        assert_eq!(changing, expected);
    });
}

#[test]
fn a_batch_has_no_more_events_than_allowed() {
    let expected: [(usize, Vec<Vec<Slice>>); 5] = [
        (1, (0..4).map(|n| vec![(n, vec![n + 1], true)]).collect()),
        (2, vec![vec![(0, vec![1, 2], true)], vec![(2, vec![3, 4], true)]]),
        (3, vec![vec![(0, vec![1, 2, 3], true)], vec![(3, vec![4], true)]]),
        (4, vec![vec![(0, vec![1, 2, 3, 4], true)]]),
        // More than the capacity counts as the capacity.
        (usize::MAX, vec![vec![(0, vec![1, 2, 3, 4], true)]]),
    ];
    within_a_minute(move || {
        for (max_batch, expected) in expected {
            let calls = calls_for(&[&[1, 2, 3, 4]], |seen| {
                let station = read_batch("look", telling(seen)).max_batch(max_batch);
                Builder::new(4, || 0_u64).then(station)
            });
            assert_eq!(calls, expected, "at most {max_batch}");
        }
    });
}

#[test]
fn each_event_comes_alone_and_only_the_last_one_ends_the_batch() {
    let expected = [
        vec![(0, vec![1], false), (1, vec![2], false), (2, vec![3], true)],
        // The wrap between the slots 3 and 0 does not end it.
        vec![(3, vec![4], false), (4, vec![5], false), (5, vec![6], true)],
        vec![(6, vec![7], true)],
    ];
    within_a_minute(move || {
        let calls = calls_for(&[&[1, 2, 3], &[4, 5, 6], &[7]], |seen| {
            let mut tell = telling(seen);
            let station = read("look", move |event: &u64, at| tell(&[*event], at));
            Builder::new(4, || 0_u64).then(station.max_batch(4))
        });
        assert_eq!(calls, expected);
    });
}

#[test]
fn what_a_batch_handler_writes_is_what_the_next_stage_sees() {
    within_a_minute(|| {
        let log = Log::default();
        let seen = log.clone();
        let ring = Builder::new(4, || 0_u64)
            .then(
                update_batch("number", |events: &mut [u64], at| {
                    let numbered = events.iter_mut().zip(at.sequence()..);
                    numbered.for_each(|(event, sequence)| *event += 1000 * sequence);
                })
                .max_batch(4),
            )
            .then(read_batch("look", move |events: &[u64], _| {
                for event in events {
                    seen.push(*event);
                }
            }));
        let (mut producer, dispatcher) = ring.start().expect("a good graph");
        for batch in 0..30 {
            let len = 1 + batch % 4;
            producer.publish_batch(len, |_, event| *event = 7).expect("nothing halts the ring");
        }
        drop(producer);
        let report = joined(dispatcher);
        assert_eq!(log.take(), (0..report.published).map(|n| 1000 * n + 7).collect::<Vec<_>>());
    });
}

// ---- state ----

/// Tells, when it is dropped, on which thread.
struct Tracked(Log<Option<String>>);

impl Drop for Tracked {
    fn drop(&mut self) {
        self.0.push(thread::current().name().map(str::to_owned));
    }
}

#[test]
fn state_that_is_not_send_lives_on_the_stations_thread() {
    within_a_minute(|| {
        let (drops, sums) = (Log::default(), Log::default());
        let state = |drops: Log<_>| move || (Rc::new(RefCell::new(0)), Tracked(drops));
        let (read_sums, update_sums) = (sums.clone(), sums.clone());
        let ring = Builder::new(2, || 0_u64)
            .then(update_with(
                "change",
                state(drops.clone()),
                move |(sum, _), event: &mut u64, _| {
                    *sum.borrow_mut() += *event;
                    *event += 1;
                    update_sums.push(("change", *sum.borrow()));
                },
            ))
            .then(read_with("look", state(drops.clone()), move |(sum, _), event: &u64, _| {
                *sum.borrow_mut() += *event;
                read_sums.push(("look", *sum.borrow()));
            }));
        let (mut producer, dispatcher) = ring.start().expect("a good graph");
        for value in [10, 20, 30] {
            producer.publish(|event| *event = value).expect("nothing halts the ring");
        }
        drop(producer);
        joined(dispatcher);
        let of = |sums: &[(&str, u64)], name| -> Vec<u64> {
            sums.iter().filter(|(station, _)| *station == name).map(|(_, sum)| *sum).collect()
        };
        let sums = sums.take();
        assert_eq!(of(&sums, "change"), [10, 30, 60]);
        assert_eq!(of(&sums, "look"), [11, 32, 63]);
        let mut drops = drops.take();
        drops.sort();
        assert_eq!(drops, ["change", "look"].map(|name| Some(name.to_owned())));
    });
}

// ---- hooks ----

#[derive(Clone, Debug, PartialEq, Eq)]
enum Call {
    Start,
    Batch(usize, u64),
    Event(u64, u64),
    Idle,
    Stop,
    Drop,
}

/// A handler of both kinds that tells of each call.
struct Recorder(Sender<Call>);

impl Recorder {
    fn tell(&self, call: Call) {
        // Only a test that is over does not listen.
        let _ = self.0.send(call);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.tell(Call::Drop);
    }
}

macro_rules! recorder {
    ($handler:ident, $event:ty) => {
        impl $handler<u64> for Recorder {
            fn on_start(&mut self) {
                self.tell(Call::Start);
            }

            fn on_batch_start(&mut self, size: usize, backlog: u64) {
                self.tell(Call::Batch(size, backlog));
            }

            fn on_event(&mut self, event: $event, at: At<'_>) -> Result<(), HandlerError> {
                self.tell(Call::Event(at.sequence(), *event));
                if *event == 13 { Err("thirteen".into()) } else { Ok(()) }
            }

            fn on_idle(&mut self) {
                self.tell(Call::Idle);
            }

            fn on_stop(&mut self) {
                self.tell(Call::Stop);
            }
        }
    };
}
recorder!(Handler, &u64);
recorder!(HandlerMut, &mut u64);

/// A ring of four slots with one handler, of each kind.
fn recorded(test: fn(Builder<u64>, Receiver<Call>)) {
    within_a_minute(move || {
        let (tell, calls) = mpsc::channel();
        let station = read_handler("reading", move || Recorder(tell)).max_batch(2);
        test(Builder::new(4, || 0_u64).then(station), calls);
        let (tell, calls) = mpsc::channel();
        let station = update_handler("changing", move || Recorder(tell)).max_batch(2);
        test(Builder::new(4, || 0_u64).then(station), calls);
    });
}

/// The calls up to and including the next `on_idle`.
#[track_caller]
fn until_idle(calls: &Receiver<Call>) -> Vec<Call> {
    next_batch(calls, |call| *call == Call::Idle)
}

#[test]
fn hooks_are_called_in_order() {
    recorded(|ring, calls| {
        let (mut producer, dispatcher) = ring.start().expect("a good graph");
        assert_eq!(calls.try_recv(), Ok(Call::Start), "before `start` returns");
        assert_eq!(until_idle(&calls), [Call::Idle]);
        producer.publish_slice(&[7, 8, 9]).expect("nothing halts the ring");
        assert_eq!(
            until_idle(&calls),
            [
                Call::Batch(2, 3),
                Call::Event(0, 7),
                Call::Event(1, 8),
                Call::Batch(1, 1),
                Call::Event(2, 9),
                Call::Idle
            ]
        );
        producer.publish(|event| *event = 5).expect("nothing halts the ring");
        assert_eq!(until_idle(&calls), [Call::Batch(1, 1), Call::Event(3, 5), Call::Idle]);
        drop(producer);
        joined(dispatcher);
        assert_eq!(calls.iter().collect::<Vec<_>>(), [Call::Stop, Call::Drop]);
    });
}

#[test]
fn the_stop_hook_is_called_once_however_it_ends() {
    recorded(|ring, calls| {
        let (_producer, dispatcher) = ring.start().expect("a good graph");
        assert_eq!(until_idle(&calls), [Call::Start, Call::Idle]);
        dispatcher.halt();
        joined(dispatcher);
        assert_eq!(calls.iter().collect::<Vec<_>>(), [Call::Stop, Call::Drop]);
    });
    recorded(|ring, calls| {
        let (mut producer, dispatcher) = ring.start().expect("a good graph");
        assert_eq!(until_idle(&calls), [Call::Start, Call::Idle]);
        producer.publish(|event| *event = 13).expect("nothing halts the ring");
        assert_eq!(dispatcher.join().expect_err("it fails").report.stations[0].left, 1);
        let expected = [Call::Batch(1, 1), Call::Event(0, 13), Call::Stop, Call::Drop];
        assert_eq!(calls.iter().collect::<Vec<_>>(), expected);
    });
}

#[test]
fn batch_sizes_add_up() {
    const EVENTS: u64 = 300;
    recorded(|ring, calls| {
        let (producer, dispatcher) = ring.start_multi().expect("a good graph");
        let threads = [producer.clone(), producer].map(|mut producer| {
            thread::spawn(move || {
                for _ in 0..EVENTS / 2 {
                    producer.publish(|event| *event = 1).expect("nothing halts the ring");
                }
            })
        });
        for thread in threads {
            thread.join().expect("the producer does not panic");
        }
        let report = joined(dispatcher);
        let (mut announced, mut seen, mut batches) = (0, 0, 0);
        for call in calls {
            match call {
                Call::Batch(size, backlog) => {
                    assert!((1..=2).contains(&size) && (size as u64..=4).contains(&backlog));
                    assert_eq!(announced, seen, "the batch before is over");
                    announced += size as u64;
                    batches += 1;
                }
                Call::Event(sequence, _) => {
                    assert_eq!(sequence, seen);
                    seen += 1;
                    assert!(seen <= announced);
                }
                _ => {}
            }
        }
        assert_eq!((announced, seen), (EVENTS, EVENTS));
        assert_eq!((report.published, report.stations[0].batches), (EVENTS, batches));
    });
}

#[test]
fn the_idle_hook_is_repeated_if_asked_for() {
    for wait in WAITS {
        within_a_minute(move || {
            let (tell, calls) = mpsc::channel();
            let station = read_handler("idle", move || Recorder(tell))
                .wait(wait)
                .idle_after(Duration::from_millis(1));
            let ring = Builder::new(2, || 0_u64).then(station);
            let (producer, dispatcher) = ring.start().expect("a good graph");
            assert_eq!(until_idle(&calls), [Call::Start, Call::Idle]);
            for _ in 0..3 {
                assert_eq!(until_idle(&calls), [Call::Idle], "{wait}");
            }
            drop(producer);
            joined(dispatcher);
            let rest: Vec<Call> = calls.iter().filter(|call| *call != Call::Idle).collect();
            assert_eq!(rest, [Call::Stop, Call::Drop]);
        });
    }
}

// ---- early release ----

/// Stops at the first event of the second lap, or the slice that starts there, and releases.
fn assert_release(ring: impl FnOnce(Turnstile) -> Builder<u64>) {
    let (gate, keeper) = turnstile();
    let (seen, sight) = mpsc::channel();
    let follower = read("follower", move |event: &u64, _| seen.send(*event).expect("it listens"));
    let (mut producer, dispatcher) = ring(gate).then(follower).start().expect("a good graph");
    producer.publish_slice(&[1, 2]).expect("nothing halts the ring");
    assert_eq!(sight.iter().take(2).collect::<Vec<_>>(), [1, 2]);
    // Slots 2, 3, 0 and 1.
    producer.publish_slice(&[3, 4, 5, 6]).expect("nothing halts the ring");
    assert_eq!(keeper.arrival(), 4);
    assert_eq!(sight.iter().take(2).collect::<Vec<_>>(), [3, 4], "before the batch is over");
    assert_eq!(sight.try_recv(), Err(TryRecvError::Empty), "the event in hand is not released");
    keeper.let_through();
    assert_eq!(sight.iter().take(2).collect::<Vec<_>>(), [5, 6]);
    drop(producer);
    let report = joined(dispatcher);
    assert_eq!(report.stations[0].batches, 2, "a release is not a batch");
}

#[test]
fn an_early_release_lets_followers_have_what_came_before() {
    within_a_minute(|| {
        let release = |at: At<'_>, gate: &Turnstile| {
            if at.sequence() == 4 {
                at.release();
                gate.pass(at.sequence());
            }
        };
        let ring = || Builder::new(4, || 0_u64);
        assert_release(|gate| {
            ring().then(read("s", move |_: &u64, at| release(at, &gate)).max_batch(4))
        });
        assert_release(|gate| {
            ring().then(update("s", move |_: &mut u64, at| release(at, &gate)).max_batch(4))
        });
        assert_release(|gate| {
            ring().then(read_batch("s", move |_: &[u64], at| release(at, &gate)).max_batch(4))
        });
    });
}

#[test]
fn an_early_release_makes_room_for_producers() {
    within_a_minute(|| {
        let (gate, keeper) = turnstile();
        let slow = move |_: &u64, at: At<'_>| {
            if at.sequence() == 2 {
                at.release();
                gate.pass(2);
            }
        };
        let ring = Builder::new(4, || 0_u64).then(read("slow", slow).max_batch(4));
        let (mut producer, dispatcher) = ring.start().expect("a good graph");
        producer.publish_slice(&[1, 2, 3, 4]).expect("there is room");
        assert_eq!(keeper.arrival(), 2);
        assert_eq!(producer.room(), 2);
        assert_eq!(producer.try_publish_batch(2, |_, _| ()), Ok(4..6));
        assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full));
        drop(keeper);
        drop(producer);
        assert_eq!(joined(dispatcher).stations[0].handled, 6);
    });
}

// ---- waiting ----

#[test]
fn every_wait_strategy_passes_everything_on() {
    const EVENTS: u64 = if cfg!(miri) { 10 } else { 100 };
    for wait in WAITS {
        for capacity in [1, 2] {
            within_a_minute(move || {
                let log = Log::default();
                let seen = log.clone();
                let ring = Builder::new(capacity, || 0_u64)
                    .wait(wait)
                    .then(update("double", |event: &mut u64, _| *event *= 2))
                    .then(read("look", move |event: &u64, _| seen.push(*event)));
                let (mut producer, dispatcher) = ring.start().expect("a good graph");
                for value in 0..EVENTS {
                    producer.publish(|event| *event = value).expect("nothing halts the ring");
                }
                drop(producer);
                assert_eq!(joined(dispatcher).published, EVENTS);
                assert_eq!(log.take(), (0..EVENTS).map(|n| 2 * n).collect::<Vec<_>>(), "{wait}");
            });
        }
    }
}

#[test]
fn stations_and_producers_may_wait_each_in_its_own_way() {
    within_a_minute(|| {
        let (gate, keeper) = turnstile();
        // The ring's strategy would sleep for ever; nobody uses it.
        let ring = Builder::new(1, || 0_u64)
            .wait(Wait::Sleep(10 * A_MINUTE))
            .producer_wait(Wait::Block)
            .then(update("first", |event: &mut u64, _| *event += 1).wait(Wait::Yield))
            .then(read("last", move |_: &u64, at| gate.pass(at.sequence())).wait(Wait::Block));
        let (mut producer, dispatcher) = ring.start().expect("a good graph");
        let publishing = thread::spawn(move || {
            (0..3).map(|_| producer.publish(|_| ())).collect::<Result<Vec<_>, _>>()
        });
        for sequence in 0..3 {
            assert_eq!(keeper.arrival(), sequence);
            keeper.let_through();
        }
        let published = publishing.join().expect("the producer does not panic");
        assert_eq!(published, Ok(vec![0, 1, 2]));
        joined(dispatcher);
    });
}

#[test]
fn closing_and_halting_wake_every_strategy() {
    let naps = [10 * A_MINUTE, Duration::MAX].map(Wait::Sleep);
    for wait in WAITS.into_iter().chain(naps) {
        for halts in [false, true] {
            within_a_minute(move || {
                let (tell, calls) = mpsc::channel();
                let ring = Builder::new(2, || 0_u64)
                    .wait(wait)
                    .then(read_handler("first", move || Recorder(tell)).idle_after(Duration::MAX))
                    .then(read("second", |_: &u64, _| ()));
                let (producer, dispatcher) = ring.start().expect("a good graph");
                assert_eq!(until_idle(&calls), [Call::Start, Call::Idle]);
                if halts {
                    dispatcher.halt();
                } else {
                    drop(producer);
                }
                joined(dispatcher);
            });
        }
    }
}

// ---- the reset hook ----

/// An event that holds a value until the reset hook lets it go.
type Held = Option<Arc<u64>>;

/// A ring whose reset hook logs and drops what it finds.
fn resetting(capacity: usize, resets: &Log<u64>) -> Builder<Held> {
    let resets = resets.clone();
    Builder::new(capacity, || None).reset(move |slot: &mut Held| {
        resets.push(*slot.take().expect("an event is reset once"));
    })
}

#[test]
fn every_event_is_reset_once_after_the_last_station() {
    const EVENTS: u64 = if cfg!(miri) { 10 } else { 200 };
    for leaves in 1..=3 {
        for capacity in [1, 2, 4] {
            within_a_minute(move || {
                let resets = Log::default();
                let handled = Arc::new(AtomicU64::new(0));
                let stage: Vec<_> = (0..leaves)
                    .map(|leaf| {
                        let handled = Arc::clone(&handled);
                        read(format!("leaf {leaf}"), move |event: &Held, at: At<'_>| {
                            let value = event.as_ref().expect("it is not yet reset");
                            assert_eq!(**value, at.sequence());
                            handled.fetch_add(1, Ordering::SeqCst);
                        })
                    })
                    .collect();
                let ring = resetting(capacity, &resets)
                    .wait(Wait::Yield)
                    .then(read("first", |_: &Held, _| ()))
                    .then(stage);
                let (mut producer, dispatcher) = ring.start().expect("a good graph");
                let mut values = Vec::new();
                for sequence in 0..EVENTS {
                    let value = Arc::new(sequence);
                    values.push(Arc::downgrade(&value));
                    let write = |event: &mut Held| {
                        assert_eq!(event.replace(value), None, "it was reset a lap ago");
                    };
                    producer.publish(write).expect("nothing halts the ring");
                }
                drop(producer);
                joined(dispatcher);
                assert_eq!(handled.load(Ordering::SeqCst), leaves * EVENTS);
                assert_eq!(resets.take(), (0..EVENTS).collect::<Vec<_>>());
                assert!(values.iter().all(|value| value.strong_count() == 0));
            });
        }
    }
}

#[test]
fn a_poller_that_comes_last_resets_at_the_end_of_its_batch() {
    within_a_minute(|| {
        let resets = Log::default();
        let leaves = [poller("a").max_batch(4), poller("b").max_batch(4)];
        let ring = resetting(4, &resets).then(leaves);
        let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
        let mut a = dispatcher.poller("a").expect("it was declared");
        let mut b = dispatcher.poller("b").expect("it was declared");
        let mut next = 0;
        for _ in 0..5 {
            // Three of four slots: most batches wrap.
            let write =
                |index: usize, event: &mut Held| *event = Some(Arc::new(next + index as u64));
            producer.publish_batch(3, write).expect("there is room");
            a.poll(|_, _| ()).expect("nothing fails");
            assert_eq!(resets.take(), [], "the other one has not passed it");
            assert_eq!(producer.room(), 1);
            b.poll_at_most(1, |_, _| ()).expect("nothing fails");
            assert_eq!(resets.take(), [next]);
            b.poll(|_, _| ()).expect("nothing fails");
            assert_eq!(resets.take(), [next + 1, next + 2]);
            assert_eq!(producer.room(), 4);
            next += 3;
        }
    });
}

#[test]
fn producers_reset_when_every_poller_has_left() {
    within_a_minute(|| {
        let resets = Log::default();
        let ring = resetting(2, &resets).then(poller("a"));
        let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
        let poller = dispatcher.poller("a").expect("it was declared");
        let write = |value: u64| move |event: &mut Held| *event = Some(Arc::new(value));
        producer.publish(write(0)).expect("there is room");
        producer.publish(write(1)).expect("there is room");
        assert_eq!(resets.take(), []);
        drop(poller);
        for value in 2..7 {
            producer.publish(write(value)).expect("nobody holds it back");
        }
        let resets = resets.take();
        assert_eq!(resets, (0..resets.len() as u64).collect::<Vec<_>>());
        assert!(resets.len() >= 5, "each slot before it is used again: {resets:?}");
    });
}

#[test]
fn a_panic_in_the_reset_hook_halts() {
    within_a_minute(|| {
        let resets = Log::default();
        let ring = Builder::new(4, || 0_u64)
            .reset({
                let resets = resets.clone();
                move |event: &mut u64| {
                    resets.push(*event);
                    assert_ne!(*event, 2, "the reset of 2");
                }
            })
            .then(read("leaf", |_: &u64, _| ()).max_batch(1));
        let (mut producer, dispatcher) = ring.start().expect("a good graph");
        producer.publish_slice(&[0, 1, 2, 3]).expect("there is room");
        let error = dispatcher.join().expect_err("the ring is halted");
        let fault = error.fault().expect("it was a fault");
        assert_eq!((fault.station(), fault.sequence()), ("reset hook", 2));
        assert_eq!(fault.kind(), FaultKind::Panic);
        assert!(fault.message().contains("the reset of 2"), "{fault}");
        assert_eq!(resets.take(), [0, 1, 2]);
        common::assert_accounts(&error.report);
        assert_eq!(producer.publish(|_| ()), Err(PublishError::Halted(fault.clone())));
    });
}
