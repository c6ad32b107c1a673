//! Handlers that have a producer or the dispatcher of their own ring.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;

use fastrand::Rng;
use slipring::{At, Builder, Dispatcher, MultiProducer, PublishError, ShutdownCause, Wait, read};

use crate::{
    harness::explore,
    ring::event::{await_that, step},
};

/// A value that comes later.
type Later<T> = Arc<Mutex<Option<T>>>;

fn take<T>(later: &Later<T>) -> Option<T> {
    later.lock().expect("nothing panics here").take()
}

fn draw_wait(rng: &mut Rng) -> Wait {
    [Wait::Block, Wait::Adaptive, Wait::Yield][rng.usize(0..3)]
}

/// Each event of 3 stands for a tree of 15 events, which the handler publishes itself; what its
/// ring has no room for it keeps for the next call.
#[test]
fn a_handler_that_spills_loses_nothing() {
    explore(1_000, |rng| {
        let roots = rng.u64(1..4);
        let handled = Arc::new(AtomicU64::new(0));
        let own = Later::<MultiProducer<u32>>::default();
        let station = {
            let (own, handled) = (Arc::clone(&own), Arc::clone(&handled));
            let (mut producer, mut spill) = (None, Vec::new());
            read("tree", move |depth: &u32, _| {
                handled.fetch_add(1, Ordering::Relaxed);
                let producer = producer.get_or_insert_with(|| take(&own).expect("it is there"));
                spill.extend((0..2).filter(|_| *depth > 0).map(|_| depth - 1));
                while let Some(next) = spill.pop() {
                    match producer.try_publish(|event| *event = next) {
                        Ok(_) => {}
                        Err(PublishError::Full) => {
                            let told = producer.publish(|_| unreachable!("there is no room"));
                            let is_told = matches!(told, Err(PublishError::WouldDeadlock { .. }));
                            assert!(is_told || told == Err(PublishError::Closed), "{told:?}");
                            spill.push(next);
                            break;
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        };
        // Of one slot, the only event could never be followed by another one.
        let ring = Builder::new(1 << rng.u32(1..4), || 0)
            .wait(draw_wait(rng))
            .then(read("before", |_: &u32, _| step()))
            .then(station);
        let (producer, dispatcher) = ring.start_multi().expect("the ring is sound");
        *own.lock().expect("nothing panics here") = Some(producer.clone());
        let feeding: Vec<_> = std::iter::repeat_n(producer, roots as usize)
            .map(|mut producer| {
                shuttle::thread::spawn(move || {
                    producer.publish(|event| *event = 3).expect("nobody closes the ring");
                })
            })
            .collect();
        for thread in feeding {
            thread.join().expect("nobody fails");
        }
        await_that("all trees are handled", || handled.load(Ordering::Relaxed) == 15 * roots);
        let report = dispatcher.shutdown(Duration::from_mins(1)).expect("nothing went wrong");
        assert_eq!((report.published, report.is_complete()), (15 * roots, true));
    });
}

/// The dispatcher ends in one of its own handlers, which cannot wait for itself, while producers
/// are at work.
#[test]
fn a_handler_that_ends_its_own_ring() {
    explore(2_000, |rng| {
        let (at_sequence, drops) = (rng.u64(0..6), rng.bool());
        let own = Later::<Dispatcher<u64>>::default();
        let alive = Arc::new(());
        let seen = Arc::new(Mutex::new((Vec::new(), Vec::new())));
        let ends = {
            let (own, alive, seen) = (Arc::clone(&own), Arc::clone(&alive), Arc::clone(&seen));
            read("ends", move |event: &u64, at: At<'_>| {
                let _ = &alive;
                if at.sequence() == at_sequence {
                    let dispatcher = take(&own).expect("it is there");
                    if drops {
                        drop(dispatcher);
                    } else {
                        let error = dispatcher.shutdown(Duration::from_mins(1)).unwrap_err();
                        assert_eq!(error.cause, ShutdownCause::OwnThread);
                    }
                }
                seen.lock().expect("nothing panics here").0.push(*event);
            })
        };
        let follows = {
            let (alive, seen) = (Arc::clone(&alive), Arc::clone(&seen));
            read("follows", move |event: &u64, _| {
                let _ = &alive;
                step();
                seen.lock().expect("nothing panics here").1.push(*event);
            })
        };
        let ring = Builder::new(1 << rng.u32(0..3), || 0)
            .wait(draw_wait(rng))
            .producer_wait(draw_wait(rng))
            .then(ends)
            .then(follows);
        let (producer, dispatcher) = ring.start_multi().expect("the ring is sound");
        *own.lock().expect("nothing panics here") = Some(dispatcher);
        let feeding: Vec<_> = std::iter::repeat_n(producer, rng.usize(1..4))
            .map(|mut producer| {
                shuttle::thread::spawn(move || {
                    let mut accepted = Vec::new();
                    let mut number = 0;
                    while let Ok(sequence) = producer.publish(|event| *event = number) {
                        accepted.push((sequence, number));
                        number += 1;
                    }
                    assert!(producer.is_closed());
                    accepted
                })
            })
            .collect();
        let mut accepted: Vec<(u64, u64)> =
            feeding.into_iter().flat_map(|thread| thread.join().expect("nobody fails")).collect();
        accepted.sort_unstable();
        await_that("the stations have drained the ring", || Arc::strong_count(&alive) == 1);
        assert!(accepted.iter().map(|event| event.0).eq(0..accepted.len() as u64));
        let accepted: Vec<u64> = accepted.iter().map(|event| event.1).collect();
        assert_eq!(*seen.lock().expect("nothing panics here"), (accepted.clone(), accepted));
    });
}
