//! What the tests of the bus share.
#![allow(dead_code)] // Not every file needs all of it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use slipring_events::{AnyEvent, Bus, BusBuilder, ByHand, ManualClock, Step};

/// Longer than anything takes that comes to an end.
pub const AMPLE: Duration = Duration::from_mins(1);
pub const MILLI: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);
pub const NANO: Duration = Duration::from_nanos(1);

/// What a handler has seen.
pub type Log<T> = Arc<Mutex<Vec<T>>>;

/// A log, to be written and to be read.
pub fn log<T>() -> (Log<T>, Log<T>) {
    let log = Log::<T>::default();
    (Arc::clone(&log), log)
}

/// What was logged since the last time.
pub fn news<T>(log: &Log<T>) -> Vec<T> {
    std::mem::take(&mut *log.lock().unwrap())
}

pub fn number(number: u32) -> AnyEvent {
    AnyEvent::new(number)
}

/// A bus whose time passes when a test says so.
pub fn describe_by_clock(capacity: usize) -> (BusBuilder<AnyEvent>, ManualClock) {
    let clock = ManualClock::default();
    (Bus::builder(capacity).clock(clock.clone()), clock)
}

pub fn by_clock(capacity: usize) -> (Bus<AnyEvent>, ManualClock) {
    let (builder, clock) = describe_by_clock(capacity);
    (builder.start().unwrap(), clock)
}

pub fn publish(bus: &Bus<AnyEvent>, numbers: impl IntoIterator<Item = u32>) {
    let mut publisher = bus.publisher();
    for count in numbers {
        publisher.try_publish(number(count)).unwrap();
    }
}

/// Has it do all that it can do now. What it says last is why it goes on no further.
pub fn settle(hand: &mut ByHand<AnyEvent>) -> Step {
    for _ in 0..100_000 {
        match hand.step() {
            Step::Moved => {}
            rest => return rest,
        }
    }
    panic!("it comes to no rest");
}

/// The numbers on which a handler fails.
#[derive(Clone, Default)]
pub struct Bad(Arc<Mutex<BTreeSet<u32>>>);

impl Bad {
    pub fn these(numbers: impl IntoIterator<Item = u32>) -> Self {
        Self(Arc::new(Mutex::new(numbers.into_iter().collect())))
    }

    pub fn mend(&self, number: u32) {
        self.0.lock().unwrap().remove(&number);
    }

    pub fn spoil(&self, number: u32) {
        self.0.lock().unwrap().insert(number);
    }

    pub fn try_on(&self, number: u32) -> Result<(), String> {
        if self.0.lock().unwrap().contains(&number) { Err(format!("not {number}")) } else { Ok(()) }
    }
}
