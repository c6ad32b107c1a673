//! p19: what has to be done by whoever comes is never forgotten. Whoever publishes and finds somebody at the handlers
//! that run in the publishers' threads says so, and goes; then that one sees to it.
//!
//! The protocol is slipring-events' own `inline/handover.rs`, the handlers are one poller.

use loom::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use slipring::{Dispatcher, MultiProducer, Poller, Start, poller};

use self::handover::Handover;
use crate::{
    harness::Model,
    shapes::{read_now, reader, ring},
};

#[allow(clippy::pedantic, unused_braces, reason = "it is judged where it is written")]
mod handover {
    include!(concat!(env!("OUT_DIR"), "/events/handover.rs"));
}

/// What it is made of there, of loom's.
mod sync {
    use loom::sync::MutexGuard;
    pub use loom::sync::atomic::{AtomicBool, Ordering, fence};

    pub struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(of: T) -> Self {
            Self(loom::sync::Mutex::new(of))
        }

        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("nobody panics at it")
        }

        pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }
}

pub const MODELS: &[Model] = &[
    Model::exhaustive("p19", "two_who_do_not_wait", (2, 2, 2), two_who_do_not_wait),
    Model::exhaustive("p19", "one_who_waits", (2, 2, 2), one_who_waits),
    Model::exhaustive("p19", "two_who_do_not_wait_for_a_third", (3, 4, 3), a_third)
        .bounded(2)
        .full_bounded(3),
    Model::exhaustive("p19", "one_that_comes", (2, 2, 1), one_that_comes)
        .both_fences()
        .bounded(3)
        .full_bounded(3),
];

/// A handler that runs in the publishers' threads.
struct Inline {
    poller: Poller<u64>,
    seen: Vec<u64>,
}

impl Inline {
    fn run(&mut self) {
        read_now(&mut self.poller, &mut self.seen);
    }
}

fn open(slots: usize) -> (MultiProducer<u64>, Arc<Handover<Inline>>, Dispatcher<u64>) {
    let (producer, mut dispatcher) = ring(slots).then(poller("a")).start_multi().unwrap();
    let inline = Inline { poller: reader(&mut dispatcher, "a"), seen: Vec::new() };
    (producer, Arc::new(Handover::new(inline)), dispatcher)
}

fn publish_and_tend(producer: &mut MultiProducer<u64>, inline: &Handover<Inline>, number: u64) {
    producer.try_publish(|slot| *slot = number).unwrap();
    inline.tend(Inline::run);
}

fn publish_and_drive(producer: &mut MultiProducer<u64>, inline: &Handover<Inline>, number: u64) {
    producer.try_publish(|slot| *slot = number).unwrap();
    inline.drive(Inline::run, Inline::run);
}

fn all_is_seen(inline: &Handover<Inline>, count: usize) {
    let seen = &inline.inner().lock().seen;
    assert_eq!(seen.len(), count, "seen are {seen:?}");
}

fn two_who_do_not_wait() {
    let (mut here, inline, _dispatcher) = open(2);
    let there = {
        let (mut there, inline) = (here.clone(), inline.clone());
        thread::spawn(move || publish_and_tend(&mut there, &inline, 20))
    };
    publish_and_tend(&mut here, &inline, 10);
    there.join().unwrap();
    all_is_seen(&inline, 2);
}

fn one_who_waits() {
    let (mut here, inline, _dispatcher) = open(2);
    let there = {
        let (mut there, inline) = (here.clone(), inline.clone());
        thread::spawn(move || publish_and_tend(&mut there, &inline, 20))
    };
    publish_and_drive(&mut here, &inline, 10);
    there.join().unwrap();
    all_is_seen(&inline, 2);
}

/// Two of them have said so before the one at it looks.
fn a_third() {
    let (mut here, inline, _dispatcher) = open(4);
    let others = [20, 30].map(|number| {
        let (mut there, inline) = (here.clone(), inline.clone());
        thread::spawn(move || publish_and_tend(&mut there, &inline, number))
    });
    publish_and_tend(&mut here, &inline, 10);
    for other in others {
        other.join().unwrap();
    }
    all_is_seen(&inline, 3);
}

/// A publisher looks whether there is any handler of this kind behind what it has published; one that comes says so
/// before it has its place on the ring.
fn one_that_comes() {
    let (mut producer, dispatcher) = ring(2).without_stations().start_multi().unwrap();
    let inline = Arc::new(Handover::new(None::<Inline>));
    let count = Arc::new(AtomicUsize::new(0));
    let run = |inline: &mut Option<Inline>| inline.iter_mut().for_each(Inline::run);
    let publishing = {
        let (inline, count) = (Arc::clone(&inline), Arc::clone(&count));
        thread::spawn(move || {
            producer.try_publish(|slot| *slot = 10).unwrap();
            if count.load(Ordering::Relaxed) > 0 {
                inline.drive(run, run);
            }
            producer
        })
    };
    count.fetch_add(1, Ordering::Relaxed);
    let poller = dispatcher.membership().attach_poller(poller("a"), Start::Oldest).unwrap();
    let first = poller.sequence();
    *inline.inner().lock() = Some(Inline { poller, seen: Vec::new() });
    inline.tend(run);
    drop(publishing.join().unwrap());
    let seen = inline.inner().lock().take().unwrap().seen;
    assert_eq!(first + seen.len() as u64, 1, "it begins at {first}, and has seen {seen:?}");
}
