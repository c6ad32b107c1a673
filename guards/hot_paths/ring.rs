//! The ring that the paths run on: as few as possible take part, and all of them on one thread.

// The checks behind the paths take what the paths return.
#![allow(clippy::boxed_local, clippy::needless_pass_by_value)]

use slipring::{
    Builder, Dispatcher, MultiProducer, Poll, Poller, PollerMut, Producer, Stage, poller,
    poller_mut,
};

use crate::EVENTS;

const SLOTS: usize = 1_024;
const STATION: &str = "only";

/// An event of 8 bytes. Each path has a type of its own, named by a number, and with it its own copy
/// of the library's code: what the compiler makes of one path, what it inlines above all, does not
/// depend on which others are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<const PATH: usize>(pub(crate) u64);

/// A producer, the only station, and the dispatcher that keeps the ring.
pub(crate) struct Ring<P, S, E: Send + 'static> {
    pub(crate) producer: P,
    pub(crate) poller: S,
    _dispatcher: Dispatcher<E>,
}

/// In a box: a path takes its ring and gives it back, and must not pay for its size.
pub(crate) type One<const PATH: usize> =
    Box<Ring<Producer<Event<PATH>>, Poller<Event<PATH>>, Event<PATH>>>;
pub(crate) type Many<const PATH: usize> =
    Box<Ring<MultiProducer<Event<PATH>>, Poller<Event<PATH>>, Event<PATH>>>;
pub(crate) type OneMut<const PATH: usize> =
    Box<Ring<Producer<Event<PATH>>, PollerMut<Event<PATH>>, Event<PATH>>>;

fn slots<const PATH: usize>(stage: impl Stage<Event<PATH>>) -> Builder<Event<PATH>> {
    Builder::new(SLOTS, || Event(0)).then(stage)
}

/// An empty ring with one producer.
pub(crate) fn one<const PATH: usize>() -> One<PATH> {
    let station = poller(STATION).max_batch(SLOTS);
    let (producer, mut dispatcher) = slots(station).start().expect("a valid ring");
    let poller = dispatcher.poller(STATION).expect("it was declared");
    Box::new(Ring { producer, poller, _dispatcher: dispatcher })
}

/// An empty ring with one of many producers.
pub(crate) fn many<const PATH: usize>() -> Many<PATH> {
    let station = poller(STATION).max_batch(SLOTS);
    let (producer, mut dispatcher) = slots(station).start_multi().expect("a valid ring");
    let poller = dispatcher.poller(STATION).expect("it was declared");
    Box::new(Ring { producer, poller, _dispatcher: dispatcher })
}

/// A ring with events for a station that reads.
pub(crate) fn one_filled<const PATH: usize>() -> One<PATH> {
    let mut ring = one();
    ring.producer.publish_batch(EVENTS as usize, write).expect("there is room");
    ring
}

/// The same with one of many producers.
pub(crate) fn many_filled<const PATH: usize>() -> Many<PATH> {
    let mut ring = many();
    ring.producer.publish_batch(EVENTS as usize, write).expect("there is room");
    ring
}

/// The same for a station that changes events.
pub(crate) fn one_mut_filled<const PATH: usize>() -> OneMut<PATH> {
    let station = poller_mut(STATION).max_batch(SLOTS);
    let (mut producer, mut dispatcher) = slots(station).start().expect("a valid ring");
    let poller = dispatcher.poller_mut(STATION).expect("it was declared");
    producer.publish_batch(EVENTS as usize, write).expect("there is room");
    Box::new(Ring { producer, poller, _dispatcher: dispatcher })
}

/// A ring without room.
pub(crate) fn one_full<const PATH: usize>() -> One<PATH> {
    let mut ring = one();
    ring.producer.publish_batch(SLOTS, write).expect("there is room");
    ring
}

/// The same with one of many producers.
pub(crate) fn many_full<const PATH: usize>() -> Many<PATH> {
    let mut ring = many();
    ring.producer.publish_batch(SLOTS, write).expect("there is room");
    ring
}

fn write<const PATH: usize>(index: usize, event: &mut Event<PATH>) {
    event.0 = index as u64;
}

/// What was counted has happened: the events are there.
pub(crate) fn holds_events<P, E: Send + Sync>(mut ring: Box<Ring<P, Poller<E>, E>>) {
    assert_eq!(ring.poller.poll(|_, _| ()), Ok(Poll::Events(EVENTS)));
}

/// The same for paths that read them: none is left.
pub(crate) fn is_read<P, E: Send + Sync>(ring: Box<Ring<P, Poller<E>, E>>) {
    assert_eq!(ring.poller.sequence(), EVENTS);
}

/// The same for a station that changes events.
pub(crate) fn is_changed<const PATH: usize>(ring: OneMut<PATH>) {
    assert_eq!(ring.poller.sequence(), EVENTS);
}
