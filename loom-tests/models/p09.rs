//! p09: a handler that fails or panics does what its policy says, and nobody waits for it.

use loom::thread;
use slipring::{At, FaultKind, Policy, Poll, PublishError, ShutdownCause, Wait, poller, read};

use crate::{
    harness::{Model, plan_a_panic},
    shapes::{read_now, reader, ring},
};

pub const MODELS: &[Model] = &[
    Model::exhaustive("p09", "halt_wakes_the_producer", (2, 1, 2), halt_wakes_the_producer)
        .both_fences()
        .bounded(3)
        .full_bounded(4),
    Model::exhaustive("p09", "halt_stops_the_others", (3, 2, 1), halt_stops_the_others)
        .bounded(3)
        .full_bounded(3)
        .both_fences(),
    Model::exhaustive("p09", "skip_makes_room", (2, 1, 2), skip_makes_room).both_fences(),
    Model::exhaustive("p09", "skip_in_a_batch", (2, 2, 3), skip_in_a_batch),
    Model::exhaustive("p09", "two_faults", (2, 2, 1), two_faults).bounded(3).full_bounded(5),
    Model::exhaustive("p09", "a_thread_that_panics", (2, 1, 2), a_thread_that_panics)
        .bounded(2)
        .full_bounded(3)
        .both_fences(),
];

fn halt_wakes_the_producer() {
    let (mut producer, mut dispatcher) =
        ring(1).wait(Wait::Block).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    producer.publish(|slot| *slot = 10).unwrap();
    let failing = thread::spawn(move || {
        let fault = a.poll(|_, _| Err::<(), _>("no")).unwrap_err();
        assert_eq!((fault.sequence(), fault.kind()), (0, FaultKind::Error));
        // The ring is halted, and stays so.
        assert_eq!(a.poll(|_, _| ()), Err(fault));
        a
    });
    match producer.publish(|slot| *slot = 11) {
        Err(PublishError::Halted(fault)) => assert_eq!(fault.station(), "a"),
        other => panic!("the slot is never freed: {other:?}"),
    }
    failing.join().unwrap();
}

fn halt_stops_the_others() {
    let (mut producer, mut dispatcher) = ring(2).then((poller("a"), poller("b"))).start().unwrap();
    let (mut a, mut b) = (reader(&mut dispatcher, "a"), reader(&mut dispatcher, "b"));
    producer.publish(|slot| *slot = 10).unwrap();
    let failing = thread::spawn(move || {
        a.poll(|_, _| -> () { plan_a_panic() }).unwrap_err();
        a
    });
    let other = thread::spawn(move || {
        let mut seen = Vec::new();
        let poll = b.poll(|number, _| seen.push(*number));
        (b, seen, poll)
    });
    let published = producer.try_publish(|slot| *slot = 11);
    failing.join().unwrap();
    let (mut b, mut seen, poll) = other.join().unwrap();
    if poll.is_ok() {
        assert!(b.poll(|number, _| seen.push(*number)).is_err());
    }
    let all: &[u64] = if published.is_ok() { &[10, 11] } else { &[10] };
    assert!(all.starts_with(&seen), "an exact prefix");
    assert!(matches!(producer.publish(|_| ()), Err(PublishError::Halted(_))));
    assert_eq!(dispatcher.fault().map(|fault| fault.kind()), Some(FaultKind::Panic));
}

fn skip_makes_room() {
    let (mut producer, mut dispatcher) =
        ring(1).wait(Wait::Block).then(poller("a").policy(Policy::Skip)).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    producer.publish(|slot| *slot = 10).unwrap();
    let publishing = thread::spawn(move || {
        producer.publish(|slot| *slot = 11).unwrap();
        producer
    });
    assert_eq!(a.poll(|_, _| -> () { plan_a_panic() }), Ok(Poll::Events(1)));
    publishing.join().unwrap();
    let mut seen = Vec::new();
    read_now(&mut a, &mut seen);
    assert_eq!(seen, [11]);
}

/// What follows a skipped event in its batch is handled.
fn skip_in_a_batch() {
    let (mut producer, mut dispatcher) =
        ring(2).then(poller("a").policy(Policy::Skip).max_batch(2)).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    producer.publish(|slot| *slot = 10).unwrap();
    let publishing = thread::spawn(move || {
        let accepted =
            (11..13).filter(|number| producer.try_publish(|slot| *slot = *number).is_ok());
        let accepted: Vec<u64> = accepted.collect();
        (producer, accepted)
    });
    let mut seen = Vec::new();
    let mut handle = |number: &u64, _: At<'_>| {
        if *number == 10 {
            plan_a_panic();
        }
        seen.push(*number);
    };
    for _ in 0..2 {
        a.poll(&mut handle).unwrap();
    }
    let (_producer, accepted) = publishing.join().unwrap();
    while let Poll::Events(_) = a.poll(&mut handle).unwrap() {}
    assert_eq!(seen, accepted);
}

/// The first fault is the one that everybody is told.
fn two_faults() {
    let (mut producer, mut dispatcher) = ring(2).then((poller("a"), poller("b"))).start().unwrap();
    let (mut a, mut b) = (reader(&mut dispatcher, "a"), reader(&mut dispatcher, "b"));
    producer.publish(|slot| *slot = 10).unwrap();
    let failing = thread::spawn(move || {
        let fault = a.poll(|_, _| Err::<(), _>("a")).unwrap_err();
        (a, fault)
    });
    let by_b = b.poll(|_, _| Err::<(), _>("b")).unwrap_err();
    let (mut a, by_a) = failing.join().unwrap();
    let told = dispatcher.fault().unwrap();
    assert_eq!((&by_a, &by_b), (&told, &told), "whoever was told first was told the same");
    assert_eq!(a.poll(|_, _| ()), Err(told.clone()));
    assert_eq!(b.poll(|_, _| ()), Err(told.clone()));
    assert_eq!(producer.publish(|_| ()), Err(PublishError::Halted(told)));
}

fn a_thread_that_panics() {
    let station = read("a", |_: &u64, _| -> () { plan_a_panic() });
    let (mut producer, dispatcher) = ring(1).wait(Wait::Block).then(station).start().unwrap();
    producer.publish(|slot| *slot = 10).unwrap();
    assert!(matches!(producer.publish(|slot| *slot = 11), Err(PublishError::Halted(_))));
    let error = dispatcher.join().unwrap_err();
    assert!(matches!(error.cause, ShutdownCause::Fault(_)));
    assert_eq!((error.report.published, error.report.station("a").unwrap().left), (1, 1));
}
