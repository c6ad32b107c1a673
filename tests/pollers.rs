//! Pollers: what a poll comes to, what a batch in hand keeps, whom a poller holds back, and what
//! happens when it leaves.

#![forbid(unsafe_code)]

mod common;

use std::{
    fmt::Debug,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{self, TryRecvError},
    thread,
    time::Duration,
};

use common::{
    A_MINUTE, Log, WAITS, abandon, assert_accounts, joined, polled, polled_to_the_end,
    within_a_minute,
};
use slipring::{
    At, Builder, Dispatcher, FaultKind, Handler, HandlerError, HandlerMut, Policy, Poll, Poller,
    PollerError, PollerMut, Producer, PublishError, Shared, Station, Wait, poller, poller_mut,
    read, update,
};

type Ring<P> = (Producer<u64>, Dispatcher<u64>, P);

/// A ring of four slots with one poller, which is dropped before the dispatcher would wait for it.
fn reading(options: fn(Station<u64, Shared>) -> Station<u64, Shared>) -> Ring<Poller<u64>> {
    let station = options(poller("hand").max_batch(4));
    let (producer, mut dispatcher) =
        Builder::new(4, || 0).then(station).start().expect("a good graph");
    let poller = dispatcher.poller("hand").expect("it was declared");
    (producer, dispatcher, poller)
}

/// The same with a poller that changes events.
fn changing() -> Ring<PollerMut<u64>> {
    let station = poller_mut("hand").max_batch(4);
    let (producer, mut dispatcher) =
        Builder::new(4, || 0).then(station).start().expect("a good graph");
    let poller = dispatcher.poller_mut("hand").expect("it was declared");
    (producer, dispatcher, poller)
}

fn unchanged<S>(station: S) -> S {
    station
}

/// A handler that must not see any event.
fn not_called<E: Debug>(event: &E, at: At<'_>) {
    panic!("called for {event:?} at {}", at.sequence());
}

// ---- what a poll comes to ----

#[test]
fn a_poll_tells_what_it_found() {
    within_a_minute(|| {
        let ring = Builder::new(4, || 0_u64)
            .then(poller("first").max_batch(4))
            .then(poller("second").max_batch(4));
        let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
        let mut first = dispatcher.poller("first").expect("it was declared");
        let mut second = dispatcher.poller("second").expect("it was declared");
        let poll = |poller: &mut Poller<u64>| poller.poll(|_, _| ());
        assert_eq!(poll(&mut first), Ok(Poll::Idle));
        assert_eq!(poll(&mut second), Ok(Poll::Idle));
        producer.publish_slice(&[1, 2]).expect("there is room");
        assert_eq!(poll(&mut second), Ok(Poll::Gated), "the first one has not passed them");
        assert_eq!(poll(&mut first), Ok(Poll::Events(2)));
        assert_eq!(poll(&mut first), Ok(Poll::Idle));
        assert_eq!(poll(&mut second), Ok(Poll::Events(2)));
        assert_eq!(poll(&mut second), Ok(Poll::Idle));
        producer.publish_slice(&[3]).expect("there is room");
        drop(producer);
        assert_eq!(poll(&mut second), Ok(Poll::Gated), "closed, but something is left");
        assert_eq!(poll(&mut first), Ok(Poll::Events(1)));
        assert_eq!(poll(&mut first), Ok(Poll::Closed));
        assert_eq!(poll(&mut second), Ok(Poll::Events(1)));
        assert_eq!(poll(&mut second), Ok(Poll::Closed));
        assert_eq!(poll(&mut second), Ok(Poll::Closed));
        assert_eq!((first.name(), first.sequence()), ("first", 3));
        drop((first, second));
        assert!(joined(dispatcher).is_complete());
    });
}

#[test]
fn a_poll_of_a_halted_ring_handles_nothing() {
    within_a_minute(|| {
        let (mut producer, dispatcher, mut poller) = reading(unchanged);
        producer.publish_slice(&[1, 2]).expect("there is room");
        dispatcher.halt();
        assert_eq!(poller.poll(not_called), Ok(Poll::Closed));
        assert!(poller.read().is_none());
        assert!(poller.wait(A_MINUTE), "there is something to learn");
        drop(poller);
        assert_eq!(joined(dispatcher).stations[0].left, 2);
    });
}

#[test]
fn a_poll_stops_at_its_limit_and_at_the_largest_batch() {
    within_a_minute(|| {
        let (mut producer, _dispatcher, mut poller) = reading(|station| station.max_batch(3));
        producer.publish_slice(&[1, 2, 3, 4]).expect("there is room");
        for (limit, expected) in [(1, 1), (usize::MAX, 3)] {
            let mut sequences = Vec::new();
            let poll = poller.poll_at_most(limit, |event, at| {
                sequences.push((at.sequence(), *event, at.end_of_batch()));
            });
            assert_eq!(poll, Ok(Poll::Events(expected)));
            assert_eq!(sequences.len() as u64, expected);
            assert!(sequences.iter().all(|(sequence, event, _)| sequence + 1 == *event));
            let ends: Vec<_> = sequences.iter().map(|(.., ends)| *ends).collect();
            assert!(ends.iter().rev().enumerate().all(|(index, end)| *end == (index == 0)));
        }
        assert_eq!(polled(&mut poller), []);
        producer.publish_slice(&[5, 6, 7, 8]).expect("there is room");
        assert_eq!(poller.poll(|_, _| ()), Ok(Poll::Events(3)));
        assert_eq!(poller.poll(|_, _| ()), Ok(Poll::Events(1)));
    });
}

#[test]
fn a_batch_poll_gets_slices() {
    within_a_minute(|| {
        let (mut producer, _dispatcher, mut poller) = reading(unchanged);
        let mut next = |len: usize| {
            producer.publish_batch(len, |index, event| *event = index as u64).expect("room");
            let mut slices = Vec::new();
            let poll = poller.poll_batch(|events, at| {
                slices.push((at.sequence(), events.to_vec(), at.end_of_batch()));
            });
            assert_eq!(poll, Ok(Poll::Events(len as u64)));
            slices
        };
        assert_eq!(next(3), [(0, vec![0, 1, 2], true)]);
        assert_eq!(next(3), [(3, vec![0], false), (4, vec![1, 2], true)]);
        assert_eq!(next(4), [(6, vec![0, 1], false), (8, vec![2, 3], true)]);
    });
}

/// A handler of both kinds that logs its hooks.
#[derive(Default)]
struct Logging(Log<String>);

macro_rules! logging {
    ($handler:ident, $event:ty) => {
        impl $handler<u64> for Logging {
            fn on_start(&mut self) {
                self.0.push("start".to_owned());
            }

            fn on_batch_start(&mut self, size: usize, backlog: u64) {
                self.0.push(format!("batch {size} of {backlog}"));
            }

            fn on_event(&mut self, event: $event, at: At<'_>) -> Result<(), HandlerError> {
                self.0.push(format!("{event} at {}", at.sequence()));
                Ok(())
            }

            fn on_idle(&mut self) {
                self.0.push("idle".to_owned());
            }

            fn on_stop(&mut self) {
                self.0.push("stop".to_owned());
            }
        }
    };
}
logging!(Handler, &u64);
logging!(HandlerMut, &mut u64);

#[test]
fn a_poller_lends_itself_to_a_handler() {
    within_a_minute(|| {
        let expected = ["batch 2 of 2", "8 at 0", "9 at 1"];
        let (mut producer, _dispatcher, mut poller) = reading(unchanged);
        let mut handler = Logging::default();
        assert_eq!(poller.poll_handler(&mut handler), Ok(Poll::Idle));
        producer.publish_slice(&[8, 9]).expect("there is room");
        assert_eq!(poller.poll_handler(&mut handler), Ok(Poll::Events(2)));
        drop(producer);
        assert_eq!(poller.poll_handler(&mut handler), Ok(Poll::Closed));
        assert_eq!(handler.0.take(), expected);

        let (mut producer, _dispatcher, mut poller) = changing();
        producer.publish_slice(&[8, 9]).expect("there is room");
        assert_eq!(poller.poll_handler(&mut handler), Ok(Poll::Events(2)));
        assert_eq!(handler.0.take(), expected);
    });
}

#[test]
fn what_a_poller_changes_is_what_those_behind_see() {
    within_a_minute(|| {
        let ring = Builder::new(4, || 0_u64)
            .then(poller_mut("change").max_batch(4))
            .then(poller("look").max_batch(4));
        let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
        let mut change = dispatcher.poller_mut("change").expect("it was declared");
        let mut look = dispatcher.poller("look").expect("it was declared");
        producer.publish_slice(&[1, 2, 3]).expect("there is room");
        assert_eq!(change.poll(|event, _| *event += 10), Ok(Poll::Events(3)));
        assert_eq!(polled(&mut look), [11, 12, 13]);
        producer.publish_slice(&[4, 5, 6, 7]).expect("there is room");
        assert_eq!(change.poll_at_most(1, |event, _| *event += 10), Ok(Poll::Events(1)));
        assert_eq!(polled(&mut look), [14]);
        let number = |events: &mut [u64], at: At<'_>| {
            for event in events {
                *event += 100 * at.sequence();
            }
        };
        assert_eq!(change.poll_batch(number), Ok(Poll::Events(3)));
        assert_eq!(polled(&mut look), [405, 406, 407]);
    });
}

#[test]
fn a_release_in_a_poll_lets_followers_go_on() {
    within_a_minute(|| {
        let ring =
            Builder::new(4, || 0_u64).then(poller("first").max_batch(4)).then(poller("second"));
        let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
        let mut first = dispatcher.poller("first").expect("it was declared");
        let mut second = dispatcher.poller("second").expect("it was declared");
        producer.publish_slice(&[1, 2, 3]).expect("there is room");
        let mut seen = Vec::new();
        let poll = first.poll(|_, at| {
            at.release();
            seen.push(polled(&mut second));
        });
        assert_eq!(poll, Ok(Poll::Events(3)));
        assert_eq!(seen, [vec![], vec![1], vec![2]]);
        assert_eq!(polled(&mut second), [3]);
    });
}

// ---- batches in hand ----

#[test]
fn what_is_not_read_stays() {
    within_a_minute(|| {
        let (mut producer, dispatcher, mut poller) = reading(unchanged);
        assert!(poller.read().is_none());
        producer.publish_slice(&[1, 2, 3, 4]).expect("there is room");
        let batch = poller.read().expect("four are there");
        assert_eq!((batch.sequence(), batch.remaining()), (0, 4));
        drop(batch);
        let mut batch = poller.read().expect("none was read");
        assert_eq!(batch.next(), Some(&1));
        assert_eq!((batch.sequence(), batch.remaining()), (1, 3));
        assert_eq!(batch.next(), Some(&2));
        assert_eq!(producer.room(), 0, "what is in hand is not let go");
        drop(batch);
        assert_eq!(producer.room(), 2);
        assert_eq!(poller.sequence(), 2);
        // The rest wraps.
        producer.publish_slice(&[5, 6]).expect("there is room");
        let mut batch = poller.read().expect("four are there");
        assert_eq!(batch.remaining(), 4);
        for (sequence, event) in (2..).zip([3, 4, 5, 6]) {
            assert_eq!(batch.sequence(), sequence);
            assert_eq!(batch.next(), Some(&event));
        }
        assert_eq!(batch.next(), None);
        assert_eq!(batch.next(), None);
        assert_eq!((batch.sequence(), batch.remaining()), (6, 0));
        drop(batch);
        assert!(poller.read().is_none());
        drop((producer, poller));
        assert_eq!(joined(dispatcher).stations[0].handled, 6);
    });
}

#[test]
fn a_batch_in_hand_is_as_large_as_allowed_and_ends_with_what_was_there() {
    within_a_minute(|| {
        let (mut producer, _dispatcher, mut poller) = reading(|station| station.max_batch(2));
        producer.publish_slice(&[1, 2, 3]).expect("there is room");
        let mut batch = poller.read().expect("three are there");
        assert_eq!(batch.remaining(), 2);
        producer.publish_slice(&[4]).expect("there is room");
        assert_eq!(
            (batch.next().copied(), batch.next().copied(), batch.next()),
            (Some(1), Some(2), None)
        );
    });
}

#[test]
fn after_a_panic_the_event_in_hand_is_read_again() {
    within_a_minute(|| {
        let (mut producer, _dispatcher, mut poller) = reading(unchanged);
        producer.publish_slice(&[1, 2, 3]).expect("there is room");
        for reads in [1, 2, 2, 1] {
            let panicking = catch_unwind(AssertUnwindSafe(|| {
                let mut batch = poller.read().expect("something is there");
                for _ in 0..reads {
                    batch.next();
                }
                panic!("in the middle of it");
            }));
            assert!(panicking.is_err());
        }
        // One read again, then one done with and one read again, twice.
        assert_eq!((poller.sequence(), polled(&mut poller)), (2, vec![3]));
        // A panic before anything was read loses nothing either.
        producer.publish_slice(&[4]).expect("there is room");
        let panicking = catch_unwind(AssertUnwindSafe(|| {
            let _batch = poller.read().expect("something is there");
            panic!("before it");
        }));
        assert!(panicking.is_err());
        assert_eq!(polled(&mut poller), [4]);
    });
}

#[test]
fn a_batch_in_hand_passes_over_abandoned_sequences() {
    within_a_minute(|| {
        let (mut producer, mut dispatcher) = Builder::new(4, || 0_u64)
            .then(poller("hand").max_batch(4))
            .start_multi()
            .expect("a good graph");
        let mut poller = dispatcher.poller("hand").expect("it was declared");
        abandon(&mut producer);
        producer.publish(|event| *event = 1).expect("there is room");
        abandon(&mut producer);
        abandon(&mut producer);
        let mut batch = poller.read().expect("four sequences are there");
        assert_eq!((batch.sequence(), batch.remaining()), (1, 4));
        assert_eq!(batch.next(), Some(&1));
        assert_eq!((batch.sequence(), batch.remaining()), (4, 2));
        assert_eq!(batch.next(), None);
        drop(batch);
        abandon(&mut producer);
        assert_eq!(poller.read().expect("one sequence is there").next(), None);
        drop((producer, poller));
        let report = joined(dispatcher);
        assert_eq!((report.published, report.abandoned), (1, 4));
        assert_eq!((report.stations[0].handled, report.stations[0].left), (1, 0));
    });
}

#[test]
fn what_is_looked_at_is_not_taken_before_it_is_passed() {
    within_a_minute(|| {
        let (mut producer, mut dispatcher) = Builder::new(8, || 0_u64)
            .then(poller("hand").max_batch(8))
            .start_multi()
            .expect("a good graph");
        let mut poller = dispatcher.poller("hand").expect("it was declared");
        abandon(&mut producer);
        for number in [10, 20, 30] {
            producer.publish(|event| *event = number).expect("there is room");
        }
        abandon(&mut producer);

        let mut batch = poller.read().expect("five sequences are there");
        assert_eq!(batch.peek(), Some((1, &10)));
        assert_eq!(batch.peek(), Some((1, &10)));
        drop(batch);
        assert_eq!(poller.sequence(), 1, "abandoned ones are passed over, and nothing else");

        let panicking = catch_unwind(AssertUnwindSafe(|| {
            let mut batch = poller.read().expect("four are there");
            batch.peek();
            batch.pass();
            assert_eq!(batch.peek(), Some((2, &20)));
            panic!("with the second in hand");
        }));
        assert!(panicking.is_err());
        assert_eq!(poller.sequence(), 2, "the first is done with, the second is not");

        let mut batch = poller.read().expect("three are there");
        assert_eq!(batch.next(), Some(&20));
        assert_eq!(batch.peek(), Some((3, &30)));
        batch.pass();
        assert_eq!(batch.peek(), None);
        batch.pass();
        assert_eq!((batch.sequence(), batch.remaining()), (5, 0));
        drop(batch);
        drop((producer, poller));
        let report = joined(dispatcher);
        assert_eq!((report.stations[0].handled, report.stations[0].left), (3, 0));
    });
}

// ---- gating and leaving ----

#[test]
fn a_poller_gates_from_the_first_event_taken_or_not() {
    within_a_minute(|| {
        for take in [false, true] {
            let (mut producer, mut dispatcher) =
                Builder::new(2, || 0).then(poller("hand").max_batch(2)).start().expect("good");
            let taken = take.then(|| dispatcher.poller("hand").expect("it was declared"));
            producer.publish_slice(&[1, 2]).expect("there is room");
            assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full));
            let mut poller =
                taken.unwrap_or_else(|| dispatcher.poller("hand").expect("it was declared"));
            assert_eq!(polled(&mut poller), [1, 2], "also what was published before it was taken");
        }
    });
}

#[test]
fn a_poller_gates_the_stations_behind_it() {
    within_a_minute(|| {
        let (seen, sight) = mpsc::channel();
        let ring = Builder::new(4, || 0_u64)
            .then(poller("hand").max_batch(4))
            .then(read("behind", move |event: &u64, _| seen.send(*event).expect("it listens")));
        let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
        let mut hand = dispatcher.poller("hand").expect("it was declared");
        producer.publish_slice(&[1, 2, 3]).expect("there is room");
        assert_eq!(sight.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(hand.poll_at_most(2, |_, _| ()), Ok(Poll::Events(2)));
        assert_eq!(sight.iter().take(2).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(sight.try_recv(), Err(TryRecvError::Empty));
        drop((producer, hand));
        assert_eq!(sight.iter().collect::<Vec<_>>(), [3], "it has left and holds nobody back");
        let report = joined(dispatcher);
        let figures: Vec<_> =
            report.stations.iter().map(|station| (station.handled, station.left)).collect();
        assert_eq!(figures, [(2, 1), (3, 0)]);
    });
}

#[test]
fn a_poller_that_leaves_lets_the_producers_go() {
    within_a_minute(|| {
        let ring = Builder::new(2, || 0).then([poller("a"), poller("b")]);
        let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
        let mut a = dispatcher.poller("a").expect("it was declared");
        let b = dispatcher.poller("b").expect("it was declared");
        producer.publish_slice(&[1, 2]).expect("there is room");
        assert_eq!(a.poll_at_most(1, |_, _| ()), Ok(Poll::Events(1)));
        assert_eq!(producer.room(), 0);
        drop(b);
        assert_eq!(producer.room(), 1, "the other one still holds it back");
        producer.publish(|event| *event = 3).expect("there is room");
        assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full));
        drop(producer);
        assert_eq!(polled_to_the_end(&mut a), [2, 3]);
        drop(a);
        let report = joined(dispatcher);
        assert_eq!((report.stations[0].handled, report.stations[0].left), (3, 0));
        assert_eq!((report.stations[1].handled, report.stations[1].left), (0, 3));
    });
}

#[test]
fn a_waiting_producer_goes_on_when_the_poller_leaves() {
    for wait in [Wait::Adaptive, Wait::Block, Wait::Yield] {
        within_a_minute(move || {
            let (mut producer, mut dispatcher) =
                Builder::new(1, || 0_u64).wait(wait).then(poller("hand")).start().expect("good");
            let hand = dispatcher.poller("hand").expect("it was declared");
            producer.publish(|_| ()).expect("there is room");
            let waiting = thread::spawn(move || {
                (0..5).map(|_| producer.publish(|_| ())).collect::<Result<Vec<_>, _>>()
            });
            drop(hand);
            let published = waiting.join().expect("the producer does not panic");
            assert_eq!(published, Ok(vec![1, 2, 3, 4, 5]));
            assert_eq!(joined(dispatcher).stations[0].left, 6);
        });
    }
}

#[test]
fn whoever_followed_a_poller_that_left_follows_what_it_followed() {
    within_a_minute(|| {
        let ring = Builder::new(4, || 0)
            .then([poller("a").max_batch(4), poller("b").max_batch(4)])
            .then(poller("middle"))
            .then(poller("last").max_batch(4));
        let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
        let [mut a, mut b, middle, mut last] = ["a", "b", "middle", "last"]
            .map(|name| dispatcher.poller(name).expect("it was declared"));
        producer.publish_slice(&[1, 2, 3]).expect("there is room");
        assert_eq!(a.poll_at_most(2, |_, _| ()), Ok(Poll::Events(2)));
        drop(middle);
        assert_eq!(last.poll(|_, _| ()), Ok(Poll::Gated), "b has not passed anything");
        assert_eq!(b.poll_at_most(1, |_, _| ()), Ok(Poll::Events(1)));
        assert_eq!(polled(&mut last), [1]);
        // Nor does it go ahead of those that stay when one of them leaves.
        drop(b);
        assert_eq!(polled(&mut last), [2]);
        assert_eq!(last.poll(|_, _| ()), Ok(Poll::Gated), "a has not passed the third");
        drop(a);
        assert_eq!(polled(&mut last), [3]);
        assert_eq!(last.poll(|_, _| ()), Ok(Poll::Idle));
        assert_eq!(producer.room(), 4);
        // The last one still gates the producers.
        producer.publish_slice(&[4, 5, 6, 7]).expect("there is room");
        assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full));
        assert_eq!(polled(&mut last), [4, 5, 6, 7]);
    });
}

#[test]
fn the_producers_follow_what_the_last_one_that_left_followed() {
    within_a_minute(|| {
        let ring = Builder::new(2, || 0).then(poller("first")).then(poller("last"));
        let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
        let mut first = dispatcher.poller("first").expect("it was declared");
        let last = dispatcher.poller("last").expect("it was declared");
        producer.publish_slice(&[1, 2]).expect("there is room");
        drop(last);
        assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full), "`first` is there");
        assert_eq!(first.poll_at_most(1, |_, _| ()), Ok(Poll::Events(1)));
        assert_eq!(producer.try_publish(|_| ()), Ok(2));
        assert_eq!(producer.try_publish(|_| ()), Err(PublishError::Full));
    });
}

#[test]
fn producers_go_on_when_every_poller_has_left() {
    const EVENTS: u64 = if cfg!(miri) { 20 } else { 500 };
    for capacity in [1, 2, 4] {
        within_a_minute(move || {
            let ring = Builder::new(capacity, || 0).then([poller("a"), poller("b")]);
            let (producer, mut dispatcher) = ring.start_multi().expect("a good graph");
            let pollers = ["a", "b"].map(|name| dispatcher.poller(name).expect("declared"));
            let threads = [producer.clone(), producer.clone(), producer].map(|mut producer| {
                thread::spawn(move || {
                    let mut sequences = Vec::new();
                    for value in 0..EVENTS {
                        sequences.push(producer.publish(|event| *event = value).expect("open"));
                    }
                    sequences
                })
            });
            drop(pollers);
            let mut sequences: Vec<u64> = threads
                .into_iter()
                .flat_map(|thread| thread.join().expect("the producer does not panic"))
                .collect();
            sequences.sort_unstable();
            assert!(sequences.into_iter().eq(0..3 * EVENTS));
            let report = joined(dispatcher);
            assert_eq!(report.published, 3 * EVENTS);
            assert!(report.stations.iter().all(|station| station.left == 3 * EVENTS));
        });
    }
}

#[test]
fn a_poller_that_nobody_took_leaves_with_the_dispatcher() {
    for ends in [Dispatcher::join, |dispatcher: Dispatcher<u64>| dispatcher.shutdown(A_MINUTE)] {
        within_a_minute(move || {
            let (seen, sight) = mpsc::channel();
            let ring = Builder::new(2, || 0_u64)
                .then([poller("taken"), poller("untaken")])
                .then(read("behind", move |event: &u64, _| seen.send(*event).expect("it listens")));
            let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
            let mut taken = dispatcher.poller("taken").expect("it was declared");
            producer.publish_slice(&[1, 2]).expect("there is room");
            assert_eq!(taken.poll_at_most(1, |_, _| ()), Ok(Poll::Events(1)));
            assert_eq!(sight.try_recv(), Err(TryRecvError::Empty), "the other one gates");
            drop(producer);
            let ending = thread::spawn(move || ends(dispatcher));
            assert_eq!(sight.recv_timeout(A_MINUTE), Ok(1), "it has left");
            assert_eq!(polled_to_the_end(&mut taken), [2]);
            let report = ending.join().expect("no panic").expect("everything is handled");
            assert_accounts(&report);
            let left: Vec<_> = report.stations.iter().map(|station| station.left).collect();
            assert_eq!(left, [0, 2, 0]);
        });
    }
}

// ---- errors ----

#[test]
fn a_poller_that_cannot_be_had_is_refused() {
    within_a_minute(|| {
        let ring = Builder::new(2, || 0_u64)
            .then(poller_mut("changes"))
            .then([poller("reads"), poller("too")])
            .then(read("runs", |_: &u64, _| ()));
        let (_producer, mut dispatcher) = ring.start().expect("a good graph");
        let unknown = |name: &str, available: &[&str]| PollerError::UnknownName {
            name: name.to_owned(),
            available: available.iter().map(|name| (*name).to_owned()).collect(),
        };
        let sorted = |error: PollerError| match error {
            PollerError::UnknownName { name, mut available } => {
                available.sort();
                PollerError::UnknownName { name, available }
            }
            other => other,
        };
        for name in ["nobody", "runs"] {
            let error = sorted(dispatcher.poller(name).expect_err("there is none"));
            assert_eq!(error, unknown(name, &["changes", "reads", "too"]));
            let error = sorted(dispatcher.poller_mut(name).expect_err("there is none"));
            assert_eq!(error, unknown(name, &["changes", "reads", "too"]));
        }
        assert_eq!(
            unknown("runs", &["a", "b"]).to_string(),
            "`runs` is no polled station, or its poller was taken: still to be had are [\"a\", \"b\"]"
        );
        let error = dispatcher.poller("changes").expect_err("it changes events");
        assert_eq!(error, PollerError::Mutates("changes".to_owned()));
        let text = "station `changes` mutates events: take it with `poller_mut`";
        assert_eq!(error.to_string(), text);
        let error = dispatcher.poller_mut("reads").expect_err("it reads");
        assert_eq!(error, PollerError::Reads("reads".to_owned()));
        assert_eq!(error.to_string(), "station `reads` only reads: take it with `poller`");
        // A refusal takes nothing away; a success does.
        let reads = dispatcher.poller("reads").expect("it is still there");
        let changes = dispatcher.poller_mut("changes").expect("it is still there");
        assert_eq!((reads.name(), changes.name()), ("reads", "changes"));
        for name in ["reads", "changes"] {
            let error = dispatcher.poller(name).expect_err("it was taken");
            assert_eq!(error, unknown(name, &["too"]));
        }
    });
}

#[test]
fn a_poll_that_fails_halts_the_ring_with_its_fault() {
    let fail = |event: &u64, _: At<'_>| match *event {
        2 => Err("two"),
        _ => Ok(()),
    };
    within_a_minute(move || {
        let (mut producer, dispatcher, mut poller) = reading(unchanged);
        producer.publish_slice(&[1, 2, 3]).expect("there is room");
        let fault = poller.poll(fail).expect_err("the second event fails");
        assert_eq!((fault.station(), fault.sequence()), ("hand", 1));
        assert_eq!((fault.kind(), fault.message()), (FaultKind::Error, "two"));
        assert_eq!(poller.sequence(), 1, "what came before it is handled");
        assert_eq!(producer.publish(|_| ()), Err(PublishError::Halted(fault.clone())));
        assert_eq!(poller.poll(not_called), Err(fault.clone()));
        assert!(poller.read().is_none());
        drop(poller);
        let error = dispatcher.join().expect_err("it was halted");
        assert_eq!(error.fault(), Some(&fault));
        assert_accounts(&error.report);
        assert_eq!((error.report.stations[0].handled, error.report.stations[0].left), (1, 2));
    });
}

#[test]
fn a_panic_in_a_poll_is_caught_and_dealt_with_by_the_policy() {
    within_a_minute(|| {
        let (mut producer, _dispatcher, mut poller) = reading(unchanged);
        producer.publish_slice(&[1, 2, 3]).expect("there is room");
        let fault = poller
            .poll(|event, _| assert_ne!(*event, 2, "two is refused"))
            .expect_err("the second event panics");
        assert_eq!((fault.kind(), fault.sequence()), (FaultKind::Panic, 1));
        assert!(fault.message().contains("two is refused"), "{fault}");

        let (mut producer, dispatcher, mut poller) =
            reading(|station| station.policy(Policy::retry(1).or_skip()));
        producer.publish_slice(&[1, 2, 3]).expect("there is room");
        let mut calls = Vec::new();
        let poll = poller.poll(|event, _| {
            calls.push(*event);
            assert_ne!(*event, 2, "two is refused");
        });
        assert_eq!(poll, Ok(Poll::Events(3)), "a skipped event counts");
        assert_eq!(calls, [1, 2, 2, 3]);
        drop((producer, poller));
        let report = joined(dispatcher);
        let hand = &report.stations[0];
        assert_eq!((hand.handled, hand.skipped, hand.retried), (2, 1, 1));
    });
}

#[test]
fn a_fault_elsewhere_reaches_the_poller() {
    within_a_minute(|| {
        let ring = Builder::new(2, || 0_u64)
            .then(update("picky", |_: &mut u64, _| Err("never")))
            .then(poller("hand"));
        let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
        let mut hand = dispatcher.poller("hand").expect("it was declared");
        producer.publish(|_| ()).expect("there is room");
        assert!(hand.wait(A_MINUTE), "a halt is something to learn");
        let fault = hand.poll(not_called).expect_err("picky has failed");
        assert_eq!(fault.station(), "picky");
        drop(hand);
        assert_eq!(dispatcher.join().expect_err("it was halted").fault(), Some(&fault));
    });
}

// ---- waiting ----

#[test]
fn a_wait_ends_with_its_time_or_with_something_to_do() {
    for wait in WAITS {
        within_a_minute(move || {
            let ring = Builder::new(2, || 0_u64)
                .wait(wait)
                .then(read("first", |_: &u64, _| ()))
                .then(poller("hand"));
            let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
            let mut hand = dispatcher.poller("hand").expect("it was declared");
            for time in [Duration::ZERO, Duration::from_millis(1)] {
                assert!(!hand.wait(time), "nothing is published");
            }
            producer.publish(|event| *event = 7).expect("there is room");
            assert!(hand.wait(Duration::MAX), "no timeout at all");
            assert!(hand.wait(Duration::ZERO), "waiting takes nothing away");
            assert_eq!(polled(&mut hand), [7]);
            assert!(!hand.wait(Duration::ZERO));
            let publishing = thread::spawn(move || producer.publish(|event| *event = 8));
            assert!(hand.wait(A_MINUTE));
            assert_eq!(polled(&mut hand), [8]);
            // The producer has gone with its thread, and so the ring has closed.
            assert_eq!(publishing.join().expect("no panic"), Ok(1));
            assert!(hand.wait(A_MINUTE), "the end is something to learn");
            assert_eq!(hand.poll(|_, _| ()), Ok(Poll::Closed));
            drop(hand);
            joined(dispatcher);
        });
    }
}
