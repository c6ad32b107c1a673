//! What the types promise before anything runs: which threads they may go to, and how large they
//! are. Most of it is checked by the compiler.

#![forbid(unsafe_code)]

mod common;

use std::{
    cell::{Cell, RefCell},
    mem::size_of,
    ops::Range,
    panic::{RefUnwindSafe, UnwindSafe},
};

use common::{joined, within_a_minute};
use slipring::{
    At, Batch, BuildError, Builder, Dispatcher, Exclusive, Fault, FaultKind, MultiProducer,
    ParseWaitError, Policy, Poll, Poller, PollerError, PollerMut, Producer, PublishError, Report,
    Shared, ShutdownCause, ShutdownError, Station, StationReport, Wait, Warning, poller_mut,
    update, update_batch, update_handler, update_with,
};
use static_assertions::{assert_eq_size, assert_impl_all, assert_not_impl_any, const_assert};

/// An event that may move between threads but not be shared by them.
type Lone = Cell<u64>;

// Handles go to the threads that use them.
assert_impl_all!(Producer<u64>: Send);
assert_impl_all!(MultiProducer<u64>: Send, Clone);
assert_impl_all!(Poller<u64>: Send);
assert_impl_all!(PollerMut<u64>: Send);
assert_impl_all!(Dispatcher<u64>: Send, Sync);
// A shared reference to a producer tells of room and of closing, and no more.
assert_impl_all!(Producer<u64>: Sync);
assert_impl_all!(MultiProducer<u64>: Sync);
// All of them may be sent also when the events cannot be shared.
assert_impl_all!(Producer<Lone>: Send);
assert_impl_all!(MultiProducer<Lone>: Send, Clone);
assert_impl_all!(PollerMut<Lone>: Send);
assert_impl_all!(Dispatcher<Lone>: Send, Sync);

// There is one of each, and no way to two.
assert_not_impl_any!(Producer<u64>: Clone, Copy);
assert_not_impl_any!(Poller<u64>: Clone, Copy);
assert_not_impl_any!(PollerMut<u64>: Clone, Copy);
assert_not_impl_any!(Dispatcher<u64>: Clone, Copy);
assert_not_impl_any!(Batch<'static, u64>: Clone, Copy, Iterator);

// A description of a ring may be made in one thread and started in another only as far as its
// factory may; its stations may always go along.
assert_impl_all!(Station<u64, Shared>: Send);
assert_impl_all!(Station<u64, Exclusive>: Send);
assert_impl_all!(Station<Lone, Exclusive>: Send);

// Errors and accounts go wherever somebody wants to read them.
assert_impl_all!(PublishError: std::error::Error, Clone, PartialEq, Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(BuildError: std::error::Error, Clone, PartialEq, Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(PollerError: std::error::Error, Clone, PartialEq, Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(ShutdownError: std::error::Error, Clone, PartialEq, Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(ParseWaitError: std::error::Error, Clone, PartialEq, Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(Fault: std::error::Error, Clone, PartialEq, Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(Report: Clone, PartialEq, Send, Sync);
assert_impl_all!(StationReport: Clone, PartialEq, Send, Sync);
assert_impl_all!(ShutdownCause: Clone, PartialEq, Send, Sync);
assert_impl_all!(Warning: Clone, PartialEq, Send, Sync);

// Options are plain values.
assert_impl_all!(Wait: Copy, Eq, Send, Sync);
assert_impl_all!(Policy: Copy, Eq, Send, Sync);
assert_impl_all!(Poll: Copy, Eq, Send, Sync);
assert_impl_all!(FaultKind: Copy, Eq, Send, Sync);
assert_impl_all!(At<'static>: Copy);

// What every publish call returns, by value, on the path that has to be fast.
const_assert!(size_of::<Result<u64, PublishError>>() <= 32);
const_assert!(size_of::<Result<Range<u64>, PublishError>>() <= 32);
// What every poll returns.
const_assert!(size_of::<Result<Poll, Fault>>() <= 16);
// A fault is handed to every producer that is refused: one pointer, also where there may be none.
assert_eq_size!(Fault, Option<Fault>, usize);
// Handed by value to the handler with each event.
const_assert!(size_of::<At<'static>>() <= 24);
// A producer and its cursors share a cache line with what its owner keeps beside it.
const_assert!(size_of::<Producer<u64>>() <= 32);
const_assert!(size_of::<MultiProducer<u64>>() <= 32);
assert_eq_size!(Producer<u8>, Producer<[u8; 4096]>);

/// The error of a boxed `?`, as `main` has it.
fn boxed(error: impl Into<Box<dyn std::error::Error + Send + Sync + 'static>>) -> String {
    error.into().to_string()
}

#[test]
fn errors_can_be_boxed() {
    assert_eq!(boxed(PublishError::Closed), PublishError::Closed.to_string());
    assert_eq!(boxed(BuildError::NoStations), BuildError::NoStations.to_string());
    let reads = PollerError::Reads("s".to_owned());
    assert_eq!(boxed(reads.clone()), reads.to_string());
}

struct Adding;

impl slipring::HandlerMut<Lone> for Adding {
    fn on_event(&mut self, event: &mut Lone, _: At<'_>) -> Result<(), slipring::HandlerError> {
        event.set(event.get() + 8);
        Ok(())
    }
}

#[test]
fn events_that_cannot_be_shared_work_on_a_ring_of_changing_stations() {
    within_a_minute(|| {
        let ring = Builder::new(2, || Cell::new(0))
            .then(update("one", |event: &mut Lone, _| event.set(event.get() + 1)))
            .then(update_batch("two", |events: &mut [Lone], _| {
                for event in events {
                    event.set(event.get() + 2);
                }
            }))
            .then(update_with(
                "four",
                || RefCell::new(4),
                |add, event: &mut Lone, _| event.set(event.get() + *add.borrow()),
            ))
            .then(update_handler("eight", || Adding))
            .then(poller_mut("look").max_batch(2));
        let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
        let mut look = dispatcher.poller_mut("look").expect("it was declared");
        for value in [100, 200, 300] {
            producer.publish(|event| event.set(value)).expect("there is room");
            assert!(look.wait(common::A_MINUTE));
            let mut seen = Vec::new();
            look.poll(|event, _| seen.push(event.get())).expect("nothing fails");
            assert_eq!(seen, [value + 15]);
        }
        drop((producer, look));
        assert_eq!(joined(dispatcher).published, 3);
    });
}

#[test]
fn events_of_no_size_are_counted() {
    within_a_minute(|| {
        let ring = Builder::with_defaults(2).then(slipring::poller::<()>("look").max_batch(2));
        let (mut producer, mut dispatcher) = ring.start().expect("a good graph");
        let mut look = dispatcher.poller("look").expect("it was declared");
        for _ in 0..5 {
            producer.publish_slice(&[(), ()]).expect("there is room");
            assert_eq!(producer.try_publish(|()| ()), Err(PublishError::Full));
            assert_eq!(look.poll(|(), _| ()), Ok(Poll::Events(2)));
        }
        drop((producer, look));
        assert_eq!(joined(dispatcher).published, 10);
    });
}

#[test]
fn handles_may_change_threads_between_events() {
    within_a_minute(|| {
        let (mut producer, mut dispatcher) = Builder::new(2, || 0_u64)
            .then(slipring::poller("look").max_batch(2))
            .start()
            .expect("a good graph");
        let mut look = dispatcher.poller("look").expect("it was declared");
        for value in 0..5 {
            (producer, look) = std::thread::spawn(move || {
                producer.publish(|event| *event = value).expect("there is room");
                (producer, look)
            })
            .join()
            .expect("no panic");
            assert_eq!(common::polled(&mut look), [value]);
        }
    });
}
