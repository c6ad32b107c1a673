//! p07: closing loses nothing. What was accepted is handled by every station and what was refused
//! by none; then everybody ends, also those who sleep.

use std::time::Duration;

use loom::{sync::Mutex, thread};
use slipring::{Poll, PublishError, ShutdownCause, Wait, poller, read};
use std::sync::Arc;

use crate::{
    harness::Model,
    shapes::{read_some, reader, ring},
};

pub const MODELS: &[Model] = &[
    Model::exhaustive("p07", "closing_under_a_producer", (3, 2, 2), closing_under_a_producer)
        .both_fences()
        .bounded(2)
        .full_bounded(2),
    Model::exhaustive("p07", "closing_under_many_producers", (3, 2, 2), closing_under_many)
        .both_fences()
        .bounded(2)
        .full_bounded(2),
    Model::exhaustive("p07", "closing_where_it_ends", (2, 2, 2), closing_where_it_ends),
    Model::exhaustive(
        "p07",
        "a_refused_event_is_not_reset",
        (3, 2, 1),
        a_refused_event_is_not_reset,
    )
    .both_fences()
    .bounded(2)
    .full_bounded(2),
    Model::exhaustive("p07", "two_closers", (3, 1, 1), two_closers)
        .both_fences()
        .bounded(2)
        .full_bounded(2),
    Model::exhaustive("p07", "a_closed_ring_wakes_its_readers", (2, 1, 0), wakes_its_readers)
        .both_fences()
        .bounded(3)
        .full_bounded(4),
    Model::exhaustive("p07", "a_closed_ring_wakes_its_producer", (2, 1, 1), wakes_its_producer)
        .both_fences(),
    Model::exhaustive("p07", "a_thread_drains_and_ends", (2, 1, 1), a_thread_drains_and_ends)
        .both_fences()
        .bounded(2)
        .full_bounded(3),
    Model::exhaustive("p07", "shutdown_under_a_producer", (3, 1, 1), shutdown_under_a_producer)
        .bounded(1)
        .full_bounded(1)
        .both_fences(),
    Model::exhaustive("p07", "the_last_of_two_producers_closes", (2, 2, 2), the_last_closes),
    Model::exhaustive("p07", "halting_under_a_sleeper", (2, 2, 1), halting_under_a_sleeper)
        .both_fences()
        .bounded(3)
        .full_bounded(4),
    Model::exhaustive("p07", "halting_a_thread", (2, 2, 2), halting_a_thread)
        .bounded(2)
        .full_bounded(3)
        .both_fences(),
];

const LONG: Duration = Duration::from_hours(1);

/// Publishes until it is refused; returns what was accepted.
fn publish_until_closed<C: slipring::Claim>(
    producer: &mut slipring::Producer<u64, C>,
    numbers: std::ops::Range<u64>,
) -> Vec<u64> {
    let mut accepted = Vec::new();
    for number in numbers {
        match producer.try_publish(|slot| *slot = number) {
            Ok(_) => accepted.push(number),
            Err(error) => {
                assert_eq!(error, PublishError::Closed);
                break;
            }
        }
    }
    accepted
}

fn closing_under_a_producer() {
    let (mut producer, mut dispatcher) = ring(2).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let publishing = thread::spawn(move || {
        let accepted = publish_until_closed(&mut producer, 10..12);
        (producer, accepted)
    });
    let reading = thread::spawn(move || {
        let seen = read_some(&mut a, 2);
        (a, seen)
    });
    dispatcher.close();
    let (producer, accepted) = publishing.join().unwrap();
    let (mut a, mut seen) = reading.join().unwrap();
    assert!(producer.is_closed());
    while let Poll::Events(_) = a.poll(|number, _| seen.push(*number)).unwrap() {}
    assert_eq!(a.poll(|_, _| ()), Ok(Poll::Closed));
    assert_eq!(seen, accepted);
    assert_eq!(a.sequence(), accepted.len() as u64);
}

fn closing_under_many() {
    let (mut first, mut dispatcher) = ring(2).then(poller("a")).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let mut second = first.clone();
    let publishing = thread::spawn(move || publish_until_closed(&mut second, 20..21));
    let closing = thread::spawn(move || {
        dispatcher.close();
        dispatcher
    });
    let mut accepted = publish_until_closed(&mut first, 10..11);
    let mut seen = read_some(&mut a, 1);
    accepted.extend(publishing.join().unwrap());
    let dispatcher = closing.join().unwrap();
    while let Poll::Events(_) = a.poll(|number, _| seen.push(*number)).unwrap() {}
    assert_eq!(a.poll(|_, _| ()), Ok(Poll::Closed));
    seen.sort_unstable();
    accepted.sort_unstable();
    assert_eq!(seen, accepted);
    drop(dispatcher);
}

/// A ring that is closed where somebody believes that it ends has no event behind that, and is open if it has.
fn closing_where_it_ends() {
    let (mut first, mut dispatcher) = ring(2).then(poller("a")).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let mut second = first.clone();
    first.publish(|slot| *slot = 10).unwrap();
    let publishing = thread::spawn(move || publish_until_closed(&mut second, 20..21));
    let is_closed = first.close_at(1);
    // All that is to be seen then is there already.
    let mut seen = read_some(&mut a, 2);
    let accepted = publishing.join().unwrap();
    assert_eq!(is_closed, accepted.is_empty());
    seen.extend(read_some(&mut a, 1));
    assert_eq!(seen.len(), 1 + accepted.len());
    let ended = a.poll(|_, _| ()).unwrap();
    assert_eq!(ended, if is_closed { Poll::Closed } else { Poll::Idle });
}

/// Every station has left, and the reset hook follows what is published: but not a refused event.
fn a_refused_event_is_not_reset() {
    let cleared = Log::default();
    let hook = {
        let cleared = Arc::clone(&cleared);
        move |slot: &mut u64| cleared.lock().unwrap().push(*slot)
    };
    let (mut producer, mut dispatcher) =
        ring(2).reset(hook).then(poller("leaves")).start().unwrap();
    let leaves = reader(&mut dispatcher, "leaves");
    let publishing = thread::spawn(move || {
        let accepted = publish_until_closed(&mut producer, 10..11);
        (producer, accepted)
    });
    let leaving = thread::spawn(move || drop(leaves));
    dispatcher.close();
    leaving.join().unwrap();
    let (producer, accepted) = publishing.join().unwrap();
    drop(producer);
    let cleared = taken(&cleared);
    assert!(accepted.starts_with(&cleared), "{cleared:?} of {accepted:?}");
}

/// The end is settled once, whoever comes first.
fn two_closers() {
    let (mut producer, mut dispatcher) = ring(1).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let publishing = thread::spawn(move || {
        let accepted = publish_until_closed(&mut producer, 10..11);
        // The last producer's drop closes, too.
        drop(producer);
        accepted
    });
    let closing = thread::spawn(move || {
        dispatcher.close();
        dispatcher
    });
    let mut seen = read_some(&mut a, 1);
    let accepted = publishing.join().unwrap();
    drop(closing.join().unwrap());
    while let Poll::Events(_) = a.poll(|number, _| seen.push(*number)).unwrap() {}
    assert_eq!(a.poll(|_, _| ()), Ok(Poll::Closed));
    assert_eq!(seen, accepted);
}

fn wakes_its_readers() {
    let (producer, mut dispatcher) = ring(1).wait(Wait::Block).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let sleeping = thread::spawn(move || {
        assert!(a.wait(LONG));
        assert_eq!(a.poll(|_, _| ()), Ok(Poll::Closed));
    });
    dispatcher.close();
    sleeping.join().unwrap();
    drop(producer);
}

fn wakes_its_producer() {
    let (mut producer, mut dispatcher) =
        ring(1).wait(Wait::Block).then(poller("a")).start().unwrap();
    let a = reader(&mut dispatcher, "a");
    producer.publish(|slot| *slot = 10).unwrap();
    let sleeping = thread::spawn(move || {
        assert_eq!(producer.publish(|slot| *slot = 11), Err(PublishError::Closed));
        producer
    });
    dispatcher.close();
    sleeping.join().unwrap();
    drop(a);
}

type Log = Arc<Mutex<Vec<u64>>>;

fn taken(log: &Log) -> Vec<u64> {
    std::mem::take(&mut *log.lock().unwrap())
}

fn a_thread_drains_and_ends() {
    let log = Log::default();
    let station = {
        let log = Arc::clone(&log);
        read("a", move |number: &u64, _| log.lock().unwrap().push(*number))
    };
    let (mut producer, dispatcher) = ring(1).wait(Wait::Block).then(station).start().unwrap();
    producer.publish(|slot| *slot = 10).unwrap();
    drop(producer);
    let report = dispatcher.join().unwrap();
    assert!(report.is_complete());
    assert_eq!((report.published, report.station("a").unwrap().handled), (1, 1));
    assert_eq!(taken(&log), [10]);
}

fn shutdown_under_a_producer() {
    let log = Log::default();
    let station = {
        let log = Arc::clone(&log);
        read("a", move |number: &u64, _| log.lock().unwrap().push(*number))
    };
    let (mut producer, dispatcher) = ring(1).wait(Wait::Block).then(station).start().unwrap();
    let publishing = thread::spawn(move || publish_until_closed(&mut producer, 10..11));
    let report = dispatcher.shutdown(LONG).unwrap();
    let accepted = publishing.join().unwrap();
    assert!(report.is_complete());
    assert_eq!(report.published, accepted.len() as u64);
    assert_eq!(taken(&log), accepted);
}

fn the_last_closes() {
    let (mut first, mut dispatcher) = ring(2).then(poller("a")).start_multi().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let mut second = first.clone();
    let publishing = thread::spawn(move || {
        second.publish(|slot| *slot = 20).unwrap();
    });
    first.publish(|slot| *slot = 10).unwrap();
    drop(first);
    publishing.join().unwrap();
    let mut seen = Vec::new();
    while let Poll::Events(_) = a.poll(|number, _| seen.push(*number)).unwrap() {}
    assert_eq!(a.poll(|_, _| ()), Ok(Poll::Closed), "the last producer's drop has closed it");
    seen.sort_unstable();
    assert_eq!(seen, [10, 20]);
}

fn halting_under_a_sleeper() {
    let (mut producer, mut dispatcher) =
        ring(2).wait(Wait::Block).then(poller("a")).start().unwrap();
    let mut a = reader(&mut dispatcher, "a");
    let sleeping = thread::spawn(move || {
        let mut seen = Vec::new();
        loop {
            assert!(a.wait(LONG));
            if a.poll(|number, _| seen.push(*number)) == Ok(Poll::Closed) {
                return seen;
            }
        }
    });
    producer.publish(|slot| *slot = 10).unwrap();
    dispatcher.halt();
    let seen = sleeping.join().unwrap();
    assert!(seen.is_empty() || seen == [10], "an exact prefix");
    assert_eq!(producer.publish(|_| ()), Err(PublishError::Closed));
}

fn halting_a_thread() {
    let log = Log::default();
    let station = {
        let log = Arc::clone(&log);
        read("a", move |number: &u64, _| log.lock().unwrap().push(*number)).max_batch(1)
    };
    let (mut producer, dispatcher) = ring(2).wait(Wait::Block).then(station).start().unwrap();
    producer.publish(|slot| *slot = 10).unwrap();
    dispatcher.halt();
    let report = match dispatcher.join() {
        Ok(report) => report,
        Err(error) => {
            assert!(!matches!(error.cause, ShutdownCause::Fault(_)), "{error}");
            error.report
        }
    };
    let handled = taken(&log);
    assert!(handled.is_empty() || handled == [10]);
    let a = report.station("a").unwrap();
    assert_eq!((report.published, a.handled), (1, handled.len() as u64));
    assert_eq!(a.handled + a.left, 1);
    drop(producer);
}
