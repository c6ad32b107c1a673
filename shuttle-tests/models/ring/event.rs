//! Events that notice who touches them when nobody may, and payloads that are dropped once.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI32, Ordering},
    },
};

/// Lets the others run for a while, perhaps.
pub fn step() {
    // No yield, which would say that this thread waits for another one.
    shuttle::thread::sleep(std::time::Duration::ZERO);
}

/// Lets the others run until `is_true`.
///
/// # Panics
/// If that takes too long.
#[track_caller]
pub fn await_that(what: &str, is_true: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if is_true() {
            return;
        }
        shuttle::thread::yield_now();
    }
    panic!("it takes too long until {what}");
}

/// The payloads that exist.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<(u64, BTreeSet<u64>)>>);

impl Ledger {
    pub fn payload(&self) -> Payload {
        let mut ledger = self.0.lock().expect("nothing panics here");
        ledger.0 += 1;
        let number = ledger.0;
        ledger.1.insert(number);
        Payload { number, ledger: self.clone() }
    }

    pub fn is_settled(&self) -> bool {
        self.0.lock().expect("nothing panics here").1.is_empty()
    }
}

/// A value that must be dropped once.
#[derive(Debug)]
pub struct Payload {
    number: u64,
    ledger: Ledger,
}

impl Drop for Payload {
    fn drop(&mut self) {
        let was_there = self.ledger.0.lock().expect("nothing panics here").1.remove(&self.number);
        assert!(was_there, "payload {} is dropped twice", self.number);
    }
}

/// Who is at an event: so many readers, or one writer (-1). Not an atomic of the model's: looking
/// at it is no step.
#[derive(Clone, Debug, Default)]
struct Lease(Arc<AtomicI32>);

/// Somebody is at an event.
#[derive(Debug)]
pub struct Held {
    lease: Lease,
    share: i32,
}

impl Lease {
    fn take(&self, share: i32) -> Held {
        let before = self.0.fetch_add(share, Ordering::Relaxed);
        let is_free = if share > 0 { before >= 0 } else { before == 0 };
        assert!(is_free, "an event is written while somebody else has it: {before}, then {share}");
        Held { lease: self.clone(), share }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.lease.0.fetch_sub(self.share, Ordering::Relaxed);
    }
}

/// What is remembered of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub producer: usize,
    /// The producer's count, of events that were refused too.
    pub number: u64,
    /// Which stations have changed it, in their order.
    pub trace: u64,
}

impl Content {
    pub fn pass(&mut self, station: usize) {
        self.trace = self.trace * 16 + station as u64 + 1;
    }
}

#[derive(Debug, Default)]
pub struct Event {
    /// To be looked at without a check, also half-written.
    pub content: Content,
    /// The same, written a step later: the two differ while somebody writes.
    echo: Content,
    pub payload: Option<Payload>,
    lease: Lease,
}

impl Event {
    pub fn hold(&self) -> Held {
        self.lease.take(1)
    }

    pub fn hold_alone(&self) -> Held {
        self.lease.take(-1)
    }

    /// Begins to write the event.
    pub fn write(&mut self, content: Content, payload: Payload) {
        self.payload = Some(payload);
        self.content = content;
    }

    /// Lets a station change the event.
    pub fn pass(&mut self, station: usize) {
        self.content.pass(station);
    }

    /// What has begun is complete.
    pub fn complete(&mut self) {
        self.echo = self.content;
    }

    /// What a station is shown.
    pub fn shown(&self) -> Content {
        assert_eq!(self.content, self.echo, "an event is shown half-written");
        assert!(self.payload.is_some(), "an event is shown without its payload");
        self.content
    }
}
