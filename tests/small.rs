//! Every way to a slot, in small: what Miri can look at within a minute.
//!
//! Each test touches slots by another path of the unsafe code: a claim, a slice of a batch, a copied
//! slice, a handler on a thread, a poller's run, slices, held references, early release, the reset
//! hook, what a panic leaves behind. What they count is checked better elsewhere; here it is the
//! accesses that matter (aliasing, uninitialised memory, data races, leaks).

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    thread,
};

use slipring::{
    At, Builder, Policy, Poll, Wait, poller, poller_mut, read, read_batch, update, update_batch,
};

const EVENTS: u64 = 12;

/// Owns memory, so that a value dropped twice, or never, is seen.
type Event = Box<u64>;

fn ring(slots: usize) -> Builder<Event> {
    Builder::new(slots, || Box::new(0)).wait(Wait::Yield)
}

#[test]
fn threads_in_stages() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let (mut producer, dispatcher) = ring(2)
        .then(update("double", |event: &mut Event, _| **event *= 2))
        .then((
            read("look", |event: &Event, _| assert_eq!(**event % 2, 0)),
            read_batch("slices", |events: &[Event], _| assert!(!events.is_empty())),
        ))
        .then(update_batch("increment", |events: &mut [Event], _| {
            for event in events {
                **event += 1;
            }
        }))
        .then(read("log", move |event: &Event, _| log.lock().unwrap().push(**event)))
        .start()
        .unwrap();
    for number in 0..EVENTS {
        producer.publish(|event| **event = number).unwrap();
    }
    drop(producer);
    assert!(dispatcher.join().unwrap().is_complete());
    assert_eq!(*seen.lock().unwrap(), (0..EVENTS).map(|n| 2 * n + 1).collect::<Vec<_>>());
}

#[test]
fn many_producers_that_sleep() {
    let sum = Arc::new(Mutex::new(0));
    let total = Arc::clone(&sum);
    let (producer, dispatcher) = ring(2)
        .wait(Wait::Block)
        .then(read("sum", move |event: &Event, _| *total.lock().unwrap() += **event))
        .start_multi()
        .unwrap();
    let publishing = [1, 100].map(|unit| {
        let mut producer = producer.clone();
        thread::spawn(move || {
            for _ in 0..EVENTS / 2 {
                producer.publish(|event| **event = unit).unwrap();
            }
        })
    });
    drop(producer);
    for thread in publishing {
        thread.join().unwrap();
    }
    assert!(dispatcher.join().unwrap().is_complete());
    assert_eq!(*sum.lock().unwrap(), EVENTS / 2 * 101);
}

#[test]
fn batches_that_wrap() {
    let (mut producer, mut dispatcher) =
        ring(4).first_sequence(3).then(poller("a").max_batch(4)).start().unwrap();
    let mut a = dispatcher.poller("a").unwrap();
    producer.publish_batch(3, |index, event| **event = index as u64).unwrap();
    let mut seen = Vec::new();
    a.poll_batch(|events, _| seen.extend(events.iter().map(|event| **event))).unwrap();
    assert_eq!(seen, [0, 1, 2]);

    let (mut producer, mut dispatcher) =
        Builder::new(4, || 0_u64).first_sequence(3).then(poller("a")).start().unwrap();
    let mut a = dispatcher.poller("a").unwrap();
    producer.publish_slice(&[7, 8, 9]).unwrap();
    let mut seen = Vec::new();
    while let Poll::Events(_) = a.poll(|event, _| seen.push(*event)).unwrap() {}
    assert_eq!(seen, [7, 8, 9]);
}

#[test]
fn references_held_while_the_producer_goes_on() {
    let (mut producer, mut dispatcher) = ring(2).then(poller("a").max_batch(2)).start().unwrap();
    let mut a = dispatcher.poller("a").unwrap();
    let publishing = thread::spawn(move || {
        for number in 0..EVENTS {
            producer.publish(|event| **event = number).unwrap();
        }
    });
    let mut seen = Vec::new();
    while !a.is_over() {
        let Some(mut batch) = a.read() else {
            thread::yield_now();
            continue;
        };
        // Sometimes only a part of it.
        let limit = 1 + seen.len() % 2;
        for _ in 0..limit {
            let Some(event) = batch.next() else { break };
            thread::yield_now();
            seen.push(**event);
        }
    }
    publishing.join().unwrap();
    assert_eq!(seen, (0..EVENTS).collect::<Vec<_>>());
}

#[test]
fn early_release_while_the_producer_goes_on() {
    let (mut producer, mut dispatcher) =
        ring(4).then(poller_mut("a").max_batch(4)).start().unwrap();
    let mut a = dispatcher.poller_mut("a").unwrap();
    let publishing = thread::spawn(move || {
        for number in 0..EVENTS {
            producer.publish(|event| **event = number).unwrap();
        }
    });
    let mut seen = Vec::new();
    loop {
        let handle = |event: &mut Event, at: At<'_>| {
            at.release();
            thread::yield_now();
            seen.push(std::mem::take(&mut **event));
        };
        match a.poll(handle).unwrap() {
            Poll::Closed => break,
            Poll::Events(_) => {}
            Poll::Idle | Poll::Gated => thread::yield_now(),
        }
    }
    publishing.join().unwrap();
    assert_eq!(seen, (0..EVENTS).collect::<Vec<_>>());
}

#[test]
fn panics_on_both_sides() {
    let (mut producer, mut dispatcher) =
        ring(4).then(poller("a").policy(Policy::Skip).max_batch(4)).start_multi().unwrap();
    let mut a = dispatcher.poller("a").unwrap();
    let half_done = catch_unwind(AssertUnwindSafe(|| {
        producer.publish_batch(2, |index, event| {
            **event = 99;
            assert_eq!(index, 0, "on purpose");
        })
    }));
    assert!(half_done.is_err());
    producer.publish(|event| **event = 1).unwrap();
    producer.publish(|event| **event = 2).unwrap();
    let mut seen = Vec::new();
    let polled = a.poll(|event, _| {
        assert_ne!(**event, 1, "on purpose");
        seen.push(**event);
    });
    assert_eq!((polled, seen), (Ok(Poll::Events(4)), vec![2]));
}

#[test]
fn a_reset_hook_and_a_poller_that_leaves() {
    let (mut producer, mut dispatcher) = Builder::new(2, || None::<Event>)
        .reset(|slot| *slot = None)
        .wait(Wait::Yield)
        .then((poller("a"), poller("b")))
        .start()
        .unwrap();
    let (mut a, mut b) = (dispatcher.poller("a").unwrap(), dispatcher.poller("b").unwrap());
    let publishing = thread::spawn(move || {
        for number in 0..EVENTS {
            producer
                .publish(|slot| assert!(slot.replace(Box::new(number)).is_none(), "cleared"))
                .unwrap();
        }
    });
    let leaving = thread::spawn(move || {
        while a.sequence() < EVENTS / 2 {
            a.poll(|slot, _| assert!(slot.is_some())).unwrap();
            thread::yield_now();
        }
    });
    while b.poll(|slot, _| assert!(slot.is_some())).unwrap() != Poll::Closed {
        thread::yield_now();
    }
    publishing.join().unwrap();
    leaving.join().unwrap();
    assert_eq!(b.sequence(), EVENTS);
}

#[test]
fn handlers_and_events_that_borrow() {
    let texts: Vec<String> = (0..EVENTS).map(|number| number.to_string()).collect();
    let (mut seen, mut rest) = (Vec::new(), 0);
    let (published, report) = Builder::new(2, || "")
        .wait(Wait::Yield)
        .then(read("log", |text: &&str, _| seen.push(*text)))
        .then(update("shorten", |text: &mut &str, _| {
            *text = &text[1..];
            rest += text.len();
        }))
        .scope(|mut producer, _| {
            texts.iter().try_for_each(|text| producer.publish(|slot| *slot = text).map(|_| ()))
        })
        .unwrap();
    assert_eq!((published, report.is_complete()), (Ok(()), true));
    assert_eq!((seen, rest), (texts.iter().map(|text| &**text).collect(), 2));
}
